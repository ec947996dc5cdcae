//! OTLP/JSON to the same protobuf bytes: one encoding in the spool, one reader after it.
//!
//! Tolerant on purpose, because senders are many: `null` means unset; keys in lowerCamelCase or
//! snake_case; ids as hex of either case, or base64; enums as numbers or names; 64-bit integers as
//! strings, numbers or `{low, high}` objects; doubles as numbers, numeric text, "NaN" or
//! "Infinity"; unknown keys are passed over (OTLP says so). A field that can't be read is left out
//! and costs nothing but itself; a span without a readable id is for the receiver to refuse alone.
//!
//! The schemas are in `schema`.

mod schema;

use serde_json::{Map, Value};

use schema::{
    LOGS, METRICS, Schema, TRACES,
    Type::{self, Base64, Bool, Double, Enum, Fixed64, Id, Message, Text, Varint},
};

use super::Signal;

/// Why a body can't be taken as OTLP/JSON.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// Not JSON at all, or nested too deeply.
    #[error("not JSON: {0}")]
    Syntax(#[from] serde_json::Error),
    /// JSON, but no request.
    #[error("expected an object with {0:?}")]
    NoRequest(&'static str),
}

/// The protobuf bytes of an OTLP/JSON request body.
pub fn to_protobuf(signal: Signal, body: &[u8]) -> Result<Vec<u8>, Error> {
    let body = body.strip_prefix(b"\xef\xbb\xbf").unwrap_or(body);
    let value: Value = serde_json::from_slice(body)?;
    let (schema, key) = match signal {
        Signal::Traces => (TRACES, "resourceSpans"),
        Signal::Logs => (LOGS, "resourceLogs"),
        Signal::Metrics => (METRICS, "resourceMetrics"),
    };
    match &value {
        Value::Object(object) if object.is_empty() || object.keys().any(|k| is(k, key)) => {
            let mut out = Vec::with_capacity(body.len() / 2);
            message(&mut out, schema, object);
            Ok(out)
        }
        _ => Err(Error::NoRequest(key)),
    }
}

/// Equal but for underscores and case.
fn is(key: &str, name: &str) -> bool {
    let fold = |text: &str| -> Vec<u8> {
        text.bytes()
            .filter(|b| *b != b'_')
            .map(|b| b.to_ascii_lowercase())
            .collect()
    };
    key == name || (key.contains('_') && fold(key) == fold(name))
}

fn message(out: &mut Vec<u8>, schema: Schema, object: &Map<String, Value>) {
    for (key, value) in object {
        let Some((_, number, kind)) = schema.iter().find(|(name, ..)| is(key, name)) else {
            continue;
        };
        match value {
            // Repeated fields are never packed here; readers must take both.
            Value::Array(items) => items
                .iter()
                .for_each(|item| field(out, *number, *kind, item)),
            item => field(out, *number, *kind, item),
        }
    }
}

fn field(out: &mut Vec<u8>, number: u32, kind: Type, value: &Value) {
    match (kind, value) {
        (_, Value::Null) => {}
        (Text, Value::String(text)) => bytes(out, number, text.as_bytes()),
        (Text, Value::Number(n)) => bytes(out, number, n.to_string().as_bytes()),
        (Text, Value::Bool(b)) => bytes(out, number, b.to_string().as_bytes()),
        (Id(len), Value::String(text)) => bytes(out, number, &id(text, len)),
        (Base64, Value::String(text)) => bytes(out, number, &base64(text).unwrap_or_default()),
        (Bool, value) => {
            if let Some(flag) = flag(value) {
                tag(out, number, 0);
                out.push(u8::from(flag));
            }
        }
        (Varint, value) => {
            if let Some(n) = integer(value) {
                tag(out, number, 0);
                varint(out, n as u64);
            }
        }
        (Fixed64, value) => {
            if let Some(n) = integer(value) {
                tag(out, number, 1);
                out.extend_from_slice(&n.to_le_bytes());
            }
        }
        (Double, value) => {
            if let Some(n) = double(value) {
                tag(out, number, 1);
                out.extend_from_slice(&n.to_le_bytes());
            }
        }
        (Enum(names), value) => {
            let named = value
                .as_str()
                .and_then(|name| names.iter().position(|n| *n == name));
            if let Some(n) = named.map(|n| n as i64).or_else(|| integer(value)) {
                tag(out, number, 0);
                varint(out, n as u64);
            }
        }
        (Message(schema), Value::Object(object)) => {
            let mut body = Vec::new();
            message(&mut body, schema(), object);
            bytes(out, number, &body);
        }
        _ => {}
    }
}

fn tag(out: &mut Vec<u8>, number: u32, wire: u32) {
    varint(out, u64::from(number << 3 | wire));
}

fn varint(out: &mut Vec<u8>, mut n: u64) {
    while n >= 0x80 {
        out.push(n as u8 | 0x80);
        n >>= 7;
    }
    out.push(n as u8);
}

fn bytes(out: &mut Vec<u8>, number: u32, bytes: &[u8]) {
    tag(out, number, 2);
    varint(out, bytes.len() as u64);
    out.extend_from_slice(bytes);
}

/// Any spelling of a 64-bit integer; unsigned ones keep their bits.
fn integer(value: &Value) -> Option<i64> {
    match value {
        Value::Number(n) => n
            .as_i64()
            .or_else(|| n.as_u64().map(|n| n as i64))
            .or_else(|| {
                n.as_f64()
                    .filter(|f| f.fract() == 0.0 && f.abs() < 1.9e19)
                    .map(whole)
            }),
        Value::String(text) => {
            let text = text.trim();
            let parsed = text.parse::<i64>().ok();
            parsed
                .or_else(|| text.parse::<u64>().ok().map(|n| n as i64))
                .or_else(|| {
                    text.parse::<f64>()
                        .ok()
                        .filter(|f| f.fract() == 0.0)
                        .map(whole)
                })
        }
        Value::Object(halves) => {
            let half = |name| halves.get(name).and_then(Value::as_i64);
            Some((half("high")? << 32) | (half("low")? & 0xffff_ffff))
        }
        _ => None,
    }
}

fn whole(f: f64) -> i64 {
    if f < 0.0 { f as i64 } else { f as u64 as i64 }
}

fn double(value: &Value) -> Option<f64> {
    match value {
        Value::Number(n) => n.as_f64(),
        Value::String(text) => match text.trim() {
            "NaN" => Some(f64::NAN),
            "Infinity" => Some(f64::INFINITY),
            "-Infinity" => Some(f64::NEG_INFINITY),
            text => text.parse().ok(),
        },
        _ => None,
    }
}

fn flag(value: &Value) -> Option<bool> {
    match value {
        Value::Bool(flag) => Some(*flag),
        Value::String(text) => text.trim().to_ascii_lowercase().parse().ok(),
        Value::Number(n) => Some(n.as_i64()? != 0),
        _ => None,
    }
}

/// Hex, as OTLP says, or base64, as proto3 JSON would have it; the length tells which. Empty if
/// it is neither.
fn id(text: &str, len: usize) -> Vec<u8> {
    let text = text.trim();
    if text.len() == len * 2 && text.bytes().all(|b| b.is_ascii_hexdigit()) {
        let digit = |b: u8| char::from(b).to_digit(16).unwrap_or(0) as u8;
        return text
            .as_bytes()
            .chunks_exact(2)
            .map(|p| digit(p[0]) << 4 | digit(p[1]))
            .collect();
    }
    base64(text)
        .filter(|bytes| bytes.len() == len)
        .unwrap_or_default()
}

/// Standard or URL-safe alphabet, with or without padding.
fn base64(text: &str) -> Option<Vec<u8>> {
    let mut out = Vec::with_capacity(text.len() * 3 / 4);
    let (mut bits, mut held) = (0u32, 0u32);
    for byte in text.trim_end_matches('=').bytes() {
        let six = match byte {
            b'A'..=b'Z' => byte - b'A',
            b'a'..=b'z' => byte - b'a' + 26,
            b'0'..=b'9' => byte - b'0' + 52,
            b'+' | b'-' => 62,
            b'/' | b'_' => 63,
            _ => return None,
        };
        bits = bits << 6 | u32::from(six);
        held += 6;
        if held >= 8 {
            held -= 8;
            out.push((bits >> held) as u8);
            bits &= (1 << held) - 1;
        }
    }
    Some(out)
}

#[cfg(test)]
mod tests {
    use opentelemetry_proto::tonic::{
        collector::{
            metrics::v1::ExportMetricsServiceRequest, trace::v1::ExportTraceServiceRequest,
        },
        common::v1::any_value::Value as Any,
        metrics::v1::metric::Data,
    };
    use prost::Message as _;

    use super::*;

    fn span(json: &str) -> opentelemetry_proto::tonic::trace::v1::Span {
        let body = format!(r#"{{"resourceSpans":[{{"scopeSpans":[{{"spans":[{json}]}}]}}]}}"#);
        let bytes = to_protobuf(Signal::Traces, body.as_bytes()).unwrap();
        let mut request = ExportTraceServiceRequest::decode(bytes.as_slice()).unwrap();
        request
            .resource_spans
            .remove(0)
            .scope_spans
            .remove(0)
            .spans
            .remove(0)
    }

    #[test]
    fn every_spelling_is_understood() {
        let strict = span(
            r#"{"traceId":"0102030405060708090a0b0c0d0e0f10","spanId":"0102030405060708",
            "parentSpanId":"","kind":3,"startTimeUnixNano":"1795203676883293861",
            "status":{"code":2,"message":"no"},"attributes":[
            {"key":"i","value":{"intValue":"-5"}},{"key":"d","value":{"doubleValue":0.5}}]}"#,
        );
        let tolerant = span(
            r#"{"trace_id":"0102030405060708090A0B0C0D0E0F10","span_id":"AQIDBAUGBwg=",
            "parentSpanId":null,"events":null,"kind":"SPAN_KIND_CLIENT","unknown":{"a":[1]},
            "start_time_unix_nano":1795203676883293861,
            "status":{"code":"STATUS_CODE_ERROR","message":"no"},"attributes":[
            {"key":"i","value":{"intValue":{"low":-5,"high":-1}}},{"key":"d","value":{"doubleValue":"0.5"}}]}"#,
        );
        assert_eq!(strict.trace_id, (1..=16).collect::<Vec<u8>>());
        assert_eq!(
            tolerant,
            opentelemetry_proto::tonic::trace::v1::Span {
                parent_span_id: Vec::new(),
                ..strict
            }
        );
    }

    #[test]
    fn what_can_not_be_read_costs_itself() {
        let span = span(
            r#"{"traceId":"nonsense","spanId":7,"name":"n","kind":"WHAT","startTimeUnixNano":{},
            "attributes":[{"key":"nan","value":{"doubleValue":"NaN"}},
            {"key":"null","value":{"doubleValue":null}},{"key":"bad","value":{"intValue":[true]}},
            {"key":"list","value":{"arrayValue":{"values":[{"stringValue":"x"}]}}}]}"#,
        );
        assert_eq!(
            (span.name.as_str(), span.trace_id.len(), span.kind),
            ("n", 0, 0)
        );
        let value = |i: usize| span.attributes[i].value.clone().unwrap().value;
        assert!(matches!(value(0), Some(Any::DoubleValue(d)) if d.is_nan()));
        assert_eq!((value(1), value(2)), (None, None));
        assert!(matches!(value(3), Some(Any::ArrayValue(_))));
    }

    #[test]
    fn metrics_go_through_as_well() {
        let body = br#"{"resourceMetrics":[{"scopeMetrics":[{"metrics":[{"name":"m","histogram":{
            "aggregationTemporality":2,"dataPoints":[{"count":"3","sum":6.5,
            "bucketCounts":["1","2"],"explicitBounds":[1]}]}}]}]}]}"#;
        let bytes = to_protobuf(Signal::Metrics, body).unwrap();
        let request = ExportMetricsServiceRequest::decode(bytes.as_slice()).unwrap();
        let metric = &request.resource_metrics[0].scope_metrics[0].metrics[0];
        let Some(Data::Histogram(histogram)) = &metric.data else {
            panic!("a histogram")
        };
        let point = &histogram.data_points[0];
        assert_eq!(
            (point.count, point.sum, point.bucket_counts.len()),
            (3, Some(6.5), 2)
        );
    }

    #[test]
    fn a_body_without_its_list_is_refused_and_an_empty_one_is_not() {
        assert!(to_protobuf(Signal::Traces, b"{}").unwrap().is_empty());
        for bad in [
            "",
            "[]",
            "{\"resourceLogs\":[]}",
            "{\"resourceSpans\":[",
            "\"x\"",
        ] {
            assert!(
                to_protobuf(Signal::Traces, bad.as_bytes()).is_err(),
                "{bad}"
            );
        }
        let deep = "[".repeat(100_000);
        assert!(to_protobuf(Signal::Traces, deep.as_bytes()).is_err());
    }
}
