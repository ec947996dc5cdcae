//! What was received since a time, and what it cost: the page's and the API's first answer.
//! Sums over nothing are NULL and stay `None`: unknown is not zero.

use chrono::{DateTime, SecondsFormat, Utc};
use serde::Serialize;
use sqlx::Row;

use super::{Sql, rows};
use crate::store::Pool;

/// The answer.
#[derive(Debug, Clone, Default, PartialEq, Serialize)]
pub struct Summary {
    /// Over everything since then.
    pub totals: Totals,
    /// Dearest first.
    pub models: Vec<Model>,
    /// Busiest first.
    pub services: Vec<Service>,
    /// Newest first.
    pub latest: Vec<Call>,
    /// Slowest first.
    pub slowest: Vec<Request>,
    /// Most frequent first: (error type, calls).
    pub errors: Vec<(String, i64)>,
}

/// Sums.
#[derive(Debug, Clone, Default, PartialEq, Serialize)]
pub struct Totals {
    /// Counted calls.
    pub calls: i64,
    /// Of these, the ones that did not succeed.
    pub failed_calls: i64,
    /// Of these, successful ones without a price.
    pub unpriced_calls: i64,
    /// Input tokens, cache included.
    pub prompt_tokens: Option<i64>,
    /// Output tokens, reasoning included.
    pub completion_tokens: Option<i64>,
    /// USD of counted calls and speech; `None` if nothing has a price.
    pub cost_usd: Option<f64>,
    /// Of this, speech.
    pub speech_cost_usd: Option<f64>,
    /// Requests.
    pub requests: i64,
    /// Counted vector searches and reranks.
    pub retrievals: i64,
    /// Looks into caches.
    pub cache_lookups: i64,
    /// Of these, hits.
    pub cache_hits: i64,
    /// Seconds of audio in billed speech.
    pub audio_seconds: Option<f64>,
}

/// One model's counted calls.
#[derive(Debug, Clone, Default, PartialEq, Serialize)]
#[expect(missing_docs, reason = "the columns' names")]
pub struct Model {
    pub model: String,
    pub provider: Option<String>,
    pub calls: i64,
    pub prompt_tokens: Option<i64>,
    pub completion_tokens: Option<i64>,
    pub cost_usd: Option<f64>,
}

/// One service's counted calls.
#[derive(Debug, Clone, Default, PartialEq, Serialize)]
#[expect(missing_docs, reason = "the columns' names")]
pub struct Service {
    pub service: String,
    pub calls: i64,
    pub failed_calls: i64,
    pub cost_usd: Option<f64>,
    pub last_seen: String,
}

/// One call.
#[derive(Debug, Clone, Default, PartialEq, Serialize)]
#[expect(missing_docs, reason = "the columns' names")]
pub struct Call {
    pub trace_id: String,
    pub started_at: String,
    pub service: Option<String>,
    pub operation: String,
    pub model: Option<String>,
    pub prompt_tokens: Option<i64>,
    pub completion_tokens: Option<i64>,
    pub cost_usd: Option<f64>,
    pub latency_ms: Option<f64>,
    pub status: String,
    pub error_type: Option<String>,
}

/// One request.
#[derive(Debug, Clone, Default, PartialEq, Serialize)]
#[expect(missing_docs, reason = "the columns' names")]
pub struct Request {
    pub trace_id: String,
    pub started_at: String,
    pub service: Option<String>,
    pub pipeline: Option<String>,
    pub latency_ms: f64,
    pub status: String,
}

/// `{since}` and `{time}` are where the stores differ.
macro_rules! since {
    ($before:literal, $after:literal) => {
        Sql {
            sqlite: concat!($before, " started_at >= $1 ", $after),
            postgres: concat!($before, " started_at >= $1::timestamptz ", $after),
        }
    };
    // The time as RFC 3339 text is the first column.
    (time $columns:literal, $after:literal) => {
        Sql {
            sqlite: concat!("SELECT started_at, ", $columns, " started_at >= $1 ", $after),
            postgres: concat!(
                "SELECT to_char(started_at AT TIME ZONE 'UTC', 'YYYY-MM-DD\"T\"HH24:MI:SS.US\"Z\"'), ",
                $columns, " started_at >= $1::timestamptz ", $after
            ),
        }
    };
}

const CALLS: Sql = since!(
    "SELECT count(*), count(*) FILTER (WHERE status <> 'success'), \
     count(*) FILTER (WHERE status = 'success' AND estimated_cost IS NULL), \
     CAST(sum(prompt_tokens) AS BIGINT), CAST(sum(completion_tokens) AS BIGINT), \
     CAST(sum(estimated_cost) AS DOUBLE PRECISION) FROM llm_calls WHERE counted AND",
    ""
);
const SPEECH: Sql = since!(
    "SELECT CAST(sum(estimated_cost) AS DOUBLE PRECISION), \
     CAST(sum(audio_duration_seconds) FILTER (WHERE estimated_cost IS NOT NULL) \
     AS DOUBLE PRECISION) FROM stt_logs WHERE",
    ""
);
const REQUESTS: Sql = since!("SELECT count(*) FROM pipeline_requests WHERE", "");
const RETRIEVALS: Sql = since!("SELECT count(*) FROM retrievals WHERE counted AND", "");
const LOOKUPS: Sql = since!(
    "SELECT count(*), count(*) FILTER (WHERE hit) FROM cache_lookups WHERE",
    ""
);
const MODELS: Sql = since!(
    "SELECT coalesce(model, response_model, 'unknown'), max(provider), count(*), \
     CAST(sum(prompt_tokens) AS BIGINT), CAST(sum(completion_tokens) AS BIGINT), \
     CAST(sum(estimated_cost) AS DOUBLE PRECISION) FROM llm_calls WHERE counted AND",
    "GROUP BY 1 ORDER BY 6 DESC NULLS LAST, 3 DESC, 1 LIMIT 30"
);
const SERVICES: Sql = Sql {
    sqlite: "SELECT coalesce(service_name, 'unknown'), count(*), \
        count(*) FILTER (WHERE status <> 'success'), \
        CAST(sum(estimated_cost) AS DOUBLE PRECISION), max(started_at) \
        FROM llm_calls WHERE counted AND started_at >= $1 GROUP BY 1 ORDER BY 2 DESC, 1 LIMIT 30",
    postgres: "SELECT coalesce(service_name, 'unknown'), count(*), \
        count(*) FILTER (WHERE status <> 'success'), \
        CAST(sum(estimated_cost) AS DOUBLE PRECISION), \
        to_char(max(started_at) AT TIME ZONE 'UTC', 'YYYY-MM-DD\"T\"HH24:MI:SS.US\"Z\"') \
        FROM llm_calls WHERE counted AND started_at >= $1::timestamptz \
        GROUP BY 1 ORDER BY 2 DESC, 1 LIMIT 30",
};
const LATEST: Sql = since!(
    time "trace_id, service_name, coalesce(operation, call_type), coalesce(model, response_model), \
     prompt_tokens, completion_tokens, CAST(estimated_cost AS DOUBLE PRECISION), latency_ms, \
     status, error_type FROM llm_calls WHERE counted AND",
    "ORDER BY llm_calls.started_at DESC LIMIT 15"
);
const SLOWEST: Sql = since!(
    time "trace_id, service_name, pipeline, latency_ms, status \
     FROM pipeline_requests WHERE latency_ms IS NOT NULL AND",
    "ORDER BY latency_ms DESC LIMIT 5"
);
const ERRORS: Sql = since!(
    "SELECT coalesce(error_type, 'unknown'), count(*) FROM llm_calls \
     WHERE counted AND status <> 'success' AND",
    "GROUP BY 1 ORDER BY 2 DESC, 1 LIMIT 10"
);

/// What was received since `since`.
pub async fn summary(pool: &Pool, since: DateTime<Utc>) -> Result<Summary, sqlx::Error> {
    let since = &since.to_rfc3339_opts(SecondsFormat::Micros, true);
    Ok(Summary {
        totals: totals(pool, since).await?,
        models: rows!(pool, MODELS, since, |row| Ok(Model {
            model: row.try_get(0)?,
            provider: row.try_get(1)?,
            calls: row.try_get(2)?,
            prompt_tokens: row.try_get(3)?,
            completion_tokens: row.try_get(4)?,
            cost_usd: row.try_get(5)?,
        })),
        services: rows!(pool, SERVICES, since, |row| Ok(Service {
            service: row.try_get(0)?,
            calls: row.try_get(1)?,
            failed_calls: row.try_get(2)?,
            cost_usd: row.try_get(3)?,
            last_seen: row.try_get(4)?,
        })),
        latest: rows!(pool, LATEST, since, |row| Ok(Call {
            started_at: row.try_get(0)?,
            trace_id: row.try_get(1)?,
            service: row.try_get(2)?,
            operation: row.try_get(3)?,
            model: row.try_get(4)?,
            prompt_tokens: row.try_get(5)?,
            completion_tokens: row.try_get(6)?,
            cost_usd: row.try_get(7)?,
            latency_ms: row.try_get(8)?,
            status: row.try_get(9)?,
            error_type: row.try_get(10)?,
        })),
        slowest: rows!(pool, SLOWEST, since, |row| Ok(Request {
            started_at: row.try_get(0)?,
            trace_id: row.try_get(1)?,
            service: row.try_get(2)?,
            pipeline: row.try_get(3)?,
            latency_ms: row.try_get(4)?,
            status: row.try_get(5)?,
        })),
        errors: rows!(pool, ERRORS, since, |row| Ok((
            row.try_get(0)?,
            row.try_get(1)?
        ))),
    })
}

async fn totals(pool: &Pool, since: &String) -> Result<Totals, sqlx::Error> {
    let mut totals = Totals::default();
    for (calls, tokens, usd) in rows!(pool, CALLS, since, |row| Ok((
        [row.try_get::<i64, _>(0)?, row.try_get(1)?, row.try_get(2)?],
        [row.try_get::<Option<i64>, _>(3)?, row.try_get(4)?],
        row.try_get::<Option<f64>, _>(5)?,
    ))) {
        [totals.calls, totals.failed_calls, totals.unpriced_calls] = calls;
        [totals.prompt_tokens, totals.completion_tokens] = tokens;
        totals.cost_usd = usd;
    }
    for (usd, seconds) in rows!(pool, SPEECH, since, |row| Ok((
        row.try_get::<Option<f64>, _>(0)?,
        row.try_get::<Option<f64>, _>(1)?
    ))) {
        totals.audio_seconds = seconds;
        totals.speech_cost_usd = usd;
        totals.cost_usd = match (totals.cost_usd, usd) {
            (None, None) => None,
            (calls, speech) => Some(calls.unwrap_or(0.0) + speech.unwrap_or(0.0)),
        };
    }
    for (sql, slot) in [
        (REQUESTS, &mut totals.requests),
        (RETRIEVALS, &mut totals.retrievals),
    ] {
        if let Some(n) = rows!(pool, sql, since, |row| row.try_get::<i64, _>(0)).pop() {
            *slot = n;
        }
    }
    for (lookups, hits) in rows!(pool, LOOKUPS, since, |row| Ok((
        row.try_get::<i64, _>(0)?,
        row.try_get::<i64, _>(1)?
    ))) {
        (totals.cache_lookups, totals.cache_hits) = (lookups, hits);
    }
    Ok(totals)
}
