//! Payloads built for tests, with the real encoder.

use opentelemetry_proto::tonic::{
    collector::{logs::v1::ExportLogsServiceRequest, trace::v1::ExportTraceServiceRequest},
    common::v1::{AnyValue, ArrayValue, InstrumentationScope, KeyValue, any_value},
    logs::v1::{LogRecord, ResourceLogs, ScopeLogs},
    resource::v1::Resource,
    trace::v1::{ResourceSpans, ScopeSpans, Span, Status, span::Event},
};
use prost::Message;

use crate::{
    map::{Config, Mapped, Mapper},
    otlp::Signal,
    record::{LlmCall, MappedSpan, Record},
};

/// When the payloads of these tests are received.
pub const NOW: i64 = 1_790_000_000_000_000_000;

pub fn text(value: &str) -> any_value::Value {
    any_value::Value::StringValue(value.to_owned())
}

pub fn int(value: i64) -> any_value::Value {
    any_value::Value::IntValue(value)
}

pub fn double(value: f64) -> any_value::Value {
    any_value::Value::DoubleValue(value)
}

pub fn flag(value: bool) -> any_value::Value {
    any_value::Value::BoolValue(value)
}

pub fn array(values: Vec<any_value::Value>) -> any_value::Value {
    let values = values
        .into_iter()
        .map(|value| AnyValue { value: Some(value) })
        .collect();
    any_value::Value::ArrayValue(ArrayValue { values })
}

pub fn attributes(pairs: Vec<(&str, any_value::Value)>) -> Vec<KeyValue> {
    pairs
        .into_iter()
        .map(|(key, value)| KeyValue {
            key: key.to_owned(),
            value: Some(AnyValue { value: Some(value) }),
            ..KeyValue::default()
        })
        .collect()
}

/// A child span of one second with these attributes.
pub fn span(name: &str, pairs: Vec<(&str, any_value::Value)>) -> Span {
    Span {
        trace_id: vec![7; 16],
        span_id: vec![8; 8],
        parent_span_id: vec![9; 8],
        name: name.to_owned(),
        start_time_unix_nano: NOW as u64 - 1_000_000_000,
        end_time_unix_nano: NOW as u64,
        attributes: attributes(pairs),
        ..Span::default()
    }
}

pub fn root(name: &str, pairs: Vec<(&str, any_value::Value)>) -> Span {
    Span {
        parent_span_id: Vec::new(),
        ..span(name, pairs)
    }
}

pub fn event(name: &str, pairs: Vec<(&str, any_value::Value)>) -> Event {
    Event {
        name: name.to_owned(),
        time_unix_nano: NOW as u64 - 900_000_000,
        attributes: attributes(pairs),
        ..Event::default()
    }
}

pub fn failed(mut span: Span, message: &str) -> Span {
    span.status = Some(Status {
        message: message.to_owned(),
        code: 2,
    });
    span
}

pub fn traces(scope: &str, spans: Vec<Span>) -> Vec<u8> {
    let resource = Resource {
        attributes: attributes(vec![
            ("service.name", text("shop")),
            ("deployment.environment.name", text("test")),
        ]),
        ..Resource::default()
    };
    let scope = InstrumentationScope {
        name: scope.to_owned(),
        ..InstrumentationScope::default()
    };
    let scope_spans = vec![ScopeSpans {
        scope: Some(scope),
        spans,
        ..ScopeSpans::default()
    }];
    let group = ResourceSpans {
        resource: Some(resource),
        scope_spans,
        ..ResourceSpans::default()
    };
    ExportTraceServiceRequest {
        resource_spans: vec![group],
    }
    .encode_to_vec()
}

pub fn logs(records: Vec<LogRecord>) -> Vec<u8> {
    let scope_logs = vec![ScopeLogs {
        log_records: records,
        ..ScopeLogs::default()
    }];
    let group = ResourceLogs {
        scope_logs,
        ..ResourceLogs::default()
    };
    ExportLogsServiceRequest {
        resource_logs: vec![group],
    }
    .encode_to_vec()
}

pub fn map_with(config: &Config, signal: Signal, body: &[u8]) -> Mapped {
    let mut out = Mapped::default();
    Mapper::new(config).map(signal, body, NOW, &mut out);
    out
}

/// Maps one span.
pub fn map_one(span: Span) -> MappedSpan {
    let mut out = map_with(
        &Config::default(),
        Signal::Traces,
        &traces("app", vec![span]),
    );
    assert_eq!((out.spans.len(), out.rejected), (1, 0));
    out.spans.remove(0)
}

/// Maps one span that must give a call.
pub fn call_of(span: Span) -> LlmCall {
    let mapped = map_one(span);
    mapped
        .records
        .into_iter()
        .find_map(|record| match record {
            Record::LlmCall(call) => Some(*call),
            _ => None,
        })
        .unwrap()
}
