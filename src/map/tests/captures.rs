//! Every captured scenario, mapped span by span and compared with what its row should hold.
//!
//! Scenario: an app with a real instrumentation library exported these requests.
//! Guarantees: every field of every counted call, search and transcription is what the capture's
//! `expect.json` says. Which spans count, and what they inherit, needs the tree: it is tested where
//! counting is.

use std::{
    collections::BTreeMap,
    fs,
    path::{Path, PathBuf},
};

use serde_json::{Value as Json, json};

use crate::{
    map::{Config, Mapped, Mapper},
    otlp::{self, Signal},
    record::{CallContent, LlmCall, Record, Retrieval, Role, SttEvent},
};

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/captures")
}

fn scenarios() -> Vec<PathBuf> {
    let mut found: Vec<PathBuf> = fs::read_dir(folder())
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.join("expect.json").exists())
        .collect();
    found.sort();
    assert!(found.len() >= 30, "captures are missing");
    found
}

fn mapped(scenario: &Path) -> Mapped {
    let mut files: Vec<PathBuf> = fs::read_dir(scenario)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .filter(|path| {
            let name = path.file_name().unwrap().to_string_lossy();
            let number = name.trim_start_matches("logs-").get(..3);
            !name.ends_with(".gz") && number.is_some_and(|n| n.parse::<u32>().is_ok())
        })
        .collect();
    files.sort();
    let mut out = Mapped::default();
    let mut mapper = Mapper::new(&Config::default());
    for file in files {
        let is_logs = file
            .file_name()
            .unwrap()
            .to_string_lossy()
            .starts_with("logs-");
        let signal = if is_logs {
            Signal::Logs
        } else {
            Signal::Traces
        };
        let mut body = fs::read(&file).unwrap();
        if file.extension().is_some_and(|ext| ext == "json") {
            body = otlp::json::to_protobuf(signal, &body, body.len()).unwrap();
        }
        mapper.map(signal, &body, 1_795_300_000_000_000_000, &mut out);
    }
    assert_eq!(out.rejected, 0, "{}", scenario.display());
    out
}

fn llm_row(call: &LlmCall, contents: &[CallContent]) -> Json {
    let heard = || {
        contents
            .iter()
            .filter(|content| content.key == call.header.key())
    };
    let text = |own: Option<&str>, of: fn(&CallContent) -> Option<&str>| {
        own.or_else(|| heard().find_map(of)).map(str::to_owned)
    };
    json!({
        "provider": call.provider, "call_type": call.call_type.as_str(), "model": call.model,
        "response_model": call.response_model, "prompt_tokens": call.usage.prompt,
        "completion_tokens": call.usage.completion, "cache_read_tokens": call.usage.cache_read,
        "cache_write_tokens": call.usage.cache_write, "reasoning_tokens": call.usage.reasoning,
        "streamed": call.streamed, "status": call.status.as_str(), "error_type": call.error_type,
        "response_contains": text(call.response.as_deref(), |c| c.response.as_deref()),
        "prompt_contains": text(call.prompt.as_deref(), |c| c.prompt.as_deref()),
        "user_id": call.context.user_id, "session_id": call.context.session_id,
        "finish_reason": text(call.finish_reason.as_deref(), |c| c.finish_reason.as_deref()),
        "temperature": call.temperature, "max_tokens": call.max_tokens,
    })
}

fn retrieval_row(search: &Retrieval) -> Json {
    json!({
        "db_system": search.db_system, "hits": search.hits, "top_k": search.top_k,
        "best_score": search.best_score, "rerank_model": search.rerank_model,
        "score_kind": search.score_kind.map(|kind| kind.as_str()),
    })
}

fn speech_row(event: &SttEvent) -> Json {
    json!({
        "event_type": event.event_type.as_str(), "chunk_index": event.chunk_index,
        "total_chunks": event.total_chunks, "transcript_length": event.transcript_length,
        "audio_duration_seconds": event.audio_duration_seconds, "word_count": event.word_count,
    })
}

fn squash(text: &str) -> String {
    text.chars()
        .filter(char::is_ascii_alphanumeric)
        .collect::<String>()
        .to_ascii_lowercase()
}

fn finish_class(word: &str) -> String {
    match &*squash(word) {
        "stop" | "endturn" | "completed" | "complete" | "stopsequence" => "stop".to_owned(),
        "toolcalls" | "toolcall" | "tooluse" | "functioncall" => "tool".to_owned(),
        "length" | "maxtokens" | "maxoutputtokens" => "length".to_owned(),
        other => other.to_owned(),
    }
}

const NUMBERS: [&str; 7] = [
    "max_tokens",
    "hits",
    "top_k",
    "chunk_index",
    "total_chunks",
    "transcript_length",
    "word_count",
];

fn is_tokens(field: &str) -> bool {
    field.ends_with("_tokens") && field != "max_tokens"
}

/// Whether `got` is right where exactly `want` is expected: the rules of the project's scorer.
fn same(field: &str, want: &Json, got: &Json) -> bool {
    let empty = got.is_null() || got == "";
    let number = got.as_f64();
    if want.is_null() {
        return empty || ((is_tokens(field) || field == "max_tokens") && number == Some(0.0));
    }
    match field {
        "prompt_contains" | "response_contains" => got
            .as_str()
            .unwrap_or_default()
            .contains(want.as_str().unwrap()),
        _ if is_tokens(field) || NUMBERS.contains(&field) => {
            let needed = ["prompt_tokens", "completion_tokens", "chunk_index"].contains(&field);
            number == want.as_f64() || (want.as_f64() == Some(0.0) && empty && !needed)
        }
        "temperature" | "best_score" | "audio_duration_seconds" => {
            let want = want.as_f64().unwrap();
            number.is_some_and(|n| (n - want).abs() <= f64::max(1e-3, 1e-4 * want.abs()))
        }
        "streamed" => got.as_bool().unwrap_or(false) == want.as_bool().unwrap(),
        _ if empty => false,
        "call_type" => (got == "embedding") == (want == "embedding"),
        "finish_reason" => {
            finish_class(want.as_str().unwrap()) == finish_class(got.as_str().unwrap())
        }
        "error_type" => {
            let (want, got) = (squash(want.as_str().unwrap()), got.as_str().unwrap());
            want == squash(got) || want == squash(got.rsplit('.').next().unwrap())
        }
        _ => got == want,
    }
}

/// One problem a field that is wrong; inherited fields are not looked at.
fn problems(expected: &Json, row: &Json) -> Vec<String> {
    let mut found = Vec::new();
    let inherited = expected["inherited"]
        .as_array()
        .cloned()
        .unwrap_or_default();
    for (field, got) in row.as_object().unwrap() {
        let Some(want) = expected.get(field) else {
            continue;
        };
        if inherited.iter().any(|name| name == field) {
            continue;
        }
        let nullable = [
            "user_id",
            "session_id",
            "error_type",
            "response_model",
            "model",
        ];
        let mut options = match expected.get(format!("{field}_any")) {
            Some(any) => any.as_array().unwrap().clone(),
            None if field == "error_type" && want.is_array() => want.as_array().unwrap().clone(),
            None if want.is_null() && !is_tokens(field) && !nullable.contains(&&**field) => {
                continue;
            }
            None => vec![want.clone()],
        };
        if field == "response_model" && options.contains(&Json::Null) {
            options.push(row["model"].clone());
        }
        if !options.iter().any(|want| same(field, want, got)) {
            found.push(format!(
                "{} {field} = {got}, expected {options:?}",
                expected["span_id"]
            ));
        }
    }
    found
}

#[test]
fn every_counted_row_of_every_capture_is_exact() {
    let mut wrong = Vec::new();
    let mut rows = 0;
    for scenario in scenarios() {
        let name = scenario.file_name().unwrap().to_string_lossy().into_owned();
        let expected: Json =
            serde_json::from_slice(&fs::read(scenario.join("expect.json")).unwrap()).unwrap();
        let out = mapped(&scenario);
        let mut tables = BTreeMap::<(&str, String), Vec<Json>>::new();
        for record in out.spans.iter().flat_map(|span| &span.records) {
            let id = record.header().span_id.to_string();
            let (table, row) = match record {
                // A try is never counted, and only some oracles list it.
                Record::LlmCall(call) if call.role == Role::Attempt => continue,
                Record::LlmCall(call) => ("llm_calls", llm_row(call, &out.contents)),
                Record::Retrieval(search) => ("retrievals", retrieval_row(search)),
                Record::SttEvent(event) => ("stt_logs", speech_row(event)),
                _ => continue,
            };
            tables.entry((table, id)).or_default().push(row);
        }
        for table in ["llm_calls", "retrievals", "stt_logs"] {
            for row in expected[table].as_array().unwrap() {
                let is_open = row["optional"] == true || row["stretch"] == true;
                if is_open || row.get("counted").is_some_and(|counted| counted != true) {
                    continue;
                }
                rows += 1;
                let id = row["span_id"].as_str().unwrap().to_owned();
                match tables.remove(&(table, id.clone())).as_deref() {
                    Some([one]) => {
                        wrong.extend(
                            problems(row, one)
                                .iter()
                                .map(|p| format!("{name} {table} {p}")),
                        );
                    }
                    other => {
                        let n = other.map_or(0, <[Json]>::len);
                        wrong.push(format!("{name} {table} {id}: {n} rows"));
                    }
                }
            }
        }
        // What is left over must be known to the oracle as a span that doesn't count.
        for ((table, id), rows) in tables {
            let known = expected[table].as_array().unwrap();
            let is_speech_out = rows.iter().all(|row| row["call_type"] == "other");
            if !is_speech_out && !known.iter().any(|row| row["span_id"] == *id) {
                wrong.push(format!("{name} {table} {id}: a row that nobody expects"));
            }
        }
    }
    assert!(rows > 140, "only {rows} rows were compared");
    assert!(
        wrong.is_empty(),
        "{} wrong:\n{}",
        wrong.len(),
        wrong.join("\n")
    );
}
