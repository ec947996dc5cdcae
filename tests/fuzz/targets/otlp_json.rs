//! OTLP/JSON to protobuf (`otlp::json::to_protobuf`).
//!
//! - Any bytes: it answers or says why not; what it gives is protobuf that prost decodes. One
//!   exception: JSON may nest deeper than prost's hundred levels; our own reader takes that.
//! - A request made up, written as JSON in any spelling: what comes out is that request.

use opentelemetry_proto::tonic::{
    collector::{
        logs::v1::ExportLogsServiceRequest, metrics::v1::ExportMetricsServiceRequest,
        trace::v1::ExportTraceServiceRequest,
    },
    common::v1::{AnyValue, KeyValue, any_value::Value as Any},
};
use prost::Message;
use spanledger::otlp::{self, Signal, json};

use super::{draw::Draw, json as written, request};

/// JSON text starts with a brace, blanks or a byte order mark; what else comes is choices.
pub fn run(input: &[u8]) {
    match input.first() {
        Some(0..=8) => spelled(&mut Draw::new(input)),
        _ => any_bytes(input),
    }
}

fn to_protobuf(signal: Signal, body: &[u8]) -> Result<Vec<u8>, json::Error> {
    json::to_protobuf(signal, body, usize::MAX)
}

fn any_bytes(body: &[u8]) {
    let value: Option<serde_json::Value> = serde_json::from_slice(body).ok();
    for (signal, key) in [
        (Signal::Traces, "resourceSpans"),
        (Signal::Logs, "resourceLogs"),
        (Signal::Metrics, "resourceMetrics"),
    ] {
        let answer = to_protobuf(signal, body);
        if value.as_ref().is_some_and(|value| value.get(key).is_some()) {
            assert!(answer.is_ok(), "a request is refused: {answer:?}");
        }
        let Ok(bytes) = answer else {
            continue;
        };
        let decoded = match signal {
            Signal::Traces => ExportTraceServiceRequest::decode(&*bytes).map(drop),
            Signal::Logs => ExportLogsServiceRequest::decode(&*bytes).map(drop),
            Signal::Metrics => ExportMetricsServiceRequest::decode(&*bytes).map(drop),
        };
        if let Err(error) = decoded {
            let told = error.to_string();
            assert!(told.contains("recursion limit"), "{signal:?}: {told}");
        }
        match signal {
            Signal::Traces => assert_eq!(otlp::spans(&bytes, |_, _| {}), Ok(())),
            Signal::Logs => assert_eq!(otlp::logs(&bytes, |_, _| {}), Ok(())),
            Signal::Metrics => {}
        }
    }
}

/// The request in protobuf; `None` if it is nested deeper than is read.
fn unless_too_deep(signal: Signal, text: &str) -> Option<Vec<u8>> {
    match to_protobuf(signal, text.as_bytes()) {
        Err(json::Error::Syntax { what, .. }) if what.contains("nested too deeply") => None,
        read => Some(read.expect("a request")),
    }
}

fn spelled(draw: &mut Draw<'_>) {
    if draw.byte() & 1 == 0 {
        let mut sent = request::traces(draw);
        let text = written::traces(&sent, draw);
        let Some(bytes) = unless_too_deep(Signal::Traces, &text) else {
            return;
        };
        let Some(read) = shallow(ExportTraceServiceRequest::decode(&*bytes)) else {
            return;
        };
        for span in sent
            .resource_spans
            .iter_mut()
            .flat_map(|group| &mut group.scope_spans)
            .flat_map(|scoped| &mut scoped.spans)
        {
            as_id(&mut span.trace_id, 16);
            as_id(&mut span.span_id, 8);
            as_id(&mut span.parent_span_id, 8);
        }
        same(&mut sent, &read, &text, |request, change| {
            for group in &mut request.resource_spans {
                group
                    .resource
                    .iter_mut()
                    .for_each(|r| each_value(&mut r.attributes, change));
                for scoped in &mut group.scope_spans {
                    scoped
                        .scope
                        .iter_mut()
                        .for_each(|s| each_value(&mut s.attributes, change));
                    for span in &mut scoped.spans {
                        each_value(&mut span.attributes, change);
                        span.events
                            .iter_mut()
                            .for_each(|e| each_value(&mut e.attributes, change));
                    }
                }
            }
        });
    } else {
        let mut sent = request::logs(draw);
        let text = written::logs(&sent, draw);
        let Some(bytes) = unless_too_deep(Signal::Logs, &text) else {
            return;
        };
        let Some(read) = shallow(ExportLogsServiceRequest::decode(&*bytes)) else {
            return;
        };
        for log in sent
            .resource_logs
            .iter_mut()
            .flat_map(|group| &mut group.scope_logs)
            .flat_map(|scoped| &mut scoped.log_records)
        {
            as_id(&mut log.trace_id, 16);
            as_id(&mut log.span_id, 8);
        }
        same(&mut sent, &read, &text, |request, change| {
            for group in &mut request.resource_logs {
                group
                    .resource
                    .iter_mut()
                    .for_each(|r| each_value(&mut r.attributes, change));
                for scoped in &mut group.scope_logs {
                    scoped
                        .scope
                        .iter_mut()
                        .for_each(|s| each_value(&mut s.attributes, change));
                    for log in &mut scoped.log_records {
                        each_value(&mut log.attributes, change);
                        log.body.iter_mut().for_each(|body| in_value(body, change));
                    }
                }
            }
        });
    }
}

/// `None` for what prost finds too deep.
fn shallow<T>(decoded: Result<T, prost::DecodeError>) -> Option<T> {
    match decoded {
        Ok(request) => Some(request),
        Err(error) => {
            assert!(error.to_string().contains("recursion limit"), "{error}");
            None
        }
    }
}

/// What is no id is left out.
fn as_id(bytes: &mut Vec<u8>, len: usize) {
    if bytes.len() != len {
        bytes.clear();
    }
}

/// Equal, where NaN equals itself.
fn same<T: Message + Clone + PartialEq + std::fmt::Debug>(
    sent: &mut T,
    read: &T,
    text: &str,
    each: impl Fn(&mut T, &mut dyn FnMut(&mut f64)),
) {
    let mut read = read.clone();
    for request in [&mut *sent, &mut read] {
        each(request, &mut |double| {
            if double.is_nan() {
                *double = 4321.5;
            }
        });
    }
    assert_eq!(*sent, read, "{text}");
}

fn each_value(pairs: &mut [KeyValue], change: &mut dyn FnMut(&mut f64)) {
    for value in pairs.iter_mut().filter_map(|pair| pair.value.as_mut()) {
        in_value(value, change);
    }
}

fn in_value(value: &mut AnyValue, change: &mut dyn FnMut(&mut f64)) {
    match &mut value.value {
        Some(Any::DoubleValue(double)) => change(double),
        Some(Any::ArrayValue(array)) => array.values.iter_mut().for_each(|v| in_value(v, change)),
        Some(Any::KvlistValue(list)) => each_value(&mut list.values, change),
        _ => {}
    }
}
