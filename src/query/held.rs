//! The rows of all traces whose ids begin alike: a load's side of the store.

use sqlx::Row;

use super::{Sql, rows};
use crate::{
    record::{SpanId, TraceId},
    store::Pool,
};

/// A row, as far as it can be compared with what was sent.
#[derive(Debug, Clone, PartialEq)]
pub struct Held {
    /// In which table.
    pub table: String,
    /// Of which trace.
    pub trace_id: TraceId,
    /// Of which span.
    pub span_id: SpanId,
    /// Whether it counts; `None` where rows of its table have no such column.
    pub counted: Option<bool>,
    /// Input tokens; of a request, all tokens below it.
    pub prompt_tokens: Option<i64>,
    /// Output tokens.
    pub completion_tokens: Option<i64>,
    /// USD.
    pub cost: Option<f64>,
    /// The price table's version, where it has a cost.
    pub price_version: Option<String>,
}

/// One branch a table. `$1` is what the ids begin with; no hex digit sorts behind `f`.
const HELD: Sql = {
    const TEXT: &str = "SELECT 'llm_calls', trace_id, span_id, CAST(counted AS INTEGER), \
        prompt_tokens, completion_tokens, CAST(estimated_cost AS double precision), price_version \
        FROM llm_calls WHERE trace_id >= $1 AND trace_id < $1 || 'g' \
        UNION ALL SELECT 'retrievals', trace_id, span_id, CAST(counted AS INTEGER), \
        NULL, NULL, NULL, NULL \
        FROM retrievals WHERE trace_id >= $1 AND trace_id < $1 || 'g' \
        UNION ALL SELECT 'pipeline_requests', trace_id, span_id, NULL, \
        tokens, NULL, CAST(cost AS double precision), NULL \
        FROM pipeline_requests WHERE trace_id >= $1 AND trace_id < $1 || 'g' \
        UNION ALL SELECT 'stt_logs', trace_id, span_id, NULL, NULL, NULL, NULL, NULL \
        FROM stt_logs WHERE trace_id >= $1 AND trace_id < $1 || 'g' \
        UNION ALL SELECT 'cache_lookups', trace_id, span_id, NULL, NULL, NULL, NULL, NULL \
        FROM cache_lookups WHERE trace_id >= $1 AND trace_id < $1 || 'g' \
        UNION ALL SELECT 'json_parses', trace_id, span_id, NULL, NULL, NULL, NULL, NULL \
        FROM json_parses WHERE trace_id >= $1 AND trace_id < $1 || 'g' \
        UNION ALL SELECT 'dead_letters', trace_id, span_id, NULL, NULL, NULL, NULL, NULL \
        FROM dead_letters WHERE trace_id >= $1 AND trace_id < $1 || 'g'";
    Sql {
        sqlite: TEXT,
        postgres: TEXT,
    }
};

const COUNT: Sql = {
    const TEXT: &str = "SELECT \
        (SELECT count(*) FROM llm_calls WHERE trace_id >= $1 AND trace_id < $1 || 'g') + \
        (SELECT count(*) FROM retrievals WHERE trace_id >= $1 AND trace_id < $1 || 'g') + \
        (SELECT count(*) FROM pipeline_requests WHERE trace_id >= $1 AND trace_id < $1 || 'g') + \
        (SELECT count(*) FROM dead_letters WHERE trace_id >= $1 AND trace_id < $1 || 'g')";
    Sql {
        sqlite: TEXT,
        postgres: TEXT,
    }
};

/// The rows of the traces whose ids begin with `prefix` (lower-case hex), dead letters included.
/// All at once: choose a prefix that bounds them.
pub async fn held(pool: &Pool, prefix: &str) -> Result<Vec<Held>, sqlx::Error> {
    Ok(rows!(pool, HELD, prefix, |row| Ok(Held {
        table: row.try_get(0)?,
        trace_id: TraceId::from_hex(row.try_get(1)?).unwrap_or_default(),
        span_id: SpanId::from_hex(row.try_get(2)?).unwrap_or_default(),
        counted: row
            .try_get::<Option<i32>, _>(3)?
            .map(|counted| counted != 0),
        prompt_tokens: row.try_get(4)?,
        completion_tokens: row.try_get(5)?,
        cost: row.try_get(6)?,
        price_version: row.try_get(7)?,
    })))
}

/// How many rows the traces have in the tables that a load's spans go to, dead letters included.
pub async fn count(pool: &Pool, prefix: &str) -> Result<u64, sqlx::Error> {
    let counts = rows!(pool, COUNT, prefix, |row| row.try_get::<i64, _>(0));
    Ok(counts.iter().sum::<i64>().unsigned_abs())
}
