//! What the lanes say of themselves.

use std::time::Duration;

use prometheus::{
    CounterVec, IntCounterVec, Opts, Registry, register_counter_vec_with_registry,
    register_int_counter_vec_with_registry,
};

use super::refine::Bundle;

/// `spanledger_lane_*`
#[derive(Debug, Clone)]
pub struct Metrics {
    entries: IntCounterVec,
    spans: IntCounterVec,
    rejected: IntCounterVec,
    duplicates: IntCounterVec,
    failures: IntCounterVec,
    seconds: CounterVec,
}

impl Metrics {
    /// Registers them.
    pub fn new(registry: &Registry) -> prometheus::Result<Self> {
        let counter = |name: &str, help: &str| {
            register_int_counter_vec_with_registry!(Opts::new(name, help), &["lane"], registry)
        };
        Ok(Self {
            entries: counter("spanledger_lane_entries_total", "Spool entries read.")?,
            spans: counter("spanledger_lane_spans_total", "Spans delivered.")?,
            rejected: counter(
                "spanledger_lane_rejected_spans_total",
                "Spans in the spool that can't be read; their senders were told.",
            )?,
            duplicates: counter(
                "spanledger_lane_duplicate_spans_total",
                "Spans that had been seen before and were left out.",
            )?,
            failures: counter(
                "spanledger_lane_failures_total",
                "Deliveries that failed and were tried again.",
            )?,
            seconds: register_counter_vec_with_registry!(
                Opts::new(
                    "spanledger_lane_refine_seconds_total",
                    "Time spent mapping, pricing and counting."
                ),
                &["lane"],
                registry
            )?,
        })
    }

    pub(super) fn refined(&self, lane: &str, bundle: &Bundle, entries: usize, took: Duration) {
        let lane = &[lane];
        self.entries.with_label_values(lane).inc_by(entries as u64);
        // A series that exists from the start lets rate() see the first failure.
        self.failures.with_label_values(lane).inc_by(0);
        self.rejected
            .with_label_values(lane)
            .inc_by(bundle.rejected);
        self.duplicates
            .with_label_values(lane)
            .inc_by(bundle.duplicates);
        self.seconds
            .with_label_values(lane)
            .inc_by(took.as_secs_f64());
    }

    pub(super) fn delivered(&self, lane: &str, spans: u64) {
        self.spans.with_label_values(&[lane]).inc_by(spans);
    }

    pub(super) fn failed(&self, lane: &str) {
        self.failures.with_label_values(&[lane]).inc();
    }
}
