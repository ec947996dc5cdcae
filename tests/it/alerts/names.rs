//! Rules name only metrics and labels that the binary has: a renamed metric must not silence an
//! alert.

use std::collections::{BTreeMap, BTreeSet};

use spanledger::sink::names;

use super::rules::rules;
use crate::support::{
    process::{Folder, Service},
    spans::request,
};

/// Names in a PromQL expression.
#[derive(Default)]
pub struct Named {
    pub metrics: BTreeSet<String>,
    /// (metric, label) of matchers.
    pub matched: BTreeSet<(String, String)>,
}

/// Reads an expression as far as names go: words outside of braces and of the label lists of
/// by, on and their like that are no functions are metrics.
pub fn named(expr: &str) -> Named {
    let mut named = Named::default();
    let mut rest = expr;
    let mut last_word = String::new();
    while let Some(c) = rest.chars().next() {
        let word: String = rest
            .chars()
            .take_while(|c| c.is_alphanumeric() || "_:".contains(*c))
            .collect();
        if !word.is_empty() && !c.is_numeric() {
            rest = &rest[word.len()..];
            let next = rest.trim_start();
            let is_called = ["(", "by (", "without ("]
                .iter()
                .any(|c| next.starts_with(c));
            let is_list = [
                "by",
                "on",
                "ignoring",
                "without",
                "group_left",
                "group_right",
            ]
            .contains(&word.as_str());
            if is_list && is_called {
                rest = &rest[rest.find(')').unwrap()..];
            } else if !is_called && !["or", "and", "unless", "offset"].contains(&word.as_str()) {
                named.metrics.insert(word.clone());
                last_word = word;
            }
            continue;
        }
        if c == '{' {
            let end = rest.find('}').unwrap();
            for matcher in rest[1..end].split(", ") {
                let label = matcher.split(['=', '!']).next().unwrap().trim();
                named.matched.insert((last_word.clone(), label.to_owned()));
            }
            rest = &rest[end..];
        } else if c == '[' {
            rest = &rest[rest.find(']').unwrap()..];
        }
        // A number's letters (10m, 1d) belong to it.
        let number = if word.is_empty() { 0 } else { word.len() };
        rest = &rest[number.max(c.len_utf8())..];
    }
    named
}

#[test]
fn names_are_found_in_expressions() {
    let found = named(
        "sum by (a, b) (rate(x_total{c=\"d\", e=~\"f|g\"}[10m] offset 1h)) / on (h) all:y:z1 > scalar(t:u:v) or absent(up{job=\"k\"}) * 60",
    );
    let metrics: Vec<&str> = found.metrics.iter().map(String::as_str).collect();
    assert_eq!(metrics, ["all:y:z1", "t:u:v", "up", "x_total"]);
    let matched: Vec<&str> = found
        .matched
        .iter()
        .map(|(_, label)| label.as_str())
        .collect();
    assert_eq!(matched, ["job", "c", "e"]);
}

/// Metrics of the running service, with the labels they are seen with.
pub fn of_the_binary() -> BTreeMap<String, BTreeSet<String>> {
    let mut known: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
    for (name, labels, _) in names::ALL {
        let labels: BTreeSet<String> = labels.iter().map(|label| (*label).to_owned()).collect();
        for name in ["", "_bucket", "_sum", "_count"].map(|suffix| format!("{name}{suffix}")) {
            known.insert(name, labels.clone());
        }
    }
    // It comes an hour after the start.
    let days_left = spanledger::maintain::DAYS_LEFT.to_owned();
    known.insert(days_left, BTreeSet::from(["disk".to_owned()]));
    let folder = Folder::new("names");
    // With everything on that has metrics of its own.
    let settings = folder.path().join("spanledger.toml");
    let on = "[health]\ncanary_seconds = 1\nprobes = [{ name = \"nobody\", url = \"http://127.0.0.1:1/\" }]\n\
              [alert]\nslack_url = \"http://127.0.0.1:1/\"\n";
    std::fs::write(&settings, on).unwrap();
    let config = [("SPANLEDGER_CONFIG", settings.to_str().unwrap())];
    let service = Service::start_with(&folder.path().join("data"), &config);
    let body = prost::Message::encode_to_vec(&request(0..2));
    let headers = [("Content-Type", "application/x-protobuf")];
    crate::support::process::post(&service.otlp_http, "/v1/traces", &headers, &body);
    service.wait_until_stored(10);
    let started = std::time::Instant::now();
    while !service.get("/metrics").1.contains("spanledger_probe_up{") {
        assert!(started.elapsed().as_secs() < 60, "{}", service.log());
        std::thread::sleep(std::time::Duration::from_millis(20));
    }
    for line in service
        .get("/metrics")
        .1
        .lines()
        .filter(|line| !line.starts_with('#'))
    {
        let end = line.find(['{', ' ']).unwrap();
        let labels = known.entry(line[..end].to_owned()).or_default();
        if line[end..].starts_with('{') {
            let list = &line[end + 1..line.rfind('}').unwrap()];
            labels.extend(
                list.split("\",")
                    .map(|pair| pair.split('=').next().unwrap().to_owned()),
            );
        }
    }
    known
}

#[test]
fn rules_name_what_the_binary_has() {
    let known = of_the_binary();
    let all: Vec<_> = ["thresholds", "recording", "alerts"]
        .into_iter()
        .flat_map(rules)
        .collect();
    let recorded: BTreeSet<&str> = all
        .iter()
        .filter_map(|rule| rule["record"].as_str())
        .collect();
    // Prometheus' own.
    let up = |metric: &str| metric == "up";
    let mut wrong = Vec::new();
    let mut seen = 0;
    for rule in &all {
        let expr = rule["expr"].as_str().unwrap();
        let named = named(expr);
        for metric in &named.metrics {
            seen += 1;
            if !known.contains_key(metric) && !recorded.contains(metric.as_str()) && !up(metric) {
                wrong.push(format!(
                    "{metric} is neither the binary's nor recorded: {expr}"
                ));
            }
        }
        for (metric, label) in &named.matched {
            if known
                .get(metric)
                .is_some_and(|labels| !labels.contains(label))
            {
                wrong.push(format!("{metric} has no label {label}: {expr}"));
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    assert!(seen > 150, "only {seen} names were looked at");
}
