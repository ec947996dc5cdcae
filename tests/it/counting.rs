//! Counting does not depend on how spans arrive.
//!
//! Scenario: every capture, one span a request, everything twice, in a random order, to one
//! service or to two that share a store.
//! Guarantees: the rows and totals are those of the spans sent once, in order, as they were
//! captured. SPANLEDGER_TEST_SEED repeats an order.

use std::{collections::BTreeMap, path::PathBuf};

use opentelemetry_proto::tonic::collector::{
    logs::v1::ExportLogsServiceRequest, trace::v1::ExportTraceServiceRequest,
};
use prost::Message;
use spanledger::otlp::{self, Signal};

use crate::support::{
    postgres,
    process::{Folder, Service, post},
    rows::Rows,
};

/// One request: path and body.
type Request = (&'static str, Vec<u8>);

/// A small generator (xorshift64*), so that a seed repeats an order.
struct Dice(u64);

impl Dice {
    fn new(name: &str) -> Self {
        let seed = std::env::var("SPANLEDGER_TEST_SEED")
            .ok()
            .and_then(|seed| seed.parse().ok())
            .unwrap_or_else(|| u64::from(std::process::id()) << 20 | 1);
        eprintln!("{name}: SPANLEDGER_TEST_SEED={seed}");
        Self(seed)
    }

    fn below(&mut self, n: usize) -> usize {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        let high = self.0.wrapping_mul(0x2545_F491_4F6C_DD1D) >> 32;
        (high as usize * n) >> 32
    }

    fn shuffle<T>(&mut self, items: &mut [T]) {
        for at in (1..items.len()).rev() {
            items.swap(at, self.below(at + 1));
        }
    }
}

/// Every captured request, in the order it was captured.
fn captured() -> Vec<Request> {
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/captures");
    let mut files: Vec<PathBuf> = std::fs::read_dir(folder)
        .unwrap()
        .flat_map(|entry| std::fs::read_dir(entry.unwrap().path()).unwrap())
        .map(|entry| entry.unwrap().path())
        .filter(|path| {
            let name = path.file_name().unwrap().to_string_lossy();
            let number = name.trim_start_matches("logs-").get(..3);
            !name.ends_with(".gz") && number.is_some_and(|n| n.parse::<u32>().is_ok())
        })
        .collect();
    files.sort();
    assert!(files.len() > 80, "captures are missing");
    files
        .into_iter()
        .map(|file| {
            let is_logs = file.to_string_lossy().contains("logs-");
            let (signal, path) = match is_logs {
                true => (Signal::Logs, "/v1/logs"),
                false => (Signal::Traces, "/v1/traces"),
            };
            let body = std::fs::read(&file).unwrap();
            let body = match file.extension().is_some_and(|ext| ext == "json") {
                true => otlp::json::to_protobuf(signal, &body, body.len()).unwrap(),
                false => body,
            };
            (path, body)
        })
        .collect()
}

/// One request for each span and for each log record.
fn split(requests: &[Request]) -> Vec<Request> {
    let mut single = Vec::new();
    for (path, body) in requests {
        if *path == "/v1/logs" {
            let request = ExportLogsServiceRequest::decode(body.as_slice()).unwrap();
            for mut resource in request.resource_logs {
                for mut scope in std::mem::take(&mut resource.scope_logs) {
                    for log in std::mem::take(&mut scope.log_records) {
                        let mut one = (resource.clone(), scope.clone());
                        one.1.log_records = vec![log];
                        one.0.scope_logs = vec![one.1];
                        let resource_logs = vec![one.0];
                        let request = ExportLogsServiceRequest { resource_logs };
                        single.push((*path, request.encode_to_vec()));
                    }
                }
            }
        } else {
            let request = ExportTraceServiceRequest::decode(body.as_slice()).unwrap();
            for mut resource in request.resource_spans {
                for mut scope in std::mem::take(&mut resource.scope_spans) {
                    for span in std::mem::take(&mut scope.spans) {
                        let mut one = (resource.clone(), scope.clone());
                        one.1.spans = vec![span];
                        one.0.scope_spans = vec![one.1];
                        let resource_spans = vec![one.0];
                        let request = ExportTraceServiceRequest { resource_spans };
                        single.push((*path, request.encode_to_vec()));
                    }
                }
            }
        }
    }
    single
}

fn send(service: &Service, (path, body): &Request) {
    let headers = [("Content-Type", "application/x-protobuf")];
    let (status, ..) = post(&service.otlp_http, path, &headers, body);
    assert_eq!(status, 200);
}

/// Every row of every table that people read, without the moment it was received. Numbers are
/// rounded: a sum of floats depends on its order in the last digit.
fn snapshot(rows: &Rows, is_sqlite: bool) -> BTreeMap<&'static str, Vec<String>> {
    let tables = [
        "llm_calls",
        "stt_logs",
        "retrievals",
        "cache_lookups",
        "json_parses",
        "pipeline_requests",
    ];
    let mut all = BTreeMap::new();
    for table in tables {
        let columns = match is_sqlite {
            true => format!("SELECT name FROM pragma_table_info('{table}') ORDER BY cid"),
            false => format!(
                "SELECT column_name FROM information_schema.columns \
                 WHERE table_name = '{table}' ORDER BY ordinal_position"
            ),
        };
        let columns: Vec<String> = rows.query(&columns).into_iter().flatten().collect();
        let kept: Vec<&str> = columns
            .iter()
            .map(String::as_str)
            .filter(|name| *name != "created_at")
            .collect();
        assert!(kept.len() > 5, "{table}: {kept:?}");
        // Which earlier turns a call has, where each came in a request of its own (log events), says
        // only what came together.
        let cast = |name: &&str| match is_sqlite {
            true if *name == "metadata" => {
                "nullif(json_remove(metadata, '$.\"spanledger.history\"'), '{}')".to_owned()
            }
            false if *name == "metadata" => {
                "nullif(metadata - 'spanledger.history', '{}')::text".to_owned()
            }
            true => (*name).to_owned(),
            false => format!("{name}::text"),
        };
        let cells: Vec<String> = kept.iter().map(cast).collect();
        let sql = format!("SELECT {} FROM {table}", cells.join(", "));
        let mut found: Vec<String> = rows
            .query(&sql)
            .into_iter()
            .map(|row| {
                let cells = kept.iter().zip(row).map(|(name, cell)| {
                    let rounded = cell.parse::<f64>().ok().filter(|_| cell.contains('.'));
                    let cell = rounded.map_or(cell, |number| format!("{number:.9}"));
                    format!("{name}={cell}")
                });
                cells.collect::<Vec<_>>().join(" | ")
            })
            .collect();
        found.sort();
        all.insert(table, found);
    }
    all
}

/// What is different, row by row: the columns that are, and nothing else.
fn difference(
    want: &BTreeMap<&'static str, Vec<String>>,
    got: &BTreeMap<&'static str, Vec<String>>,
) -> Option<String> {
    let mut lines = Vec::new();
    let key = |row: &str| row.split(" | ").take(3).collect::<Vec<_>>().join(" ");
    for (table, want) in want {
        let got = &got[table];
        if want.len() != got.len() {
            lines.push(format!("{table}: {} rows, not {}", got.len(), want.len()));
        }
        for row in want.iter().filter(|row| !got.contains(row)) {
            let other = got.iter().find(|other| key(other) == key(row));
            let cells = row.split(" | ").zip(other.map_or("", |o| o).split(" | "));
            let wrong = cells.filter(|(want, got)| want != got);
            let wrong: Vec<String> = wrong
                .map(|(want, got)| format!("{got} not {want}"))
                .collect();
            lines.push(format!("{table} {}: {}", key(row), wrong.join(", ")));
        }
    }
    (!lines.is_empty()).then(|| lines.join("\n"))
}

/// The rows of everything sent once, in order.
fn reference(
    env: &[(&str, &str)],
    rows: impl Fn(&Folder) -> Rows,
    is_sqlite: bool,
) -> BTreeMap<&'static str, Vec<String>> {
    let folder = Folder::new("counting-reference");
    let service = Service::start_with(folder.path(), env);
    captured()
        .iter()
        .for_each(|request| send(&service, request));
    assert!(service.stop().success());
    let all = snapshot(&rows(&folder), is_sqlite);
    assert!(all["llm_calls"].len() > 200 && all["pipeline_requests"].len() > 40);
    all
}

fn sqlite(folder: &Folder) -> Rows {
    Rows::sqlite(&folder.path().join("spanledger.db"))
}

#[test]
fn order_batches_and_repetition_change_nothing() {
    let want = reference(&[], sqlite, true);
    let mut dice = Dice::new("one service");
    for _ in 0..3 {
        let once = split(&captured());
        let mut twice = [once.clone(), once].concat();
        dice.shuffle(&mut twice);
        let folder = Folder::new("counting");
        let service = Service::start(folder.path());
        twice.iter().for_each(|request| send(&service, request));
        assert!(service.stop().success());
        if let Some(lines) = difference(&want, &snapshot(&sqlite(&folder), true)) {
            panic!("{lines}");
        }
    }
}

#[test]
fn two_services_on_one_store_count_as_one() {
    let alone = postgres::database();
    let url = alone.url();
    let want = reference(
        &[("SPANLEDGER_STORE_URL", &url)],
        |_| Rows::postgres(&url),
        false,
    );
    let shared = postgres::database();
    let url = shared.url();
    let env = [("SPANLEDGER_STORE_URL", url.as_str())];
    let mut dice = Dice::new("two services");
    let once = split(&captured());
    let mut twice = [once.clone(), once].concat();
    dice.shuffle(&mut twice);
    let folders = [Folder::new("counting-a"), Folder::new("counting-b")];
    let services = folders
        .each_ref()
        .map(|folder| Service::start_with(folder.path(), &env));
    for request in &twice {
        send(&services[dice.below(2)], request);
    }
    // What the two could not see of one another is put right a little later: after 10 s, or after
    // 30 if one of them was further behind.
    let rows = Rows::postgres(&url);
    let deadline = std::time::Instant::now() + std::time::Duration::from_secs(60);
    loop {
        match difference(&want, &snapshot(&rows, false)) {
            None => break,
            Some(lines) if std::time::Instant::now() > deadline => {
                let logs = services.each_ref().map(Service::log);
                panic!("{lines}\n{}", logs.join("\n"))
            }
            Some(_) => std::thread::sleep(std::time::Duration::from_millis(500)),
        }
    }
    for service in services {
        assert!(service.stop().success());
    }
}
