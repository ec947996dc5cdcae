//! Alerts: the rules are right, tested and explained, and their messages arrive.

mod delivery;
mod names;
mod rules;
mod runbook;
