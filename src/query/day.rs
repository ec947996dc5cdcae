//! What the last 24 hours summed up to: what daily limits are compared with.

use chrono::{DateTime, Duration, SecondsFormat, Utc};
use sqlx::Row;

use super::{Sql, rows};
use crate::store::Pool;

/// Sums of the last 24 hours.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub struct Day {
    /// Input and output tokens of counted calls; 0 if none said.
    pub tokens: f64,
    /// Counted model calls.
    pub calls: f64,
    /// USD of counted calls and speech.
    pub cost: f64,
    /// Requests that ended by themselves.
    pub requests: f64,
    /// Of these, the ones that succeeded.
    pub answered: f64,
}

macro_rules! since {
    ($columns:literal, $from:literal) => {
        Sql {
            sqlite: concat!("SELECT ", $columns, " FROM ", $from, " started_at >= $1"),
            postgres: concat!(
                "SELECT ",
                $columns,
                " FROM ",
                $from,
                " started_at >= $1::timestamptz"
            ),
        }
    };
}

const CALLS: Sql = since!(
    "CAST(coalesce(sum(coalesce(prompt_tokens, 0) + coalesce(completion_tokens, 0)), 0) \
     AS DOUBLE PRECISION), CAST(count(*) AS DOUBLE PRECISION), \
     CAST(coalesce(sum(estimated_cost), 0) AS DOUBLE PRECISION)",
    "llm_calls WHERE counted AND"
);
const SPEECH: Sql = since!(
    "CAST(coalesce(sum(estimated_cost), 0) AS DOUBLE PRECISION)",
    "stt_logs WHERE"
);
const REQUESTS: Sql = since!(
    "CAST(count(*) AS DOUBLE PRECISION), \
     CAST(count(*) FILTER (WHERE status = 'success') AS DOUBLE PRECISION)",
    "pipeline_requests WHERE status IN ('success', 'error', 'timeout') AND"
);

/// The sums of the 24 hours before `now`.
pub async fn day(pool: &Pool, now: DateTime<Utc>) -> Result<Day, sqlx::Error> {
    let since = now - Duration::hours(24);
    let since = &since.to_rfc3339_opts(SecondsFormat::Micros, true);
    let mut day = Day::default();
    for (tokens, calls, cost) in rows!(pool, CALLS, since, |row| Ok((
        row.try_get(0)?,
        row.try_get(1)?,
        row.try_get(2)?
    ))) {
        (day.tokens, day.calls, day.cost) = (tokens, calls, cost);
    }
    for cost in rows!(pool, SPEECH, since, |row| row.try_get::<f64, _>(0)) {
        day.cost += cost;
    }
    for (requests, answered) in rows!(pool, REQUESTS, since, |row| Ok((
        row.try_get(0)?,
        row.try_get(1)?
    ))) {
        (day.requests, day.answered) = (requests, answered);
    }
    Ok(day)
}
