//! The books of spans balance in every scrape, and say what became of each span.

use std::collections::BTreeMap;

use opentelemetry_proto::tonic::{
    collector::logs::v1::ExportLogsServiceRequest,
    logs::v1::{LogRecord, ResourceLogs, ScopeLogs},
};
use prost::Message;

use crate::support::{
    postgres::database,
    process::{Folder, Service, post},
    spans,
};

const PROTOBUF: (&str, &str) = ("Content-Type", "application/x-protobuf");

fn send(service: &Service, path: &str, body: &impl Message) {
    let body = body.encode_to_vec();
    let (status, ..) = post(&service.otlp_http, path, &[PROTOBUF], &body);
    assert_eq!(status, 200);
}

fn entries(books: &BTreeMap<String, u64>) -> [u64; 7] {
    [
        "received",
        "replayed",
        "stored",
        "duplicate",
        "rejected",
        "lost",
        "in_flight",
    ]
    .map(|entry| books[entry])
}

/// Scenario: new spans, spans that were sent before, a span without an id, log records with and
/// without a sound frame; then the store goes away, spans come, and the process is killed.
/// Guarantees: each is on the books as what it is; in flight is what waits for the store, and what
/// the next process finds in the spool it says so.
#[test]
fn every_span_is_accounted_for() {
    let folder = Folder::new("books");
    let database = database();
    let url = database.url();
    let env = [("SPANLEDGER_STORE_URL", &*url)];
    let service = Service::start_with(folder.path(), &env);
    assert_eq!(entries(&service.books()), [0; 7]);
    send(&service, "/v1/traces", &spans::request(0..20));
    send(&service, "/v1/traces", &spans::request(10..20));
    let mut bad = spans::rag_trace(20);
    bad[3].span_id = vec![0; 8];
    send(&service, "/v1/traces", &spans::of_spans(bad));
    let log = LogRecord {
        event_name: "other".into(),
        ..Default::default()
    };
    let logs = ExportLogsServiceRequest {
        resource_logs: vec![ResourceLogs {
            scope_logs: vec![ScopeLogs {
                log_records: vec![log],
                ..Default::default()
            }],
            ..Default::default()
        }],
    };
    send(&service, "/v1/logs", &logs);
    // Two log records in the same frame, the first of which ends in the middle of a field.
    let records = [0x12, 1, 0x4A, 0x12, 0];
    let scope = [&[0x12, records.len() as u8][..], &records].concat();
    let frame = [&[0x0A, scope.len() as u8][..], &scope].concat();
    let (status, ..) = post(&service.otlp_http, "/v1/logs", &[PROTOBUF], &frame);
    assert_eq!(status, 200);
    assert_eq!(entries(&service.closed_books()), [155, 0, 104, 50, 1, 0, 0]);
    assert_eq!(service.metric("spanledger_receive_spans_total", &[]), 154.0);

    database.refuse(true);
    send(&service, "/v1/traces", &spans::request(30..40));
    service.wait_until_observed(204);
    assert_eq!(entries(&service.books()), [205, 0, 104, 50, 1, 0, 50]);
    service.kill();
    database.refuse(false);
    let service = Service::start_with(folder.path(), &env);
    send(&service, "/v1/traces", &spans::request(40..41));
    service.wait_until_stored(5);
    let books = service.closed_books();
    let started = std::time::Instant::now();
    while service.books()["replayed"] < 50 {
        assert!(started.elapsed().as_secs() < 60, "{books:?}");
        std::thread::sleep(std::time::Duration::from_millis(20));
    }
    assert_eq!(entries(&service.closed_books()), [5, 50, 55, 0, 0, 0, 0]);
    assert!(service.stop().success());
}
