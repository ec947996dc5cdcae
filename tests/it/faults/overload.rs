//! More than it can take.

use std::sync::atomic::{AtomicU64, Ordering};

use prost::Message;
use spanledger::load::{Amount, Protocol};

use crate::support::{
    load::{assert_stored_once, plan, send},
    process::{Folder, Service, post},
    spans,
};

/// Scenario: 64 connections over gRPC and 64 over HTTP send large requests, as fast as acks come, to
/// a service that may hold a few of them at a time; others look at how they are refused.
/// Guarantees: what can't be held is told when to come again; all of it is taken in the end and
/// stored once; when it is over, the next request is taken at once.
#[test]
fn what_can_not_be_held_comes_again() {
    let (data, notes) = (Folder::new("overload"), Folder::new("overload"));
    let env = [
        ("SPANLEDGER_RECEIVE__MAX_INFLIGHT_BYTES", "1500000"),
        ("SPANLEDGER_RECEIVE__MAX_BODY_BYTES", "700000"),
    ];
    let service = Service::start_with(data.path(), &env);
    let doors = [
        (Protocol::Grpc, &service.grpc),
        (Protocol::HttpProtobuf, &service.otlp_http),
    ];
    let loads = doors.map(|(protocol, address)| {
        let mut plan = plan(address, protocol);
        (plan.connections, plan.batch) = (64, 500);
        plan.amount = Amount::Spans(40_000);
        send(notes.path(), plan)
    });
    let body = spans::request(0..100).encode_to_vec();
    let headers = [("Content-Type", "application/x-protobuf")];
    let (taken, refused) = (AtomicU64::new(0), AtomicU64::new(0));
    let ask = || {
        let (status, head, _) = post(&service.otlp_http, "/v1/traces", &headers, &body);
        match status {
            200 => taken.fetch_add(1, Ordering::Relaxed),
            503 => {
                assert!(
                    head.to_ascii_lowercase().contains("retry-after: 1"),
                    "{head}"
                );
                refused.fetch_add(1, Ordering::Relaxed)
            }
            _ => panic!("{head}"),
        };
    };
    while loads.iter().any(|load| !load.is_over()) {
        ask();
    }
    println!("{taken:?} taken, {refused:?} refused");
    assert!(taken.into_inner() > 0, "nobody starves");
    let refusals = |transport| {
        let labels = ["\"refused\"", transport];
        service.metric("spanledger_receive_requests_total", &labels)
    };
    assert!(refusals("grpc") > 0.0 && refusals("http") > 0.0);
    for load in loads {
        let (report, ledger) = load.join();
        assert!(report.is_all_acked() && report.retries > 0, "{report:?}");
        assert_stored_once(data.path(), &[], &ledger);
    }
    let (status, head, _) = post(&service.otlp_http, "/v1/traces", &headers, &body);
    assert_eq!(status, 200, "{head}");
    assert_eq!(service.closed_books()["lost"], 0);
    assert!(service.stop().success());
}
