//! Spanledger: OpenTelemetry spans of GenAI apps in; a ledger of calls, tokens and cost, and
//! Prometheus metrics out.
//!
//! ```text
//! receive ─► spool ─► map ─► price ─► count ─► sinks ─────► query ─► api, web, cli
//! OTLP gRPC   fsync    dialects  USD    once     rows (SQLite | Postgres)
//! OTLP HTTP   + ack    to records                metrics (Prometheus)
//! ```
//!
//! Five promises: an ack is on disk; each call counts once; unknown is NULL, never zero; every
//! number explains itself; SQL and Prometheus agree.
//!
//! Import order; each room may use only what stands left of it:
//! `record otlp | spool receive | map price count store sink pipeline | query alert health scale
//! maintain api web | config telemetry app | demo load cli`. The spool is the hinge: receive and map
//! are strangers.
//!
//! - `map`, `price` and `count` are pure: no clock, no I/O, no async.
//! - Only `store` and `query` contain SQL. Only `receive` knows OTLP status. Only `api` and `web`
//!   know pages and JSON.
//! - Only `map/dialect/*` contain attribute keys of a library. Only `price/table.rs` knows the
//!   price file. Only `config` reads files and environment.
//! - Nothing outside `spool` opens a file under `spool/`.

pub mod record;

pub mod otlp;

pub mod receive;

pub mod spool;

pub mod map;

pub mod price;

pub mod count;

pub mod store;

pub mod sink;

pub mod pipeline;

pub mod query;

pub mod alert;

pub mod health;

pub mod scale;

pub mod maintain;

pub mod api;

pub mod web;

pub mod config;

pub mod telemetry;

pub mod app;

pub mod demo;

pub mod load;

pub mod cli;

/// How property tests run: inputs that failed once are kept under `tests/` and tried first.
#[cfg(test)]
pub(crate) fn property_tests(cases: u32) -> proptest::test_runner::Config {
    use proptest::test_runner::{Config, FileFailurePersistence};
    let kept = FileFailurePersistence::SourceParallel("tests/regressions");
    Config {
        failure_persistence: Some(Box::new(kept)),
        ..Config::with_cases(cases)
    }
}
