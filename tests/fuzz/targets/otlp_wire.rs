//! The borrowed reader (`otlp::spans`, `otlp::logs`) against prost and opentelemetry-proto: what
//! prost decodes, we read alike; what it refuses must only not break us.
//!
//! Differences that are meant:
//! - We are more tolerant: text that is not UTF-8, nesting beyond prost's hundred levels and damage
//!   inside one span, event or attribute cost that one thing, not the request.
//! - A span without valid ids is told apart, an attribute without a key is passed over.
//! - A message field that may stand once and is sent in two parts (resource, scope, log body, an
//!   attribute's value) is merged by prost. We take the last part: no encoder splits them.
//! - `string_value_strindex` belongs to profiles; prost knows it, we don't.

use opentelemetry_proto::tonic::{
    collector::{logs::v1::ExportLogsServiceRequest, trace::v1::ExportTraceServiceRequest},
    common::v1::{AnyValue, InstrumentationScope, KeyValue, any_value::Value as Any},
    logs::v1::LogRecord,
    resource::v1::Resource,
    trace::v1::Span,
};
use prost::Message;
use spanledger::{
    otlp::{
        self, Attributes, LogView, ScopeView, SpanView, Value,
        value::{MAX_DEPTH, text},
        wire::{Fields, Wire},
    },
    record::{SpanId, SpanKey, TraceId},
};

pub fn run(input: &[u8]) {
    traces(input);
    logs(input);
}

fn traces(input: &[u8]) {
    let Ok(request) = ExportTraceServiceRequest::decode(input) else {
        let _ = otlp::spans(input, |scope, span| {
            walk_scope(&scope);
            if let Ok(span) = span {
                walk(span.attributes());
                span.events().for_each(|event| walk(event.attributes()));
            }
        });
        return;
    };
    if is_split(input, REQUEST) {
        // Written whole, it is read alike.
        return traces(&request.encode_to_vec());
    }
    let mut expected = request.resource_spans.iter().flat_map(|group| {
        let scopes = group.scope_spans.iter();
        scopes.flat_map(|scoped| {
            let spans = scoped.spans.iter();
            spans.map(|span| (group.resource.as_ref(), scoped.scope.as_ref(), span))
        })
    });
    let walked = otlp::spans(input, |scope, span| {
        let (resource, scope_sent, sent) = expected.next().expect("prost has fewer spans");
        same_scope(&scope, resource, scope_sent);
        same_span(span, sent);
    });
    assert_eq!(walked, Ok(()), "prost takes this request");
    assert!(expected.next().is_none(), "prost has more spans");
}

fn logs(input: &[u8]) {
    let Ok(request) = ExportLogsServiceRequest::decode(input) else {
        let _ = otlp::logs(input, |scope, log| {
            walk_scope(&scope);
            if let Ok(log) = log {
                walk(log.attributes());
                let _ = log.body.to_json();
            }
        });
        return;
    };
    if is_split(input, LOG_REQUEST) {
        return logs(&request.encode_to_vec());
    }
    let mut expected = request.resource_logs.iter().flat_map(|group| {
        let scopes = group.scope_logs.iter();
        scopes.flat_map(|scoped| {
            let logs = scoped.log_records.iter();
            logs.map(|log| (group.resource.as_ref(), scoped.scope.as_ref(), log))
        })
    });
    let walked = otlp::logs(input, |scope, log| {
        let (resource, scope_sent, sent) = expected.next().expect("prost has fewer logs");
        same_scope(&scope, resource, scope_sent);
        same_log(&log.expect("prost takes this record"), sent);
    });
    assert_eq!(walked, Ok(()), "prost takes this request");
    assert!(expected.next().is_none(), "prost has more logs");
}

fn walk_scope(scope: &ScopeView<'_>) {
    text(scope.name());
    text(scope.version());
    walk(scope.attributes());
    walk(scope.resource_attributes());
}

fn walk(attributes: Attributes<'_>) {
    for (key, value) in attributes {
        text(key);
        let _ = value.to_json();
    }
}

fn same_scope(
    view: &ScopeView<'_>,
    resource: Option<&Resource>,
    scope: Option<&InstrumentationScope>,
) {
    let none = (Resource::default(), InstrumentationScope::default());
    let (resource, scope) = (resource.unwrap_or(&none.0), scope.unwrap_or(&none.1));
    assert_eq!(view.name(), scope.name.as_bytes());
    assert_eq!(view.version(), scope.version.as_bytes());
    same_attributes(view.attributes(), &scope.attributes);
    same_attributes(view.resource_attributes(), &resource.attributes);
}

fn same_span(view: Result<SpanView<'_>, otlp::Malformed>, sent: &Span) {
    let ids = (
        TraceId::from_wire(&sent.trace_id),
        SpanId::from_wire(&sent.span_id),
    );
    let view = match (view, ids) {
        (Ok(view), (Some(trace_id), Some(span_id))) => {
            assert_eq!((view.trace_id, view.span_id), (trace_id, span_id));
            view
        }
        (Err(_), (None, _) | (_, None)) => return,
        (view, ids) => panic!("read {view:?}, its ids are {ids:?}"),
    };
    let status = sent.status.clone().unwrap_or_default();
    assert_eq!(view.parent_span_id, SpanId::from_wire(&sent.parent_span_id));
    assert_eq!(view.name, sent.name.as_bytes());
    assert_eq!(
        (view.start_unix_ns, view.end_unix_ns),
        (sent.start_time_unix_nano, sent.end_time_unix_nano)
    );
    assert_eq!(view.status_code, status.code);
    assert_eq!(view.status_message, status.message.as_bytes());
    same_attributes(view.attributes(), &sent.attributes);
    let mut events = sent.events.iter();
    for event in view.events() {
        let sent = events.next().expect("prost has fewer events");
        assert_eq!(event.time_unix_ns, sent.time_unix_nano);
        assert_eq!(event.name, sent.name.as_bytes());
        same_attributes(event.attributes(), &sent.attributes);
    }
    assert!(events.next().is_none(), "prost has more events");
}

fn same_log(view: &LogView<'_>, sent: &LogRecord) {
    let time = match sent.time_unix_nano {
        0 => sent.observed_time_unix_nano,
        time => time,
    };
    assert_eq!(view.time_unix_ns, time);
    let ids = TraceId::from_wire(&sent.trace_id).zip(SpanId::from_wire(&sent.span_id));
    let span = ids.map(|(trace_id, span_id)| SpanKey { trace_id, span_id });
    assert_eq!(view.span, span);
    let by_attribute = sent.attributes.iter().find_map(|attribute| {
        match (attribute.key.as_str(), &attribute.value) {
            (
                "event.name",
                Some(AnyValue {
                    value: Some(Any::StringValue(name)),
                }),
            ) => Some(name),
            _ => None,
        }
    });
    let name = match sent.event_name.as_str() {
        "" => by_attribute.map_or("", String::as_str),
        name => name,
    };
    assert_eq!(view.event_name, name.as_bytes());
    same_value(view.body, sent.body.as_ref());
    same_attributes(view.attributes(), &sent.attributes);
}

fn same_attributes(mut view: Attributes<'_>, sent: &[KeyValue]) {
    for pair in sent.iter().filter(|pair| !pair.key.is_empty()) {
        let (key, value) = view.next().expect("prost has more attributes");
        assert_eq!(key, pair.key.as_bytes());
        same_value(value, pair.value.as_ref());
    }
    assert!(view.next().is_none(), "prost has fewer attributes");
}

fn same_value(view: Value<'_>, sent: Option<&AnyValue>) {
    let sent = sent.and_then(|sent| sent.value.as_ref());
    if matches!(sent, Some(Any::StringValueStrindex(_))) {
        return;
    }
    same_kind(view, sent);
    if let (Value::Array(_) | Value::Map(_), Some(sent)) = (view, sent)
        && let Some(json) = json(sent, 0)
    {
        assert_eq!(view.to_json(), json);
    }
}

fn same_kind(view: Value<'_>, sent: Option<&Any>) {
    match (view, sent) {
        (_, Some(Any::StringValueStrindex(_))) | (Value::Empty, None) => {}
        (Value::Str(read), Some(Any::StringValue(text))) => assert_eq!(read, text.as_bytes()),
        (Value::Bool(read), Some(Any::BoolValue(flag))) => assert_eq!(read, *flag),
        (Value::Int(read), Some(Any::IntValue(int))) => assert_eq!(read, *int),
        (Value::Double(read), Some(Any::DoubleValue(double))) => {
            assert_eq!(read.to_bits(), double.to_bits());
        }
        (Value::Bytes(read), Some(Any::BytesValue(bytes))) => assert_eq!(read, bytes),
        (Value::Array(_), Some(Any::ArrayValue(array))) => {
            let mut items = view.items();
            for item in &array.values {
                let read = items.next().expect("prost has more items");
                same_kind(read, item.value.as_ref());
            }
            assert!(items.next().is_none(), "prost has fewer items");
        }
        (Value::Map(_), Some(Any::KvlistValue(list))) => {
            let mut entries = view.entries();
            for pair in list.values.iter().filter(|pair| !pair.key.is_empty()) {
                let (key, read) = entries.next().expect("prost has more entries");
                assert_eq!(key, pair.key.as_bytes());
                let value = pair.value.as_ref();
                same_kind(read, value.and_then(|value| value.value.as_ref()));
            }
            assert!(entries.next().is_none(), "prost has fewer entries");
        }
        (view, sent) => panic!("read {view:?}, prost {sent:?}"),
    }
}

/// What `Value::to_json` promises; `None` where profiles' strings make it another one.
fn json(sent: &Any, depth: usize) -> Option<serde_json::Value> {
    use serde_json::Value as Json;
    let clean = |text: &str| text.replace('\0', "\u{FFFD}");
    let of = |value: Option<&AnyValue>| match value.and_then(|value| value.value.as_ref()) {
        Some(any) => json(any, depth + 1),
        None => Some(Json::Null),
    };
    if depth >= MAX_DEPTH {
        return Some(Json::Null);
    }
    Some(match sent {
        Any::StringValue(text) => Json::from(clean(text)),
        Any::BoolValue(flag) => Json::from(*flag),
        Any::IntValue(int) => Json::from(*int),
        Any::DoubleValue(double) if double.is_nan() => Json::from("NaN"),
        Any::DoubleValue(double) if *double == f64::INFINITY => Json::from("Infinity"),
        Any::DoubleValue(double) if *double == f64::NEG_INFINITY => Json::from("-Infinity"),
        Any::DoubleValue(double) => Json::from(*double),
        Any::BytesValue(bytes) => {
            let hex = bytes.iter().map(|byte| format!("{byte:02x}"));
            Json::String(hex.collect())
        }
        Any::ArrayValue(array) => {
            let items = array.values.iter().map(|item| of(Some(item)));
            Json::Array(items.collect::<Option<_>>()?)
        }
        Any::KvlistValue(list) => {
            let pairs = list.values.iter().filter(|pair| !pair.key.is_empty());
            let entries = pairs.map(|pair| Some((clean(&pair.key), of(pair.value.as_ref())?)));
            Json::Object(entries.collect::<Option<_>>()?)
        }
        Any::StringValueStrindex(_) => return None,
    })
}

/// A message's fields that are messages: number, may stand often, its own fields.
struct Inner(u32, bool, fn() -> Shape);

type Shape = &'static [Inner];

const REQUEST: Shape = &[Inner(1, true, || GROUP)];
const LOG_REQUEST: Shape = &[Inner(1, true, || LOG_GROUP)];
const GROUP: Shape = &[Inner(1, false, || RESOURCE), Inner(2, true, || SCOPED)];
const LOG_GROUP: Shape = &[Inner(1, false, || RESOURCE), Inner(2, true, || LOG_SCOPED)];
const RESOURCE: Shape = &[Inner(1, true, || PAIR)];
const SCOPED: Shape = &[Inner(1, false, || SCOPE), Inner(2, true, || SPAN)];
const LOG_SCOPED: Shape = &[Inner(1, false, || SCOPE), Inner(2, true, || LOG)];
const SCOPE: Shape = &[Inner(3, true, || PAIR)];
const SPAN: Shape = &[Inner(9, true, || PAIR), Inner(11, true, || EVENT)];
const EVENT: Shape = &[Inner(3, true, || PAIR)];
const LOG: Shape = &[Inner(5, false, || ANY), Inner(6, true, || PAIR)];
const PAIR: Shape = &[Inner(2, false, || ANY)];
const ANY: Shape = &[Inner(5, false, || ARRAY), Inner(6, false, || LIST)];
const ARRAY: Shape = &[Inner(1, true, || ANY)];
const LIST: Shape = &[Inner(1, true, || PAIR)];

/// Whether some message that may stand once is sent in parts.
fn is_split(body: &[u8], shape: Shape) -> bool {
    let mut seen = 0u64;
    for (number, wire) in Fields::new(body).filter_map(Result::ok) {
        let Some(Inner(_, is_repeated, inner)) = shape.iter().find(|inner| inner.0 == number)
        else {
            continue;
        };
        let (Wire::Bytes(inner_body), bit) = (wire, 1 << number) else {
            continue;
        };
        if (!is_repeated && seen & bit != 0) || is_split(inner_body, inner()) {
            return true;
        }
        seen |= bit;
    }
    false
}
