//! The lane's work on a request: nanoseconds a span for mapping, for joining and counting, for
//! showing the rows to the metrics, and for packing them, which lets the records go. Each round is
//! a request of new traces, as in a running service, so the counter's memory fills up.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use bytes::Bytes;
use prost::Message;
use spanledger::{
    otlp::Signal,
    pipeline::Refiner,
    price::Table,
    sink::prometheus::Prometheus,
    spool::{Entry, Position},
    store::PackedRows,
};

use super::{RECEIVED_AT, support};

const TRACES: u64 = 102;
const REQUESTS: u64 = 500;
const STEPS: usize = 4;
/// Requests in a batch of the default size.
const BATCH: u64 = 4;

pub fn run() {
    let prices = include_str!("../../../config/prices.toml");
    let prices = Table::parse(prices).expect("the shipped prices");
    let (map, count) = (Default::default(), Default::default());
    let mut refiner = Refiner::new(&map, &count, Arc::new(prices));
    let registry = prometheus::Registry::new();
    let mut sink = Prometheus::new(&Default::default(), &registry).expect("metrics of its own");
    let mut rows = PackedRows::default();
    let mut times: [Vec<Duration>; STEPS] = Default::default();
    for request in 0..REQUESTS {
        let traces = request * TRACES..(request + 1) * TRACES;
        let entries = [Entry {
            position: Position::from_parts(1, request),
            signal: Signal::Traces,
            received_at: RECEIVED_AT,
            body: Bytes::from(support::spans::request(traces).encode_to_vec()),
        }];
        if request % BATCH == 0 {
            rows = PackedRows::default();
        }
        let mut before = Instant::now();
        let mut steps = times.iter_mut();
        let mut done = || {
            let now = Instant::now();
            let took = now - std::mem::replace(&mut before, now);
            steps.next().expect("a step").push(took);
        };
        refiner.map(&entries);
        done();
        let refined = refiner.count(&entries);
        done();
        sink.observe(&refined.records);
        done();
        rows.add(refined.records, &refined.links);
        done();
    }
    println!(
        "{:<10} {:>8} {:>8} {:>9} {:>8} {:>8}",
        "a span, ns", "map", "count", "observe", "pack", "all"
    );
    let spans = (5 * TRACES) as f64;
    for times in &mut times {
        times.sort();
    }
    for (name, place) in [("best", 0), ("median", REQUESTS as usize / 2)] {
        let steps = times
            .each_ref()
            .map(|times| times[place].as_nanos() as f64 / spans);
        let [map, count, observe, pack] = steps;
        let all: f64 = steps.iter().sum();
        println!("{name:<10} {map:>8.0} {count:>8.0} {observe:>9.0} {pack:>8.0} {all:>8.0}");
    }
}
