//! Bad input at the real door: a clear status, the good spans beside it stored, the process alive.

use std::io::Write;

use prost::Message;

use crate::support::{
    process::{Folder, Service, command, post},
    rows::Rows,
    spans,
};

const PROTOBUF: (&str, &str) = ("Content-Type", "application/x-protobuf");
const JSON: (&str, &str) = ("Content-Type", "application/json; charset=utf-8");

fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::best());
    encoder.write_all(bytes).unwrap();
    encoder.finish().unwrap()
}

/// Scenario: everything that is wrong at the door and in spans, one after the other.
/// Guarantees: the status says whether to try again; good neighbours are stored; memory is bounded.
#[test]
fn bad_input_costs_itself_only() {
    let folder = Folder::new("refusals");
    let service = Service::start_with(
        folder.path(),
        &[("SPANLEDGER_RECEIVE__MAX_BODY_BYTES", "4000000")],
    );
    let send = |headers: &[(&str, &str)], body: &[u8]| {
        post(&service.otlp_http, "/v1/traces", headers, body).0
    };
    let good = spans::request(1..2).encode_to_vec();
    assert_eq!(send(&[PROTOBUF], &good[..good.len() - 3]), 400, "truncated");
    assert_eq!(send(&[("Content-Type", "text/plain")], &good), 415);
    assert_eq!(
        send(&[PROTOBUF, ("Content-Encoding", "gzip")], b"no gzip"),
        400
    );
    assert_eq!(send(&[PROTOBUF, ("Content-Encoding", "br")], &good), 415);
    assert_eq!(send(&[JSON], b"{\"resourceSpans\": ["), 400);
    assert_eq!(send(&[JSON], b"{\"resource_lists\": []}"), 400);
    assert_eq!(send(&[PROTOBUF], &vec![0; 5_000_000]), 413);
    let bomb = gzip(&vec![0; 200_000_000]);
    assert!(bomb.len() < 1_000_000);
    assert_eq!(send(&[PROTOBUF, ("Content-Encoding", "gzip")], &bomb), 413);
    assert_eq!(send(&[PROTOBUF], b""), 200, "an empty request is a success");

    let mut hostile = spans::rag_trace(2);
    hostile[0].span_id = vec![0; 8];
    hostile[1].start_time_unix_nano = u64::MAX;
    hostile[1].end_time_unix_nano = 1;
    hostile[2].attributes.push(spans::attribute(
        "gen_ai.request.temperature",
        opentelemetry_proto::tonic::common::v1::any_value::Value::DoubleValue(f64::NAN),
    ));
    hostile[2]
        .attributes
        .push(spans::text("gen_ai.request.top_p", "Infinity"));
    hostile[2]
        .attributes
        .push(spans::text("gen_ai.usage.cache_read.input_tokens", "-5"));
    hostile[2]
        .attributes
        .push(spans::text("user.id", "nul\0and<script>"));
    let many = (0..20_000).map(|n| spans::int(&format!("k{n}"), n));
    hostile[3].attributes.extend(many);
    let body = spans::of_spans(hostile).encode_to_vec();
    let (status, _, answer) = post(&service.otlp_http, "/v1/traces", &[PROTOBUF], &body);
    assert_eq!(status, 200);
    let partial =
        opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceResponse::decode(
            answer.as_slice(),
        )
        .unwrap()
        .partial_success
        .expect("the zero id is told");
    assert_eq!(partial.rejected_spans, 1);
    assert!(
        partial.error_message.contains("span_id"),
        "{}",
        partial.error_message
    );

    service.wait_until_stored(4);
    let peak = service.peak_mib();
    assert!(peak < 256.0, "{peak} MiB");
    assert!(service.stop().success());
    let rows = Rows::sqlite(&folder.path().join("spanledger.db"));
    let call = rows.query(
        "SELECT user_id, temperature, top_p, cache_read_tokens, prompt_tokens FROM llm_calls",
    );
    assert_eq!(
        call,
        [["nul\u{FFFD}and<script>", "NULL", "NULL", "NULL", "1002"]]
    );
    let search = rows.query("SELECT hits, latency_ms, started_at < '2100' FROM retrievals");
    assert_eq!(search, [["5", "0", "1"]]);
}

/// Scenario: the store can't be reached at the start and comes later.
/// Guarantees: the service starts, takes spans, says `degraded`; nothing is lost.
#[test]
fn without_a_store_the_spool_takes_everything() {
    let folder = Folder::new("nostore");
    let url = (
        "SPANLEDGER_STORE_URL",
        "postgres://nobody:secret@127.0.0.1:1/none",
    );
    let service = Service::start_with(folder.path(), &[url]);
    let body = spans::request(1..11).encode_to_vec();
    assert_eq!(
        post(&service.otlp_http, "/v1/traces", &[PROTOBUF], &body).0,
        200
    );
    let (status, ready) = service.get("/readyz");
    assert!(
        status == 200 && ready.contains("degraded"),
        "{status} {ready}"
    );
    let (status, page) = service.get("/");
    assert!(
        status == 200 && page.contains("spool keeps everything"),
        "{status} {page}"
    );
    assert_eq!(service.get("/api/analytics/summary").0, 503);
    service.wait_until_observed(50);
    assert_eq!(
        service.metric("genai_calls_total", &[]),
        20.0,
        "metrics flow all the same"
    );
    assert!(service.stop().success());
    let log = std::fs::read_to_string(folder.path().join("log")).unwrap();
    assert!(!log.contains("secret"), "{log}");
    assert_eq!(log.matches("can't deliver").count(), 1, "{log}");

    let service = Service::start(folder.path());
    service.wait_until_written(50);
    assert!(service.stop().success());
    let rows = Rows::sqlite(&folder.path().join("spanledger.db"));
    assert_eq!(rows.query("SELECT count(*) FROM llm_calls"), [["20"]]);
}

/// Scenario: the store goes away under a running service and comes back.
/// Guarantees: spans are taken meanwhile, metrics flow, nothing is lost, stored or counted twice.
#[test]
fn an_outage_of_the_store_is_bridged() {
    let folder = Folder::new("outage");
    let database = crate::support::postgres::database();
    let url = database.url();
    let service = Service::start_with(folder.path(), &[("SPANLEDGER_STORE_URL", &url)]);
    let send = |traces: std::ops::Range<u64>| {
        let body = spans::request(traces).encode_to_vec();
        assert_eq!(
            post(&service.otlp_http, "/v1/traces", &[PROTOBUF], &body).0,
            200
        );
    };
    send(1..11);
    service.wait_until_stored(50);
    database.refuse(true);
    send(11..21);
    send(21..31);
    service.wait_until_observed(150);
    assert_eq!(service.metric("genai_calls_total", &[]), 60.0);
    assert_eq!(
        service.metric("spanledger_lane_spans_total", &["rows"]),
        50.0
    );
    database.refuse(false);
    send(31..41);
    service.wait_until_stored(200);
    assert_eq!(service.metric("genai_calls_total", &[]), 80.0);
    assert_eq!(
        service.metric("spanledger_lane_spans_total", &["prometheus"]),
        200.0
    );
    assert!(service.stop().success());
    let rows = Rows::postgres(&url);
    assert_eq!(
        rows.query("SELECT count(*) FROM llm_calls WHERE counted"),
        [["80"]]
    );
}

/// Scenario: settings, ports and folders that can't be.
/// Guarantees: one line that says what is wrong, and the right exit code.
#[test]
fn what_is_wrong_is_said_in_one_line() {
    let folder = Folder::new("wrong");
    let service = Service::start(folder.path());
    let other = Folder::new("wrong");
    let told = |data: &Folder, name: &str, value: &str| {
        let ended = command(data.path())
            .arg("serve")
            .env(name, value)
            .output()
            .unwrap();
        let text = String::from_utf8(ended.stderr).unwrap();
        let last = text.lines().rfind(|line| line.starts_with("spanledger:"));
        let line = last
            .unwrap_or_else(|| panic!("no clear line: {text}"))
            .to_owned();
        (ended.status.code().unwrap(), line)
    };
    let (code, line) = told(&other, "SPANLEDGER_HTTP_ADDR", "nonsense");
    assert!(code == 2 && line.contains("http_addr"), "{code} {line}");
    let (code, line) = told(&other, "SPANLEDGER_SPOOL__NO_SUCH", "1");
    assert!(code == 2 && line.contains("no_such"), "{code} {line}");
    let (code, line) = told(&other, "SPANLEDGER_STORE_URL", "mysql://x:secret@y/z");
    assert!(
        code == 1 && line.contains("sqlite://") && !line.contains("secret"),
        "{code} {line}"
    );
    for name in [
        "SPANLEDGER_HTTP_ADDR",
        "SPANLEDGER_OTLP_HTTP_ADDR",
        "SPANLEDGER_OTLP_GRPC_ADDR",
    ] {
        let taken = match name {
            "SPANLEDGER_HTTP_ADDR" => &service.http,
            "SPANLEDGER_OTLP_HTTP_ADDR" => &service.otlp_http,
            _ => &service.grpc,
        };
        let (code, line) = told(&other, name, taken);
        assert!(code == 1 && line.contains(taken.as_str()), "{code} {line}");
    }
    let (code, line) = told(&folder, "SPANLEDGER_HTTP_ADDR", "127.0.0.1:0");
    assert!(
        code == 1 && line.contains(folder.path().to_str().unwrap()),
        "{code} {line}"
    );
}
