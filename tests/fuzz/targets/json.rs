//! Requests to OTLP/JSON, in any of the spellings that senders use. Written from the protobuf JSON
//! mapping and the OTLP specification, apart from the code that reads it.

use opentelemetry_proto::tonic::{
    collector::{logs::v1::ExportLogsServiceRequest, trace::v1::ExportTraceServiceRequest},
    common::v1::{AnyValue, InstrumentationScope, KeyValue, any_value::Value as Any},
    logs::v1::LogRecord,
    resource::v1::Resource,
    trace::v1::{Span, span::Event},
};

use super::draw::Draw;

/// Member names and their JSON text.
type Members = Vec<(&'static str, String)>;

pub fn traces(request: &ExportTraceServiceRequest, draw: &mut Draw<'_>) -> String {
    let groups = list(&request.resource_spans, draw, |group, draw| {
        let scopes = list(&group.scope_spans, draw, |scoped, draw| {
            let spans = list(&scoped.spans, draw, span);
            object(
                with_scope(scoped.scope.as_ref(), ("spans", spans), draw),
                draw,
            )
        });
        object(
            with_resource(group.resource.as_ref(), ("scopeSpans", scopes), draw),
            draw,
        )
    });
    object(vec![("resourceSpans", groups)], draw)
}

pub fn logs(request: &ExportLogsServiceRequest, draw: &mut Draw<'_>) -> String {
    let groups = list(&request.resource_logs, draw, |group, draw| {
        let scopes = list(&group.scope_logs, draw, |scoped, draw| {
            let records = list(&scoped.log_records, draw, log);
            object(
                with_scope(scoped.scope.as_ref(), ("logRecords", records), draw),
                draw,
            )
        });
        object(
            with_resource(group.resource.as_ref(), ("scopeLogs", scopes), draw),
            draw,
        )
    });
    object(vec![("resourceLogs", groups)], draw)
}

fn with_resource(
    resource: Option<&Resource>,
    rest: (&'static str, String),
    draw: &mut Draw<'_>,
) -> Members {
    let resource = resource.map(|resource| {
        let attributes = attributes(&resource.attributes, draw);
        ("resource", object(vec![attributes], draw))
    });
    resource.into_iter().chain([rest]).collect()
}

fn with_scope(
    scope: Option<&InstrumentationScope>,
    rest: (&'static str, String),
    draw: &mut Draw<'_>,
) -> Members {
    let scope = scope.map(|scope| {
        let members = vec![
            ("name", text(&scope.name)),
            ("version", text(&scope.version)),
            attributes(&scope.attributes, draw),
        ];
        ("scope", object(members, draw))
    });
    scope.into_iter().chain([rest]).collect()
}

fn span(span: &Span, draw: &mut Draw<'_>) -> String {
    const KINDS: [&str; 6] = [
        "UNSPECIFIED",
        "INTERNAL",
        "SERVER",
        "CLIENT",
        "PRODUCER",
        "CONSUMER",
    ];
    const CODES: [&str; 3] = ["UNSET", "OK", "ERROR"];
    let events = list(&span.events, draw, event);
    let mut members = vec![
        ("traceId", id(&span.trace_id, draw)),
        ("spanId", id(&span.span_id, draw)),
        ("parentSpanId", id(&span.parent_span_id, draw)),
        ("name", text(&span.name)),
        ("kind", word("SPAN_KIND_", &KINDS, span.kind, draw)),
        (
            "startTimeUnixNano",
            integer(span.start_time_unix_nano as i64, true, draw),
        ),
        (
            "endTimeUnixNano",
            integer(span.end_time_unix_nano as i64, true, draw),
        ),
        attributes(&span.attributes, draw),
        ("events", events),
    ];
    if let Some(status) = &span.status {
        let code = word("STATUS_CODE_", &CODES, status.code, draw);
        let status = vec![("message", text(&status.message)), ("code", code)];
        members.push(("status", object(status, draw)));
    }
    object(members, draw)
}

fn event(event: &Event, draw: &mut Draw<'_>) -> String {
    let members = vec![
        (
            "timeUnixNano",
            integer(event.time_unix_nano as i64, true, draw),
        ),
        ("name", text(&event.name)),
        attributes(&event.attributes, draw),
    ];
    object(members, draw)
}

fn log(log: &LogRecord, draw: &mut Draw<'_>) -> String {
    let mut members = vec![
        (
            "timeUnixNano",
            integer(log.time_unix_nano as i64, true, draw),
        ),
        (
            "observedTimeUnixNano",
            integer(log.observed_time_unix_nano as i64, true, draw),
        ),
        ("severityNumber", log.severity_number.to_string()),
        attributes(&log.attributes, draw),
        ("traceId", id(&log.trace_id, draw)),
        ("spanId", id(&log.span_id, draw)),
        ("eventName", text(&log.event_name)),
    ];
    if let Some(body) = &log.body {
        members.push(("body", any(body, draw)));
    }
    object(members, draw)
}

fn attributes(pairs: &[KeyValue], draw: &mut Draw<'_>) -> (&'static str, String) {
    ("attributes", list(pairs, draw, pair))
}

fn pair(pair: &KeyValue, draw: &mut Draw<'_>) -> String {
    let mut members = vec![("key", text(&pair.key))];
    members.extend(pair.value.as_ref().map(|value| ("value", any(value, draw))));
    object(members, draw)
}

fn any(value: &AnyValue, draw: &mut Draw<'_>) -> String {
    let member = value.value.as_ref().map(|value| match value {
        Any::StringValue(string) => ("stringValue", text(string)),
        Any::BoolValue(flag) => ("boolValue", flag.to_string()),
        Any::IntValue(int) => ("intValue", integer(*int, false, draw)),
        Any::DoubleValue(number) => ("doubleValue", double(*number)),
        Any::BytesValue(bytes) => ("bytesValue", text(&base64(bytes, draw))),
        Any::ArrayValue(array) => {
            let items = list(&array.values, draw, any);
            ("arrayValue", object(vec![("values", items)], draw))
        }
        Any::KvlistValue(entries) => {
            let entries = list(&entries.values, draw, pair);
            ("kvlistValue", object(vec![("values", entries)], draw))
        }
        Any::StringValueStrindex(_) => unreachable!("no request is made with it"),
    });
    object(member.into_iter().collect(), draw)
}

fn list<T>(items: &[T], draw: &mut Draw<'_>, of: impl Fn(&T, &mut Draw<'_>) -> String) -> String {
    let items: Vec<String> = items.iter().map(|item| of(item, draw)).collect();
    format!("[{}]", items.join(","))
}

/// Members in this order or turned about, names in camel or snake case, with something unknown or
/// unset among them.
fn object(mut members: Members, draw: &mut Draw<'_>) -> String {
    let style = draw.byte();
    if style & 1 == 1 {
        members.reverse();
    }
    let mut members: Vec<String> = members
        .into_iter()
        .map(|(name, value)| match style & 2 {
            2 => format!("\"{}\":{value}", snake(name)),
            _ => format!("\"{name}\": {value}"),
        })
        .collect();
    if style & 12 == 12 {
        let unknown = draw.one_of(&[
            "\"unknownField\":{\"a\":[1,{}]}",
            "\"traceState\":null",
            "\"\":0",
            "\"key_\\u0000\":\"\\ud83d\\ude00\"",
        ]);
        members.insert(0, unknown.to_owned());
    }
    format!(
        "{{{}}}",
        members.join(if style & 16 == 16 { " ,\n" } else { "," })
    )
}

fn snake(name: &str) -> String {
    let letters = name.chars().flat_map(|letter| {
        let mark = letter.is_ascii_uppercase().then_some('_');
        mark.into_iter().chain([letter.to_ascii_lowercase()])
    });
    letters.collect()
}

fn text(text: &str) -> String {
    serde_json::Value::from(text).to_string()
}

fn word(prefix: &str, words: &[&str], number: i32, draw: &mut Draw<'_>) -> String {
    match words.get(number as usize) {
        Some(word) if draw.once_in(2) => format!("\"{prefix}{word}\""),
        _ => number.to_string(),
    }
}

/// A 64-bit integer, unsigned where the field is.
fn integer(value: i64, is_unsigned: bool, draw: &mut Draw<'_>) -> String {
    let digits = match is_unsigned {
        true => (value as u64).to_string(),
        false => value.to_string(),
    };
    match draw.below(4) {
        0 => format!("\"{digits}\""),
        1 => format!("{{\"low\":{},\"high\":{}}}", value as i32, value >> 32),
        _ => digits,
    }
}

fn double(number: f64) -> String {
    match number {
        _ if number.is_nan() => "\"NaN\"".into(),
        f64::INFINITY => "\"Infinity\"".into(),
        f64::NEG_INFINITY => "\"-Infinity\"".into(),
        // A short number is read exactly by any parser.
        _ if number.fract() == 0.0 && number.abs() < 1e15 => format!("{number:?}"),
        _ => format!("\"{number:?}\""),
    }
}

/// Hex of either case, or base64.
fn id(bytes: &[u8], draw: &mut Draw<'_>) -> String {
    let hex = |upper: bool| -> String {
        let of = |byte: &u8| {
            if upper {
                format!("{byte:02X}")
            } else {
                format!("{byte:02x}")
            }
        };
        bytes.iter().map(of).collect()
    };
    let spelled = match draw.below(3) {
        0 => hex(false),
        1 => hex(true),
        _ => base64(bytes, draw),
    };
    text(&spelled)
}

fn base64(bytes: &[u8], draw: &mut Draw<'_>) -> String {
    const PLAIN: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    const URL: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
    let style = draw.byte();
    let alphabet = if style & 1 == 0 { PLAIN } else { URL };
    let mut out = String::new();
    for chunk in bytes.chunks(3) {
        let bits = (0..3).fold(0u32, |bits, at| {
            bits << 8 | u32::from(chunk.get(at).copied().unwrap_or(0))
        });
        for at in 0..=chunk.len() {
            out.push(char::from(alphabet[(bits >> (18 - 6 * at) & 63) as usize]));
        }
        if style & 2 == 0 {
            out.extend(std::iter::repeat_n('=', 3 - chunk.len()));
        }
    }
    out
}
