//! The lane's work on a batch: nanoseconds a span for sorting its spans by trace, and then, slice by
//! slice, for mapping, for joining and counting, for showing the rows to the metrics, and for packing
//! them, which lets the records go. Each round is a batch of new traces, as in a running service, so
//! the counter's memory fills up.

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

/// In a request.
const TRACES: u64 = 102;
const REQUESTS: u64 = 500;
/// Requests in a batch of the default size.
const BATCH: u64 = 7;
const BATCHES: u64 = REQUESTS / BATCH;
const STEPS: [&str; 5] = ["sort", "map", "count", "observe", "pack"];

pub fn run() {
    let prices = include_str!("../../../config/prices.toml");
    let prices = Table::parse(prices).expect("the shipped prices");
    let (map, count) = (Default::default(), Default::default());
    let mut refiner = Refiner::new(&map, &count, Arc::new(prices));
    let registry = prometheus::Registry::new();
    let mut sink = Prometheus::new(&Default::default(), &registry).expect("metrics of its own");
    let mut times: [Vec<Duration>; STEPS.len()] = Default::default();
    for batch in 0..BATCHES {
        let entries: Vec<Entry> = (batch * BATCH..(batch + 1) * BATCH).map(entry).collect();
        let mut rows = PackedRows::default();
        let mut took = [Duration::ZERO; STEPS.len()];
        let mut before = Instant::now();
        let mut done = |step: usize| {
            let now = Instant::now();
            took[step] += now - std::mem::replace(&mut before, now);
        };
        let sorted = refiner.begin(&entries, usize::MAX);
        let slices = sorted.slices();
        done(0);
        for slice in slices {
            refiner.map(&sorted, slice);
            done(1);
            let refined = refiner.count();
            done(2);
            sink.observe(&refined.records);
            done(3);
            rows.add(refined.records, &refined.links);
            done(4);
        }
        times
            .iter_mut()
            .zip(took)
            .for_each(|(times, took)| times.push(took));
    }
    let row = |name: &str, numbers: Vec<String>| {
        let numbers: Vec<_> = numbers.iter().map(|n| format!("{n:>8}")).collect();
        println!("{name:<10} {}", numbers.join(" "));
    };
    let names = STEPS.iter().chain(&["all"]);
    row("a span, ns", names.map(ToString::to_string).collect());
    let spans = (5 * TRACES * BATCH) as f64;
    times.iter_mut().for_each(|times| times.sort());
    for (name, place) in [("best", 0), ("median", BATCHES as usize / 2)] {
        let mut steps: Vec<f64> = times
            .iter()
            .map(|times| times[place].as_nanos() as f64 / spans)
            .collect();
        steps.push(steps.iter().sum());
        row(name, steps.iter().map(|ns| format!("{ns:.0}")).collect());
    }
}

fn entry(request: u64) -> Entry {
    let traces = request * TRACES..(request + 1) * TRACES;
    Entry {
        position: Position::from_parts(1, request),
        signal: Signal::Traces,
        received_at: RECEIVED_AT,
        body: Bytes::from(support::spans::request(traces).encode_to_vec()),
    }
}
