//! The limit that the store sets: the rows of a finished run, copied into the same tables by psql.

use std::{
    path::Path,
    process::Command,
    time::{Duration, Instant},
};

use super::support::{
    postgres::{self, Cluster},
    process::Folder,
};

const TABLES: [&str; 7] = [
    "llm_calls",
    "stt_logs",
    "retrievals",
    "cache_lookups",
    "json_parses",
    "pipeline_requests",
    "span_links",
];

/// What copying took.
pub struct Copied {
    pub rows: u64,
    pub took: Duration,
}

/// Writes the rows of a database to files, empties its tables, and copies them in again, one table
/// after the other on one connection.
pub fn again(cluster: &Cluster, database: &str) -> Copied {
    let folder = Folder::new("copy");
    let file = |table: &str| folder.path().join(table).display().to_string();
    let out = TABLES.map(|table| {
        let file = file(table);
        format!("\\copy (SELECT * FROM {table}) TO '{file}' (FORMAT binary)")
    });
    let rows = psql(database, folder.path(), &out);
    let truncate = format!("TRUNCATE {}", TABLES.join(", "));
    psql(database, folder.path(), &[truncate]);
    cluster.checkpoint();
    let back = TABLES.map(|table| {
        let file = file(table);
        format!("\\copy {table} FROM '{file}' (FORMAT binary)")
    });
    let started = Instant::now();
    let copied = psql(database, folder.path(), &back);
    let took = started.elapsed();
    assert_eq!(copied, rows, "all rows came back");
    Copied { rows, took }
}

/// Runs commands on one connection; says how many rows they copied.
fn psql(database: &str, folder: &Path, commands: &[String]) -> u64 {
    let script = folder.join("script");
    std::fs::write(&script, commands.join("\n")).expect("a script");
    let done = Command::new(postgres::binaries().join("psql"))
        .args(["-X", "-v", "ON_ERROR_STOP=1", "-f"])
        .arg(&script)
        .arg(database)
        .output()
        .expect("psql runs");
    assert!(
        done.status.success(),
        "{}",
        String::from_utf8_lossy(&done.stderr)
    );
    String::from_utf8_lossy(&done.stdout)
        .lines()
        .filter_map(|line| line.strip_prefix("COPY ")?.parse::<u64>().ok())
        .sum()
}
