//! Real exports of real instrumentation libraries, replayed over OTLP/HTTP into the real service:
//! the rows must say what the model server really saw.
//!
//! Each folder of `tests/captures` holds the request bodies as sent (`NNN.pb`, `NNN.json`,
//! `logs-NNN.pb`), `meta.json` (their order and types) and `expect.json`: which span stands for
//! which call, and what its row should hold.

use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
};

use serde_json::Value;

use crate::support::{
    process::{Folder, Service, post},
    rows::Rows,
};

const CALL: &[&str] = &[
    "provider",
    "call_type",
    "model",
    "response_model",
    "prompt_tokens",
    "completion_tokens",
    "cache_read_tokens",
    "cache_write_tokens",
    "reasoning_tokens",
    "streamed",
    "status",
    "error_type",
    "response",
    "prompt",
    "user_id",
    "session_id",
    "finish_reason",
    "temperature",
    "max_tokens",
];
const RETRIEVAL: &[&str] = &[
    "db_system",
    "hits",
    "top_k",
    "best_score",
    "score_kind",
    "rerank_model",
];
const SPEECH: &[&str] = &[
    "event_type",
    "chunk_index",
    "total_chunks",
    "audio_duration_seconds",
    "transcript_length",
    "word_count",
];

#[test]
fn sqlite_rows_are_exact() {
    let folder = Folder::new("captures");
    replay_all(&folder, &[]);
    compare_all(&Rows::sqlite(&folder.path().join("spanledger.db")));
}

#[test]
fn postgres_rows_are_exact() {
    let folder = Folder::new("captures");
    let database = crate::support::postgres::database();
    replay_all(&folder, &[("SPANLEDGER_STORE_URL", &database.url())]);
    compare_all(&Rows::postgres(&database.url()));
}

fn scenarios() -> Vec<PathBuf> {
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/captures");
    let mut found: Vec<_> = std::fs::read_dir(folder)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.join("expect.json").exists())
        .collect();
    found.sort();
    assert!(!found.is_empty(), "no captures in {folder}");
    found
}

fn json(path: &Path) -> Value {
    serde_json::from_slice(&std::fs::read(path).unwrap()).unwrap()
}

/// Sends every scenario twice, the second time backwards: that must change nothing.
fn replay_all(folder: &Folder, env: &[(&str, &str)]) {
    let service = Service::start_with(folder.path(), env);
    let mut requests = Vec::new();
    for scenario in scenarios() {
        for request in json(&scenario.join("meta.json"))["requests"]
            .as_array()
            .unwrap()
        {
            let file = request["file"].as_str().unwrap();
            let content_type = match file.ends_with(".json") {
                true => "application/json",
                false => "application/x-protobuf",
            };
            let zipped = scenario.join(format!("{file}.gz"));
            let (body, encoding) = match zipped.exists() {
                true => (std::fs::read(zipped).unwrap(), "gzip"),
                false => (std::fs::read(scenario.join(file)).unwrap(), "identity"),
            };
            let path = if file.starts_with("logs-") {
                "/v1/logs"
            } else {
                "/v1/traces"
            };
            requests.push((scenario.join(file), path, content_type, encoding, body));
        }
    }
    let twice: Vec<_> = requests.iter().chain(requests.iter().rev()).collect();
    for (file, path, content_type, encoding, body) in &twice {
        let headers = [
            ("Content-Type", *content_type),
            ("Content-Encoding", *encoding),
        ];
        let (status, _, answer) = post(&service.otlp_http, path, &headers, body);
        assert_eq!(
            status,
            200,
            "{}: {}",
            file.display(),
            String::from_utf8_lossy(&answer)
        );
    }
    assert!(
        service.stop().success(),
        "a stop stores everything that was acked"
    );
}

fn compare_all(rows: &Rows) {
    let mut problems = Vec::new();
    for scenario in scenarios() {
        let name = scenario.file_name().unwrap().to_string_lossy().into_owned();
        let expect = json(&scenario.join("expect.json"));
        for (table, columns) in [
            ("llm_calls", CALL),
            ("retrievals", RETRIEVAL),
            ("stt_logs", SPEECH),
        ] {
            let wrong = compare(rows, &expect, table, columns);
            problems.extend(
                wrong
                    .into_iter()
                    .map(|text| format!("{name}: {table} {text}")),
            );
        }
    }
    assert!(
        problems.is_empty(),
        "{} differences\n{}",
        problems.len(),
        problems.join("\n")
    );
}

type Row = BTreeMap<&'static str, Option<String>>;

fn stored(
    rows: &Rows,
    table: &str,
    columns: &'static [&'static str],
    traces: &[&str],
) -> BTreeMap<String, Vec<Row>> {
    let counted = if table == "stt_logs" {
        ""
    } else {
        " AND counted"
    };
    let traces = traces
        .iter()
        .map(|id| format!("'{id}'"))
        .collect::<Vec<_>>()
        .join(",");
    let sql = format!(
        "SELECT span_id, {} FROM {table} WHERE trace_id IN ({traces}){counted}",
        columns.join(", ")
    );
    let mut found: BTreeMap<String, Vec<Row>> = BTreeMap::new();
    for row in rows.query(&sql) {
        let values = row[1..]
            .iter()
            .map(|text| (text != "NULL").then(|| text.clone()));
        found
            .entry(row[0].clone())
            .or_default()
            .push(columns.iter().copied().zip(values).collect());
    }
    found
}

fn compare(
    rows: &Rows,
    expect: &Value,
    table: &str,
    columns: &'static [&'static str],
) -> Vec<String> {
    let traces: Vec<&str> = expect["trace_ids"]
        .as_array()
        .unwrap()
        .iter()
        .filter_map(Value::as_str)
        .collect();
    let mut stored = stored(rows, table, columns, &traces);
    let mut wrong = Vec::new();
    for call in expect[table].as_array().into_iter().flatten() {
        let id = call["span_id"].as_str().unwrap();
        let name = &call["span_name"];
        match call.get("counted") {
            Some(Value::Bool(false)) => {
                // A copy of the call in another trace can't be told from a call of its own.
                if call["stretch"] == true {
                    stored.remove(id);
                }
                continue;
            }
            None | Some(Value::Bool(true)) if call["optional"] != true => {}
            _ => {
                stored.remove(id);
                continue;
            }
        }
        let Some(found) = stored.remove(id) else {
            wrong.push(format!("{id} ({name}): missed"));
            continue;
        };
        if found.len() != 1 {
            wrong.push(format!("{id} ({name}): counted {} times", found.len()));
        }
        for column in columns {
            if let Some(problem) = differs(call, column, found[0][column].as_deref(), &found[0]) {
                wrong.push(format!("{id} ({name}): {problem}"));
            }
        }
    }
    wrong.extend(
        stored
            .keys()
            .map(|id| format!("{id}: counted, but stands for no call")),
    );
    wrong
}

/// `None` if the value is right (or nothing is expected of it).
fn differs(call: &Value, column: &str, got: Option<&str>, row: &Row) -> Option<String> {
    let key = match column {
        "prompt" | "response" => format!("{column}_contains"),
        _ => column.to_owned(),
    };
    let want = call.get(&key)?;
    let mut options = match call.get(format!("{key}_any")) {
        Some(any) => any.as_array().unwrap().clone(),
        None if column == "error_type" && want.is_array() => want.as_array().unwrap().clone(),
        None => vec![want.clone()],
    };
    let told = [
        "user_id",
        "session_id",
        "error_type",
        "response_model",
        "model",
    ];
    let is_tokens = column.ends_with("_tokens") && column != "max_tokens";
    if call.get(format!("{key}_any")).is_none()
        && want.is_null()
        && !is_tokens
        && !told.contains(&column)
    {
        return None;
    }
    if column == "response_model" && options.contains(&Value::Null) {
        options.push(row["model"].clone().map_or(Value::Null, Value::String));
    }
    let right = options.iter().any(|want| same(column, want, got));
    (!right).then(|| format!("{column} = {got:?}, expected {options:?}"))
}

fn same(column: &str, want: &Value, got: Option<&str>) -> bool {
    let number = got.and_then(|text| text.parse::<f64>().ok());
    match (column, want) {
        ("streamed", _) => matches!(got, Some("1" | "true")) == (want == true),
        // A part that was reported as 0 and one that was not reported are the same sum.
        ("cache_read_tokens" | "cache_write_tokens" | "reasoning_tokens", _)
            if number.unwrap_or(0.0) == 0.0 =>
        {
            want.as_f64().unwrap_or(0.0) == 0.0
        }
        (_, Value::Null) => got.is_none(),
        ("prompt" | "response", Value::String(part)) => {
            got.is_some_and(|text| text.contains(part.as_str()))
        }
        ("call_type", _) => (got == Some("embedding")) == (want == "embedding"),
        ("finish_reason", Value::String(want)) => {
            got.is_some_and(|got| finish(got) == finish(want))
        }
        ("error_type", Value::String(want)) => got.is_some_and(|got| {
            squash(got) == squash(want)
                || got
                    .rsplit('.')
                    .next()
                    .is_some_and(|end| squash(end) == squash(want))
        }),
        (_, Value::Number(want)) => {
            let want = want.as_f64().unwrap();
            number.is_some_and(|got| (got - want).abs() <= f64::max(1e-9, 1e-4 * want.abs()))
        }
        (_, Value::String(want)) => got == Some(want),
        (_, Value::Bool(want)) => matches!(got, Some("1" | "true")) == *want,
        _ => false,
    }
}

fn squash(text: &str) -> String {
    text.to_lowercase()
        .chars()
        .filter(char::is_ascii_alphanumeric)
        .collect()
}

fn finish(text: &str) -> String {
    match squash(text).as_str() {
        "stop" | "endturn" | "completed" | "complete" | "stopsequence" => "stop".into(),
        "toolcalls" | "toolcall" | "tooluse" | "functioncall" => "tool".into(),
        "length" | "maxtokens" | "maxoutputtokens" => "length".into(),
        other => other.to_owned(),
    }
}
