//! Mapping alone: what it costs beyond reading the bytes.
//!
//! ```text
//! cargo bench --bench map
//! cargo bench --bench map -- rag      one line of it
//! ```
//!
//! Prints nanoseconds a span (the best of several rounds, one core) for: reading every attribute
//! of a span; mapping it; the difference. The spans are the 5-span RAG trace of the path
//! benchmark, the same without GenAI attributes (a web service's), and every capture in the tests
//! with its messages. memcpy of the same bytes is the physical limit beside them.

use std::{hint::black_box, time::Instant};

use prost::Message;
use spanledger::{
    map::{Config, Mapped, Mapper},
    otlp::{self, Signal},
};

#[path = "../it/support/mod.rs"]
#[allow(dead_code, reason = "the tests use the rest")]
mod support;

/// As the binary has it.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// Short rounds, and many: some fall where nothing else takes the processor.
const ROUNDS: usize = 200;
const RECEIVED_AT: i64 = 1_795_300_000_000_000_000;

fn main() {
    println!(
        "{:<10} {:>7} {:>8} {:>10} {:>9} {:>9} {:>12}",
        "spans", "number", "bytes", "memcpy ns", "read ns", "map ns", "beyond read"
    );
    let rag = support::spans::request(0..400);
    let mut foreign = rag.clone();
    for span in foreign
        .resource_spans
        .iter_mut()
        .flat_map(|resource| &mut resource.scope_spans)
        .flat_map(|scope| &mut scope.spans)
    {
        for attribute in &mut span.attributes {
            attribute.key = attribute
                .key
                .replace("gen_ai.", "app.")
                .replace("db.", "shop.");
        }
    }
    report("rag", &[rag.encode_to_vec()]);
    report("foreign", &[foreign.encode_to_vec()]);
    report("captures", &captures());
}

fn captures() -> Vec<Vec<u8>> {
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/captures");
    let mut files: Vec<_> = std::fs::read_dir(folder)
        .expect("the captures")
        .flatten()
        .flat_map(|entry| {
            std::fs::read_dir(entry.path())
                .expect("a capture")
                .flatten()
        })
        .map(|entry| entry.path())
        .filter(|path| {
            let name = path.file_name().unwrap_or_default().to_string_lossy();
            name.ends_with(".pb") && !name.starts_with("logs-")
        })
        .collect();
    files.sort();
    let read = |path: &std::path::PathBuf| std::fs::read(path).expect("a request");
    files.iter().map(read).collect()
}

fn report(name: &str, bodies: &[Vec<u8>]) {
    let mut asked = std::env::args().skip(1).filter(|arg| arg != "--bench");
    if asked.next().is_some_and(|asked| asked != name) {
        return;
    }
    let mut spans = 0;
    let bytes: usize = bodies.iter().map(Vec::len).sum();
    for body in bodies {
        otlp::spans(body, |_, _| spans += 1).expect("valid requests");
    }
    let copied = best(spans, || {
        for body in bodies {
            black_box(body.clone());
        }
    });
    let read = best(spans, || {
        for body in bodies {
            let walked = otlp::spans(body, |_, span| {
                let Ok(span) = span else { return };
                for attribute in span.attributes() {
                    black_box(attribute);
                }
                for event in span.events() {
                    for attribute in event.attributes() {
                        black_box(attribute);
                    }
                }
            });
            black_box(walked.is_ok());
        }
    });
    let mut mapper = Mapper::new(&Config::default());
    let mut mapped = Mapped::default();
    let map = best(spans, || {
        for body in bodies {
            mapper.map(Signal::Traces, body, RECEIVED_AT, &mut mapped);
            mapped.spans.clear();
        }
    });
    println!(
        "{name:<10} {spans:>7} {:>8} {copied:>10.0} {read:>9.0} {map:>9.0} {:>12.0}",
        bytes / spans,
        map - read
    );
}

/// The best round's nanoseconds a span.
fn best(spans: usize, mut work: impl FnMut()) -> f64 {
    (0..ROUNDS)
        .map(|_| {
            let started = Instant::now();
            work();
            started.elapsed().as_nanos() as f64 / spans as f64
        })
        .fold(f64::INFINITY, f64::min)
}
