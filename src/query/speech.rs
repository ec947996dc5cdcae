//! Stored events of transcriptions that are billed, to price them again.

use serde_json::json;
use sqlx::Row;

use super::{Sql, calls::Cursor, name, rows};
use crate::{
    record::{SpanId, SttEvent, TraceId},
    store::Pool,
};

/// A row of `stt_logs`.
#[derive(Debug, Clone)]
pub struct StoredSpeech {
    /// `id` of the row.
    pub id: String,
    /// What pricing looks at.
    pub event: SttEvent,
    /// `estimated_cost`, USD.
    pub cost: Option<f64>,
}

/// Who is billed: a chunk, and a whole that sums up no chunks; a chunk that is an event of a whole
/// is part of it.
macro_rules! sql {
    ($micros:literal, $after:literal) => {
        concat!(
            "SELECT id, trace_id, span_id, ",
            $micros,
            ", provider, model, audio_duration_seconds, \
             CAST(estimated_cost AS double precision) FROM stt_logs AS t \
             WHERE (event_type = 'complete' AND coalesce(total_chunks, 0) = 0 \
             OR event_type = 'chunk_complete' AND NOT EXISTS (SELECT 1 FROM stt_logs AS w \
             WHERE w.trace_id = t.trace_id AND w.span_id = t.span_id \
             AND w.event_type = 'complete' AND coalesce(w.total_chunks, 0) = 0)) AND ",
            $after,
            " ORDER BY started_at, id LIMIT 1000"
        )
    };
}

const AFTER: Sql = Sql {
    sqlite: sql!(
        "CAST(strftime('%s', started_at) AS INTEGER) * 1000000 + CAST(substr(started_at, 21, 6) AS INTEGER)",
        "(started_at, id) > ($1 ->> 'at', $1 ->> 'id')"
    ),
    postgres: sql!(
        "CAST(extract(epoch FROM started_at) * 1000000 AS bigint)",
        "(started_at, id) > (CAST(CAST($1 AS jsonb) ->> 'at' AS timestamptz), CAST($1 AS jsonb) ->> 'id')"
    ),
};

/// The next billed rows after the cursor, in order of time; none at the end.
pub async fn after(pool: &Pool, cursor: &Cursor) -> Result<Vec<StoredSpeech>, sqlx::Error> {
    let bound = json!({ "at": cursor.at(), "id": cursor.id }).to_string();
    Ok(rows!(pool, AFTER, &bound, |row| Ok({
        let mut event = SttEvent {
            provider: name(row, 4)?,
            model: name(row, 5)?,
            audio_duration_seconds: row.try_get(6)?,
            billed: true,
            ..SttEvent::default()
        };
        let (trace, span): (String, String) = (row.try_get(1)?, row.try_get(2)?);
        event.header.trace_id = TraceId::from_hex(&trace).unwrap_or_default();
        event.header.span_id = SpanId::from_hex(&span).unwrap_or_default();
        event.header.started_at = row.try_get::<i64, _>(3)?.saturating_mul(1000);
        StoredSpeech {
            id: row.try_get(0)?,
            event,
            cost: row.try_get(7)?,
        }
    })))
}
