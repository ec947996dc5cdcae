//! The commands that look into the ledger, on both stores: explain, recost, doctor, prices.
//!
//! Scenario: two captured apps have sent; someone asks where a number came from, prices again
//! after a table of their own, and asks what the instrumentation lacks.

use std::process::Output;

use serde_json::Value;

use crate::support::{
    postgres,
    process::{Folder, Service, command, post},
    rows::Rows,
};

const CALL: &str = "d1e13a5bf763f130";
const WRAPPER: &str = "5f76c7e66a85714b";

/// Sends captures to a service with this environment and stops it.
fn ledger(folder: &Folder, env: &[(&str, &str)]) {
    let service = Service::start_with(folder.path(), env);
    for scenario in ["ai-sdk-v6", "trl-nocontent"] {
        let root = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/captures");
        for file in ["001.pb", "002.pb"] {
            let body = std::fs::read(format!("{root}/{scenario}/{file}")).unwrap();
            let headers = [("Content-Type", "application/x-protobuf")];
            let (status, ..) = post(&service.otlp_http, "/v1/traces", &headers, &body);
            assert_eq!(status, 200);
        }
    }
    assert!(service.stop().success());
}

fn run(folder: &Folder, env: &[(&str, &str)], args: &[&str]) -> Output {
    let mut command = command(folder.path());
    command.args(args).envs(env.iter().copied());
    command.output().unwrap()
}

fn json(output: &Output) -> Value {
    serde_json::from_slice(&output.stdout)
        .unwrap_or_else(|_| panic!("{}", String::from_utf8_lossy(&output.stderr)))
}

fn on_a_store(name: &str, env: &[(&str, &str)], rows: impl Fn(&Folder) -> Rows) {
    let folder = Folder::new(name);
    ledger(&folder, env);
    explain(&folder, env);
    recost(&folder, env, &rows(&folder));
    doctor(&folder, env);
}

fn explain(folder: &Folder, env: &[(&str, &str)]) {
    let explained = json(&run(folder, env, &["explain", "--json", CALL]));
    let call = &explained[0];
    assert_eq!(call["counted"], true);
    let read = &call["numbers"]["cache_read_tokens"];
    assert_eq!(read["value"], 1000);
    assert_eq!(read["source"], "ai.usage.inputTokenDetails.cacheReadTokens");
    let lines = call["charge"]["lines"].as_array().unwrap();
    let sum: f64 = lines.iter().map(|line| line["usd"].as_f64().unwrap()).sum();
    let stored = call["estimated_cost"].as_f64().unwrap();
    assert!(
        (sum - stored).abs() < 1e-12,
        "the lines are the sum: {sum} {stored}"
    );
    assert_eq!(call["is_current"], true);

    let text = run(folder, env, &["explain", WRAPPER]).stdout;
    let text = String::from_utf8(text).unwrap();
    assert!(
        text.contains("not counted") && text.contains(CALL),
        "{text}"
    );

    let unknown = run(folder, env, &["explain", "ffffffffffffffff"]);
    assert_eq!(unknown.status.code(), Some(1));
    assert!(String::from_utf8_lossy(&unknown.stderr).contains("ffffffffffffffff"));
}

fn recost(folder: &Folder, env: &[(&str, &str)], rows: &Rows) {
    let since = ["recost", "--since", "2026-01-01", "--json"];
    let same = json(&run(folder, env, &since));
    assert_eq!(
        (&same["changed"], same["looked_at"].as_u64() > Some(20)),
        (&0.into(), true)
    );

    let settings = folder.path().join("own.toml");
    let own = r#"[price]
        models = [{ provider = "anthropic", id = "sonnet", match = ["claude-sonnet*"], input = 1.0, output = 1.0 }]"#;
    std::fs::write(&settings, own).unwrap();
    let with_own = |dry: bool| {
        let mut args = vec!["--config", settings.to_str().unwrap()];
        args.extend(since);
        args.extend(dry.then_some("--dry-run"));
        json(&run(folder, env, &args))
    };
    let sql = format!("SELECT price_rule FROM llm_calls WHERE span_id = '{CALL}'");
    let dry = with_own(true);
    assert!(dry["changed"].as_u64() > Some(0));
    assert_eq!(
        rows.query(&sql),
        [["anthropic/claude-sonnet-4-5"]],
        "a dry run writes nothing"
    );
    assert_eq!(with_own(false)["changed"], dry["changed"]);
    assert_eq!(rows.query(&sql), [["contract/sonnet"]]);
    assert_eq!(with_own(false)["changed"], 0, "once is enough");
    // A request's cost follows its calls.
    let sums = "SELECT count(*) FROM pipeline_requests AS p WHERE abs(p.cost - \
        (SELECT sum(estimated_cost) FROM llm_calls AS c WHERE c.trace_id = p.trace_id \
        AND counted)) > 0.000000001";
    assert_eq!(rows.query(sums), [["0"]]);
    let wrong = run(folder, env, &["recost", "--since", "soon"]);
    assert_eq!(wrong.status.code(), Some(1));
}

fn doctor(folder: &Folder, env: &[(&str, &str)]) {
    let since = ["doctor", "--since", "2026-01-01", "--json"];
    let output = run(folder, env, &since);
    assert_eq!(output.status.code(), Some(3), "it found something");
    let report = json(&output);
    let found = report["findings"].as_array().unwrap();
    let has = |what: &str| {
        let mut all = found.iter();
        all.any(|finding| finding["what"].as_str().unwrap().contains(what))
    };
    assert!(has("streamed calls without token usage"), "{found:#?}");
    assert!(has("without prompt and answer"), "{found:#?}");
    for finding in found {
        assert!(!finding["fix"].as_str().unwrap().is_empty());
    }
    let nobody = ["doctor", "--since", "2026-01-01", "--service", "nobody"];
    assert_eq!(run(folder, env, &nobody).status.code(), Some(0));
}

#[test]
fn sqlite_explains_itself() {
    on_a_store("commands-sqlite", &[], |folder| {
        Rows::sqlite(&folder.path().join("spanledger.db"))
    });
}

#[test]
fn postgres_explains_itself() {
    let database = postgres::database();
    let url = database.url();
    on_a_store(
        "commands-postgres",
        &[("SPANLEDGER_STORE_URL", &url)],
        |_| Rows::postgres(&url),
    );
}

#[test]
fn an_empty_ledger_says_how_to_fill_it() {
    let folder = Folder::new("commands-empty");
    let output = run(&folder, &[], &["doctor"]);
    assert_eq!(output.status.code(), Some(0));
    assert!(String::from_utf8_lossy(&output.stdout).contains("OTEL_EXPORTER_OTLP_ENDPOINT"));
}

#[test]
fn prices_are_shown_checked_and_imported() {
    let folder = Folder::new("commands-prices");
    std::fs::create_dir_all(folder.path()).unwrap();
    let shown = json(&run(
        &folder,
        &[],
        &["prices", "show", "gpt-4o", "--provider", "openai", "--json"],
    ));
    assert_eq!(shown["rule"], "openai/gpt-4o");
    assert_eq!(shown["rates"]["input"], 2.5);
    let unknown = run(&folder, &[], &["prices", "show", "no-such-model"]);
    assert_eq!(unknown.status.code(), Some(1));

    let file = folder.path().join("litellm.json");
    let text = r#"{"gpt-99": {"litellm_provider": "openai", "input_cost_per_token": 1e-6}}"#;
    std::fs::write(&file, text).unwrap();
    let out = folder.path().join("prices.toml");
    let paths = [&file, &out].map(|path| path.to_str().unwrap());
    let imported = run(
        &folder,
        &[],
        &["prices", "import", paths[0], "--out", paths[1]],
    );
    assert_eq!(
        String::from_utf8_lossy(&imported.stdout),
        "+ openai/gpt-99\n"
    );
    let checked = run(&folder, &[], &["prices", "check", paths[1]]);
    assert!(checked.status.success());
    std::fs::write(&out, "version = 3").unwrap();
    assert_eq!(
        run(&folder, &[], &["prices", "check", paths[1]])
            .status
            .code(),
        Some(1)
    );
}
