//! The whole path: receive → spool → map → store, measured on the real binary.
//!
//! ```text
//! cargo bench --bench path                 # Postgres (a server of its own) and SQLite, gRPC
//! SPANS=500000 cargo bench --bench path    # more spans
//! ```
//!
//! Prints, for each store: spans a second, CPU-seconds of Spanledger (user and system) for 100,000
//! spans, peak resident memory, and the CPU-seconds of the Postgres backends beside it. The load
//! is that of `spanledger load`: 5-span RAG traces of about 640 bytes a span, 510 spans a request, on
//! four connections that send as fast as acks come. Compare ratios within a run; machines are noisy.

use std::time::{Duration, Instant};

use prost::Message;
use spanledger::load::{self, Amount, Endpoint, Plan, Protocol};

#[path = "../it/support/mod.rs"]
#[allow(dead_code, reason = "the tests use the rest")]
mod support;

use support::{
    process::{Folder, Service},
    spans,
};

const CLIENTS: usize = 4;
const TRACES_PER_REQUEST: u64 = 102;

fn main() {
    let spans: u64 = std::env::var("SPANS")
        .ok()
        .and_then(|text| text.parse().ok())
        .unwrap_or(200_000);
    let sample = spans::request(0..TRACES_PER_REQUEST);
    let bytes = sample.encoded_len() as u64 / (5 * TRACES_PER_REQUEST);
    println!(
        "{spans} spans of {bytes} bytes, {} spans a request",
        5 * TRACES_PER_REQUEST
    );
    println!(
        "{:<10} {:>12} {:>12} {:>16} {:>18} {:>10}",
        "store", "acked/s", "stored/s", "CPU-s/100k", "postgres CPU-s/100k", "peak MiB"
    );
    let database = support::postgres::database();
    run(
        "postgres",
        spans,
        &[("SPANLEDGER_STORE_URL", &database.url())],
        Some(database.server_pid()),
    );
    run("sqlite", spans, &[], None);
}

fn run(name: &str, spans: u64, env: &[(&str, &str)], postgres: Option<u32>) {
    let folder = Folder::new("bench");
    let service = Service::start_with(folder.path(), env);
    let (cpu, theirs) = (
        cpu_seconds(service.pid()),
        postgres.map(children_cpu_seconds),
    );
    let started = Instant::now();
    let sent = send(&service.grpc, spans);
    let acked = started.elapsed();
    service.wait_until_stored(sent);
    let stored = started.elapsed();
    let per_100k = 100_000.0 / sent as f64;
    let theirs = match (postgres, theirs) {
        (Some(pid), Some(before)) => {
            format!("{:.2}", (children_cpu_seconds(pid) - before) * per_100k)
        }
        _ => "-".to_owned(),
    };
    println!(
        "{name:<10} {:>12.0} {:>12.0} {:>16.2} {:>18} {:>10.0}",
        sent as f64 / acked.as_secs_f64(),
        sent as f64 / stored.as_secs_f64(),
        (cpu_seconds(service.pid()) - cpu) * per_100k,
        theirs,
        service.peak_mib(),
    );
    assert!(service.stop().success(), "the service stops cleanly");
}

/// Sends on one thread, as fast as acks come; says how many spans.
fn send(address: &str, spans: u64) -> u64 {
    let plan = Plan {
        endpoint: Endpoint::parse(address).expect("the service's own address"),
        protocol: Protocol::Grpc,
        gzip: false,
        amount: Amount::Spans(spans),
        rate: None,
        connections: CLIENTS,
        batch: 5 * TRACES_PER_REQUEST,
        seed: 1,
        give_up_after: Duration::from_secs(60),
    };
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .expect("a runtime");
    let report = runtime
        .block_on(load::run(plan, None, Default::default(), |_| {}))
        .expect("the load runs");
    assert!(report.is_all_acked(), "{report:?}");
    report.acked
}

/// User and system time of a process, seconds.
fn cpu_seconds(pid: u32) -> f64 {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
    let after_name = stat.rsplit(')').next().unwrap_or_default();
    let ticks: u64 = after_name
        .split_whitespace()
        .skip(11)
        .take(2)
        .filter_map(|field| field.parse::<u64>().ok())
        .sum();
    ticks as f64 / 100.0
}

/// The same over a server's live children: the backends and the background writers.
fn children_cpu_seconds(pid: u32) -> f64 {
    let path = format!("/proc/{pid}/task/{pid}/children");
    let children = std::fs::read_to_string(path).unwrap_or_default();
    children
        .split_whitespace()
        .filter_map(|pid| pid.parse().ok())
        .map(cpu_seconds)
        .sum()
}
