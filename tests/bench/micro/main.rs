//! The parts of the path, one by one, each beside what limits it.
//!
//! ```text
//! cargo bench --bench micro              # all of them
//! cargo bench --bench micro -- map       # one: map, json, refine, encode, spool
//! ```
//!
//! Times are the best of many short rounds on one core (some fall where nothing else takes the
//! processor), but for refine, which shows the median, too, and the spool, where they are medians:
//! a disk has no best case worth quoting.

use std::time::Instant;

#[path = "../../it/support/mod.rs"]
#[allow(dead_code, reason = "the tests use the rest")]
mod support;

mod encode;
mod json;
mod map;
mod refine;
mod spool;

/// As the binary has it.
#[global_allocator]
static ALLOCATOR: tikv_jemallocator::Jemalloc = tikv_jemallocator::Jemalloc;

const ROUNDS: usize = 200;
const RECEIVED_AT: i64 = 1_795_300_000_000_000_000;

fn main() {
    let part = std::env::args().skip(1).find(|arg| !arg.starts_with('-'));
    let parts: [(&str, fn()); 5] = [
        ("map", map::run),
        ("json", json::run),
        ("refine", refine::run),
        ("encode", encode::run),
        ("spool", spool::run),
    ];
    for (name, run) in parts {
        if part.as_deref().is_none_or(|part| part == name) {
            run();
            println!();
        }
    }
}

/// Nanoseconds of the best round, for each of `items`.
fn best(items: u64, mut work: impl FnMut()) -> f64 {
    (0..ROUNDS)
        .map(|_| {
            let started = Instant::now();
            work();
            started.elapsed().as_nanos() as f64 / items as f64
        })
        .fold(f64::INFINITY, f64::min)
}
