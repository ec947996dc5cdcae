//! Every question of every board, asked of a real Prometheus and a real Postgres that hold the
//! demo's data. Postgres is asked as the role that Grafana has.

use std::{
    collections::BTreeMap,
    process::{Command, Stdio},
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use serde_json::{Value, json};
use spanledger::demo::{Ledger, Plan, fleet};

use super::{
    committed,
    grafana::{Choice, View},
    json::{asks_prometheus, list, panel_mut, panels, question, text, variables},
    prometheus::Prometheus,
};
use crate::support::{
    postgres::{self, Database},
    process::{Folder, Service},
    rows::Rows,
};

/// Requests of each app, each time.
const REQUESTS: u64 = 120;

/// Panels that show a fault: they must have no rows.
const EMPTY: &[&str] = &["Dead letters"];
/// Panels and legends that show a fault, or what the demo does not do: all their numbers must be 0.
const ZERO: &[(&str, &str)] = &[
    ("Rows refused", ""),
    ("Bytes lost", ""),
    ("Requests refused", ""),
    ("Waiting", ""),
    ("Spans", "can't be read"),
    ("Seen before, tried again", ""),
    ("Recounted calls", ""),
    ("Labels folded", ""),
];
/// Panels whose numbers may be 0: when nothing waits; when no whole second of CPU time was spent.
const IDLE: &[&str] = &["Oldest in the spool", "Age of the oldest entry", "CPU"];
/// Columns that may hold nothing: (panel, column). The dearest requests are transcriptions, which
/// have no tokens.
const NULL: &[(&str, &str)] = &[("Most expensive requests", "tokens")];

/// The demo's data, in both servers.
struct Live {
    prometheus: Prometheus,
    reader: Rows,
    view: View,
    /// What the apps sent, each time.
    ledger: Ledger,
    _service: Service,
    _database: Database,
    _folder: Folder,
}

impl Live {
    fn start() -> Self {
        let (folder, database) = (Folder::new("boards"), postgres::database());
        let url = database.url();
        let service = Service::start_with(folder.path(), &[("SPANLEDGER_STORE_URL", &url)]);
        let prometheus = Prometheus::start(&service.http);
        // Twice the same: what is counted for the second time grows between two scrapes, and only
        // that has a rate.
        let mut ledger = Ledger::default();
        for round in 1..=2 {
            ledger = send(&service, round);
            service.wait_until_stored(ledger.spans * round);
            let requests = (3 * REQUESTS * round) as f64;
            prometheus.wait_for("sum(genai_requests_total)", requests);
        }
        prometheus.wait_for("count(ALERTS{alertname=\"Always\"})", 1.0);
        grant(&url);
        let now = chrono::Utc::now();
        let choices = BTreeMap::from([
            ("service".to_owned(), all()),
            ("model".to_owned(), all()),
            ("environment".to_owned(), all()),
        ]);
        Live {
            ledger,
            prometheus,
            reader: Rows::postgres(&url.replace("postgres@", "spanledger_reader@")),
            view: View {
                choices,
                from: now - Duration::from_secs(6 * 3600),
                to: now + Duration::from_secs(2 * 3600),
            },
            _service: service,
            _database: database,
            _folder: folder,
        }
    }

    /// The rows of an SQL question, columns by name.
    fn rows(&self, sql: &str, view: &View) -> Result<Vec<Value>, String> {
        let sql = view.sql(sql)?;
        let wrapped = format!("SELECT CAST(row_to_json(answer) AS text) FROM ({sql}) AS answer");
        let rows = self.reader.try_query(&wrapped).map_err(|e| e.to_string())?;
        let parsed = rows.iter().map(|row| serde_json::from_str(&row[0]));
        parsed.collect::<Result<_, _>>().map_err(|e| e.to_string())
    }

    /// What is wrong with a board's answers, a sentence each.
    fn problems(&self, board: &Value) -> Vec<String> {
        let mut wrong = Vec::new();
        let metrics = self.prometheus.label_values("__name__");
        let labels = self.prometheus.labels();
        for panel in panels(board) {
            let title = text(panel, "title");
            let mut say = |what: String| wrong.push(format!("{title}: {what}"));
            // What overrides and links may name.
            let mut names: Vec<String> = Vec::new();
            for target in list(panel, "targets") {
                match asks_prometheus(target) {
                    true => {
                        unknown_words(question(target), &metrics, &labels, &mut say);
                        self.series(title, target, &mut names, &mut say);
                    }
                    false => self.table(panel, target, &mut names, &mut say),
                }
            }
            for one in list(&panel["fieldConfig"], "overrides") {
                let column = text(&one["matcher"], "options");
                if !names.iter().any(|name| name == column) && !EMPTY.contains(&title) {
                    say(format!("no column or series is named {column}: {names:?}"));
                }
            }
        }
        for variable in variables(board).iter().filter(|v| v["type"] == "query") {
            let name = text(variable, "name");
            match self.rows(text(variable, "query"), &self.view) {
                Ok(rows) if rows.is_empty() => wrong.push(format!("variable {name}: no values")),
                Ok(_) => {}
                Err(error) => wrong.push(format!("variable {name}: {error}")),
            }
        }
        wrong
    }

    fn series(
        &self,
        title: &str,
        target: &Value,
        names: &mut Vec<String>,
        say: &mut impl FnMut(String),
    ) {
        let legend = text(target, "legendFormat");
        let expr = match self.view.promql(question(target)) {
            Ok(expr) => expr,
            Err(error) => return say(error),
        };
        let answer = match target["range"] == true {
            true => self.prometheus.range(&expr),
            false => self.prometheus.instant(&expr),
        };
        let series = match answer {
            Ok(series) => series,
            Err(error) => return say(format!("{error}: {expr}")),
        };
        let numbers: Vec<f64> = series.iter().flat_map(|series| series.numbers()).collect();
        let zero = ZERO
            .iter()
            .any(|(panel, of)| *panel == title && (of.is_empty() || *of == legend));
        match (numbers.is_empty(), zero) {
            (true, _) => say(format!("no numbers: {expr}")),
            (false, true) if numbers.iter().any(|n| *n != 0.0) => {
                say(format!("not 0: {numbers:?}: {expr}"))
            }
            (false, false) if numbers.iter().all(|n| *n == 0.0) && !IDLE.contains(&title) => {
                say(format!("only 0: {expr}"))
            }
            _ => {}
        }
        for series in &series {
            let mut name = legend.to_owned();
            while let Some((before, rest)) = name.split_once("{{") {
                let (label, after) = rest.split_once("}}").unwrap_or((rest, ""));
                let Some(value) = series.label(label) else {
                    return say(format!("the legend names {label}, the series has none"));
                };
                name = format!("{before}{value}{after}");
            }
            names.push(name);
        }
    }

    fn table(
        &self,
        panel: &Value,
        target: &Value,
        names: &mut Vec<String>,
        say: &mut impl FnMut(String),
    ) {
        let (title, is_stat) = (text(panel, "title"), panel["type"] == "stat");
        let sql = question(target);
        let rows = match self.rows(sql, &self.view) {
            Ok(rows) => rows,
            Err(error) => return say(error),
        };
        if rows.is_empty() != EMPTY.contains(&title) {
            say(format!(
                "{} rows: {}",
                rows.len(),
                self.view.sql(sql).unwrap()
            ));
        }
        let Some(columns) = rows.first().and_then(Value::as_object) else {
            return;
        };
        for column in columns.keys() {
            names.push(column.clone());
            let values = || rows.iter().map(|row| &row[column]);
            let null = NULL.contains(&(title, column));
            if values().all(Value::is_null) && !null {
                say(format!("the column {column} holds nothing"));
            }
            let numbers = is_stat && values().all(Value::is_number);
            if numbers && values().all(|n| n.as_f64() == Some(0.0)) {
                say(format!("the column {column} is only 0"));
            }
            if column == "trace" && !values().all(|id| id.as_str().is_some_and(is_trace_id)) {
                say("a trace's id is not 32 hex digits".into());
            }
        }
        if text(target, "format") == "time_series" {
            let times: Vec<f64> = rows.iter().filter_map(|row| row["time"].as_f64()).collect();
            if times.len() != rows.len() || !times.is_sorted() {
                say("a row has no time, or the times are not sorted".into());
            }
            let series = columns
                .iter()
                .filter(|(name, value)| *name != "time" && !value.is_string());
            if series.count() == 0 {
                say("no column of numbers".into());
            }
        }
    }
}

/// What stands for "All"; the boards' own text is compared with it.
fn all() -> Choice {
    Choice::All("'|.*|'".into())
}

fn is_trace_id(id: &str) -> bool {
    id.len() == 32 && id.bytes().all(|b| b.is_ascii_hexdigit())
}

/// Lets the demo's apps send to the service. Returns what they sent: the same in every round.
fn send(service: &Service, round: u64) -> Ledger {
    // In the first hour of a day (UTC) the requests reach into the next hour, so that some are of
    // today. The rounds differ by a millisecond, and so do their ids.
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap();
    let midnight = Duration::from_secs(now.as_secs() / 86_400 * 86_400);
    let end = now.max(midnight + fleet::WINDOW) + Duration::from_millis(round);
    let plan = Plan {
        seed: 11,
        requests_per_app: REQUESTS,
        end: UNIX_EPOCH + end,
    };
    let endpoint = format!("http://{}", service.grpc);
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let ledger = runtime
        .block_on(fleet::run(&endpoint, &plan, |_| ()))
        .unwrap();
    assert!(ledger.is_delivered(), "{ledger:?}");
    ledger
}

/// Makes the role that Grafana reads with, the way the file says.
fn grant(url: &str) {
    let file = concat!(env!("CARGO_MANIFEST_DIR"), "/config/grafana/reader.sql");
    let psql = Command::new("psql")
        .args(["-X", "-q", "-f", file, url])
        .env("SPANLEDGER_READER_PASSWORD", "not a secret")
        .stdin(Stdio::null())
        .output()
        .expect("psql is not installed: tests/run installs it (Debian: postgresql)");
    let told = String::from_utf8_lossy(&psql.stderr);
    assert!(psql.status.success() && told.is_empty(), "{told}");
}

/// Metrics and labels of PromQL that Prometheus has never seen. An answer alone would not tell:
/// `or vector(0)` hides a wrong name.
fn unknown_words(expr: &str, metrics: &[String], labels: &[String], say: &mut impl FnMut(String)) {
    let mut rest = expr;
    let mut labels_ahead = false;
    while let Some(start) = rest.find(|c: char| c.is_ascii_alphabetic() || c == '_' || c == '"') {
        if rest[start..].starts_with('"') {
            let text = &rest[start + 1..];
            rest = &text[text.find('"').map_or(text.len(), |end| end + 1)..];
            continue;
        }
        if rest[..start].contains(')') || rest[..start].contains('}') {
            labels_ahead = false;
        }
        if rest[..start].contains('{') {
            labels_ahead = true;
        }
        let is_word = |c: char| c.is_ascii_alphanumeric() || c == '_' || c == '$';
        let from = &rest[start..];
        let word = &from[..from.find(|c: char| !is_word(c)).unwrap_or(from.len())];
        rest = &from[word.len()..];
        let name = |list: &[String]| list.iter().any(|known| known == word);
        if labels_ahead {
            if !name(labels) {
                say(format!("no series has the label {word}"));
            }
        } else if ["by", "on", "without", "ignoring"].contains(&word) {
            labels_ahead = true;
        } else if word.contains('_')
            && !word.starts_with("__")
            && word != "histogram_quantile"
            && !name(metrics)
        {
            say(format!("there is no metric {word}"));
        }
    }
}

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
    let views = [
        view("service", &["esg-mapper"]),
        view("service", &["esg-mapper", "meeting-assistant"]),
        view("model", &["gpt-4.1-mini", "whisper-1"]),
        view("environment", &["demo"]),
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
    assert_eq!(services(&views[4]), [""; 0]);
    let mut models = column("cost.json", "By model", "model", &views[2]);
    models.sort();
    assert_eq!(models, ["gpt-4.1-mini", "whisper-1"]);
    let environment = |view| column("usage.json", "By environment", "environment", view);
    assert_eq!(environment(&live.view).len(), 2);
    assert_eq!(environment(&views[3]), ["demo"]);
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
    ] {
        let error = live.reader.try_query(secret).unwrap_err().to_string();
        assert!(error.contains("permission denied"), "{secret}: {error}");
    }
    let error = live
        .reader
        .try_query("DELETE FROM json_parses RETURNING trace_id");
    assert!(error.is_err());
}
