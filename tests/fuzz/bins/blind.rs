//! Runs a target over mutations of the inputs in some folders, without looking at what they cover:
//! what libFuzzer found, some times as many executions.
//!
//! `blind TARGET EXECUTIONS SEED LEAVE_IN FOLDER…`

use std::{
    io::IsTerminal,
    panic::{AssertUnwindSafe, catch_unwind},
    path::Path,
    process::ExitCode,
};

use spanledger::targets::{self, mutate::Random};

/// A longer input is passed over.
const LONGEST: usize = 4096;
const TOLD_EVERY: u64 = 100_000;

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [name, executions, seed, leave_in, folders @ ..] = arguments.as_slice() else {
        eprintln!("blind TARGET EXECUTIONS SEED LEAVE_IN FOLDER…");
        return ExitCode::from(2);
    };
    let target = match &**name {
        "otlp_wire" => targets::otlp_wire::run,
        "otlp_json" => targets::otlp_json::run,
        "map" => targets::map::run,
        "spool_reader" => targets::spool_reader::run,
        "spool_folder" => targets::spool_folder::run,
        "prices" => targets::prices::run,
        _ => panic!("no target {name}"),
    };
    let executions: u64 = executions.parse().expect("a number of executions");
    let seed: u64 = seed.parse().expect("a seed");
    let mut pool: Vec<Vec<u8>> = folders.iter().flat_map(inputs).collect();
    pool.retain(|input| input.len() <= LONGEST);
    assert!(!pool.is_empty(), "no inputs in {folders:?}");
    println!("{name}: {} inputs, seed {seed}", pool.len());
    let mut random = Random::new(seed);
    for number in 1..=executions {
        let input = random.mutation(&pool);
        if catch_unwind(AssertUnwindSafe(|| target(&input))).is_err() {
            let left = Path::new(leave_in).join(format!("blind-{seed}-{number}"));
            std::fs::write(&left, &input).expect("the input is left");
            eprintln!(
                "execution {number} fails; the input is in {}",
                left.display()
            );
            return ExitCode::FAILURE;
        }
        if number % TOLD_EVERY == 0 && std::io::stdout().is_terminal() {
            println!("{number}");
        }
    }
    println!("{executions} executions, none failed");
    ExitCode::SUCCESS
}

/// The files of a folder, sorted by name.
fn inputs(folder: &String) -> Vec<Vec<u8>> {
    let entries = std::fs::read_dir(folder).expect("a folder");
    let mut files: Vec<_> = entries
        .map(|entry| entry.expect("an entry").path())
        .collect();
    files.retain(|file| file.is_file());
    files.sort();
    files
        .iter()
        .map(|file| std::fs::read(file).expect("a file"))
        .collect()
}
