//! Stored model calls, as far as their numbers can be explained and priced again.

use serde_json::{Map, Value, json};
use smol_str::SmolStr;
use sqlx::Row;

use super::{Sql, name, rows};
use crate::{
    record::{
        CallType, Counted, LlmCall, NotCounted, Role, SpanId, SpanKey, Status, TraceId, Usage,
    },
    store::Pool,
};

/// A row of `llm_calls`.
#[derive(Debug, Clone)]
pub struct StoredCall {
    /// `id` of the row.
    pub id: String,
    /// What pricing looks at, and who and what it was.
    pub call: LlmCall,
    /// `estimated_cost`, USD.
    pub cost: Option<f64>,
    /// `price_rule`.
    pub rule: Option<String>,
    /// `price_version`.
    pub version: Option<String>,
    /// The dialect's name.
    pub dialect: Option<String>,
    /// Where each number came from: column to `{attribute, rule}`.
    pub origin: Map<String, Value>,
}

/// From where on rows are read: start in Unix microseconds, and the last row's id.
#[derive(Debug, Clone, Default)]
pub struct Cursor {
    /// Start of the last row that was read, Unix ns.
    pub started_at: i64,
    /// Its id.
    pub id: String,
}

impl Cursor {
    /// The start, as both stores compare it.
    pub(super) fn at(&self) -> String {
        let at = chrono::DateTime::from_timestamp_micros(self.started_at.div_euclid(1000));
        at.unwrap_or_default()
            .to_rfc3339_opts(chrono::SecondsFormat::Micros, true)
    }
}

macro_rules! select {
    ($micros:literal, $json:literal, $wanted:literal) => {
        concat!(
            "SELECT id, trace_id, span_id, parent_span_id, parent_call_id, ",
            $micros,
            ", CASE WHEN counted THEN '' ELSE coalesce(not_counted_why, 'wrapper') END, provider, \
             model, response_model, prompt_tokens, completion_tokens, total_tokens, \
             cache_read_tokens, cache_write_tokens, reasoning_tokens, audio_seconds, \
             CAST(estimated_cost AS double precision), CAST(reported_cost AS double precision), \
             price_rule, price_version, call_type, status, dialect, service_name, operation, \
             error_type, ",
            $json,
            " FROM llm_calls WHERE ",
            $wanted
        )
    };
}

macro_rules! sql {
    ($sqlite:literal, $postgres:literal) => {
        Sql {
            sqlite: select!(
                "CAST(strftime('%s', started_at) AS INTEGER) * 1000000 + CAST(substr(started_at, 21, 6) AS INTEGER)",
                "metadata",
                $sqlite
            ),
            postgres: select!(
                "CAST(extract(epoch FROM started_at) * 1000000 AS bigint)",
                "CAST(metadata AS text)",
                $postgres
            ),
        }
    };
}

const OF_ID: Sql = sql!(
    "trace_id IN (SELECT trace_id FROM llm_calls WHERE trace_id = $1 OR span_id = $1 OR id = $1) \
     ORDER BY started_at, id",
    "trace_id IN (SELECT trace_id FROM llm_calls WHERE trace_id = $1 OR span_id = $1 OR id = $1) \
     ORDER BY started_at, id"
);
const OF_ANSWER: Sql = sql!(
    "json_extract(metadata, '$.\"gen_ai.response.id\"') = $1 ORDER BY started_at LIMIT 50",
    "metadata ->> 'gen_ai.response.id' = $1 ORDER BY started_at LIMIT 50"
);
const AFTER: Sql = sql!(
    "(started_at, id) > ($1 ->> 'at', $1 ->> 'id') ORDER BY started_at, id LIMIT 1000",
    "(started_at, id) > (CAST(CAST($1 AS jsonb) ->> 'at' AS timestamptz), CAST($1 AS jsonb) ->> 'id') \
     ORDER BY started_at, id LIMIT 1000"
);

/// The rows of the trace that `id` is, or that the span or row `id` belongs to, in order of time.
pub async fn of_id(pool: &Pool, id: &str) -> Result<Vec<StoredCall>, sqlx::Error> {
    read(pool, &OF_ID, id.to_owned()).await
}

/// The rows that show this answer of a provider.
pub async fn of_answer(pool: &Pool, answer: &str) -> Result<Vec<StoredCall>, sqlx::Error> {
    read(pool, &OF_ANSWER, answer.to_owned()).await
}

/// The next rows after the cursor, in order of time; none at the end.
pub async fn after(pool: &Pool, cursor: &Cursor) -> Result<Vec<StoredCall>, sqlx::Error> {
    let bound = json!({ "at": cursor.at(), "id": cursor.id });
    read(pool, &AFTER, bound.to_string()).await
}

async fn read(pool: &Pool, sql: &Sql, bound: String) -> Result<Vec<StoredCall>, sqlx::Error> {
    Ok(rows!(pool, sql, &bound, |row| Ok({
        let metadata: Option<String> = row.try_get(27)?;
        let metadata: Value = metadata
            .and_then(|text| serde_json::from_str(&text).ok())
            .unwrap_or_default();
        let billing = &metadata["spanledger.billing"];
        let mut call = LlmCall {
            provider: name(row, 7)?,
            model: name(row, 8)?,
            response_model: name(row, 9)?,
            usage: Usage {
                prompt: row.try_get(10)?,
                completion: row.try_get(11)?,
                total: row.try_get(12)?,
                cache_read: row.try_get(13)?,
                cache_write: row.try_get(14)?,
                reasoning: row.try_get(15)?,
                cache_write_1h: billing["cache_write_1h_tokens"].as_i64(),
                audio_input: billing["audio_input_tokens"].as_i64(),
                audio_output: billing["audio_output_tokens"].as_i64(),
            },
            audio_seconds: row.try_get(16)?,
            reported_cost: row.try_get(18)?,
            service_tier: billing["service_tier"].as_str().map(SmolStr::from),
            operation: name(row, 25)?,
            error_type: name(row, 26)?,
            response_id: metadata["gen_ai.response.id"].as_str().map(SmolStr::from),
            ..LlmCall::default()
        };
        let id = |at: usize| row.try_get::<Option<String>, _>(at);
        call.header.trace_id = id(1)?
            .and_then(|id| TraceId::from_hex(&id))
            .unwrap_or_default();
        call.header.span_id = id(2)?
            .and_then(|id| SpanId::from_hex(&id))
            .unwrap_or_default();
        call.header.parent_span_id = id(3)?.and_then(|id| SpanId::from_hex(&id));
        call.parent_call = id(4)?.and_then(|id| SpanKey::parse(&id));
        call.header.started_at = row.try_get::<i64, _>(5)?.saturating_mul(1000);
        call.header.service_name = row.try_get(24)?;
        let why: String = row.try_get(6)?;
        call.counted = match why.as_str() {
            "" => Counted::Yes,
            why => Counted::No(NotCounted::parse(why).unwrap_or_default()),
        };
        let call_type: Option<String> = row.try_get(21)?;
        call.call_type = call_type
            .and_then(|word| CallType::parse(&word))
            .unwrap_or_default();
        let status: Option<String> = row.try_get(22)?;
        call.status = status
            .and_then(|word| Status::parse(&word))
            .unwrap_or_default();
        let role = metadata["spanledger.role"].as_str();
        call.role = role.and_then(Role::parse).unwrap_or(Role::Call);
        StoredCall {
            id: row.try_get(0)?,
            call,
            cost: row.try_get(17)?,
            rule: row.try_get(19)?,
            version: row.try_get(20)?,
            dialect: row.try_get(23)?,
            origin: metadata["spanledger.origin"]
                .as_object()
                .cloned()
                .unwrap_or_default(),
        }
    })))
}
