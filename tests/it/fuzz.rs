//! The fuzz targets (`tests/fuzz`), each over the captures, every input kept in
//! `tests/fuzz/corpus`, and a bounded number of mutations of them. libFuzzer, which looks where the
//! code leads it and runs for hours, is `tests/fuzz/run TARGET`.

use std::{
    panic::{AssertUnwindSafe, catch_unwind, resume_unwind},
    path::{Path, PathBuf},
};

#[path = "../fuzz/targets/mod.rs"]
#[allow(dead_code, reason = "the fuzzers use the rest")]
mod targets;

use targets::mutate::Random;

const TESTS: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests");

#[test]
fn otlp_wire() {
    hold("otlp_wire", targets::otlp_wire::run, captures("pb"), 20_000);
}

#[test]
fn otlp_json() {
    hold(
        "otlp_json",
        targets::otlp_json::run,
        captures("json"),
        5_000,
    );
}

#[test]
fn map() {
    hold("map", targets::map::run, captures("pb"), 2_000);
}

#[test]
fn spool_reader() {
    hold(
        "spool_reader",
        targets::spool_reader::run,
        Vec::new(),
        20_000,
    );
}

#[test]
fn spool_folder() {
    // The same inputs.
    hold("spool_reader", targets::spool_folder::run, Vec::new(), 500);
}

#[test]
fn prices() {
    hold("prices", targets::prices::run, Vec::new(), 5_000);
}

/// A seed longer than this is run as it is; mutations of it would be slow and find no more.
const LONGEST: usize = 4096;

/// Runs a target over its seeds and then `mutations` of them, the same ones each time. An input
/// that fails is left in a file to be kept.
fn hold(name: &str, target: fn(&[u8]), mut seeds: Vec<PathBuf>, mutations: usize) {
    let kept = files(&Path::new(TESTS).join("fuzz/corpus").join(name));
    assert!(!kept.is_empty(), "no kept inputs of {name}");
    seeds.extend(kept);
    let try_one = |input: &[u8], from: &str| {
        if let Err(panic) = catch_unwind(AssertUnwindSafe(|| target(input))) {
            let left = Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("fuzz-{name}"));
            std::fs::write(&left, input).unwrap();
            eprintln!("{from} fails; the input is in {}", left.display());
            resume_unwind(panic);
        }
    };
    let mut pool = vec![Vec::new()];
    for seed in seeds {
        let input = std::fs::read(&seed).unwrap();
        try_one(&input, &seed.display().to_string());
        pool.extend((input.len() <= LONGEST).then_some(input));
    }
    let mut random = Random::new(0x5eed);
    for number in 0..mutations {
        let input = random.mutation(&pool);
        try_one(&input, &format!("mutation {number}"));
    }
}

fn files(folder: &Path) -> Vec<PathBuf> {
    let mut found: Vec<_> = std::fs::read_dir(folder)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.is_file())
        .collect();
    found.sort();
    found
}

/// The bodies of the captured requests.
fn captures(extension: &str) -> Vec<PathBuf> {
    let scenarios = std::fs::read_dir(Path::new(TESTS).join("captures")).unwrap();
    let mut found: Vec<_> = scenarios
        .flat_map(|scenario| files(&scenario.unwrap().path()))
        .filter(|path| path.extension().is_some_and(|found| found == extension))
        .filter(|path| {
            let name = path.file_name().unwrap().to_string_lossy();
            !["meta.json", "expect.json"].contains(&&*name)
        })
        .collect();
    found.sort();
    assert!(!found.is_empty());
    found
}
