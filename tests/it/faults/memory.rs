//! Memory: 256 MiB whatever comes. Where a control group can be made, going beyond it kills the
//! process; everywhere, the peak that the kernel keeps is looked at.

use std::{
    collections::BTreeMap,
    sync::atomic::{AtomicU64, Ordering},
    time::Duration,
};

use opentelemetry_proto::tonic::{
    collector::trace::v1::ExportTraceServiceRequest, trace::v1::Span,
};
use prost::Message;
use spanledger::load::{Amount, Protocol};
use tonic::Code;

use super::until;
use crate::support::{
    grpc::{export, framed},
    load::{Sending, assert_stored_once, plan, send},
    postgres::database,
    process::{Folder, Service, post},
    spans,
};

const LIMIT_MIB: u64 = 256;
const PROTOBUF: (&str, &str) = ("Content-Type", "application/x-protobuf");

/// Loads over every protocol, each over a few connections; some in large requests.
fn loads(service: &Service, notes: &Folder, spans: u64) -> Vec<Sending> {
    [
        (Protocol::Grpc, false, 8, 40),
        (Protocol::Grpc, true, 4, 500),
        (Protocol::HttpProtobuf, false, 2, 5_000),
        (Protocol::HttpProtobuf, true, 4, 500),
        (Protocol::HttpJson, false, 2, 40),
    ]
    .into_iter()
    .map(|(protocol, gzip, connections, batch)| {
        let address = match protocol {
            Protocol::Grpc => &service.grpc,
            _ => &service.otlp_http,
        };
        let mut plan = plan(address, protocol);
        (plan.gzip, plan.connections, plan.batch) = (gzip, connections, batch);
        plan.amount = Amount::Spans(spans);
        send(notes.path(), plan)
    })
    .collect()
}

/// A request of 16 MiB: spans with large texts, none of them a model call.
fn large(first: u8) -> Vec<u8> {
    let span = |n: u8| Span {
        trace_id: vec![first; 16],
        span_id: vec![n + 1; 8],
        name: "large".into(),
        attributes: vec![spans::text("text", &"x".repeat(1 << 20))],
        ..Default::default()
    };
    spans::of_spans((0..16).map(span).collect()).encode_to_vec()
}

/// Sends a large request until it is taken; what refuses it must say when to try again.
fn send_large(service: &Service, number: u8, refused: &AtomicU64) {
    let body = large(number + 1);
    loop {
        let pause = match number % 2 {
            0 => {
                let (status, head, _) = post(&service.otlp_http, "/v1/traces", &[PROTOBUF], &body);
                let head = head.to_ascii_lowercase();
                let after = head
                    .lines()
                    .find_map(|line| line.strip_prefix("retry-after: "));
                match (status, after) {
                    (200, _) => return,
                    (503, Some(seconds)) => Duration::from_secs(seconds.parse().unwrap()),
                    _ => panic!("{head}"),
                }
            }
            _ => {
                let answer = export(&service.grpc, "identity", framed(false, &body));
                match (answer.status.code(), answer.retry_after) {
                    (Code::Ok, _) => return,
                    (Code::Unavailable, Some(pause)) => pause,
                    _ => panic!("{answer:?}"),
                }
            }
        };
        refused.fetch_add(1, Ordering::Relaxed);
        std::thread::sleep(pause);
    }
}

/// Scenario: all protocols at once, as fast as they go, and twenty-four requests of 16 MiB at a
/// time among them.
/// Guarantees: the process stays within its memory; all that was sent is taken in the end, and
/// stored once.
fn full_load(name: &str, env: &[(&'static str, &str)]) {
    let (data, notes) = (Folder::new(name), Folder::new(name));
    let mut service = Service::start_with(data.path(), env);
    service.cap(LIMIT_MIB);
    let loads = loads(&service, &notes, 5_000);
    let refused = AtomicU64::new(0);
    std::thread::scope(|scope| {
        for number in 0..24 {
            let (service, refused) = (&service, &refused);
            scope.spawn(move || send_large(service, number, refused));
        }
    });
    for load in loads {
        let (report, ledger) = load.join();
        assert!(report.is_all_acked(), "{report:?}");
        assert_stored_once(data.path(), env, &ledger);
    }
    assert_eq!(service.closed_books()["lost"], 0);
    let peak = service.peak_mib();
    println!("{peak:.0} MiB at the most; {refused:?} of the large ones were asked to come again");
    assert!(peak < LIMIT_MIB as f64, "{peak} MiB");
    assert!(service.stop().success());
}

#[test]
fn full_load_on_sqlite() {
    full_load("memory-sqlite", &[]);
}

#[test]
fn full_load_on_postgres() {
    let url = database().url();
    full_load("memory-postgres", &[("SPANLEDGER_STORE_URL", &url)]);
}

/// Scenario: the store is down and the spool fills to its limit, under all protocols.
/// Guarantees: then, and only then, senders are told when to come again; the process stays within
/// its memory; once the store is back everything arrives, once.
#[test]
fn a_full_spool_refuses_and_loses_nothing() {
    let (data, notes) = (Folder::new("memory-full"), Folder::new("memory-full"));
    let database = database();
    let url = database.url();
    let env = [
        ("SPANLEDGER_STORE_URL", &*url),
        ("SPANLEDGER_SPOOL__MAX_BYTES", "16000000"),
        ("SPANLEDGER_SPOOL__SEGMENT_MAX_BYTES", "1000000"),
    ];
    let mut service = Service::start_with(data.path(), &env);
    service.cap(LIMIT_MIB);
    service.wait_until_connected();
    database.refuse(true);
    // 8.3 MB from each sender: those of gRPC alone have more to send than the spool takes, and so
    // have those of HTTP.
    let loads = loads(&service, &notes, 13_000);
    let refusals = |transport| {
        let labels = ["\"refused\"", transport];
        service.metric("spanledger_receive_requests_total", &labels)
    };
    until(&service, "refusing on both ports", |_| {
        refusals("grpc") > 0.0 && refusals("http") > 0.0
    });
    let body = spans::request(0..400).encode_to_vec();
    let (status, head, _) = post(&service.otlp_http, "/v1/traces", &[PROTOBUF], &body);
    assert_eq!(status, 503, "{head}");
    assert!(
        head.to_ascii_lowercase().contains("retry-after: 1"),
        "{head}"
    );
    let answer = export(&service.grpc, "identity", framed(false, &body));
    assert_eq!(answer.status.code(), Code::Unavailable, "{answer:?}");
    assert_eq!(answer.retry_after, Some(Duration::from_millis(100)));
    assert_eq!(service.get("/healthz").0, 200);
    database.refuse(false);
    for load in loads {
        let (report, ledger) = load.join();
        assert!(report.is_all_acked(), "{report:?}");
        assert_stored_once(data.path(), &env[..1], &ledger);
    }
    assert_eq!(service.closed_books()["lost"], 0);
    let peak = service.peak_mib();
    assert!(peak < LIMIT_MIB as f64, "{peak} MiB");
    assert!(service.stop().success());
}

/// `SPANLEDGER_TEST_NAMES`, 30,000 of each kind if not set.
fn names() -> u64 {
    let set = std::env::var("SPANLEDGER_TEST_NAMES").ok();
    set.map_or(30_000, |text| {
        text.parse().expect("SPANLEDGER_TEST_NAMES is a number")
    })
}

/// Model calls, each with a service, a model and a user that no other has.
fn strangers(numbers: std::ops::Range<u64>) -> Vec<u8> {
    let requests = numbers.map(|n| {
        let mut spans = spans::rag_trace(n);
        spans.truncate(3);
        let call = spans.last_mut().unwrap();
        for attribute in &mut call.attributes {
            if attribute.key == "gen_ai.request.model" {
                *attribute = spans::text("gen_ai.request.model", &format!("model-{n}"));
            }
        }
        call.attributes
            .push(spans::text("user.id", &format!("user-{n}")));
        let mut request = spans::of_spans(vec![call.clone()]);
        let resource = request.resource_spans[0].resource.get_or_insert_default();
        resource.attributes = vec![spans::text("service.name", &format!("service-{n}"))];
        request.resource_spans.remove(0)
    });
    ExportTraceServiceRequest {
        resource_spans: requests.collect(),
    }
    .encode_to_vec()
}

/// Scenario: every call has a service, a model and a user of its own. The store is away, so that
/// nothing but memory takes them in.
/// Guarantees: what is scraped stays small, and so does what is remembered; every call is counted.
#[test]
fn a_flood_of_names_is_folded() {
    let folder = Folder::new("memory-names");
    let env = [("SPANLEDGER_STORE_URL", "postgres://nobody@127.0.0.1:1/none")];
    let mut service = Service::start_with(folder.path(), &env);
    service.cap(LIMIT_MIB);
    let send = |numbers: std::ops::Range<u64>| {
        let body = strangers(numbers);
        let (status, head, _) = post(&service.otlp_http, "/v1/traces", &[PROTOBUF], &body);
        assert_eq!(status, 200, "{head}");
    };
    // What a few take is there anyway.
    send(0..1000);
    service.wait_until_observed(1000);
    let before = service.resident_mib();
    let names = names();
    for first in (1000..names).step_by(1000) {
        send(first..names.min(first + 1000));
    }
    service.wait_until_observed(names);
    let (_, scraped) = service.get("/metrics");
    let mut families = BTreeMap::new();
    for line in scraped.lines().filter(|line| !line.starts_with('#')) {
        *families.entry(line.split(['{', ' ']).next()).or_insert(0) += 1;
    }
    let series = families.values().sum::<u64>();
    let grown = service.resident_mib() - before;
    println!(
        "{names} names: {series} series, {} bytes, {grown:.0} MiB more",
        scraped.len()
    );
    assert!(series <= 10_000, "{series}: {families:#?}");
    assert!(scraped.len() < 10_000_000, "{}", scraped.len());
    assert!(grown < 50.0, "{grown} MiB");
    assert_eq!(service.metric("genai_calls_total", &[]), names as f64);
    assert!(service.metric("genai_calls_total", &["__other__"]) > 0.0);
    assert!(!scraped.contains("user-1"), "users are no labels");
    assert!(service.stop().success());
}
