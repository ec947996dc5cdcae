//! The rule files, checked and unit-tested with Prometheus' own tools.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;

use crate::support::monitoring::{project, tool};

/// A YAML file of the project.
pub fn yaml(path: &str) -> Value {
    let text = std::fs::read_to_string(project(path)).unwrap();
    serde_saphyr::from_str(&text).unwrap_or_else(|error| panic!("{path}: {error}"))
}

/// Rules of a file of `config/rules`.
pub fn rules(file: &str) -> Vec<Value> {
    let groups = yaml(&format!("config/rules/{file}.yml"));
    let groups = groups["groups"].as_array().unwrap().iter();
    groups
        .flat_map(|group| group["rules"].as_array().unwrap().clone())
        .collect()
}

/// (alert, severity) of every alert rule.
pub fn alerts() -> BTreeSet<(String, String)> {
    let text = |value: &Value| value.as_str().unwrap().to_owned();
    rules("alerts")
        .iter()
        .map(|rule| (text(&rule["alert"]), text(&rule["labels"]["severity"])))
        .collect()
}

/// Levels by name: (goal, warning, critical, floor).
pub fn levels() -> BTreeMap<String, BTreeMap<String, f64>> {
    let mut levels: BTreeMap<String, BTreeMap<String, f64>> = BTreeMap::new();
    for rule in rules("thresholds") {
        let record = rule["record"].as_str().unwrap();
        let [_, name, level] = record.split(':').collect::<Vec<_>>()[..] else {
            panic!("{record} is not threshold:name:level");
        };
        let expr = rule["expr"].as_str().unwrap();
        let number = expr
            .strip_prefix("vector(")
            .and_then(|e| e.strip_suffix(')'));
        let number = number.unwrap().parse().unwrap();
        let twice = levels
            .entry(name.to_owned())
            .or_default()
            .insert(level.to_owned(), number);
        assert_eq!(twice, None, "{record} stands twice");
    }
    levels
}

#[test]
fn the_tools_find_nothing_wrong() {
    for (program, args) in [
        (
            "promtool",
            &["check", "config", "config/prometheus.yml"][..],
        ),
        ("amtool", &["check-config", "config/alertmanager.yml"]),
    ] {
        let (ok, text) = tool(program, args);
        assert!(ok, "{text}");
    }
    let (_, text) = tool("promtool", &["check", "config", "config/prometheus.yml"]);
    assert!(text.contains("3 rule files found"), "{text}");
}

/// The unit test files of `tests/alerts`.
fn unit_tests() -> Vec<String> {
    let files = std::fs::read_dir(project("tests/alerts")).unwrap();
    let mut files: Vec<String> = files
        .map(|file| {
            format!(
                "tests/alerts/{}",
                file.unwrap().file_name().to_str().unwrap()
            )
        })
        .collect();
    files.sort();
    assert!(files.len() >= 5, "{files:?}");
    files
}

#[test]
fn unit_tests_pass() {
    // One after another: other tests want the processors, too.
    for file in unit_tests() {
        let (ok, text) = tool("promtool", &["test", "rules", &file]);
        assert!(ok, "{file}: {text}");
    }
}

/// No alert, at no severity, without a test in which it fires and one in which it does not.
#[test]
fn every_alert_is_tested_both_ways() {
    let (mut fires, mut silent) = (BTreeSet::new(), BTreeSet::new());
    let alerts = alerts();
    for file in unit_tests() {
        for test in yaml(&file)["tests"].as_array().unwrap() {
            for case in test["alert_rule_test"].as_array().unwrap() {
                let alert = case["alertname"].as_str().unwrap().to_owned();
                let firing: BTreeSet<String> = case["exp_alerts"]
                    .as_array()
                    .unwrap()
                    .iter()
                    .map(|alert| alert["exp_labels"]["severity"].as_str().unwrap().to_owned())
                    .collect();
                for (_, severity) in alerts.iter().filter(|(name, _)| *name == alert) {
                    let list = match firing.contains(severity) {
                        true => &mut fires,
                        false => &mut silent,
                    };
                    list.insert((alert.clone(), severity.clone()));
                }
            }
        }
    }
    assert!(alerts.len() > 60, "{}", alerts.len());
    assert_eq!(
        alerts.difference(&fires).collect::<Vec<_>>(),
        Vec::<&_>::new()
    );
    // What always fires never does not.
    let quiet = alerts.iter().filter(|(name, _)| name != "Watchdog");
    let missing: Vec<_> = quiet.filter(|alert| !silent.contains(*alert)).collect();
    assert_eq!(missing, Vec::<&_>::new());
}

/// What users asked for: name, goal, warning, critical.
const ASKED: &[(&str, f64, f64, f64)] = &[
    ("response_time_p95_seconds", 30.0, 45.0, 60.0),
    ("response_time_p99_seconds", 45.0, 60.0, 90.0),
    ("requests_per_minute", 100.0, 50.0, 20.0),
    ("embedding_seconds", 1.0, 2.0, 5.0),
    ("vector_search_seconds", 0.5, 1.0, 2.0),
    ("model_call_seconds", 15.0, 30.0, 60.0),
    ("match_ratio", 0.9, 0.8, 0.7),
    ("confidence_mean", 0.8, 0.7, 0.6),
    ("json_parse_ratio", 0.95, 0.9, 0.85),
    ("fallback_ratio", 0.05, 0.1, 0.2),
    ("tokens_per_day", 1e6, 5e6, 10e6),
    ("input_tokens_mean", 2_000.0, 3_000.0, 4_000.0),
    ("output_tokens_mean", 1_000.0, 2_000.0, 3_000.0),
    ("model_requests_per_day", 1e4, 5e4, 1e5),
    ("error_ratio", 0.01, 0.05, 0.1),
    ("retry_ratio", 0.05, 0.15, 0.3),
    ("timeout_ratio", 0.01, 0.03, 0.05),
    ("availability_ratio", 0.999, 0.99, 0.95),
];

#[test]
fn the_levels_are_those_asked_for() {
    let levels = levels();
    for (name, goal, warning, critical) in ASKED {
        let level = |level: &str| levels[*name][level];
        assert_eq!(
            (level("goal"), level("warning"), level("critical")),
            (*goal, *warning, *critical),
            "{name}"
        );
    }
}

/// One place: each level is used by a rule of its severity, and no rule has a number of its own.
#[test]
fn rules_take_their_levels_from_one_file() {
    let mut used = BTreeSet::new();
    for rule in rules("alerts") {
        let expr = rule["expr"].as_str().unwrap();
        let severity = rule["labels"]["severity"].as_str().unwrap();
        let name = rule["alert"].as_str().unwrap();
        for (at, _) in expr.match_indices("threshold:") {
            let level: String = expr[at..]
                .chars()
                .take_while(|c| c.is_alphanumeric() || "_:".contains(*c))
                .collect();
            let kind = level.rsplit(':').next().unwrap();
            assert!(
                [severity, "floor", "goal"].contains(&kind),
                "{name} ({severity}) compares with {level}"
            );
            used.insert(level);
        }
        for number in expr.split(|c: char| !c.is_alphanumeric() && !"._:".contains(c)) {
            let own = number.parse::<f64>().is_ok_and(|n| n != 0.0);
            assert!(
                !own || name == "Watchdog",
                "{name} has a number of its own: {number}"
            );
        }
    }
    for (name, levels) in levels() {
        for level in levels.keys().filter(|level| *level != "goal") {
            let record = format!("threshold:{name}:{level}");
            assert!(used.contains(&record), "no alert uses {record}");
        }
    }
}
