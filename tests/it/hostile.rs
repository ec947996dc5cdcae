//! Hostile text and hostile shapes through the real door, down to the rows and out on the pages.

use std::{
    io::Write,
    process::{Command, Stdio},
};

use opentelemetry_proto::tonic::{
    collector::trace::v1::ExportTraceServiceRequest,
    common::v1::{InstrumentationScope, KeyValue},
    resource::v1::Resource,
    trace::v1::{ResourceSpans, ScopeSpans, Span, Status, span::Event},
};
use prost::Message;
use spanledger::{map::Words, otlp::log::MAX_ITEMS};

use crate::support::{
    process::{Folder, Service, post},
    rows::Rows,
    spans::{self, text},
};

const PROTOBUF: (&str, &str) = ("Content-Type", "application/x-protobuf");
const JSON: (&str, &str) = ("Content-Type", "application/json");

/// What must come out as it went in, but for NUL.
const TEXTS: [&str; 8] = [
    "'; DROP TABLE llm_calls; --",
    "\"; UPDATE llm_calls SET user_id = 'x' WHERE '1'='1",
    "$1 ?1 :a @b %s {0} \\",
    "<script>alert(1)</script>",
    "\"'/><img src=x onerror=alert(1)>",
    "{{7*7}} ${7*7} <%= 7*7 %> {% raw %}",
    "\u{202e}\u{200b}\u{feff}e\u{301}😀\u{7f}\u{1b}[31m",
    "a\0secret",
];

/// Columns of text, by table.
const COLUMNS: [(&str, &str); 6] = [
    (
        "llm_calls",
        "id, operation, provider, model, response_model, prompt, system_prompt, response, \
         reasoning_level, finish_reason, error_type, error_message, user_id, user_hash, \
         session_id, task_id, company_id, review_id, meeting_id, agenda_id, request_id, \
         collection_name, experiment, variant, service_name, environment, dialect",
    ),
    (
        "stt_logs",
        "id, recording_id, task_id, provider, model, language, error_type, error_message, \
         service_name",
    ),
    (
        "retrievals",
        "trace_id, span_id, query, db_system, collection_name, rerank_model, error_type, \
         session_id, service_name",
    ),
    (
        "cache_lookups",
        "trace_id, span_id, cache, key_hash, service_name",
    ),
    ("json_parses", "trace_id, span_id, error_type, service_name"),
    (
        "pipeline_requests",
        "trace_id, span_id, pipeline, framework, user_id, session_id, request_id, experiment, \
         variant, service_name, error_type",
    ),
];

/// Text that no compression makes small: an index takes at most 2704 bytes of it.
fn noise(len: usize) -> String {
    let mut state = 88_172_645_463_325_252_u64;
    let mut letter = || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        char::from(b'!' + (state % 90) as u8)
    };
    (0..len).map(|_| letter()).collect()
}

/// Spans under the scopes of all dialects: each text under each attribute that any of them knows.
fn hostile() -> Vec<(String, Vec<Span>)> {
    let words = Words::all();
    let mut keys = words.keys.clone();
    keys.sort_unstable();
    keys.dedup();
    let long = noise(9000);
    let texts = TEXTS.iter().copied().chain([long.as_str()]);
    let mut scopes = words.scopes.iter().cycle();
    let mut groups = Vec::new();
    let mut number = 0_u64;
    for hostile in texts {
        for keys in keys.chunks(60) {
            number += 1;
            let [kind, model] = [
                ("gen_ai.operation.name", "chat"),
                ("gen_ai.request.model", hostile),
            ];
            let own = keys.iter().map(|key| text(key, hostile));
            let attributes: Vec<KeyValue> = [
                text(kind.0, kind.1),
                text(model.0, model.1),
                text(hostile, hostile),
            ]
            .into_iter()
            .chain(own)
            .collect();
            let now = std::time::UNIX_EPOCH.elapsed().unwrap().as_nanos() as u64;
            let span = |id: u64, parent: Vec<u8>| Span {
                trace_id: [[7; 8], number.to_be_bytes()].concat(),
                span_id: id.to_be_bytes().to_vec(),
                parent_span_id: parent,
                name: hostile.to_owned(),
                start_time_unix_nano: now - 5_000_000,
                end_time_unix_nano: now,
                status: Some(Status {
                    message: hostile.to_owned(),
                    code: 2,
                }),
                ..Span::default()
            };
            let events = words.events.iter().map(|name| Event {
                name: (*name).to_owned(),
                time_unix_nano: now,
                attributes: vec![
                    text("exception.type", hostile),
                    text("exception.message", hostile),
                    text("content", hostile),
                ],
                ..Event::default()
            });
            let root = span(number << 8, Vec::new());
            let call = Span {
                attributes,
                events: events.collect(),
                ..span(number << 8 | 1, root.span_id.clone())
            };
            groups.push(((*scopes.next().unwrap()).to_owned(), vec![root, call]));
        }
    }
    groups
}

fn request(groups: Vec<(String, Vec<Span>)>) -> ExportTraceServiceRequest {
    let groups = groups.into_iter().map(|(scope, spans)| {
        let hostile = spans[0].name.clone();
        let scope = InstrumentationScope {
            name: scope,
            version: hostile.clone(),
            ..InstrumentationScope::default()
        };
        ResourceSpans {
            resource: Some(Resource {
                attributes: vec![
                    text("service.name", &hostile),
                    text("deployment.environment.name", &hostile),
                ],
                ..Resource::default()
            }),
            scope_spans: vec![ScopeSpans {
                scope: Some(scope),
                spans,
                ..ScopeSpans::default()
            }],
            ..ResourceSpans::default()
        }
    });
    ExportTraceServiceRequest {
        resource_spans: groups.collect(),
    }
}

/// Scenario: SQL, HTML, templates, control characters, a NUL and text too long for an index, under
/// every attribute of every dialect, as names, services, events and errors; into both stores.
/// Guarantees: every span is stored and none is a dead letter; both stores hold the same text, the
/// text that was sent; pages show it as text, and Prometheus can read the metrics.
#[test]
fn hostile_text_is_only_text() {
    let groups = hostile();
    let sent: u64 = groups.iter().map(|(_, spans)| spans.len() as u64).sum();
    let body = request(groups).encode_to_vec();
    let database = crate::support::postgres::database();
    let url = database.url();
    let mut stored = Vec::new();
    for store in ["sqlite", "postgres"] {
        let folder = Folder::new("hostile");
        let env = [("SPANLEDGER_STORE_URL", &*url)];
        let service = match store {
            "sqlite" => Service::start(folder.path()),
            _ => Service::start_with(folder.path(), &env),
        };
        let (status, _, answer) = post(&service.otlp_http, "/v1/traces", &[PROTOBUF], &body);
        assert_eq!((status, answer.len()), (200, 0));
        service.wait_until_stored(sent);
        look_at_pages(&service);
        assert!(service.stop().success());
        let rows = match store {
            "sqlite" => Rows::sqlite(&folder.path().join("spanledger.db")),
            _ => Rows::postgres(&url),
        };
        assert_eq!(rows.query("SELECT count(*) FROM dead_letters"), [["0"]]);
        let tables = COLUMNS.map(|(table, columns)| {
            let mut rows = rows.query(&format!("SELECT {columns} FROM {table}"));
            rows.sort();
            (table, rows)
        });
        stored.push(tables);
    }
    let [sqlite, postgres] = stored.try_into().unwrap();
    for ((table, left), (_, right)) in sqlite.iter().zip(&postgres) {
        // Whatever else such texts make of a span, it stays a model call.
        assert!(!left.is_empty() || *table != "llm_calls", "{table}: no row");
        assert_eq!(left.len(), right.len(), "{table}");
        for (left, right) in left.iter().zip(right) {
            assert_eq!(left, right, "{table}");
        }
    }
    let cells: Vec<&String> = sqlite.iter().flat_map(|(_, rows)| rows).flatten().collect();
    for sent in TEXTS {
        let sent = sent.replace('\0', "\u{FFFD}");
        assert!(cells.contains(&&sent), "{sent:?} is nowhere");
    }
    assert!(!cells.iter().any(|cell| cell.contains('\0')));
}

fn look_at_pages(service: &Service) {
    for path in ["/", "/runbook"] {
        let (status, page) = service.get(path);
        assert_eq!(status, 200, "{path}");
        assert!(
            !page.contains("<script>alert") && !page.contains("<img src=x"),
            "{page}"
        );
    }
    let (status, summary) = service.get("/api/analytics/summary");
    assert_eq!(status, 200);
    serde_json::from_str::<serde_json::Value>(&summary).unwrap();
    let (_, metrics) = service.get("/metrics");
    let mut child = Command::new("promtool")
        .args(["check", "metrics"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    child
        .stdin
        .take()
        .unwrap()
        .write_all(metrics.as_bytes())
        .unwrap();
    let told = child.wait_with_output().unwrap();
    assert!(
        told.status.success(),
        "{}",
        String::from_utf8_lossy(&told.stderr)
    );
}

/// A field of bytes, written by hand.
fn field(number: u64, body: &[u8]) -> Vec<u8> {
    let mut out = Vec::new();
    prost::encoding::encode_varint(number << 3 | 2, &mut out);
    prost::encoding::encode_varint(body.len() as u64, &mut out);
    out.extend_from_slice(body);
    out
}

/// A span of a request with these bytes behind its ids.
fn with_span(id: u8, more: &[u8]) -> Vec<u8> {
    let span = [field(1, &[id; 16]), field(2, &[id; 8]), more.to_vec()].concat();
    field(1, &field(2, &field(2, &span)))
}

/// Scenario: bytes that no encoder makes, one after the other, and between them good spans.
/// Guarantees: broken frames are refused for good; what is only strange is taken; every good span
/// is stored; nothing takes the process down or much memory.
#[test]
fn shapes_that_no_encoder_makes() {
    let folder = Folder::new("shapes");
    let service = Service::start(folder.path());
    let send = |path: &str, header, body: &[u8]| post(&service.otlp_http, path, &[header], body).0;
    let mut good = 0;
    let mut fine = || {
        good += 1;
        let body = spans::request(good..good + 1).encode_to_vec();
        assert_eq!(send("/v1/traces", PROTOBUF, &body), 200, "a good request");
    };

    // Values inside values: an attribute (9) whose value (2) is an array (5) of arrays.
    let mut value = field(1, b"bottom");
    for _ in 0..10_000 {
        value = field(5, &field(1, &value));
    }
    let deep = field(9, &[field(1, b"gen_ai.prompt"), field(2, &value)].concat());
    let broken_utf8 = field(5, b"\xff\xfe\xc0\xaf\xed\xa0\x80");
    for (what, span) in [
        ("ten thousand levels", &deep),
        ("a name that is not UTF-8", &broken_utf8),
        ("a field that nobody knows", &field(3000, b"?")),
        ("a link", &field(13, b"\x0a\x01x")),
    ] {
        for path in ["/v1/traces", "/v1/logs"] {
            assert_eq!(
                send(path, PROTOBUF, &with_span(1, span)),
                200,
                "{what}, {path}"
            );
        }
        fine();
    }
    for (what, body) in [
        ("a length of 2^31", &b"\x0a\x80\x80\x80\x80\x08x"[..]),
        (
            "a length of 2^64 - 1",
            b"\x0a\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01",
        ),
        (
            "a varint of eleven bytes",
            b"\x0a\x80\x80\x80\x80\x80\x80\x80\x80\x80\x80\x01",
        ),
        ("a wrong wire type", b"\x08\x01"),
        ("a field number of zero", b"\x02\x00"),
        ("a wire type that is none", b"\x0f"),
        ("the end of a group that never began", b"\x0c"),
    ] {
        assert_eq!(send("/v1/traces", PROTOBUF, body), 400, "{what}");
        assert_eq!(send("/v1/logs", PROTOBUF, body), 400, "{what}");
        fine();
    }
    for open in [
        "[",
        "{\"a\":",
        "{\"resourceSpans\":[",
        "{\"resourceSpans\":{\"scopeSpans\":",
    ] {
        let deep = open.repeat(100_000);
        assert_eq!(send("/v1/traces", JSON, deep.as_bytes()), 400, "{open}");
        fine();
    }

    // A million of each in one span, and names of 64 kB.
    let key = field(1, &[b'k'; 65_536]);
    let wide = [
        field(9, &key.repeat(20)),
        field(9, &field(1, b"k")).repeat(1_000_000),
        field(11, b"").repeat(1_000_000),
        field(13, b"").repeat(1_000_000),
        field(5, &[b'n'; 65_536]),
    ]
    .concat();
    assert_eq!(send("/v1/traces", PROTOBUF, &with_span(2, &wide)), 200);
    // More spans than are read of one request, each a root.
    let mut many = Vec::new();
    for n in 1..=MAX_ITEMS as u64 + 50_000 {
        let ids = [field(1, &[3; 16]), field(2, &n.to_be_bytes())].concat();
        many.extend(field(2, &ids));
    }
    let many = field(1, &field(2, &many));
    let answer = post(&service.otlp_http, "/v1/traces", &[PROTOBUF], &many);
    // So large a request lies in the spool in parts, none of which has too many.
    assert_eq!((answer.0, answer.2), (200, Vec::new()), "all are taken");
    fine();

    // What tens of thousands of scopes share, and as many records: once for all of them.
    let resource = field(
        1,
        &[
            field(1, b"service.name"),
            field(2, &field(1, &[b's'; 100_000])),
        ]
        .concat(),
    );
    let mut scopes = field(1, &resource);
    for n in 1..=70_000u64 {
        let ids = [field(1, &[4; 16]), field(2, &n.to_be_bytes())].concat();
        scopes.extend(field(2, &field(2, &ids)));
    }
    assert_eq!(send("/v1/traces", PROTOBUF, &field(1, &scopes)), 200);
    fine();
    let scope = field(1, &b"\x10\x00".repeat(700_000));
    let records = [scope, field(2, b"").repeat(100_000)].concat();
    assert_eq!(
        send("/v1/logs", PROTOBUF, &field(1, &field(2, &records))),
        200
    );
    fine();

    let books = service.closed_books();
    assert_eq!((books["rejected"], books["lost"]), (0, 0), "{books:?}");
    let peak = service.peak_mib();
    assert!(service.stop().success());
    let rows = Rows::sqlite(&folder.path().join("spanledger.db"));
    let stored = rows.query("SELECT count(*) FROM llm_calls WHERE service_name LIKE '%'");
    assert!(
        stored[0][0].parse::<u64>().unwrap() >= good,
        "{stored:?} of {good}"
    );
    assert_eq!(rows.query("SELECT count(*) FROM dead_letters"), [["0"]]);
    assert!(peak < 512.0, "{peak} MiB");
}
