//! What the tables hold of a set of traces: the store's side of an account.

use std::collections::BTreeMap;

use serde::Serialize;
use sqlx::Row;

use super::{Sql, rows};
use crate::store::Pool;

/// What the tables hold of the traces.
#[derive(Debug, Clone, Default, PartialEq, Serialize)]
pub struct Landed {
    /// Spans that were received and stored in any form, rows and links.
    pub spans: u64,
    /// Rows of `pipeline_requests`.
    pub requests: u64,
    /// Of these, the ones that ended in an error or out of time.
    pub failed_requests: u64,
    /// Counted calls to chat and embedding models, failed ones included.
    pub calls: u64,
    /// Of these, the failed.
    pub failed_calls: u64,
    /// Rows that don't count: wrappers and duplicates.
    pub not_counted: u64,
    /// Calls that have usage but no price.
    pub unpriced_calls: u64,
    /// Input tokens of the counted calls, cache included.
    pub input_tokens: i64,
    /// Output tokens of the counted calls, reasoning included.
    pub output_tokens: i64,
    /// USD of the counted calls and the transcriptions.
    pub cost_usd: f64,
    /// Counted calls by model, in the order to show them.
    pub models: Vec<ModelLine>,
    /// Errors by `error_type`.
    pub errors: BTreeMap<String, u64>,
    /// Rows of `retrievals`.
    pub retrievals: u64,
    /// Rows of `cache_lookups`.
    pub cache_lookups: u64,
    /// Rows of `json_parses`.
    pub json_parses: u64,
    /// Rows of `stt_logs`.
    pub speech_events: u64,
    /// Seconds of audio that are charged.
    pub billed_audio_seconds: f64,
    /// The request that took longest.
    pub slowest: Option<SlowTrace>,
}

/// A model's counted calls.
#[derive(Debug, Clone, Default, PartialEq, Serialize)]
pub struct ModelLine {
    /// Requested model.
    pub model: String,
    /// Normalised provider.
    pub provider: Option<String>,
    /// Calls, failed ones included.
    pub calls: u64,
    /// Input tokens; `None` if no call reported any.
    pub input_tokens: Option<i64>,
    /// Output tokens; `None` if no call reported any.
    pub output_tokens: Option<i64>,
    /// USD; `None` if no call has a price.
    pub cost_usd: Option<f64>,
}

/// The slowest request.
#[derive(Debug, Clone, Default, PartialEq, Serialize)]
pub struct SlowTrace {
    /// Its trace.
    pub trace_id: String,
    /// The app.
    pub service_name: Option<String>,
    /// The pipeline.
    pub pipeline: Option<String>,
    /// How long it took.
    pub latency_ms: f64,
}

/// The same statement for both stores; they differ in how a list of ids is bound.
macro_rules! of_traces {
    ($before:literal, $after:literal) => {
        Sql {
            sqlite: concat!(
                $before,
                " trace_id IN (SELECT value FROM json_each($1)) ",
                $after
            ),
            postgres: concat!(
                $before,
                " trace_id IN (SELECT jsonb_array_elements_text($1::jsonb)) ",
                $after
            ),
        }
    };
}

const CALLS: Sql = of_traces!(
    "SELECT count(*) FILTER (WHERE counted), \
     count(*) FILTER (WHERE counted AND status <> 'success'), \
     count(*) FILTER (WHERE NOT counted), \
     count(*) FILTER (WHERE counted AND estimated_cost IS NULL AND prompt_tokens IS NOT NULL), \
     CAST(coalesce(sum(prompt_tokens) FILTER (WHERE counted), 0) AS BIGINT), \
     CAST(coalesce(sum(completion_tokens) FILTER (WHERE counted), 0) AS BIGINT), \
     CAST(coalesce(sum(estimated_cost) FILTER (WHERE counted), 0) AS DOUBLE PRECISION) \
     FROM llm_calls WHERE",
    ""
);
const MODELS: Sql = of_traces!(
    "SELECT coalesce(model, response_model, 'unknown'), max(provider), count(*), \
     CAST(sum(prompt_tokens) AS BIGINT), CAST(sum(completion_tokens) AS BIGINT), \
     CAST(sum(estimated_cost) AS DOUBLE PRECISION) FROM llm_calls WHERE counted AND",
    "GROUP BY 1 ORDER BY 6 DESC NULLS LAST, 3 DESC, 1"
);
const ERRORS: Sql = of_traces!(
    "SELECT coalesce(error_type, 'unknown'), count(*) FROM llm_calls \
     WHERE counted AND status <> 'success' AND",
    "GROUP BY 1 ORDER BY 1"
);
const REQUESTS: Sql = of_traces!(
    "SELECT count(*), count(*) FILTER (WHERE status <> 'success') FROM pipeline_requests WHERE",
    ""
);
const SLOWEST: Sql = of_traces!(
    "SELECT trace_id, service_name, pipeline, CAST(latency_ms AS DOUBLE PRECISION) \
     FROM pipeline_requests WHERE latency_ms IS NOT NULL AND",
    "ORDER BY latency_ms DESC LIMIT 1"
);
const SPEECH: Sql = of_traces!(
    "SELECT count(*), \
     CAST(coalesce(sum(audio_duration_seconds) FILTER (WHERE estimated_cost IS NOT NULL), 0) \
     AS DOUBLE PRECISION), CAST(coalesce(sum(estimated_cost), 0) AS DOUBLE PRECISION) \
     FROM stt_logs WHERE",
    ""
);
const RETRIEVALS: Sql = of_traces!("SELECT count(*) FROM retrievals WHERE", "");
const CACHE_LOOKUPS: Sql = of_traces!("SELECT count(*) FROM cache_lookups WHERE", "");
const JSON_PARSES: Sql = of_traces!("SELECT count(*) FROM json_parses WHERE", "");
/// Span ids in any table; the same span in two tables is one span.
const SPANS: Sql = of_traces!(
    "SELECT count(*) FROM (SELECT DISTINCT trace_id, span_id FROM (\
     SELECT trace_id, span_id FROM llm_calls UNION ALL SELECT trace_id, span_id FROM retrievals \
     UNION ALL SELECT trace_id, span_id FROM stt_logs \
     UNION ALL SELECT trace_id, span_id FROM cache_lookups \
     UNION ALL SELECT trace_id, span_id FROM json_parses \
     UNION ALL SELECT trace_id, span_id FROM pipeline_requests \
     UNION ALL SELECT trace_id, span_id FROM span_links) AS every_row WHERE",
    ") AS every_span"
);

/// What the tables hold of these traces (lower-case hex ids).
pub async fn landed(pool: &Pool, trace_ids: &[String]) -> Result<Landed, sqlx::Error> {
    let ids = &serde_json::Value::from(trace_ids).to_string();
    let mut landed = Landed::default();
    let count = |n: i64| n.unsigned_abs();
    for row in rows!(pool, CALLS, ids, |row| Ok((
        [
            row.try_get::<i64, _>(0)?,
            row.try_get(1)?,
            row.try_get(2)?,
            row.try_get(3)?
        ],
        [row.try_get::<i64, _>(4)?, row.try_get(5)?],
        row.try_get::<f64, _>(6)?
    ))) {
        let ([calls, failed, not_counted, unpriced], [input, output], usd) = row;
        landed.calls = count(calls);
        landed.failed_calls = count(failed);
        landed.not_counted = count(not_counted);
        landed.unpriced_calls = count(unpriced);
        (landed.input_tokens, landed.output_tokens) = (input, output);
        landed.cost_usd += usd;
    }
    landed.models = rows!(pool, MODELS, ids, |row| Ok(ModelLine {
        model: row.try_get(0)?,
        provider: row.try_get(1)?,
        calls: count(row.try_get(2)?),
        input_tokens: row.try_get(3)?,
        output_tokens: row.try_get(4)?,
        cost_usd: row.try_get(5)?,
    }));
    landed.errors = rows!(pool, ERRORS, ids, |row| Ok((
        row.try_get(0)?,
        count(row.try_get(1)?)
    )))
    .into_iter()
    .collect();
    for (requests, failed) in rows!(pool, REQUESTS, ids, |row| Ok((
        row.try_get::<i64, _>(0)?,
        row.try_get::<i64, _>(1)?
    ))) {
        (landed.requests, landed.failed_requests) = (count(requests), count(failed));
    }
    landed.slowest = rows!(pool, SLOWEST, ids, |row| Ok(SlowTrace {
        trace_id: row.try_get(0)?,
        service_name: row.try_get(1)?,
        pipeline: row.try_get(2)?,
        latency_ms: row.try_get(3)?,
    }))
    .pop();
    for (events, seconds, usd) in rows!(pool, SPEECH, ids, |row| Ok((
        row.try_get::<i64, _>(0)?,
        row.try_get::<f64, _>(1)?,
        row.try_get::<f64, _>(2)?
    ))) {
        (landed.speech_events, landed.billed_audio_seconds) = (count(events), seconds);
        landed.cost_usd += usd;
    }
    for (sql, slot) in [
        (RETRIEVALS, &mut landed.retrievals),
        (CACHE_LOOKUPS, &mut landed.cache_lookups),
        (JSON_PARSES, &mut landed.json_parses),
        (SPANS, &mut landed.spans),
    ] {
        if let Some(n) = rows!(pool, sql, ids, |row| row.try_get::<i64, _>(0)).pop() {
            *slot = count(n);
        }
    }
    Ok(landed)
}
