//! Requests made for tests, of the spans that `spanledger load` sends.

use opentelemetry_proto::tonic::{
    collector::trace::v1::ExportTraceServiceRequest,
    common::v1::{AnyValue, KeyValue, any_value::Value},
    trace::v1::Span,
};
use spanledger::load;

pub fn text(key: &str, value: &str) -> KeyValue {
    attribute(key, Value::StringValue(value.to_owned()))
}

pub fn int(key: &str, value: i64) -> KeyValue {
    attribute(key, Value::IntValue(value))
}

pub fn attribute(key: &str, value: Value) -> KeyValue {
    KeyValue {
        key: key.to_owned(),
        value: Some(AnyValue { value: Some(value) }),
        ..Default::default()
    }
}

/// The spans of a load's request, sent now: five, of about 640 bytes each.
pub fn rag_trace(number: u64) -> Vec<Span> {
    let since = std::time::UNIX_EPOCH.elapsed().unwrap();
    let trace = load::RunId::of_seed(0).trace(number);
    load::request_spans(&trace, number % 20, since.as_nanos() as u64)
}

/// One request with these traces.
pub fn request(traces: std::ops::Range<u64>) -> ExportTraceServiceRequest {
    of_spans(traces.flat_map(rag_trace).collect())
}

/// One request with these spans.
pub fn of_spans(spans: Vec<Span>) -> ExportTraceServiceRequest {
    load::export_of(spans)
}
