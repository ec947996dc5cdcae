//! The README's first command, and what people ask the ledger afterwards.

use std::process::Stdio;

use serde_json::Value;

use crate::support::{
    postgres,
    process::{Folder, Service, command},
    rows::Rows,
};

fn demo(folder: &Folder, env: &[(&str, &str)], seed: &str) -> Value {
    let ended = command(folder.path())
        .args([
            "demo",
            "--once",
            "--json",
            "--requests",
            "30",
            "--seed",
            seed,
        ])
        .envs(env.iter().copied())
        .stderr(Stdio::piped())
        .output()
        .unwrap();
    let told = String::from_utf8_lossy(&ended.stderr);
    assert!(
        ended.status.success(),
        "{told}\n{}",
        String::from_utf8_lossy(&ended.stdout)
    );
    serde_json::from_slice(&ended.stdout).unwrap()
}

/// The verification queries of the meeting app's own design, to the letter.
const SPEECH: &str = "SELECT DATE(created_at) as date,
       COUNT(*) as total_recordings,
       SUM(audio_duration_seconds) as total_audio_seconds,
       AVG(duration_seconds) as avg_processing_time
FROM stt_logs
WHERE event_type = 'complete'
GROUP BY DATE(created_at)";
const USAGE: &str = "SELECT DATE(created_at) as date,
       operation,
       COUNT(*) as calls,
       SUM(prompt_tokens) as total_prompt_tokens,
       SUM(completion_tokens) as total_completion_tokens,
       SUM(estimated_cost_usd) as total_cost
FROM llm_logs
WHERE event_type = 'complete'
GROUP BY DATE(created_at), operation";
const ERRORS: &str = "SELECT event_type, error_type, COUNT(*) as count
FROM stt_logs WHERE error_type IS NOT NULL
GROUP BY event_type, error_type";

#[test]
fn twice_on_sqlite_every_span_is_accounted_for() {
    let folder = Folder::new("demo");
    for seed in ["1", "1"] {
        let summary = demo(&folder, &[], seed);
        assert_eq!(
            summary["accounted_for"], true,
            "{:#}",
            summary["differences"]
        );
        assert!(summary["sent"]["spans"].as_u64().unwrap() > 300);
        assert!(summary["landed"]["unpriced_calls"].as_u64().unwrap() > 0);
    }
}

#[test]
fn on_postgres_the_verification_queries_return_the_demos_numbers() {
    let folder = Folder::new("demo");
    let database = postgres::database();
    let summary = demo(&folder, &[("SPANLEDGER_STORE_URL", &database.url())], "7");
    assert_eq!(
        summary["accounted_for"], true,
        "{:#}",
        summary["differences"]
    );
    let rows = Rows::postgres(&database.url());
    // As JSON, whatever the columns' types: the query itself is unchanged.
    let ask = |query: &str| -> Vec<Value> {
        let wrapped = format!("SELECT CAST(row_to_json(answer) AS text) FROM ({query}) AS answer");
        rows.query(&wrapped)
            .iter()
            .map(|row| serde_json::from_str(&row[0]).unwrap())
            .collect()
    };
    let sent = &summary["sent"];
    let total = |answers: &[Value], column: &str| -> f64 {
        answers
            .iter()
            .filter_map(|answer| answer[column].as_f64())
            .sum()
    };
    let speech = ask(SPEECH);
    assert_eq!(
        total(&speech, "total_recordings"),
        sent["speech_events"]["complete"].as_f64().unwrap()
    );
    assert!(total(&speech, "total_audio_seconds") > 0.0);
    let usage = ask(USAGE);
    let ended_well = sent["calls"].as_f64().unwrap() - sent["failed_calls"].as_f64().unwrap();
    assert_eq!(total(&usage, "calls"), ended_well);
    assert_eq!(
        total(&usage, "total_prompt_tokens"),
        sent["input_tokens"].as_f64().unwrap()
    );
    assert_eq!(
        total(&usage, "total_completion_tokens"),
        sent["output_tokens"].as_f64().unwrap()
    );
    let operations: Vec<&str> = usage
        .iter()
        .filter_map(|row| row["operation"].as_str())
        .collect();
    for operation in ["summary", "questions", "agenda_parse"] {
        assert!(operations.contains(&operation), "{operations:?}");
    }
    let errors = ask(ERRORS);
    assert_eq!(
        total(&errors, "count"),
        sent["speech_events"]["error"].as_f64().unwrap_or(0.0)
    );
}

/// Scenario: the same spans go into rows and into metrics.
/// Guarantees: SQL and Prometheus agree, and the exposition is what Prometheus reads.
#[test]
fn sql_and_prometheus_agree() {
    let folder = Folder::new("agree");
    let service = Service::start(folder.path());
    let request = crate::support::spans::request(1..201);
    let body = prost::Message::encode_to_vec(&request);
    let headers = [("Content-Type", "application/x-protobuf")];
    for _ in 0..2 {
        let (status, ..) =
            crate::support::process::post(&service.otlp_http, "/v1/traces", &headers, &body);
        assert_eq!(status, 200);
    }
    service.wait_until_stored(2_000);
    let metric = |name: &str, label: &str| service.metric(name, &[label]);
    let told = [
        metric("genai_tokens_total", "type=\"input\""),
        metric("genai_tokens_total", "type=\"output\""),
        metric("genai_calls_total", ""),
        metric("genai_retrievals_total", "result=\"hit\""),
        metric("genai_requests_total", ""),
    ];
    let usd = metric("genai_cost_usd_total", "");
    let (_, exposition) = service.get("/metrics");
    check_exposition(&exposition);
    let (status, page) = service.get("/");
    assert!(
        status == 200 && page.contains("gpt-4o-mini"),
        "{status} {page}"
    );
    let (status, ready) = service.get("/readyz");
    assert!(
        status == 200 && ready.contains("\"status\":\"ready\""),
        "{ready}"
    );
    assert!(service.stop().success());
    let rows = Rows::sqlite(&folder.path().join("spanledger.db"));
    let stored = rows.query(
        "SELECT sum(prompt_tokens), sum(completion_tokens), count(*), \
         (SELECT count(*) FROM retrievals WHERE counted), (SELECT count(*) FROM pipeline_requests), \
         sum(estimated_cost) FROM llm_calls WHERE counted",
    );
    let stored: Vec<f64> = stored[0].iter().map(|text| text.parse().unwrap()).collect();
    assert_eq!(told[..], stored[..5]);
    assert!((usd - stored[5]).abs() < 1e-9, "{usd} {}", stored[5]);
    assert_eq!(stored[2], 400.0);
}

/// promtool reads what Prometheus would; tests/run installs it.
fn check_exposition(text: &str) {
    use std::io::Write;
    let mut promtool = std::process::Command::new("promtool")
        .args(["check", "metrics"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("promtool is not installed: tests/run installs it (Debian: prometheus)");
    promtool
        .stdin
        .take()
        .unwrap()
        .write_all(text.as_bytes())
        .unwrap();
    let told = promtool.wait_with_output().unwrap();
    // Status 3 is advice about names; anything that can't be read is 1.
    assert!(
        matches!(told.status.code(), Some(0 | 3)),
        "{}",
        String::from_utf8_lossy(&told.stderr)
    );
}
