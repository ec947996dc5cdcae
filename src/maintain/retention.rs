//! Old days let go, every hour.
//!
//! `[store] keep_days` says how many days are kept; without it none goes, and the turn only looks
//! how the clock runs. `store/days.rs` has the rules. A day that somebody reads is let go at the
//! next turn.

use std::{sync::Arc, time::Duration};

use chrono::{NaiveDate, NaiveTime, Utc};
use indicatif::HumanBytes;
use prometheus::{
    IntCounter, IntGauge, IntGaugeVec, Opts, Registry, register_int_counter_with_registry,
    register_int_gauge_vec_with_registry, register_int_gauge_with_registry,
};
use tokio_util::sync::CancellationToken;

use crate::store::{Error, Store};

const EVERY: Duration = Duration::from_secs(3600);
/// After a turn that left something: who reads may be done.
const SOON: Duration = Duration::from_secs(60);
/// While the store is not connected.
const NOT_YET: Duration = Duration::from_secs(1);

/// Lets old days go.
#[derive(Debug)]
pub struct Retention {
    store: Arc<Store>,
    metrics: Metrics,
}

impl Retention {
    /// Ready to run.
    pub fn new(store: Arc<Store>, registry: &Registry) -> prometheus::Result<Self> {
        Ok(Self {
            store,
            metrics: Metrics::new(registry)?,
        })
    }

    /// Takes a turn every hour, until `ended`.
    pub async fn run(self, ended: CancellationToken) {
        let turns = async {
            loop {
                let again = match self.store.is_connected() {
                    false => NOT_YET,
                    true => match self.turn().await {
                        Ok(true) => EVERY,
                        Ok(false) => SOON,
                        Err(error) => {
                            tracing::warn!(%error, "could not let old days go; another try follows");
                            SOON
                        }
                    },
                };
                tokio::time::sleep(again).await;
            }
        };
        tokio::select! {
            () = ended.cancelled() => {}
            () = turns => {}
        }
    }

    /// True if nothing is left that could go.
    async fn turn(&self) -> Result<bool, Error> {
        let due = self.store.days_due(Utc::now()).await?;
        self.metrics.oldest_day(due.oldest);
        if let Some(why) = due.waits {
            if !due.days.is_empty() {
                let days = due.days.len();
                tracing::warn!(days, %why, "old days are kept for now");
            }
            return Ok(true);
        }
        let (mut held, some_go) = (0, !due.days.is_empty());
        for day in due.days {
            let gone = self.store.drop_day(day).await?;
            self.metrics.partitions.inc_by(gone.partitions);
            self.metrics.rows.inc_by(gone.rows);
            self.metrics.held.inc_by(gone.held);
            held += gone.held;
            if gone.partitions + gone.rows > 0 {
                let (partitions, rows) = (gone.partitions, gone.rows);
                let freed = HumanBytes(gone.bytes);
                tracing::info!(%day, partitions, %freed, rows, "a day is older than keep_days and was let go");
            }
        }
        if some_go {
            let left = self.store.days_due(Utc::now()).await?;
            self.metrics.oldest_day(left.oldest);
        }
        if held > 0 {
            tracing::warn!(
                tables = held,
                "somebody reads; old days are let go when they are done"
            );
            return Ok(false);
        }
        self.metrics.last_success.set(Utc::now().timestamp());
        Ok(true)
    }
}

/// `spanledger_retention_*`
#[derive(Debug)]
struct Metrics {
    partitions: IntCounter,
    rows: IntCounter,
    held: IntCounter,
    last_success: IntGauge,
    /// A vector, so that it is not shown as 0 before it is known.
    oldest_day: IntGaugeVec,
}

const NO_LABELS: &[&str] = &[];

impl Metrics {
    fn new(registry: &Registry) -> prometheus::Result<Self> {
        let metrics = Self {
            partitions: register_int_counter_with_registry!(
                "spanledger_retention_partitions_dropped_total",
                "Partitions of Postgres dropped, since they were older than keep_days.",
                registry
            )?,
            rows: register_int_counter_with_registry!(
                "spanledger_retention_rows_deleted_total",
                "Rows deleted, since they were older than keep_days: in SQLite all, in Postgres those of days without a partition.",
                registry
            )?,
            held: register_int_counter_with_registry!(
                "spanledger_retention_held_total",
                "Partitions that stayed until another turn, since a query was reading.",
                registry
            )?,
            last_success: register_int_gauge_with_registry!(
                "spanledger_retention_last_success_timestamp_seconds",
                "When a turn last left nothing that had to go, Unix time; at first, the start.",
                registry
            )?,
            oldest_day: register_int_gauge_vec_with_registry!(
                Opts::new(
                    "spanledger_retention_oldest_day_timestamp_seconds",
                    "Start of the oldest day that is stored, Unix time."
                ),
                NO_LABELS,
                registry
            )?,
        };
        metrics.last_success.set(Utc::now().timestamp());
        Ok(metrics)
    }

    fn oldest_day(&self, day: Option<NaiveDate>) {
        if let Some(day) = day {
            let midnight = day.and_time(NaiveTime::MIN).and_utc();
            let gauge = self.oldest_day.with_label_values(NO_LABELS);
            gauge.set(midnight.timestamp());
        }
    }
}
