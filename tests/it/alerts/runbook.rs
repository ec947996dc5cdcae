//! Whoever is called finds an entry, in the book and on the page, with traces to look at.

use std::collections::{BTreeMap, BTreeSet};

use super::rules::{alerts, rules};
use crate::support::{
    monitoring::project,
    postgres,
    process::{Folder, Service, post},
    spans::request,
};

fn entries() -> BTreeMap<String, String> {
    let text = std::fs::read_to_string(project("config/runbook.md")).unwrap();
    let entries = text.split("\n## ").skip(1);
    entries
        .map(|entry| {
            let (name, text) = entry.split_once('\n').unwrap();
            (name.to_owned(), text.to_owned())
        })
        .collect()
}

#[test]
fn every_alert_has_an_entry_and_every_entry_an_alert() {
    let alerts: BTreeSet<String> = alerts().into_iter().map(|(name, _)| name).collect();
    let entries = entries();
    assert_eq!(alerts, entries.keys().cloned().collect());
    for (name, text) in &entries {
        for part in ["Means: ", "Look", "Do: ", "Levels: "] {
            let says = text.lines().any(|line| line.starts_with(part));
            assert!(
                says || part == "Do: " && text.contains("Look and do"),
                "{name}: {part}"
            );
        }
    }
    for rule in rules("alerts") {
        let (name, expr) = (
            rule["alert"].as_str().unwrap(),
            rule["expr"].as_str().unwrap(),
        );
        for part in expr.split("threshold:").skip(1) {
            let level = part.split(':').next().unwrap();
            let is_said = entries[name].contains(&format!("`{level}`"));
            assert!(
                is_said || level == "events_in_window",
                "{name} does not name {level}"
            );
        }
    }
}

#[test]
fn the_page_shows_each_entry_with_examples_from_either_store() {
    let database = postgres::database();
    let (sqlite, postgres) = (Folder::new("runbook"), Folder::new("runbook-pg"));
    for (folder, env) in [
        (&sqlite, vec![]),
        (&postgres, vec![("SPANLEDGER_STORE_URL", database.url())]),
    ] {
        let env: Vec<(&str, &str)> = env.iter().map(|(k, v)| (*k, v.as_str())).collect();
        let service = Service::start_with(folder.path(), &env);
        let body = prost::Message::encode_to_vec(&request(0..3));
        let headers = [("Content-Type", "application/x-protobuf")];
        assert_eq!(
            post(&service.otlp_http, "/v1/traces", &headers, &body).0,
            200
        );
        service.wait_until_stored(15);
        for (name, text) in entries() {
            let (status, page) = service.get(&format!("/runbook/{name}"));
            assert_eq!(status, 200, "{name}");
            let first = text
                .lines()
                .find(|line| line.starts_with("Means: "))
                .unwrap();
            let escaped = first.replace('\'', "&#39;").replace('"', "&#34;");
            assert!(page.contains(&escaped), "{name}: {page}");
            assert!(
                !page.contains("The store does not answer"),
                "{name}: {}",
                service.log()
            );
        }
        for name in [
            "ResponseTimeP95",
            "ModelCallSlow",
            "VectorSearchSlow",
            "CostPerDay",
            "InputTokensHigh",
        ] {
            let (_, page) = service.get(&format!("/runbook/{name}"));
            assert!(page.contains("<a href=\"/traces/"), "{name}: {page}");
        }
        let (_, page) = service.get("/runbook/ModelCallsFailing");
        assert!(page.contains("None lately"), "{page}");
        assert_eq!(service.get("/runbook/NoSuchAlert").0, 404);
        let (status, all) = service.get("/runbook");
        assert_eq!(
            (status, all.matches("<section").count()),
            (200, entries().len())
        );
    }
}
