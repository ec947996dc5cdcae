//! OTLP/JSON to protobuf.
//!
//! Nanoseconds a span for: copying the body, which is the limit; serde_json's tree of it, before
//! anything is done with the tree; the whole way to protobuf. The bodies are `spanledger load`'s,
//! plain and with spaces, and the captures that came as JSON.

use std::hint::black_box;

use spanledger::{
    load::{Protocol, RunId, Template},
    otlp::{self, Signal},
};

use super::{RECEIVED_AT, best};

pub fn run() {
    println!(
        "{:<10} {:>7} {:>8} {:>9} {:>10} {:>9} {:>12}",
        "spans", "number", "bytes", "pb bytes", "memcpy ns", "tree ns", "protobuf ns"
    );
    let template = Template::new(RunId::of_seed(0), 100, Protocol::HttpJson, 0);
    let rag = template
        .body(0, RECEIVED_AT as u64, false)
        .expect("a body")
        .to_vec();
    let tree: serde_json::Value = serde_json::from_slice(&rag).expect("JSON");
    let pretty = serde_json::to_vec_pretty(&tree).expect("JSON");
    report("rag", &[rag]);
    report("pretty", &[pretty]);
    report("captures", &captures());
}

fn captures() -> Vec<Vec<u8>> {
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/captures");
    let entries = |path: &std::path::Path| std::fs::read_dir(path).expect("captures").flatten();
    let mut files: Vec<_> = entries(folder.as_ref())
        .flat_map(|scenario| entries(&scenario.path()))
        .map(|entry| entry.path())
        .filter(|path| {
            let name = path.file_name().unwrap_or_default().to_string_lossy();
            let number = name.strip_suffix(".json");
            number.is_some_and(|number| number.parse::<u32>().is_ok())
        })
        .collect();
    files.sort();
    let read = |path: &std::path::PathBuf| std::fs::read(path).expect("a request");
    files.iter().map(read).collect()
}

fn report(name: &str, bodies: &[Vec<u8>]) {
    let read = |body: &Vec<u8>| {
        otlp::json::to_protobuf(Signal::Traces, body, body.len()).expect("a request")
    };
    let protobuf: Vec<Vec<u8>> = bodies.iter().map(read).collect();
    let spans: u64 = protobuf.iter().map(|body| otlp::span::count(body)).sum();
    let size = |bodies: &[Vec<u8>]| bodies.iter().map(Vec::len).sum::<usize>() as u64 / spans;
    let each = |work: &dyn Fn(&Vec<u8>)| best(spans, || bodies.iter().for_each(work));
    let copied = each(&|body| drop(black_box(body.clone())));
    let tree = each(&|body| {
        let tree = serde_json::from_slice::<serde_json::Value>(body);
        black_box(tree.is_ok());
    });
    let whole = each(&|body| drop(black_box(read(body))));
    println!(
        "{name:<10} {spans:>7} {:>8} {:>9} {copied:>10.0} {tree:>9.0} {whole:>12.0}",
        size(bodies),
        size(&protobuf),
    );
}
