//! The dashboards: that they are what their source gives, that Grafana will take them, and that
//! every question they ask is answered by a real Prometheus and a real Postgres.
//!
//! | file | what |
//! |---|---|
//! | `json` | reads a dashboard's panels, targets and variables |
//! | `rules` | what Grafana, and people, expect of the JSON |
//! | `grafana` | fills in variables and macros as Grafana does |
//! | `answers` | the demo's data in both servers, and what is wrong with a board's answers |
//! | `live` | asks everything |
//! | `prometheus` | a Prometheus of the test's own |
//!
//! Grafana itself does not run here: how the boards look is not tested.

mod answers;
mod grafana;
mod json;
mod live;
mod prometheus;
mod provisioned;
mod rules;

use std::path::{Path, PathBuf};

use serde_json::Value;

use crate::dashboards;

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("dashboards")
}

/// The committed boards, by file name.
fn committed() -> Vec<(String, Value)> {
    let mut boards: Vec<(String, Value)> = std::fs::read_dir(folder())
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.extension().is_some_and(|e| e == "json"))
        .map(|path| {
            let name = path.file_name().unwrap().to_string_lossy().into_owned();
            let text = std::fs::read_to_string(&path).unwrap();
            (name, serde_json::from_str(&text).unwrap())
        })
        .collect();
    boards.sort_by(|a, b| a.0.cmp(&b.0));
    boards
}

#[test]
fn the_files_are_what_their_source_gives() {
    let mut made = dashboards::files();
    made.sort();
    let names: Vec<&String> = made.iter().map(|(name, _)| name).collect();
    let boards = committed();
    assert_eq!(
        boards.iter().map(|(name, _)| name).collect::<Vec<_>>(),
        names,
        "a board is missing, or has no source"
    );
    for (name, text) in &made {
        let on_disk = std::fs::read_to_string(folder().join(name)).unwrap();
        assert!(
            on_disk == *text,
            "dashboards/{name} is not what its source gives: cargo run --example dashboards"
        );
    }
}
