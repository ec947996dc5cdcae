//! Day partitions, made ahead and for the days a batch needs.

use std::{
    collections::BTreeSet,
    sync::{Mutex, PoisonError},
};

use chrono::{DateTime, Days, NaiveDate, Utc};
use sqlx::{AssertSqlSafe, Executor, PgPool};

use crate::store::{Batch, Error};

const TABLES: [&str; 8] = [
    "llm_calls",
    "stt_logs",
    "retrievals",
    "cache_lookups",
    "json_parses",
    "pipeline_requests",
    "span_links",
    "message_texts",
];
/// Days made ahead, so that midnight waits for nothing.
const AHEAD: u64 = 2;
/// Spans older than this go to the default partition: a clock that is years off must not make
/// thousands of partitions.
const BACK: u64 = 30;

/// The days known to have partitions.
#[derive(Debug, Default)]
pub(super) struct Partitions {
    made: Mutex<BTreeSet<NaiveDate>>,
}

impl Partitions {
    /// Nothing is known of a server that was connected anew.
    pub fn forget(&self) {
        self.made
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .clear();
    }

    pub async fn ensure_ahead(&self, pool: &PgPool, now: DateTime<Utc>) -> Result<(), Error> {
        let today = now.date_naive();
        self.ensure(pool, (0..=AHEAD).map(|n| today + Days::new(n)).collect())
            .await
    }

    /// Days of the batch within reach of the time it was received.
    pub async fn ensure_for(&self, pool: &PgPool, batch: &Batch<'_>) -> Result<(), Error> {
        let mut days = BTreeSet::new();
        let mut last = (i64::MIN, i64::MIN);
        for header in batch.records.iter().map(|record| record.header()) {
            let day_number = |ns: i64| ns.div_euclid(86_400_000_000_000);
            let pair = (
                day_number(header.started_at),
                day_number(header.received_at),
            );
            if pair == last {
                continue;
            }
            last = pair;
            let (started, received) = (day(header.started_at), day(header.received_at));
            if is_near(started, received) {
                days.insert(started);
            }
        }
        // Links don't say when they were received; the batch's other rows, or now, stand for it.
        let newest = batch.records.iter().map(|r| r.header().received_at).max();
        let received = newest.map_or_else(|| Utc::now().date_naive(), day);
        let started = batch.links.iter().map(|link| day(link.started_at));
        days.extend(started.filter(|started| is_near(*started, received)));
        // The texts of content are stored for the day it came.
        days.extend(
            batch
                .contents
                .iter()
                .map(|content| day(content.received_at)),
        );
        self.ensure(pool, days).await
    }

    async fn ensure(&self, pool: &PgPool, days: BTreeSet<NaiveDate>) -> Result<(), Error> {
        let missing: Vec<NaiveDate> = {
            let made = self.made.lock().unwrap_or_else(PoisonError::into_inner);
            days.into_iter().filter(|day| !made.contains(day)).collect()
        };
        for day in missing {
            for table in TABLES {
                make(pool, table, day).await?;
            }
            self.made
                .lock()
                .unwrap_or_else(PoisonError::into_inner)
                .insert(day);
        }
        Ok(())
    }
}

fn day(unix_ns: i64) -> NaiveDate {
    DateTime::from_timestamp_nanos(unix_ns).date_naive()
}

fn is_near(started: NaiveDate, received: NaiveDate) -> bool {
    started >= received - Days::new(BACK) && started <= received + Days::new(AHEAD)
}

async fn make(pool: &PgPool, table: &str, day: NaiveDate) -> Result<(), Error> {
    let next = day + Days::new(1);
    let name = day.format("%Y%m%d");
    let create = format!(
        "CREATE TABLE IF NOT EXISTS {table}_{name} PARTITION OF {table} \
         FOR VALUES FROM ('{day} 00:00:00+00') TO ('{next} 00:00:00+00')"
    );
    match pool.execute(AssertSqlSafe(create)).await {
        Ok(_) => Ok(()),
        Err(sqlx::Error::Database(error))
            // Another process was first (23505, 42P07), or the default partition has rows of
            // that day already (23514): then the day stays there.
            if ["23505", "42P07", "23514"].contains(&error.code().as_deref().unwrap_or_default()) =>
        {
            tracing::debug!(table, %day, reason = %error, "no new partition");
            Ok(())
        }
        Err(error) => Err(error.into()),
    }
}
