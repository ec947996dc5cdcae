//! Reading and mapping: what a span costs beyond its bytes.
//!
//! Nanoseconds a span for: copying the bytes, which is the limit; prost, which builds the messages;
//! reading every attribute in place; mapping, reading included. The spans are the 5-span RAG trace
//! of the path benchmark, the same without GenAI attributes (a web service's), and every capture in
//! the tests with its messages.

use std::hint::black_box;

use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use prost::Message;
use spanledger::{
    map::{Config, Mapped, Mapper},
    otlp::{self, Signal},
};

use super::{RECEIVED_AT, best, support};

pub fn run() {
    println!(
        "{:<10} {:>7} {:>8} {:>10} {:>9} {:>9} {:>9} {:>12}",
        "spans", "number", "bytes", "memcpy ns", "prost ns", "read ns", "map ns", "beyond read"
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
    let spans: u64 = bodies.iter().map(|body| otlp::span::count(body)).sum();
    let bytes = bodies.iter().map(Vec::len).sum::<usize>() as u64;
    let each = |work: &mut dyn FnMut(&Vec<u8>)| best(spans, || bodies.iter().for_each(&mut *work));
    let copied = each(&mut |body| drop(black_box(body.clone())));
    let built = each(&mut |body| {
        let request = ExportTraceServiceRequest::decode(body.as_slice());
        black_box(request.is_ok());
    });
    let read = each(&mut |body| {
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
    });
    let mut mapper = Mapper::new(&Config::default());
    let mut mapped = Mapped::default();
    let map = each(&mut |body| {
        mapper.map(Signal::Traces, body, RECEIVED_AT, &mut mapped);
        mapped.spans.clear();
    });
    println!(
        "{name:<10} {spans:>7} {:>8} {copied:>10.0} {built:>9.0} {read:>9.0} {map:>9.0} {:>12.0}",
        bytes / spans,
        map - read
    );
}
