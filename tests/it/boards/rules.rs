//! What Grafana, and the people who look, expect of a dashboard's JSON.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Value, json};

use super::{
    committed,
    json::{asks_prometheus, list, panel_mut, panels, question, strings, text, variables},
};

const TYPES: [&str; 6] = [
    "stat",
    "timeseries",
    "bargauge",
    "barchart",
    "table",
    "heatmap",
];
/// Grafana's ids of the units that are in use.
const UNITS: [&str; 13] = [
    "none",
    "Bps",
    "short",
    "percentunit",
    "currencyUSD",
    "s",
    "ms",
    "h",
    "d",
    "bytes",
    "dateTimeFromNow",
    "bool_on_off",
    "suffix:",
];
const SPAN_TABLES: [&str; 6] = [
    "llm_calls",
    "stt_logs",
    "retrievals",
    "cache_lookups",
    "json_parses",
    "pipeline_requests",
];
/// What Grafana knows by itself, besides macros.
const BUILT_IN: [&str; 6] = [
    "__interval",
    "__rate_interval",
    "__range",
    "__url_time_range",
    "__all_variables",
    "__value.raw",
];

/// Everything that is wrong, a sentence each.
fn problems(boards: &[(String, Value)]) -> Vec<String> {
    let mut wrong = Vec::new();
    let uids: Vec<&str> = boards.iter().map(|(_, board)| text(board, "uid")).collect();
    for (name, board) in boards {
        let mut say = |what: String| wrong.push(format!("{name}: {what}"));
        let uid = text(board, "uid");
        if uid.is_empty()
            || uid.len() > 40
            || uids.iter().filter(|other| **other == uid).count() != 1
        {
            say(format!(
                "the uid {uid:?} is not unique, missing or too long"
            ));
        }
        for (key, value) in [
            ("id", Value::Null),
            ("schemaVersion", json!(42)),
            ("editable", json!(false)),
            ("timezone", json!("")),
            ("tags", json!(["spanledger"])),
        ] {
            if board.get(key) != Some(&value) {
                say(format!("{key} is {}, not {value}", board[key]));
            }
        }
        for key in ["title", "description", "refresh"] {
            if text(board, key).is_empty() {
                say(format!("no {key}"));
            }
        }
        layout(board, &mut say);
        panels(board).for_each(|panel| one_panel(panel, &mut say));
        names(board, &mut say);
        let mut all = Vec::new();
        strings(board, &mut all);
        for link in all.iter().filter(|text| text.starts_with("/d/")) {
            let to = link["/d/".len()..]
                .split(['?', '/'])
                .next()
                .unwrap_or_default();
            if !uids.contains(&to) {
                say(format!("a link leads to no board: {link}"));
            }
        }
    }
    wrong
}

/// Ids, titles and places.
fn layout(board: &Value, say: &mut impl FnMut(String)) {
    let all = list(board, "panels");
    let (mut ids, mut titles, mut taken) = (BTreeSet::new(), BTreeSet::new(), BTreeMap::new());
    for panel in all {
        let title = text(panel, "title");
        if title.is_empty() || !titles.insert((text(panel, "type") == "row", title)) {
            say(format!("the title {title:?} is empty or stands twice"));
        }
        match panel["id"].as_u64() {
            Some(id) if id > 0 && ids.insert(id) => {}
            _ => say(format!("{title}: its id {} is not its own", panel["id"])),
        }
        let place = |key: &str| panel["gridPos"][key].as_u64();
        let (Some(x), Some(y), Some(w), Some(h)) = (place("x"), place("y"), place("w"), place("h"))
        else {
            say(format!("{title}: no gridPos"));
            continue;
        };
        if w == 0 || h == 0 || x + w > 24 {
            say(format!("{title}: it does not fit into 24 columns"));
        }
        for cell in (y..y + h).flat_map(|y| (x..x + w).map(move |x| (x, y))) {
            if let Some(other) = taken.insert(cell, title) {
                say(format!("{title}: it lies over {other}"));
                break;
            }
        }
    }
}

fn one_panel(panel: &Value, say: &mut impl FnMut(String)) {
    let title = text(panel, "title");
    let mut say = |what: String| say(format!("{title}: {what}"));
    let kind = text(panel, "type");
    if !TYPES.contains(&kind) {
        say(format!("{kind} is no type of panel that is in use"));
    }
    let about = text(panel, "description");
    if about.len() < 40 || !about.contains("Source: ") || !about.contains("Filters: ") {
        say("its description does not say what it shows, from where".into());
    }
    let defaults = &panel["fieldConfig"]["defaults"];
    let overrides = list(&panel["fieldConfig"], "overrides");
    let of_columns = overrides.iter().flat_map(|one| list(one, "properties"));
    let of_columns = of_columns
        .filter(|one| one["id"] == "unit")
        .map(|one| text(one, "value"));
    let of_columns: Vec<&str> = of_columns.collect();
    let unit = text(defaults, "unit");
    if kind != "table" && (unit.is_empty() || !about.contains("Unit: ")) {
        say("no unit".into());
    }
    for unit in of_columns
        .into_iter()
        .chain([unit])
        .filter(|unit| !unit.is_empty())
    {
        let known =
            |known: &&str| unit == *known || known.ends_with(':') && unit.starts_with(*known);
        if !UNITS.iter().any(known) {
            say(format!("{unit} is no unit that is known"));
        }
    }
    if list(panel, "targets").is_empty() {
        say("it asks nothing".into());
    }
    let mut letters = BTreeSet::new();
    for target in list(panel, "targets") {
        if !letters.insert(text(target, "refId")) {
            say("two questions have one refId".into());
        }
        let datasource = &target["datasource"];
        let expected = [
            json!({"type": "prometheus", "uid": "${prometheus}"}),
            json!({"type": "grafana-postgresql-datasource", "uid": "${postgres}"}),
        ];
        if !expected.contains(datasource) {
            say(format!(
                "its datasource is not one of the variables: {datasource}"
            ));
        }
        match asks_prometheus(target) {
            true => windows(target, &mut say),
            false => bounds(target, kind, &mut say),
        }
    }
}

/// A rate over time has to fit the width of the screen and the scrape interval.
fn windows(target: &Value, say: &mut impl FnMut(String)) {
    let expr = question(target);
    for window in expr
        .split('[')
        .skip(1)
        .filter_map(|rest| rest.split(']').next())
    {
        if target["range"] == true && window != "$__rate_interval" {
            say(format!(
                "over time, the window must be $__rate_interval, not {window}"
            ));
        }
    }
    if target["range"] == target["instant"] {
        say("it is neither an instant nor a range question, or both".into());
    }
}

/// No question may read the whole ledger, or bring all of it to the browser.
fn bounds(target: &Value, kind: &str, say: &mut impl FnMut(String)) {
    let sql = question(target);
    let reads = |table: &&str| sql.contains(&format!("FROM {table}"));
    if SPAN_TABLES.iter().any(reads)
        && !sql.contains("$__timeFilter(started_at)")
        && !sql.contains("started_at >= ")
    {
        say("it reads rows of all times".into());
    }
    if kind == "table" && !sql.contains(" GROUP BY 1 ORDER BY") && !sql.contains(" LIMIT ") {
        say("no LIMIT on its rows".into());
    }
    let over_time = ["timeseries", "heatmap"].contains(&kind);
    if over_time != (text(target, "format") == "time_series") {
        say("its format does not fit its panel".into());
    }
    if over_time && !sql.ends_with(" ORDER BY 1") {
        say("its rows are not in the order of time".into());
    }
}

/// Variables: those that are used are there, those that are there are used.
fn names(board: &Value, say: &mut impl FnMut(String)) {
    let mut used = Vec::new();
    for part in ["panels", "links"] {
        let mut found = Vec::new();
        strings(&board[part], &mut found);
        found.iter().for_each(|text| used.extend(named(text)));
    }
    let mut defined = BTreeSet::new();
    for variable in variables(board) {
        let name = text(variable, "name");
        defined.insert(name);
        // Another variable may use it as its datasource.
        let mut by_others = Vec::new();
        for other in variables(board)
            .iter()
            .filter(|other| other["name"] != name)
        {
            strings(other, &mut by_others);
        }
        let by_others = by_others.iter().flat_map(|text| named(text));
        if !used
            .iter()
            .map(String::as_str)
            .chain(by_others.collect::<Vec<_>>().iter().map(String::as_str))
            .any(|used| used == name)
        {
            say(format!("the variable {name} is not used"));
        }
        if text(variable, "label").is_empty() {
            say(format!("the variable {name} has no label"));
        }
        if variable["type"] == "query" {
            for (key, value) in [
                ("refresh", json!(2)),
                ("includeAll", json!(true)),
                ("multi", json!(true)),
            ] {
                if variable[key] != value {
                    say(format!("the variable {name} has {key} {}", variable[key]));
                }
            }
        }
    }
    for name in used {
        if !defined.contains(&*name) && !BUILT_IN.contains(&&*name) && !name.starts_with("__time") {
            say(format!("the variable {name} is used and not there"));
        }
    }
}

/// Names after `$`.
fn named(text: &str) -> Vec<String> {
    text.split('$')
        .skip(1)
        .map(|rest| {
            let end = |c: char| !(c.is_ascii_alphanumeric() || c == '_');
            match rest.strip_prefix('{') {
                Some(rest) => rest.split([':', '}']).next().unwrap_or_default().to_owned(),
                None => rest.split(end).next().unwrap_or_default().to_owned(),
            }
        })
        .collect()
}

#[test]
fn the_json_keeps_grafanas_rules() {
    let boards = committed();
    assert_eq!(boards.len(), 7);
    let wrong = problems(&boards);
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn a_board_that_breaks_a_rule_is_told() {
    let p95 = "Response time p95";
    let over_time = "Response time";
    let latest = "Latest requests";
    type Break = Box<dyn Fn(&mut Value)>;
    let at = |title: &'static str, pointer: &'static str, value: Value| -> Break {
        Box::new(move |board| {
            *panel_mut(board, title).pointer_mut(pointer).unwrap() = value.clone()
        })
    };
    let of_board = |key: &'static str, value: Value| -> Break {
        Box::new(move |board| board[key] = value.clone())
    };
    let cases: Vec<(Break, &str)> = vec![
        (at(p95, "/id", json!(3)), "is not its own"),
        (at(p95, "/gridPos/w", json!(4)), "lies over"),
        (at(p95, "/gridPos/x", json!(23)), "24 columns"),
        (at(p95, "/type", json!("graph")), "no type of panel"),
        (
            at(p95, "/title", json!("Response time p99")),
            "stands twice",
        ),
        (at(p95, "/description", json!("")), "description"),
        (
            at(p95, "/fieldConfig/defaults/unit", json!("secs")),
            "no unit that is known",
        ),
        (
            at(
                p95,
                "/targets/0/datasource",
                json!({"type": "prometheus", "uid": "abc"}),
            ),
            "datasource",
        ),
        (at(over_time, "/targets/1/refId", json!("A")), "one refId"),
        (
            at(
                over_time,
                "/targets/0/expr",
                json!("rate(genai_requests_total[5m])"),
            ),
            "window",
        ),
        (
            at(
                over_time,
                "/targets/0/expr",
                json!("genai_requests_total{x=~\"$nobody\"}"),
            ),
            "nobody is used",
        ),
        (
            at(
                latest,
                "/targets/0/rawSql",
                json!("SELECT trace_id FROM llm_calls LIMIT 1"),
            ),
            "all times",
        ),
        (
            at(
                latest,
                "/targets/0/rawSql",
                json!("SELECT trace_id FROM llm_calls WHERE $__timeFilter(started_at)"),
            ),
            "LIMIT",
        ),
        (at(latest, "/targets", json!([])), "asks nothing"),
        (of_board("uid", json!("spanledger-cost")), "uid"),
        (of_board("editable", json!(true)), "editable"),
        (
            of_board("links", json!([{"url": "/d/spanledger-none"}])),
            "leads to no board",
        ),
        (
            Box::new(|board| {
                let list = board["templating"]["list"].as_array_mut().unwrap();
                list.push(json!({"name": "idle", "label": "Idle", "type": "textbox"}));
            }),
            "idle is not used",
        ),
    ];
    for (damage, told) in cases {
        let mut boards = committed();
        let realtime = boards.iter_mut().find(|(name, _)| name == "realtime.json");
        damage(&mut realtime.unwrap().1);
        let wrong = problems(&boards);
        assert!(
            wrong.iter().any(|what| what.contains(told)),
            "{told:?} is not among {wrong:?}"
        );
    }
}
