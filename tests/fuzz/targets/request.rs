//! Choices to requests: spans and log records whose attributes are those of every dialect, with
//! values that fit and values that don't.

use std::sync::OnceLock;

use opentelemetry_proto::tonic::{
    collector::{logs::v1::ExportLogsServiceRequest, trace::v1::ExportTraceServiceRequest},
    common::v1::{
        AnyValue, ArrayValue, InstrumentationScope, KeyValue, KeyValueList, any_value::Value as Any,
    },
    logs::v1::{LogRecord, ResourceLogs, ScopeLogs},
    resource::v1::Resource,
    trace::v1::{ResourceSpans, ScopeSpans, Span, Status, span::Event},
};
use spanledger::map::Words;

use super::draw::Draw;

/// When the requests are received.
pub const NOW: i64 = 1_790_000_000_000_000_000;

/// Arrays and maps inside one another.
const MAX_DEPTH: usize = 40;

fn words() -> &'static Words {
    static WORDS: OnceLock<Words> = OnceLock::new();
    WORDS.get_or_init(Words::all)
}

/// What stands behind the number of an indexed attribute.
const PATHS: &[&str] = &[
    "",
    ".role",
    ".content",
    ".message.role",
    ".message.content",
    ".message.contents.0.message_content.text",
    ".message.contents.1.message_content.type",
    ".message.tool_calls.0.tool_call.function.name",
    ".message.tool_calls.0.tool_call.function.arguments",
    ".message.tool_calls.4000000000.tool_call.id",
    ".tool_calls.0.name",
    ".tool_calls.0.arguments",
    ".finish_reason",
    ".document.content",
    ".document.score",
    ".document.id",
    ".embedding.text",
    ".embedding.vector",
    ".score",
    "..",
];

const TEXTS: &[&str] = &[
    "",
    " ",
    "\0",
    "a\0secret",
    "'; DROP TABLE llm_calls; --",
    "<script>alert(1)</script>",
    "\"/><img src=x onerror=alert(1)>",
    "{{7*7}}${7*7}<%= 7 %>",
    "\u{202e}\u{feff}\u{200b}😀e\u{301}",
    "\\u0000\\N\\x00",
    "NaN",
    "Infinity",
    "-1",
    "1e308",
    "9223372036854775808",
    "12",
    "0.5",
    "true",
    "null",
    "[]",
    "{}",
    "[[[[[[[[{\"content\":[[",
    "<REDACTED>",
    "[Scrubbed due to 'password']",
    "gpt-4o-mini",
    "openai/gpt-4o-2024-08-06",
    "us.anthropic.claude-3-5-sonnet-20241022-v2:0",
    "text-embedding-3-small",
    "whisper-1",
    "openai",
    "anthropic",
    "gcp.vertex_ai",
    "qdrant",
    "chat",
    "rate_limit",
    "RateLimitError: 429",
    "batch",
    "stop,length",
    "2026-11-28T10:00:00Z",
    "{\"intValue\":\"12\"}",
    "{\"model\":\"gpt-4o\",\"temperature\":1e999,\"max_tokens\":-5}",
    "[{\"role\":\"system\",\"content\":\"s\"},{\"role\":\"user\",\"content\":[{\"type\":\"text\",\"text\":\"h\\u0000i\"}]}]",
    "[{'role': 'user', 'content': None, 'parts': [{'type': 'text', 'content': \"it's\"}]}]",
    "{\"lc\":1,\"type\":\"constructor\",\"id\":[\"HumanMessage\"],\"kwargs\":{\"content\":\"x\"}}",
    "{\"choices\":[{\"message\":{\"role\":\"assistant\",\"content\":\"y\"},\"finish_reason\":\"stop\"}],\"usage\":{\"prompt_tokens\":9,\"completion_tokens\":4}}",
    "{\"prompt_tokens\":7,\"completion_tokens\":2,\"total_tokens\":9,\"prompt_tokens_details\":{\"cached_tokens\":8}}",
    "{\"input\":-3,\"output\":1e30,\"cache_read_input_tokens\":\"x\"}",
    "{\"user_id\":\"u\",\"session_id\":7,\"nul\\u0000\":\"\\u0000\"}",
];

/// Words of the JSON that apps put into attributes.
const MEMBERS: &[&str] = &[
    "role",
    "content",
    "parts",
    "text",
    "type",
    "messages",
    "message",
    "choices",
    "usage",
    "kwargs",
    "data",
    "generations",
    "input",
    "output",
    "tool_calls",
    "function",
    "name",
    "arguments",
    "id",
    "finish_reason",
    "prompt_tokens",
    "completion_tokens",
    "total_tokens",
    "input_tokens",
    "output_tokens",
    "input_token_details",
    "cache_read",
    "cached_tokens",
    "reasoning_tokens",
    "cache_creation",
    "usage_metadata",
    "promptTokenCount",
    "candidatesTokenCount",
    "score",
    "document",
    "metadata",
    "user",
    "model",
    "response",
    "error",
    "status_code",
    "retry_after",
    "\0",
];

const INTS: &[i64] = &[
    0,
    1,
    -1,
    12,
    1000,
    1 << 40,
    (1 << 40) + 1,
    1 << 53,
    i64::MAX,
    i64::MIN,
];
const DOUBLES: &[f64] = &[
    0.0,
    -0.0,
    0.5,
    12.0,
    -2.5,
    1e15,
    1e300,
    f64::MAX,
    5e-324,
    f64::NAN,
    f64::INFINITY,
    f64::NEG_INFINITY,
];

pub fn traces(draw: &mut Draw<'_>) -> ExportTraceServiceRequest {
    let mut resource_spans = Vec::new();
    let mut number = 0;
    while !draw.is_empty() && resource_spans.len() < 4 {
        let mut spans = Vec::new();
        let (resource, scope) = (resource(draw), scope(draw));
        for _ in 0..=draw.below(6) {
            number += 1;
            spans.push(span(draw, number));
        }
        let scoped = ScopeSpans {
            scope,
            spans,
            ..ScopeSpans::default()
        };
        resource_spans.push(ResourceSpans {
            resource,
            scope_spans: vec![scoped],
            ..ResourceSpans::default()
        });
    }
    ExportTraceServiceRequest { resource_spans }
}

pub fn logs(draw: &mut Draw<'_>) -> ExportLogsServiceRequest {
    let (resource, scope) = (resource(draw), scope(draw));
    let mut log_records = Vec::new();
    while !draw.is_empty() && log_records.len() < 8 {
        log_records.push(log(draw));
    }
    let scope_logs = vec![ScopeLogs {
        scope,
        log_records,
        ..ScopeLogs::default()
    }];
    ExportLogsServiceRequest {
        resource_logs: vec![ResourceLogs {
            resource,
            scope_logs,
            ..ResourceLogs::default()
        }],
    }
}

fn resource(draw: &mut Draw<'_>) -> Option<Resource> {
    const KEYS: &[&str] = &[
        "service.name",
        "deployment.environment.name",
        "deployment.environment",
        "telemetry.sdk.name",
    ];
    let count = draw.below(4);
    let attributes = (0..count).map(|_| pair(draw.one_of(KEYS).to_owned(), any(draw, 0)));
    (count > 0).then(|| Resource {
        attributes: attributes.collect(),
        ..Resource::default()
    })
}

fn scope(draw: &mut Draw<'_>) -> Option<InstrumentationScope> {
    let name = match draw.below(4) {
        0 => return None,
        1 => draw.text(20),
        _ => draw.one_of(&words().scopes).to_owned(),
    };
    let version = draw.text(8);
    let attributes = attributes(draw, 2);
    Some(InstrumentationScope {
        name,
        version,
        attributes,
        ..InstrumentationScope::default()
    })
}

fn span(draw: &mut Draw<'_>, number: u8) -> Span {
    let name = match draw.below(4) {
        0 => draw.one_of(&words().names).to_owned(),
        1 => draw.one_of(&words().kinds).to_owned(),
        2 => draw.one_of(TEXTS).to_owned(),
        _ => draw.text(40),
    };
    let mut span = Span {
        trace_id: trace_id(draw),
        span_id: id(if draw.once_in(16) {
            draw.byte()
        } else {
            number
        }),
        name,
        kind: draw.below(6) as i32,
        start_time_unix_nano: time(draw),
        end_time_unix_nano: time(draw),
        ..Span::default()
    };
    if !draw.once_in(3) {
        span.parent_span_id = id(draw.below(usize::from(number) + 2) as u8);
    }
    span.attributes = attributes(draw, 12);
    for _ in 0..draw.below(4) {
        let name = match draw.below(3) {
            0 => draw.text(12),
            _ => draw.one_of(&words().events).to_owned(),
        };
        span.events.push(Event {
            time_unix_nano: time(draw),
            name,
            attributes: attributes(draw, 6),
            ..Event::default()
        });
    }
    if draw.once_in(3) {
        span.status = Some(Status {
            message: string(draw),
            code: draw.below(4) as i32,
        });
    }
    span
}

fn log(draw: &mut Draw<'_>) -> LogRecord {
    let event_name = match draw.below(4) {
        0 => String::new(),
        _ => draw.one_of(&words().events).to_owned(),
    };
    LogRecord {
        time_unix_nano: time(draw),
        observed_time_unix_nano: time(draw),
        severity_number: draw.below(25) as i32,
        body: Some(AnyValue {
            value: any(draw, 0),
        }),
        attributes: attributes(draw, 8),
        trace_id: trace_id(draw),
        span_id: id(draw.below(8) as u8),
        event_name,
        ..LogRecord::default()
    }
}

/// One of two traces; seldom something that is no id.
fn trace_id(draw: &mut Draw<'_>) -> Vec<u8> {
    match draw.below(32) {
        31 => {
            // In hex, eleven bytes would be as long as sixteen in base64, which is read, too.
            let mut none = draw.bytes(17).to_vec();
            none.resize(17, 7);
            none
        }
        30 => vec![0; 16],
        n => vec![1 + (n & 1) as u8; 16],
    }
}

/// Zero is none.
fn id(number: u8) -> Vec<u8> {
    match number {
        255 => vec![255; 9],
        n => vec![n; 8],
    }
}

fn time(draw: &mut Draw<'_>) -> u64 {
    let now = NOW as u64;
    match draw.below(8) {
        0 => 0,
        1 => u64::MAX,
        2 => draw.u64(),
        n => now - 1_000_000 * (draw.below(50_000) + n) as u64,
    }
}

fn attributes(draw: &mut Draw<'_>, most: usize) -> Vec<KeyValue> {
    let count = draw.below(most + 1);
    (0..count).map(|_| pair(key(draw), any(draw, 0))).collect()
}

fn pair(key: String, value: Option<Any>) -> KeyValue {
    KeyValue {
        key,
        value: Some(AnyValue { value }),
        ..KeyValue::default()
    }
}

fn key(draw: &mut Draw<'_>) -> String {
    let words = words();
    match draw.below(8) {
        0 => draw.text(30),
        1 => {
            let family = draw.one_of(&words.families);
            let index = draw.one_of(&["0", "1", "2", "7", "4294967295", "99999999999", "x"]);
            format!("{family}.{index}{}", draw.one_of(PATHS))
        }
        _ => draw.one_of(&words.keys).to_owned(),
    }
}

fn any(draw: &mut Draw<'_>, depth: usize) -> Option<Any> {
    Some(match draw.below(16) {
        0 => return None,
        1 => Any::BoolValue(draw.byte() & 1 == 1),
        2 => Any::IntValue(draw.one_of(INTS)),
        3 => Any::IntValue(draw.u64() as i64),
        4 => Any::IntValue(i64::from(draw.byte())),
        5 => Any::DoubleValue(draw.one_of(DOUBLES)),
        6 => Any::DoubleValue(f64::from_bits(draw.u64())),
        7 => {
            let len = draw.below(20);
            Any::BytesValue(draw.bytes(len).to_vec())
        }
        8 if depth < MAX_DEPTH => {
            let len = draw.below(5);
            let values = (0..len).map(|_| AnyValue {
                value: any(draw, depth + 1),
            });
            Any::ArrayValue(ArrayValue {
                values: values.collect(),
            })
        }
        9 if depth < MAX_DEPTH => {
            let len = draw.below(5);
            let values = (0..len).map(|_| {
                let key = draw.one_of(MEMBERS).to_owned();
                pair(key, any(draw, depth + 1))
            });
            Any::KvlistValue(KeyValueList {
                values: values.collect(),
            })
        }
        10 => deep(draw),
        11 => Any::StringValue(draw.one_of(&words().kinds).to_owned()),
        _ => Any::StringValue(string(draw)),
    })
}

/// Arrays in arrays, down to a text.
fn deep(draw: &mut Draw<'_>) -> Any {
    let levels = draw.below(MAX_DEPTH);
    (0..levels).fold(Any::StringValue(string(draw)), |inner, _| {
        let values = vec![AnyValue { value: Some(inner) }];
        Any::ArrayValue(ArrayValue { values })
    })
}

fn string(draw: &mut Draw<'_>) -> String {
    match draw.below(8) {
        0 | 1 => draw.text(60),
        2 => draw.text(600),
        3 => long(draw),
        4 | 5 => json_text(draw, 0),
        _ => draw.one_of(TEXTS).to_owned(),
    }
}

/// Longer than what is kept of a name, of a detail, seldom of a content.
fn long(draw: &mut Draw<'_>) -> String {
    let len = match draw.below(64) {
        63 => 300_000,
        n => 200 * n,
    };
    let piece = draw.text(9);
    let piece = if piece.is_empty() { "é\0" } else { &*piece };
    piece.repeat(len / piece.len() + 1)
}

/// JSON, mostly.
fn json_text(draw: &mut Draw<'_>, depth: usize) -> String {
    let most = if depth < 8 { 8 } else { 5 };
    match draw.below(most) {
        0 => draw
            .one_of(&[
                "null",
                "true",
                "1",
                "-7",
                "0.5",
                "1e400",
                "18446744073709551615",
                "'",
            ])
            .to_owned(),
        1 => serde_json::Value::from(draw.text(12)).to_string(),
        2 => serde_json::Value::from(draw.one_of(TEXTS)).to_string(),
        3 => draw.byte().to_string(),
        4 => serde_json::Value::from(draw.one_of(&[
            "user",
            "assistant",
            "system",
            "human",
            "ai",
            "tool",
            "text",
        ]))
        .to_string(),
        5 => {
            let items: Vec<String> = (0..draw.below(4))
                .map(|_| json_text(draw, depth + 1))
                .collect();
            format!("[{}]", items.join(","))
        }
        _ => {
            let members = (0..1 + draw.below(4)).map(|_| {
                let name = serde_json::Value::from(draw.one_of(MEMBERS));
                format!("{name}:{}", json_text(draw, depth + 1))
            });
            let members: Vec<String> = members.collect();
            format!("{{{}}}", members.join(","))
        }
    }
}
