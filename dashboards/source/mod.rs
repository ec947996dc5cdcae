//! What the dashboards are made from: a board is a short list of panels, a panel is a question and
//! how to show the answer. Everything that boards have in common stands here once.
//!
//! | file | what |
//! |---|---|
//! | `boards` | the boards, a file each: this is what to edit |
//! | `goals` | the levels that panels are coloured by, out of `config/rules/thresholds.yml` |
//! | `sql` | times, and what the variables choose |
//! | `panel` | how a board says what it wants |
//! | `look` `board` | Grafana's JSON of a panel, of a board |
//!
//! `cargo run --example dashboards` writes the JSON; `cargo test --test it boards` checks that it is
//! what this source gives, and asks every question of a real Prometheus and a real Postgres.

mod board;
mod boards;
mod goals;
mod look;
mod panel;
mod sql;

pub use boards::files;
