//! Every question of every board, asked of a real Prometheus and a real Postgres that hold the
//! demo's data.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use super::{
    answers::Live,
    committed,
    grafana::{Choice, View},
    json::{asks_prometheus, list, panel_mut, panels, question, variables},
};

#[test]
fn every_question_of_every_board_is_answered() {
    let live = Live::start();
    let mut wrong = Vec::new();
    for (name, board) in committed() {
        for variable in variables(&board).iter().filter(|v| v["type"] == "query") {
            assert_eq!(variable["allValue"], "'|.*|'", "{name}");
        }
        let told = live.problems(&board);
        wrong.extend(told.into_iter().map(|what| format!("{name}: {what}")));
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    numbers_are_the_ledgers(&live);
    choices_choose(&live);
    a_wrong_name_is_told(&live);
    what_people_said_is_out_of_reach(&live);
}

/// What boards tell is what the apps sent.
fn numbers_are_the_ledgers(live: &Live) {
    let boards: BTreeMap<String, Value> = committed().into_iter().collect();
    let rows = |board: &str, title: &str| {
        let mut panels = panels(&boards[board]);
        let panel = panels.find(|panel| panel["title"] == title).unwrap();
        live.rows(question(&panel["targets"][0]), &live.view)
            .unwrap()
    };
    let value = |board, title| rows(board, title)[0]["value"].as_f64().unwrap();
    let ledger = &live.ledger;
    let (sent, share) = (
        |n: u64| 2.0 * n as f64,
        |n: u64, of: u64| n as f64 / of as f64,
    );
    let parses = ledger.parses + ledger.failed_parses;
    let looks = ledger.cache_hits + ledger.cache_misses;
    let failed = share(ledger.failed_requests, ledger.requests);
    let hits = share(ledger.cache_hits, looks);
    let cost = live
        .prometheus
        .instant("sum(genai_cost_usd_total)")
        .unwrap();
    for (board, title, number) in [
        ("usage.json", "Requests", sent(ledger.requests)),
        ("errors.json", "Request error rate", failed),
        ("errors.json", "Availability", 1.0 - failed),
        ("cost.json", "Unpriced calls", sent(ledger.unpriced_calls)),
        ("cost.json", "In this range", cost[0].numbers()[0]),
        (
            "speech.json",
            "Done",
            sent(ledger.speech_events["complete"]),
        ),
        (
            "quality.json",
            "JSON parse rate",
            share(ledger.parses, parses),
        ),
        ("quality.json", "Cache hit rate", hits),
    ] {
        let told = value(board, title);
        assert!(
            (told - number).abs() < 1e-6,
            "{board}, {title}: {told}, not {number}"
        );
    }

    let mut advice: Vec<String> = rows("cost.json", "Where to look for savings")
        .iter()
        .map(|row| row["rule"].as_str().unwrap().to_owned())
        .collect();
    advice.sort();
    advice.dedup();
    assert_eq!(
        advice,
        [
            "Cut off",
            "Dear model, tiny answer",
            "Long input, nothing read from cache",
            "Paid twice"
        ],
        "the demo has something for every rule"
    );
}

/// A service, a model, an environment, and a name that wants to be SQL.
fn choices_choose(live: &Live) {
    let view = |name: &str, values: &[&str]| {
        let mut view = live.view.clone();
        let values = values.iter().map(|value| (*value).to_owned()).collect();
        view.choices.insert(name.to_owned(), Choice::Some(values));
        view
    };
    let mapping = view("pipeline", &["esg_mapping"]);
    let views = [
        view("service", &["esg-mapper"]),
        view("service", &["esg-mapper", "meeting-assistant"]),
        view("model", &["gpt-4.1-mini", "whisper-1"]),
        view("environment", &["demo"]),
        mapping.clone(),
        view("service", &["') OR TRUE; DROP TABLE llm_calls; --"]),
    ];
    for (name, board) in committed() {
        for target in panels(&board).flat_map(|panel| list(panel, "targets")) {
            for view in &views {
                let asked = match asks_prometheus(target) {
                    true => view
                        .promql(question(target))
                        .and_then(|expr| live.prometheus.instant(&expr))
                        .map(drop),
                    false => live.rows(question(target), view).map(drop),
                };
                asked.unwrap_or_else(|error| panic!("{name}: {error}: {}", question(target)));
            }
        }
    }
    // The rows of a table that names services, models and environments.
    let boards: BTreeMap<String, Value> = committed().into_iter().collect();
    let column = |board: &str, title: &str, column: &str, view: &View| -> Vec<String> {
        let panel = panels(&boards[board])
            .find(|panel| panel["title"] == title)
            .unwrap();
        let rows = live.rows(question(&panel["targets"][0]), view).unwrap();
        rows.iter()
            .map(|row| row[column].as_str().unwrap().to_owned())
            .collect()
    };
    let services = |view: &View| column("cost.json", "By service", "service", view);
    assert_eq!(services(&live.view).len(), 3);
    assert_eq!(services(&views[0]), ["esg-mapper"]);
    let mut two = services(&views[1]);
    two.sort();
    assert_eq!(two, ["esg-mapper", "meeting-assistant"]);
    assert_eq!(services(&views[5]), [""; 0]);
    let mut models = column("cost.json", "By model", "model", &views[2]);
    models.sort();
    assert_eq!(models, ["gpt-4.1-mini", "whisper-1"]);
    let environment = |view| column("usage.json", "By environment", "environment", view);
    assert_eq!(environment(&live.view).len(), 2);
    assert_eq!(environment(&views[3]), ["demo"]);
    let pipelines = column("realtime.json", "Latest requests", "pipeline", &mapping);
    assert!(pipelines.len() == 20 && pipelines.iter().all(|of| of == "esg_mapping"));
    let live_requests = |view: &View| {
        let mut panels = panels(&boards["realtime.json"]);
        let panel = panels.find(|panel| panel["title"] == "Requests").unwrap();
        let expr = view.promql(question(&panel["targets"][0])).unwrap();
        live.prometheus.instant(&expr).unwrap()[0].numbers()[0]
    };
    let (some, all) = (live_requests(&mapping), live_requests(&live.view));
    assert!(0.0 < some && some < all, "{some} of {all}");
    // Requests take their environment from the calls in the same trace.
    let frameworks = |view| column("quality.json", "By framework", "framework", view);
    let staging = view("environment", &["demo-staging"]);
    assert_eq!(frameworks(&staging), ["none"]);
    assert!(frameworks(&views[3]).len() > 2);
}

/// Scenario: a metric, a label, a table, a column, a series is renamed, and a board is not.
/// Guarantees: the test above tells it, and names the panel.
fn a_wrong_name_is_told(live: &Live) {
    let breaks = [
        (
            "Requests",
            "/targets/0/expr",
            "genai_requests_total",
            "genai_asks_total",
            "no metric genai_asks_total",
        ),
        (
            "Alerts firing",
            "/targets/0/expr",
            "alertstate",
            "alert_state",
            "no series has the label alert_state",
        ),
        (
            "Error rate",
            "/targets/0/expr",
            "error|timeout",
            "failed",
            "only 0",
        ),
        (
            "Requests by outcome",
            "/targets/0/legendFormat",
            "status",
            "outcome",
            "legend names outcome",
        ),
        (
            "Latest requests",
            "/targets/0/rawSql",
            "pipeline_requests",
            "requests",
            "relation \"requests\"",
        ),
        (
            "Latest requests",
            "/targets/0/rawSql",
            "latency_ms",
            "duration_ms",
            "column \"duration_ms\"",
        ),
        (
            "Latest requests",
            "/targets/0/rawSql",
            "$__timeFilter",
            "$__timeRange",
            "unknown macro",
        ),
        (
            "Latest requests",
            "/fieldConfig/overrides/0/matcher/options",
            "took",
            "taken",
            "is named taken",
        ),
        (
            "Latest requests",
            "/targets/0/rawSql",
            "WHERE ",
            "WHERE FALSE AND ",
            "0 rows",
        ),
        (
            "Cost today",
            "/targets/0/rawSql",
            "sum(cost)",
            "sum(0 * cost)",
            "only 0",
        ),
    ];
    let (_, realtime) = committed()
        .into_iter()
        .find(|(name, _)| name == "realtime.json")
        .unwrap();
    for (title, pointer, from, to, told) in breaks {
        let mut board = realtime.clone();
        let place = panel_mut(&mut board, title).pointer_mut(pointer).unwrap();
        let broken = place.as_str().unwrap().replace(from, to);
        assert_ne!(broken, place.as_str().unwrap(), "{title}");
        *place = json!(broken);
        let wrong = live.problems(&board);
        assert!(
            wrong
                .iter()
                .any(|what| what.starts_with(title) && what.contains(told)),
            "{title}: {told:?} is not among {wrong:?}"
        );
    }
}

/// Who edits dashboards may ask anything; prompts and answers are refused to the role.
fn what_people_said_is_out_of_reach(live: &Live) {
    for secret in [
        "SELECT prompt FROM llm_calls LIMIT 1",
        "SELECT system_prompt FROM llm_calls LIMIT 1",
        "SELECT response FROM llm_calls LIMIT 1",
        "SELECT metadata FROM llm_calls LIMIT 1",
        "SELECT query FROM retrievals LIMIT 1",
        "SELECT content FROM messages LIMIT 1",
        "SELECT \"row\" FROM dead_letters LIMIT 1",
        "SELECT prompt FROM pending_content LIMIT 1",
        "SELECT content FROM message_texts LIMIT 1",
    ] {
        let error = live.reader.try_query(secret).unwrap_err().to_string();
        assert!(error.contains("permission denied"), "{secret}: {error}");
    }
    let error = live
        .reader
        .try_query("DELETE FROM json_parses RETURNING trace_id");
    assert!(error.is_err());
}
