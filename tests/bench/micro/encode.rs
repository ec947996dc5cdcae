//! Records to packed rows (COPY BINARY), and the records let go: nanoseconds a row, beside copying
//! the bytes that come out.

use std::{hint::black_box, sync::Arc, time::Instant};

use bytes::Bytes;
use prost::Message;
use spanledger::{
    otlp::Signal,
    pipeline::Refiner,
    price::Table,
    record::Record,
    spool::{Entry, Position},
    store::PackedRows,
};

use super::{RECEIVED_AT, ROUNDS, best, support};

pub fn run() {
    println!(
        "{:<18} {:>7} {:>8} {:>10} {:>10}",
        "rows", "number", "bytes", "memcpy ns", "encode ns"
    );
    let records = records();
    for (name, is_one) in [
        ("all", (|_| true) as fn(&Record) -> bool),
        ("llm_calls", |record| matches!(record, Record::LlmCall(_))),
    ] {
        let rows: Vec<Record> = records.iter().filter(|r| is_one(r)).cloned().collect();
        let packed = PackedRows::of(rows.clone(), &[]);
        let stream: Vec<u8> = packed.bytes().flatten().copied().collect();
        let (number, bytes) = (rows.len() as u64, stream.len());
        let copied = best(number, || drop(black_box(stream.clone())));
        // What clones the records is not measured.
        let encoded = (0..ROUNDS)
            .map(|_| {
                let rows = rows.clone();
                let started = Instant::now();
                drop(black_box(PackedRows::of(rows, &[])));
                started.elapsed().as_nanos() as f64 / number as f64
            })
            .fold(f64::INFINITY, f64::min);
        println!(
            "{name:<18} {number:>7} {:>8} {copied:>10.0} {encoded:>10.0}",
            bytes as u64 / number
        );
    }
}

/// What the stations before the store make of 400 RAG traces.
fn records() -> Vec<Record> {
    let prices = include_str!("../../../config/prices.toml");
    let prices = Table::parse(prices).expect("the shipped prices");
    let (map, count) = (Default::default(), Default::default());
    let mut refiner = Refiner::new(&map, &count, Arc::new(prices));
    let body = support::spans::request(0..400).encode_to_vec();
    let entry = Entry {
        position: Position::from_parts(1, 0),
        signal: Signal::Traces,
        received_at: RECEIVED_AT,
        body: Bytes::from(body),
    };
    let mut records = Vec::new();
    refiner.refine(&[entry], |refined| records.extend(refined.records));
    records
}
