//! What the store says of itself.

use prometheus::{
    Histogram, HistogramOpts, IntCounter, IntCounterVec, IntGauge, Opts, Registry,
    exponential_buckets, register_histogram_with_registry, register_int_counter_vec_with_registry,
    register_int_counter_with_registry, register_int_gauge_with_registry,
};

use super::{Committed, Inserted, tables::MESSAGE_TEXTS};

/// `spanledger_store_*`
#[derive(Debug)]
pub(super) struct Metrics {
    rows: IntCounterVec,
    duplicates: IntCounter,
    quarantined: IntCounterVec,
    up: IntGauge,
    pub commit_seconds: Histogram,
}

impl Metrics {
    pub fn new(registry: &Registry) -> prometheus::Result<Self> {
        Ok(Self {
            rows: register_int_counter_vec_with_registry!(
                Opts::new("spanledger_store_rows_total", "Rows stored."),
                &["table"],
                registry
            )?,
            duplicates: register_int_counter_with_registry!(
                "spanledger_store_duplicate_rows_total",
                "Rows that were stored already and left as they were.",
                registry
            )?,
            quarantined: register_int_counter_vec_with_registry!(
                Opts::new(
                    "spanledger_store_quarantined_rows_total",
                    "Rows that the store refused; they are kept in dead_letters."
                ),
                &["table"],
                registry
            )?,
            up: register_int_gauge_with_registry!(
                "spanledger_store_up",
                "1 if the store took the last call.",
                registry
            )?,
            commit_seconds: register_histogram_with_registry!(
                HistogramOpts::new("spanledger_store_commit_seconds", "Time of a commit.")
                    .buckets(exponential_buckets(0.001, 2.0, 15)?),
                registry
            )?,
        })
    }

    pub fn up(&self, up: bool) {
        self.up.set(i64::from(up));
    }

    /// Counts the texts of a committed batch, which are no rows of its spans.
    pub fn texts(&self, texts: &Inserted) {
        let table = &[MESSAGE_TEXTS.name];
        if texts.inserted > 0 {
            self.rows.with_label_values(table).inc_by(texts.inserted);
        }
        let refused = texts.refused.len() as u64;
        if refused > 0 {
            self.quarantined.with_label_values(table).inc_by(refused);
        }
    }

    /// Counts one table of a committed batch.
    pub fn inserted(&self, table: &str, inserted: &Inserted, committed: &mut Committed) {
        let refused = inserted.refused.len() as u64;
        committed.inserted += inserted.inserted;
        committed.duplicates += inserted.duplicates;
        committed.quarantined += refused;
        self.rows
            .with_label_values(&[table])
            .inc_by(inserted.inserted);
        self.duplicates.inc_by(inserted.duplicates);
        self.quarantined.with_label_values(&[table]).inc_by(refused);
    }
}
