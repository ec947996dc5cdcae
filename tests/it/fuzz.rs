//! The fuzz targets (`tests/fuzz`), each over the captures, every input kept in
//! `tests/fuzz/corpus`, and a bounded number of mutations of them. libFuzzer, which looks where the
//! code leads it and runs for hours, is `tests/fuzz/run TARGET`.

use std::{
    panic::{AssertUnwindSafe, catch_unwind, resume_unwind},
    path::{Path, PathBuf},
};

#[path = "../fuzz/targets/mod.rs"]
mod targets;

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
    hold("spool_reader", targets::spool_reader::run, Vec::new(), 500);
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
    let mut random = Random(0x5eed);
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

/// A small generator with a fixed seed.
struct Random(u64);

impl Random {
    fn below(&mut self, most: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        (self.0 % most.max(1) as u64) as usize
    }

    fn byte(&mut self) -> u8 {
        const TELLING: [u8; 8] = [0, 1, 0x0a, 0x12, 0x7f, 0x80, 0xfe, 0xff];
        match self.below(2) {
            0 => TELLING[self.below(TELLING.len())],
            _ => self.below(256) as u8,
        }
    }

    /// One of the pool, changed in a few places.
    fn mutation(&mut self, pool: &[Vec<u8>]) -> Vec<u8> {
        let mut input = pool[self.below(pool.len())].clone();
        for _ in 0..=self.below(6) {
            let at = self.below(input.len() + 1);
            let end = (at + 1 + self.below(16)).min(input.len());
            match self.below(6) {
                0 if at < end => input[at] ^= 1 << self.below(8),
                1 if at < end => input[at] = self.byte(),
                2 if at < end => drop(input.drain(at..end)),
                3 if at < end => {
                    let again = input[at..end].to_vec();
                    input.splice(at..at, again);
                }
                4 => {
                    let other = &pool[self.below(pool.len())];
                    let from = self.below(other.len() + 1);
                    let to = (from + self.below(200)).min(other.len());
                    let piece = other[from..to].to_vec();
                    input.splice(at..at, piece);
                }
                _ => {
                    let piece: Vec<u8> = (0..self.below(64)).map(|_| self.byte()).collect();
                    input.splice(at..at, piece);
                }
            }
        }
        input
    }
}
