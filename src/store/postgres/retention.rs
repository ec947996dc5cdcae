//! Old days let go: their partitions are dropped, which frees the disk at once and leaves nothing
//! for vacuum. The default partitions hold rows that came from afar, few and of any day: theirs
//! are the only ones that are deleted.

use std::collections::BTreeSet;

use chrono::{DateTime, Days, NaiveDate, TimeDelta, Utc};
use sqlx::{AssertSqlSafe, Executor, PgConnection, PgPool};

use super::partitions;
use crate::store::{
    Error,
    days::{Clock, Keep},
    retention::{Gone, Known},
    tables::OF_A_DAY,
};

const CAME: &str = "INSERT INTO far_days (day, came_at) SELECT unnest($1), CURRENT_TIMESTAMP \
    ON CONFLICT (day) DO UPDATE SET came_at = excluded.came_at";
const FAR: &str = "SELECT day, came_at FROM far_days";
const CLOCK: &str = "SELECT seen_at, even_since FROM retention_clock";
const SET_CLOCK: &str = "INSERT INTO retention_clock (one, seen_at, even_since) \
    VALUES (true, $1, $2) ON CONFLICT (one) DO UPDATE \
    SET seen_at = excluded.seen_at, even_since = excluded.even_since";
const PARTITIONS: &str = "SELECT CAST(c.relname AS text) FROM pg_inherits AS i \
    JOIN pg_class AS c ON c.oid = i.inhrelid WHERE i.inhparent = CAST($1 AS regclass)";
/// NULL if there is no such table.
const SIZE: &str = "SELECT pg_total_relation_size(to_regclass($1))";
const CAME_SINCE: &str = "SELECT EXISTS (SELECT 1 FROM far_days WHERE day = $1 AND came_at >= \
    now() - make_interval(days => $2))";
/// Locks it: a batch that brings such rows at this moment waits, and enters its day anew.
const FORGET: &str = "DELETE FROM far_days WHERE day = $1 AND came_at < \
    now() - make_interval(days => $2)";
const LETTERS: &str = "DELETE FROM dead_letters WHERE created_at < CAST($1 AS timestamptz)";

/// Who writes waits behind the drop while it waits for who reads: a dashboard's long query must
/// not hold up rows. (DETACH CONCURRENTLY would wait for no one, but not beside a default partition.)
const LOCK_TIMEOUT: &str = "SET LOCAL lock_timeout = '1s'";
/// For the rows of a whole imported day.
const LONG: &str = "SET LOCAL statement_timeout = '10min'";

/// Notes that rows came from afar.
pub(super) async fn came(tx: &mut PgConnection, far: &BTreeSet<NaiveDate>) -> Result<(), Error> {
    if !far.is_empty() {
        let days: Vec<NaiveDate> = far.iter().copied().collect();
        sqlx::query(CAME).bind(days).execute(tx).await?;
    }
    Ok(())
}

/// What is stored of which days; notes how the clock runs.
pub(in crate::store) async fn known(pool: &PgPool, keep: Keep) -> Result<Known, Error> {
    let now: DateTime<Utc> = sqlx::query_scalar("SELECT now()").fetch_one(pool).await?;
    let before: Option<(DateTime<Utc>, DateTime<Utc>)> =
        sqlx::query_as(CLOCK).fetch_optional(pool).await?;
    let before = before.map(|(seen_at, even_since)| Clock {
        seen_at,
        even_since,
    });
    let clock = Clock::after(before, now);
    sqlx::query(SET_CLOCK)
        .bind(clock.seen_at)
        .bind(clock.even_since)
        .execute(pool)
        .await?;
    let mut days = BTreeSet::new();
    for table in OF_A_DAY {
        let names: Vec<String> = sqlx::query_scalar(PARTITIONS)
            .bind(table)
            .fetch_all(pool)
            .await?;
        days.extend(names.iter().filter_map(|name| partitions::day(table, name)));
    }
    let far: Vec<(NaiveDate, DateTime<Utc>)> = sqlx::query_as(FAR).fetch_all(pool).await?;
    let since = now - TimeDelta::days(keep.days().into());
    let recent = far.iter().filter(|(_, came_at)| *came_at >= since);
    let recent = recent.map(|(day, _)| *day).collect();
    days.extend(far.into_iter().map(|(day, _)| day));
    Ok(Known {
        clock,
        days: days.into_iter().collect(),
        recent,
    })
}

/// Lets a day go, a table at a time: if it ends half-way, the rest goes another time.
pub(in crate::store) async fn drop_day(
    pool: &PgPool,
    day: NaiveDate,
    keep: Keep,
) -> Result<Gone, Error> {
    let mut gone = Gone::default();
    for table in OF_A_DAY {
        match drop_partition(pool, table, day, keep).await {
            Ok(None) => {}
            Ok(Some(bytes)) => {
                gone.partitions += 1;
                gone.bytes += bytes.unsigned_abs();
            }
            Err(error) if error.is_locked() => gone.held += 1,
            Err(error) => return Err(error),
        }
    }
    let next = day + Days::new(1);
    let mut tx = pool.begin().await?;
    tx.execute(LONG).await?;
    let forget = sqlx::query(FORGET).bind(day).bind(keep.days());
    if forget.execute(&mut *tx).await?.rows_affected() > 0 {
        for table in OF_A_DAY {
            let delete = format!(
                "DELETE FROM {table}_default WHERE started_at >= '{day} 00:00:00+00' \
                 AND started_at < '{next} 00:00:00+00'"
            );
            gone.rows += tx.execute(AssertSqlSafe(delete)).await?.rows_affected();
        }
    }
    let letters = sqlx::query(LETTERS).bind(format!("{next} 00:00:00+00"));
    letters.execute(&mut *tx).await?;
    tx.commit().await?;
    Ok(gone)
}

/// Bytes that it took; `None` if there is none, or rows came for it from afar at this moment.
async fn drop_partition(
    pool: &PgPool,
    table: &str,
    day: NaiveDate,
    keep: Keep,
) -> Result<Option<i64>, Error> {
    let partition = partitions::partition(table, day);
    let size = || sqlx::query_scalar::<_, Option<i64>>(SIZE).bind(&partition);
    if size().fetch_one(pool).await?.is_none() {
        return Ok(None);
    }
    let mut tx = pool.begin().await?;
    tx.execute(LOCK_TIMEOUT).await?;
    let lock = format!("LOCK TABLE ONLY {table} IN ACCESS EXCLUSIVE MODE");
    tx.execute(AssertSqlSafe(lock)).await?;
    // With the lock, nobody is about to write, and no other process was first.
    let came = sqlx::query_scalar(CAME_SINCE).bind(day).bind(keep.days());
    let bytes = size().fetch_one(&mut *tx).await?;
    if came.fetch_one(&mut *tx).await? || bytes.is_none() {
        return Ok(None);
    }
    let drop = format!("DROP TABLE {partition}");
    tx.execute(AssertSqlSafe(drop)).await?;
    tx.commit().await?;
    Ok(bytes)
}
