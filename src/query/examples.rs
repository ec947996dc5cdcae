//! Traces that are examples of what an alert is about. Ids, names and numbers only: no content.

use chrono::{DateTime, Duration, SecondsFormat, Utc};
use serde::Serialize;
use sqlx::Row;

use super::{Sql, rows};
use crate::store::Pool;

/// One example.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Example {
    /// Its trace.
    pub trace_id: String,
    /// RFC 3339.
    pub started_at: String,
    /// Who sent it.
    pub service: String,
    /// Pipeline, model, collection or error.
    pub what: Option<String>,
    /// What makes it an example, in the unit of its kind.
    pub value: Option<f64>,
}

/// What a kind of example is.
struct Kind {
    /// The alerts it belongs to.
    alerts: &'static [&'static str],
    /// What `value` is, with its unit.
    unit: &'static str,
    /// How long to look back, hours.
    hours: i64,
    sql: Sql,
}

macro_rules! kind {
    ([$($alert:literal),+], $hours:literal h, $unit:literal, $what:literal, $value:literal, $from:literal, $order:literal) => {
        Kind {
            alerts: &[$($alert),+],
            unit: $unit,
            hours: $hours,
            sql: Sql {
                sqlite: concat!(
                    "SELECT trace_id, started_at, coalesce(service_name, 'unknown'), ", $what,
                    ", CAST(", $value, " AS DOUBLE PRECISION) FROM ", $from,
                    " AND started_at >= $1 ORDER BY ", $order, " LIMIT 10"
                ),
                postgres: concat!(
                    "SELECT trace_id, \
                     to_char(started_at AT TIME ZONE 'UTC', 'YYYY-MM-DD\"T\"HH24:MI:SS.US\"Z\"'), \
                     coalesce(service_name, 'unknown'), ", $what,
                    ", CAST(", $value, " AS DOUBLE PRECISION) FROM ", $from,
                    " AND started_at >= $1::timestamptz ORDER BY ", $order, " LIMIT 10"
                ),
            },
        }
    };
}

const KINDS: &[Kind] = &[
    kind!(["ResponseTimeP95", "ResponseTimeP99", "AnomalyFlagged"], 1 h, "ms", "pipeline", "latency_ms",
        "pipeline_requests WHERE latency_ms IS NOT NULL", "latency_ms DESC"),
    kind!(["ErrorRateHigh"], 1 h, "ms", "coalesce(error_type, status)", "latency_ms",
        "pipeline_requests WHERE status IN ('error', 'timeout')", "pipeline_requests.started_at DESC"),
    kind!(["AvailabilityLow"], 24 h, "ms", "coalesce(error_type, status)", "latency_ms",
        "pipeline_requests WHERE status IN ('error', 'timeout')", "pipeline_requests.started_at DESC"),
    kind!(["MatchRateLow"], 1 h, "confidence", "framework", "confidence",
        "pipeline_requests WHERE NOT matched", "pipeline_requests.started_at DESC"),
    kind!(["ConfidenceLow"], 1 h, "confidence", "framework", "confidence",
        "pipeline_requests WHERE confidence IS NOT NULL", "confidence"),
    kind!(["FallbackHigh"], 1 h, "confidence", "framework", "confidence",
        "pipeline_requests WHERE fallback", "pipeline_requests.started_at DESC"),
    kind!(["EmbeddingSlow"], 1 h, "ms", "coalesce(model, response_model)", "latency_ms",
        "llm_calls WHERE counted AND call_type = 'embedding' AND latency_ms IS NOT NULL", "latency_ms DESC"),
    kind!(["ModelCallSlow"], 1 h, "ms", "coalesce(model, response_model)", "latency_ms",
        "llm_calls WHERE counted AND call_type <> 'embedding' AND latency_ms IS NOT NULL", "latency_ms DESC"),
    kind!(["ModelCallsFailing", "ErrorBudgetBurn", "ErrorsOfClass"], 1 h, "ms",
        "coalesce(error_type, status)", "latency_ms",
        "llm_calls WHERE counted AND status IN ('error', 'timeout')", "llm_calls.started_at DESC"),
    kind!(["TimeoutsHigh"], 1 h, "ms", "coalesce(model, response_model)", "latency_ms",
        "llm_calls WHERE counted AND status = 'timeout'", "llm_calls.started_at DESC"),
    kind!(["RetriesHigh"], 1 h, "retries", "coalesce(model, response_model)", "retry_count",
        "llm_calls WHERE counted AND retry_count > 0", "retry_count DESC"),
    kind!(["VectorSearchSlow"], 1 h, "ms", "collection_name", "latency_ms",
        "retrievals WHERE counted AND rerank_model IS NULL AND latency_ms IS NOT NULL", "latency_ms DESC"),
    kind!(["RetrievalHitRateLow"], 1 h, "hits", "collection_name", "hits",
        "retrievals WHERE counted AND hits = 0", "retrievals.started_at DESC"),
    kind!(["JsonParseFailing"], 1 h, "ms", "error_type", "latency_ms",
        "json_parses WHERE NOT success", "json_parses.started_at DESC"),
    kind!(["InputTokensHigh"], 1 h, "input tokens", "coalesce(model, response_model)", "prompt_tokens",
        "llm_calls WHERE counted AND prompt_tokens IS NOT NULL", "prompt_tokens DESC"),
    kind!(["OutputTokensHigh"], 1 h, "output tokens", "coalesce(model, response_model)", "completion_tokens",
        "llm_calls WHERE counted AND completion_tokens IS NOT NULL", "completion_tokens DESC"),
    kind!(["TokensPerDay"], 24 h, "tokens", "coalesce(model, response_model)", "total_tokens",
        "llm_calls WHERE counted AND total_tokens IS NOT NULL", "total_tokens DESC"),
    kind!(["CostSpike"], 1 h, "USD", "coalesce(model, response_model)", "estimated_cost",
        "llm_calls WHERE counted AND estimated_cost IS NOT NULL", "estimated_cost DESC"),
    kind!(["CostPerDay"], 24 h, "USD", "coalesce(model, response_model)", "estimated_cost",
        "llm_calls WHERE counted AND estimated_cost IS NOT NULL", "estimated_cost DESC"),
    kind!(["UnpricedCalls"], 24 h, "tokens", "coalesce(model, response_model)", "total_tokens",
        "llm_calls WHERE counted AND status = 'success' AND estimated_cost IS NULL", "llm_calls.started_at DESC"),
];

/// The unit of an alert's examples, or `None` if no trace can be an example of it.
pub fn unit(alert: &str) -> Option<&'static str> {
    kind(alert).map(|kind| kind.unit)
}

fn kind(alert: &str) -> Option<&'static Kind> {
    KINDS.iter().find(|kind| kind.alerts.contains(&alert))
}

/// Up to ten of the newest or worst, looking back from `now` as far as the alert does.
pub async fn of_alert(
    pool: &Pool,
    alert: &str,
    now: DateTime<Utc>,
) -> Result<Vec<Example>, sqlx::Error> {
    let Some(kind) = kind(alert) else {
        return Ok(Vec::new());
    };
    let since = now - Duration::hours(kind.hours);
    let since = &since.to_rfc3339_opts(SecondsFormat::Micros, true);
    Ok(rows!(pool, kind.sql, since, |row| Ok(Example {
        trace_id: row.try_get(0)?,
        started_at: row.try_get(1)?,
        service: row.try_get(2)?,
        what: row.try_get(3)?,
        value: row.try_get(4)?,
    })))
}
