//! What the spool says of itself.

use std::sync::{Arc, Weak};

use prometheus::{
    Gauge, Histogram, HistogramOpts, IntCounter, IntCounterVec, IntGauge, Opts, Registry,
    core::{Collector, Desc},
    proto::MetricFamily,
};

use super::state::State;
use crate::otlp::Signal;

/// Counted as it happens.
#[derive(Debug)]
pub(super) struct Metrics {
    appended: [(IntCounter, IntCounter); 3],
    appended_total: IntCounterVec,
    appended_bytes_total: IntCounterVec,
    pub(super) refused: IntCounter,
    pub(super) commit: Histogram,
    damaged: IntCounterVec,
}

impl Metrics {
    #[expect(
        clippy::unwrap_used,
        reason = "the names and labels below are valid, and a test makes them"
    )]
    pub(super) fn new() -> Self {
        let by = |name, help, label| IntCounterVec::new(Opts::new(name, help), &[label]).unwrap();
        let appended_total = by(
            "spanledger_spool_appended_total",
            "Requests made durable in the spool.",
            "signal",
        );
        let appended_bytes_total = by(
            "spanledger_spool_appended_bytes_total",
            "Bytes of the requests made durable in the spool.",
            "signal",
        );
        let damaged = by(
            "spanledger_spool_damaged_bytes_total",
            "Bytes that could not be read back: torn_tail is an unacked write cut off at a start, damaged was skipped by a reader (counted for each).",
            "kind",
        );
        for kind in ["torn_tail", "damaged"] {
            damaged.with_label_values(&[kind]).inc_by(0);
        }
        Self {
            appended: Signal::ALL.map(|signal| {
                (
                    appended_total.with_label_values(&[signal.as_str()]),
                    appended_bytes_total.with_label_values(&[signal.as_str()]),
                )
            }),
            appended_total,
            appended_bytes_total,
            refused: IntCounter::new(
                "spanledger_spool_refused_total",
                "Appends refused because the spool or its disk was full.",
            )
            .unwrap(),
            commit: Histogram::with_opts(
                HistogramOpts::new(
                    "spanledger_spool_fsync_duration_seconds",
                    "Time of a group commit: one write and one fdatasync for all that waited.",
                )
                .buckets(vec![
                    0.000_1, 0.000_25, 0.000_5, 0.001, 0.002_5, 0.005, 0.01, 0.025, 0.05, 0.1,
                    0.25, 0.5, 1.0, 2.5,
                ]),
            )
            .unwrap(),
            damaged,
        }
    }

    pub(super) fn appended(&self, signal: Signal, bytes: usize) {
        let index = match signal {
            Signal::Traces => 0,
            Signal::Logs => 1,
            Signal::Metrics => 2,
        };
        if let Some((requests, request_bytes)) = self.appended.get(index) {
            requests.inc();
            request_bytes.inc_by(bytes as u64);
        }
    }

    pub(super) fn torn_bytes(&self, bytes: u64) {
        self.damaged.with_label_values(&["torn_tail"]).inc_by(bytes);
    }

    pub(super) fn damaged_bytes(&self, bytes: u64) {
        self.damaged.with_label_values(&["damaged"]).inc_by(bytes);
    }

    #[cfg(test)]
    pub(super) fn torn(&self) -> u64 {
        self.damaged.with_label_values(&["torn_tail"]).get()
    }

    #[cfg(test)]
    pub(super) fn damaged(&self) -> u64 {
        self.damaged.with_label_values(&["damaged"]).get()
    }
}

/// Read off when asked for.
struct Gauges {
    state: Weak<State>,
    bytes: IntGauge,
    max_bytes: IntGauge,
    oldest_age: Gauge,
}

/// Puts the spool's metrics into the registry.
pub(super) fn register(state: &Arc<State>, registry: &Registry) -> Result<(), prometheus::Error> {
    let metrics = &state.metrics;
    registry.register(Box::new(metrics.appended_total.clone()))?;
    registry.register(Box::new(metrics.appended_bytes_total.clone()))?;
    registry.register(Box::new(metrics.refused.clone()))?;
    registry.register(Box::new(metrics.commit.clone()))?;
    registry.register(Box::new(metrics.damaged.clone()))?;
    registry.register(Box::new(Gauges {
        state: Arc::downgrade(state),
        bytes: IntGauge::new("spanledger_spool_bytes", "Size of the spool's segments.")?,
        max_bytes: IntGauge::new(
            "spanledger_spool_max_bytes",
            "Size at which the spool refuses more.",
        )?,
        oldest_age: Gauge::new(
            "spanledger_spool_oldest_age_seconds",
            "Age of the oldest request that some consumer is not past yet; 0 if there is none.",
        )?,
    }))
}

impl Collector for Gauges {
    fn desc(&self) -> Vec<&Desc> {
        let mut all = self.bytes.desc();
        all.extend(self.max_bytes.desc());
        all.extend(self.oldest_age.desc());
        all
    }

    fn collect(&self) -> Vec<MetricFamily> {
        if let Some(state) = self.state.upgrade() {
            self.bytes
                .set(state.space.used().try_into().unwrap_or(i64::MAX));
            self.max_bytes
                .set(state.space.max_bytes.try_into().unwrap_or(i64::MAX));
            self.oldest_age.set(state.oldest_age().as_secs_f64());
        }
        let mut all = self.bytes.collect();
        all.extend(self.max_bytes.collect());
        all.extend(self.oldest_age.collect());
        all
    }
}
