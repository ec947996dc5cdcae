//! A real Prometheus and a real Postgres that hold the demo's data, and what is wrong with a
//! board's answers from them. Postgres is asked as the role that Grafana has.

use std::{
    collections::BTreeMap,
    process::{Command, Stdio},
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use serde_json::Value;
use spanledger::demo::{Ledger, Plan, fleet};

use super::{
    grafana::{Choice, View},
    json::{asks_prometheus, list, panels, question, text, variables},
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
    ("Spans lost", ""),
    ("Unaccounted", ""),
    ("Requests refused", ""),
    ("Spans", "can't be read"),
    ("Seen before, tried again", ""),
    ("Recounted calls", ""),
    ("Labels folded", ""),
];
/// Panels whose numbers may be 0: when nothing waits; when no whole second of CPU time was spent.
const IDLE: &[&str] = &["Oldest in the spool", "Age of the oldest entry", "CPU"];
/// Metrics that come an hour after the start, and the panels that ask for them alone: they must say
/// nothing till then.
const LATER: &[(&str, &str)] = &[(spanledger::maintain::DAYS_LEFT, "Disk days left")];
/// Columns that may hold nothing: (panel, column). The dearest requests are transcriptions, which
/// have no tokens.
const NULL: &[(&str, &str)] = &[("Most expensive requests", "tokens")];

/// The demo's data, in both servers.
pub struct Live {
    pub prometheus: Prometheus,
    pub reader: Rows,
    pub view: View,
    /// What the apps sent, each time.
    pub ledger: Ledger,
    _service: Service,
    _database: Database,
    _folder: Folder,
}

impl Live {
    /// Starts them and lets the apps send.
    pub fn start() -> Self {
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
            let stored = "sum(spanledger_lane_spans_total{lane=\"rows\"})";
            prometheus.wait_for(stored, (ledger.spans * round) as f64);
        }
        prometheus.wait_for("count(ALERTS{alertname=\"Always\"})", 1.0);
        grant(&url);
        let now = chrono::Utc::now();
        let choices = BTreeMap::from([
            ("service".to_owned(), all()),
            ("model".to_owned(), all()),
            ("environment".to_owned(), all()),
            ("pipeline".to_owned(), all()),
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
    pub fn rows(&self, sql: &str, view: &View) -> Result<Vec<Value>, String> {
        let sql = view.sql(sql)?;
        let wrapped = format!("SELECT CAST(row_to_json(answer) AS text) FROM ({sql}) AS answer");
        let rows = self.reader.try_query(&wrapped).map_err(|e| e.to_string())?;
        let parsed = rows.iter().map(|row| serde_json::from_str(&row[0]));
        parsed.collect::<Result<_, _>>().map_err(|e| e.to_string())
    }

    /// What is wrong with a board's answers, a sentence each.
    pub fn problems(&self, board: &Value) -> Vec<String> {
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
            match self.values(variable) {
                Ok(values) if values.is_empty() => {
                    wrong.push(format!("variable {name}: no values"))
                }
                Ok(_) => {}
                Err(error) => wrong.push(format!("variable {name}: {error}")),
            }
        }
        wrong
    }

    /// The values that people can choose from.
    fn values(&self, variable: &Value) -> Result<Vec<String>, String> {
        let query = text(variable, "query");
        if !asks_prometheus(variable) {
            let rows = self.rows(query, &self.view)?;
            return Ok(rows.iter().map(Value::to_string).collect());
        }
        let of = query
            .strip_prefix("label_values(")
            .and_then(|of| of.strip_suffix(')'));
        let (metric, label) = of
            .and_then(|of| of.split_once(", "))
            .ok_or("no label_values(a, b)")?;
        let series = self.prometheus.instant(metric)?;
        let values = series.iter().filter_map(|series| series.label(label));
        Ok(values.map(str::to_owned).collect())
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
        if LATER.iter().any(|(_, panel)| *panel == title) {
            if !numbers.is_empty() {
                say(format!("too early to tell: {numbers:?}"));
            }
            return;
        }
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
            && !LATER.iter().any(|(metric, _)| *metric == word)
        {
            say(format!("there is no metric {word}"));
        }
    }
}
