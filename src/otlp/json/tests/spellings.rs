//! What is understood, what is left out, what is refused and why.

use opentelemetry_proto::tonic::{
    collector::{metrics::v1::ExportMetricsServiceRequest, trace::v1::ExportTraceServiceRequest},
    common::v1::any_value::Value as Any,
    metrics::v1::metric::Data,
};
use prost::Message as _;

use crate::otlp::{
    Signal,
    json::{Error, to_protobuf},
};

fn span(json: &str) -> opentelemetry_proto::tonic::trace::v1::Span {
    let body = format!(r#"{{"resourceSpans":[{{"scopeSpans":[{{"spans":[{json}]}}]}}]}}"#);
    let bytes = to_protobuf(Signal::Traces, body.as_bytes(), usize::MAX).unwrap();
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
    let bytes = to_protobuf(Signal::Metrics, body, usize::MAX).unwrap();
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
    let refusal = |body: &str| match to_protobuf(Signal::Traces, body.as_bytes(), 100) {
        Ok(bytes) => format!("{bytes:?}"),
        Err(error) => error.to_string(),
    };
    assert_eq!(refusal(" {} "), "[]");
    let refusals = [
        "",
        "\"x\"",
        "[]",
        "{\"resourceLogs\":[]}",
        "{\"resourceSpans\":[",
        "{\"resourceSpans\":[]",
        "{\"resourceSpans\":[{}",
        "{\"resourceSpans\":[]}\n{}",
        "{\n \"resourceSpans\": [\n  {,\n",
        "{\"resourceSpans\":[{}],}",
        "{\"resourceSpans\" []}",
        "{\"a\":[1,]}",
        "{\"a\":[1 2]}",
        "{\"a\":1 2}",
        "{\"a\":01}",
        "{\"a\":1.}",
        "{\"a\":nul}",
        "{\"a\":\"\t\"}",
        "{\"a\":\"\\x\"}",
        "{\"a\":\"b}",
        "{\"a\":NaN}",
        "<html>",
    ];
    let told: String = refusals
        .iter()
        .map(|body| format!("{body:?}: {}\n", refusal(body)))
        .collect();
    insta::assert_snapshot!(told);
}

#[test]
fn bytes_that_are_not_utf8_are_pointed_at() {
    let error = to_protobuf(Signal::Traces, b"{\n\"a\":\"\xff\"}", 100).unwrap_err();
    assert_eq!(
        error.to_string(),
        "not JSON: a byte that is not UTF-8 at line 2 column 6"
    );
}

#[test]
fn nesting_has_an_end() {
    let deep = |open: &str, close: &str, depth: usize| {
        let body = format!("{}1{}", open.repeat(depth), close.repeat(depth));
        let body = format!("{{\"resourceSpans\":[],\"a\":{body}}}");
        to_protobuf(Signal::Traces, body.as_bytes(), 100)
    };
    for (open, close) in [("[", "]"), ("{\"a\":", "}")] {
        assert!(deep(open, close, 126).is_ok());
        for depth in [127, 1_000_000] {
            let told = deep(open, close, depth).unwrap_err().to_string();
            assert!(
                told.contains("nested too deeply at line 1 column"),
                "{told}"
            );
        }
    }
    // Known keys are followed no further.
    let value = r#"{"arrayValue":{"values":["#;
    let value = format!("{}{{}}{}", value.repeat(40), "]}}".repeat(40));
    let body = |value: &str| {
        let body = format!(
            r#"{{"resourceSpans":[{{"resource":{{"attributes":[{{"value":{value}}}]}}}}]}}"#
        );
        to_protobuf(Signal::Traces, body.as_bytes(), 10_000)
    };
    let bytes = body(&value).unwrap();
    assert!(ExportTraceServiceRequest::decode(bytes.as_slice()).is_ok());
    let deeper = value.replace("{}", &value);
    let told = body(&deeper).unwrap_err().to_string();
    assert!(told.contains("nested too deeply"), "{told}");
}

#[test]
fn half_a_character_costs_itself() {
    let span = span(
        r#"{"name":"cut \ud83d","traceState":"\ude00\u00e9\ud83d\ude00\ud83d\n",
        "status":{"message":"\ud83d\ud83d\ude00\\ \u0000"}}"#,
    );
    assert_eq!(span.name, "cut \u{FFFD}");
    assert_eq!(span.trace_state, "\u{FFFD}é😀\u{FFFD}\n");
    assert_eq!(span.status.unwrap().message, "\u{FFFD}😀\\ \0");
}

#[test]
fn a_key_that_stands_twice_is_a_field_that_stands_twice() {
    let span = span(
        r#"{"name":"first","attributes":[{"key":"a"},{"key":"b"}],"kind":1,"na\u006de":"last",
        "attributes":[{"key":"c"}],"status":{"code":2},"kind":null,"status":{"message":"no"}}"#,
    );
    assert_eq!((span.name.as_str(), span.kind), ("last", 1));
    let keys: Vec<_> = span.attributes.iter().map(|a| a.key.as_str()).collect();
    assert_eq!(keys, ["a", "b", "c"]);
    let status = span.status.unwrap();
    assert_eq!((status.code, status.message.as_str()), (2, "no"));
}

#[test]
fn numbers_beyond_their_type_are_left_out() {
    let span = span(
        r#"{"startTimeUnixNano":1e300,"endTimeUnixNano":18446744073709551616,"kind":1.5,
        "droppedEventsCount":"-1e400","droppedLinksCount":3.0,"attributes":[
        {"value":{"doubleValue":1e999}},{"value":{"doubleValue":"-1e999"}},
        {"value":{"doubleValue":"-Infinity"}},{"value":{"intValue":"18446744073709551615"}}]}"#,
    );
    let numbers = (
        span.start_time_unix_nano,
        span.end_time_unix_nano,
        span.kind,
    );
    assert_eq!(numbers, (0, 0, 0));
    assert_eq!(
        (span.dropped_events_count, span.dropped_links_count),
        (0, 3)
    );
    let values = span
        .attributes
        .iter()
        .map(|a| a.value.clone().unwrap().value);
    let expected = [
        None,
        None,
        Some(Any::DoubleValue(f64::NEG_INFINITY)),
        Some(Any::IntValue(-1)),
    ];
    assert!(values.eq(expected));
}

#[test]
fn it_takes_the_bytes_of_the_protobuf_and_no_more() {
    let span = r#"{"traceId":"0102030405060708090a0b0c0d0e0f10","spanId":"0102030405060708","kind":3,
        "name":"chat \n \u00e9","startTimeUnixNano":"1795203676883293861","unknown":{"a":[1]},
        "attributes":[{"key":"d","value":{"doubleValue":0.5}},{"key":"i","value":{"intValue":"5"}}]}"#;
    let spans = vec![span; 1000].join(",");
    let body = format!(r#"{{"resourceSpans":[{{"scopeSpans":[{{"spans":[{spans}]}}]}}]}}"#);
    let taken = allocation_counter::measure(|| {
        to_protobuf(Signal::Traces, body.as_bytes(), body.len()).unwrap();
    });
    assert_eq!(
        (taken.count_total, taken.bytes_total),
        (1, body.len() as u64)
    );
}

#[test]
fn what_grows_in_protobuf_stops_at_the_limit() {
    let counts = vec!["1"; 1000].join(",");
    let body = format!(
        r#"{{"resourceMetrics":[{{"scopeMetrics":[{{"metrics":[{{"histogram":{{"dataPoints":[
        {{"bucketCounts":[{counts}]}}]}}}}]}}]}}]}}"#
    );
    let within = |max_bytes| to_protobuf(Signal::Metrics, body.as_bytes(), max_bytes);
    assert_eq!(within(body.len()), Err(Error::TooLarge(body.len())));
    assert!((9_000..9_100).contains(&within(5 * body.len()).unwrap().len()));
}
