//! Alerts: the rules are right, tested and explained, and their messages arrive.

mod agreement;
mod delivery;
pub mod names;
pub mod rules;
mod runbook;
mod templates;
