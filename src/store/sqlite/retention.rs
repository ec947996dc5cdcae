//! Old days let go. SQLite has no partitions: rows are deleted, a few at a time, so that a batch
//! waits for none of it long. The file stays as large as it is and takes new rows in the room.

use std::{collections::BTreeSet, time::Duration};

use chrono::{DateTime, Days, NaiveDate, SecondsFormat, TimeDelta, Utc};
use sqlx::{AssertSqlSafe, SqliteConnection, SqlitePool};

use crate::store::{
    Error,
    days::{Clock, Keep},
    retention::{Gone, Known},
    tables::OF_A_DAY,
};

/// Rows deleted at a time: some ten milliseconds of work.
const ROWS: u64 = 500;
/// Between two times, so that who writes has its turn.
const PAUSE: Duration = Duration::from_millis(20);

const CAME: &str = "INSERT INTO far_days (day, came_at) SELECT value, $2 FROM json_each($1) \
    WHERE true ON CONFLICT (day) DO UPDATE SET came_at = excluded.came_at";
const FAR: &str = "SELECT day, came_at FROM far_days";
const FORGET: &str = "DELETE FROM far_days WHERE day = $1 AND came_at < $2";
const LETTERS: &str = "DELETE FROM dead_letters WHERE created_at < $1";
const CLOCK: &str = "SELECT seen_at, even_since FROM retention_clock";
const SET_CLOCK: &str = "INSERT INTO retention_clock (one, seen_at, even_since) \
    VALUES (1, $1, $2) ON CONFLICT (one) DO UPDATE \
    SET seen_at = excluded.seen_at, even_since = excluded.even_since";

fn text(time: DateTime<Utc>) -> String {
    time.to_rfc3339_opts(SecondsFormat::Micros, true)
}

/// What came before this is old.
fn since(keep: Keep, now: DateTime<Utc>) -> DateTime<Utc> {
    now - TimeDelta::days(keep.days().into())
}

/// Notes that rows came from afar.
pub(super) async fn came(
    tx: &mut SqliteConnection,
    far: &BTreeSet<NaiveDate>,
) -> Result<(), Error> {
    if !far.is_empty() {
        let days: Vec<String> = far.iter().map(NaiveDate::to_string).collect();
        let came = sqlx::query(CAME).bind(serde_json::json!(days).to_string());
        came.bind(text(Utc::now())).execute(tx).await?;
    }
    Ok(())
}

/// What is stored of which days; notes how the clock, which is `now`, runs.
pub(in crate::store) async fn known(
    pool: &SqlitePool,
    keep: Keep,
    now: DateTime<Utc>,
) -> Result<Known, Error> {
    let before: Option<(DateTime<Utc>, DateTime<Utc>)> =
        sqlx::query_as(CLOCK).fetch_optional(pool).await?;
    let before = before.map(|(seen_at, even_since)| Clock {
        seen_at,
        even_since,
    });
    let clock = Clock::after(before, now);
    sqlx::query(SET_CLOCK)
        .bind(text(clock.seen_at))
        .bind(text(clock.even_since))
        .execute(pool)
        .await?;
    let first = keep.first_day(now).unwrap_or(NaiveDate::MIN);
    let mut days = BTreeSet::new();
    for table in OF_A_DAY {
        let mut after = None;
        // From one day that has rows to the next, up to the first that stays.
        while let Some(day) = next_day(pool, table, after).await? {
            days.insert(day);
            if day >= first {
                break;
            }
            after = Some(day);
        }
    }
    let far: Vec<(NaiveDate, DateTime<Utc>)> = sqlx::query_as(FAR).fetch_all(pool).await?;
    let since = since(keep, now);
    let recent = far.into_iter().filter(|(_, came_at)| *came_at >= since);
    Ok(Known {
        clock,
        days: days.into_iter().collect(),
        recent: recent.map(|(day, _)| day).collect(),
    })
}

/// The first day after this one that a table has rows of.
async fn next_day(
    pool: &SqlitePool,
    table: &str,
    after: Option<NaiveDate>,
) -> Result<Option<NaiveDate>, Error> {
    let from = after.map_or(String::new(), |day| (day + Days::new(1)).to_string());
    let sql = format!(
        "SELECT CAST(substr(min(started_at), 1, 10) AS TEXT) FROM {table} WHERE started_at >= $1"
    );
    let day: Option<String> = sqlx::query_scalar(AssertSqlSafe(sql))
        .bind(from)
        .fetch_one(pool)
        .await?;
    Ok(day.and_then(|day| day.parse().ok()))
}

/// Lets a day go. If it ends half-way, the rest goes another time.
pub(in crate::store) async fn drop_day(
    pool: &SqlitePool,
    day: NaiveDate,
    keep: Keep,
) -> Result<Gone, Error> {
    let mut gone = Gone::default();
    let since = text(since(keep, Utc::now()));
    let (from, to) = (day.to_string(), (day + Days::new(1)).to_string());
    for table in OF_A_DAY {
        // Up to the last of so many rows, and those of the same microsecond; none if rows came
        // from afar at this moment.
        let delete = format!(
            "DELETE FROM {table} WHERE started_at >= $1 AND started_at < $2 AND started_at <= \
             coalesce((SELECT started_at FROM {table} WHERE started_at >= $1 AND started_at < $2 \
             ORDER BY started_at LIMIT 1 OFFSET {ROWS} - 1), $2) \
             AND NOT EXISTS (SELECT 1 FROM far_days WHERE day = $1 AND came_at >= $3)"
        );
        loop {
            let delete = sqlx::query(AssertSqlSafe(delete.as_str()));
            let delete = delete.bind(&from).bind(&to).bind(&since);
            let deleted = delete.execute(pool).await?;
            gone.rows += deleted.rows_affected();
            if deleted.rows_affected() < ROWS {
                break;
            }
            tokio::time::sleep(PAUSE).await;
        }
    }
    let forget = sqlx::query(FORGET).bind(&from).bind(&since);
    forget.execute(pool).await?;
    sqlx::query(LETTERS).bind(&to).execute(pool).await?;
    Ok(gone)
}
