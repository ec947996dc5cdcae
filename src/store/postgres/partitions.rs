//! Day partitions, made ahead and for the days a batch needs.

use std::{
    collections::BTreeMap,
    sync::{Mutex, PoisonError},
};

use chrono::{DateTime, Days, NaiveDate, Utc};
use sqlx::{AssertSqlSafe, Executor, PgPool};

use crate::store::{
    Error,
    days::{AHEAD, DaysOf},
    tables::OF_A_DAY,
};

/// A new partition shuts everybody out for a moment, and everybody waits behind who waits for
/// that. A query longer than this keeps the partition from being made.
const LOCK_TIMEOUT: &str = "SET LOCAL lock_timeout = '3s'";

const EXISTS: &str = "SELECT to_regclass($1) IS NOT NULL";

/// Rows are wide: an ANALYZE of 100,000 took the CPU time of their COPY (2 s), and by the defaults
/// follows each tenth more. Measured and left as they are: freezing early writes the pages to the
/// WAL again (190 MB for 205 MB of rows), which dropping spares; a fill factor of 90 takes a third
/// more room, as four rows fill a page.
const SETTINGS: &str = "WITH (autovacuum_analyze_scale_factor = 0.5)";

/// Days that were seen to have partitions (true), or to stay in the default ones (false).
#[derive(Debug, Default)]
pub(super) struct Partitions {
    known: Mutex<BTreeMap<NaiveDate, bool>>,
}

/// The partition of a day.
pub(super) fn partition(table: &str, day: NaiveDate) -> String {
    format!("{table}_{}", day.format("%Y%m%d"))
}

/// The day of one of a table's partitions, by its name.
pub(super) fn day(table: &str, partition: &str) -> Option<NaiveDate> {
    let day = partition.strip_prefix(table)?.strip_prefix('_')?;
    NaiveDate::parse_from_str(day, "%Y%m%d").ok()
}

impl Partitions {
    /// Nothing is known of a server that was connected anew, or after days went.
    pub fn forget(&self) {
        self.known().clear();
    }

    fn known(&self) -> std::sync::MutexGuard<'_, BTreeMap<NaiveDate, bool>> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Makes the partitions of today and the next days, so that midnight waits for nothing.
    pub async fn ensure_ahead(&self, pool: &PgPool, now: DateTime<Utc>) -> Result<(), Error> {
        // Another process may have let days go.
        self.forget();
        let today = now.date_naive();
        for day in (0..=AHEAD).map(|n| today + Days::new(n)) {
            if !self.known().contains_key(&day) {
                let made = make_all(pool, day).await?;
                self.known().insert(day, made);
            }
        }
        Ok(())
    }

    /// Makes the partitions of the batch's near days. Days that get none are then among the far
    /// ones: their rows go to the default partitions.
    pub async fn ensure_for(&self, pool: &PgPool, days: &mut DaysOf) -> Result<(), Error> {
        for day in std::mem::take(&mut days.near) {
            let known = self.known().get(&day).copied();
            let made = match known {
                Some(made) => made,
                None => match make_all(pool, day).await {
                    // Rows must not wait for as long as somebody reads: a dump takes hours.
                    Err(error) if error.is_locked() => {
                        tracing::warn!(%day, "a long query keeps partitions from being made; rows go to the default ones");
                        false
                    }
                    made => made?,
                },
            };
            self.known().insert(day, made);
            match made {
                true => days.near.insert(day),
                false => days.far.insert(day),
            };
        }
        Ok(())
    }
}

/// Makes a day's partitions; false if a table has none of that day.
async fn make_all(pool: &PgPool, day: NaiveDate) -> Result<bool, Error> {
    let mut made = true;
    for table in OF_A_DAY {
        made &= make(pool, table, day).await?;
    }
    Ok(made)
}

async fn make(pool: &PgPool, table: &str, day: NaiveDate) -> Result<bool, Error> {
    let partition = partition(table, day);
    // Making one that is there would still shut everybody out.
    if sqlx::query_scalar(EXISTS)
        .bind(&partition)
        .fetch_one(pool)
        .await?
    {
        return Ok(true);
    }
    let next = day + Days::new(1);
    let create = format!(
        "CREATE TABLE IF NOT EXISTS {partition} PARTITION OF {table} \
         FOR VALUES FROM ('{day} 00:00:00+00') TO ('{next} 00:00:00+00') {SETTINGS}"
    );
    let mut tx = pool.begin().await?;
    tx.execute(LOCK_TIMEOUT).await?;
    match tx.execute(AssertSqlSafe(create)).await {
        Ok(_) => {
            tx.commit().await?;
            Ok(true)
        }
        Err(sqlx::Error::Database(error)) => match error.code().as_deref() {
            // Another process was first.
            Some("23505" | "42P07") => Ok(true),
            // The default partition has rows of that day already: then the day stays there.
            Some("23514") => Ok(false),
            _ => Err(sqlx::Error::Database(error).into()),
        },
        Err(error) => Err(error.into()),
    }
}
