//! Changes to stored rows; checkpoints.
//!
//! Each kind of change is one statement over a JSON array of changes, so a batch with a thousand
//! of them is a handful of round trips. The arrays hold a row once: which of two changes an UPDATE
//! takes is open, so they are merged before.

use serde_json::{Value, json};
use sqlx::{PgConnection, PgPool, SqliteConnection, SqlitePool};

use super::{Batch, Error, Sql, arrays::arrays, tables::rfc3339};
use crate::{
    record::{Amendment, Change, Context, SpanKey, TraceId},
    spool::Position,
};

/// `UPDATE table SET … FROM the array`, matched by primary key. In `$set`, `v` has the array's
/// fields; Postgres needs their types, and bounds: without them a join reads every partition.
macro_rules! update {
    ($table:literal, $fields:literal, $types:literal, $set:literal) => {
        Sql {
            sqlite: concat!(
                "UPDATE ",
                $table,
                " AS t SET ",
                $set,
                " FROM (SELECT ",
                "value ->> 'trace_id' AS trace_id, value ->> 'span_id' AS span_id, ",
                "value ->> 'started_at' AS started_at, ",
                $fields,
                " FROM json_each($1)) AS v WHERE t.trace_id = v.trace_id AND ",
                "t.span_id = v.span_id AND t.started_at = v.started_at"
            ),
            postgres: concat!(
                "UPDATE ",
                $table,
                " AS t SET ",
                $set,
                " FROM jsonb_to_recordset($1::jsonb) AS v(",
                "trace_id text, span_id text, started_at timestamptz, ",
                $types,
                ") WHERE t.trace_id = v.trace_id AND t.span_id = v.span_id ",
                "AND t.started_at = v.started_at ",
                "AND t.started_at >= (SELECT min(started_at) FROM ",
                "jsonb_to_recordset($1::jsonb) AS b(started_at timestamptz)) ",
                "AND t.started_at <= (SELECT max(started_at) FROM ",
                "jsonb_to_recordset($1::jsonb) AS b(started_at timestamptz))"
            ),
        }
    };
}

const COUNTED: Sql = update!(
    "llm_calls",
    "value ->> 'counted' AS counted, value ->> 'why' AS why",
    "counted boolean, why text",
    "counted = v.counted, not_counted_why = v.why"
);
const RETRIEVAL_COUNTED: Sql = update!(
    "retrievals",
    "value ->> 'counted' AS counted",
    "counted boolean",
    "counted = v.counted"
);
const PARENT: Sql = update!(
    "llm_calls",
    "value ->> 'parent' AS parent",
    "parent text",
    "parent_call_id = v.parent"
);
const REQUEST: Sql = update!(
    "pipeline_requests",
    "value ->> 'embedding_ms' AS embedding_ms, value ->> 'vector_search_ms' AS vector_search_ms, \
     value ->> 'rerank_ms' AS rerank_ms, value ->> 'llm_ms' AS llm_ms, \
     value ->> 'json_parsing_ms' AS json_parsing_ms, value ->> 'stt_ms' AS stt_ms, \
     value ->> 'tokens' AS tokens, value ->> 'cost' AS cost",
    "embedding_ms float8, vector_search_ms float8, rerank_ms float8, llm_ms float8, \
     json_parsing_ms float8, stt_ms float8, tokens bigint, cost numeric",
    "embedding_ms = v.embedding_ms, vector_search_ms = v.vector_search_ms, \
     rerank_ms = v.rerank_ms, llm_ms = v.llm_ms, json_parsing_ms = v.json_parsing_ms, \
     stt_ms = v.stt_ms, tokens = v.tokens, cost = v.cost"
);
const CALL_CONTEXT: Sql = update!(
    "llm_calls",
    "value ->> 'user_id' AS user_id, value ->> 'user_hash' AS user_hash, \
     value ->> 'session_id' AS session_id, value ->> 'task_id' AS task_id, \
     value ->> 'company_id' AS company_id, value ->> 'review_id' AS review_id, \
     value ->> 'meeting_id' AS meeting_id, value ->> 'agenda_id' AS agenda_id, \
     value ->> 'request_id' AS request_id, value ->> 'collection_name' AS collection_name, \
     value ->> 'experiment' AS experiment, value ->> 'variant' AS variant, \
     value ->> 'environment' AS environment",
    "user_id text, user_hash text, session_id text, task_id text, company_id text, \
     review_id text, meeting_id text, agenda_id text, request_id text, collection_name text, \
     experiment text, variant text, environment text",
    "user_id = coalesce(v.user_id, t.user_id), user_hash = coalesce(v.user_hash, t.user_hash), \
     session_id = coalesce(v.session_id, t.session_id), task_id = coalesce(v.task_id, t.task_id), \
     company_id = coalesce(v.company_id, t.company_id), \
     review_id = coalesce(v.review_id, t.review_id), \
     meeting_id = coalesce(v.meeting_id, t.meeting_id), \
     agenda_id = coalesce(v.agenda_id, t.agenda_id), \
     request_id = coalesce(v.request_id, t.request_id), \
     collection_name = coalesce(v.collection_name, t.collection_name), \
     experiment = coalesce(v.experiment, t.experiment), variant = coalesce(v.variant, t.variant), \
     environment = coalesce(v.environment, t.environment)"
);
const RETRIEVAL_CONTEXT: Sql = update!(
    "retrievals",
    "value ->> 'session_id' AS session_id, value ->> 'collection_name' AS collection_name",
    "session_id text, collection_name text",
    "session_id = coalesce(v.session_id, t.session_id), \
     collection_name = coalesce(v.collection_name, t.collection_name)"
);
const SPEECH_CONTEXT: Sql = update!(
    "stt_logs",
    "value ->> 'recording_id' AS recording_id, value ->> 'task_id' AS task_id",
    "recording_id text, task_id text",
    "recording_id = coalesce(v.recording_id, t.recording_id), \
     task_id = coalesce(v.task_id, t.task_id)"
);
const REQUEST_CONTEXT: Sql = update!(
    "pipeline_requests",
    "value ->> 'user_id' AS user_id, value ->> 'session_id' AS session_id, \
     value ->> 'request_id' AS request_id, value ->> 'experiment' AS experiment, \
     value ->> 'variant' AS variant",
    "user_id text, session_id text, request_id text, experiment text, variant text",
    "user_id = coalesce(v.user_id, t.user_id), session_id = coalesce(v.session_id, t.session_id), \
     request_id = coalesce(v.request_id, t.request_id), \
     experiment = coalesce(v.experiment, t.experiment), variant = coalesce(v.variant, t.variant)"
);
const CHECKPOINT: &str = "INSERT INTO spool_checkpoints \
    (spool_id, lane, segment, byte_offset, updated_at) \
    VALUES ($1, $2, $3, $4, CURRENT_TIMESTAMP) ON CONFLICT (spool_id, lane) DO UPDATE SET \
    segment = excluded.segment, byte_offset = excluded.byte_offset, \
    updated_at = excluded.updated_at";
const SHARED: &str = "SELECT EXISTS (SELECT 1 FROM spool_checkpoints \
    WHERE spool_id <> $1 AND updated_at > now() - interval '1 day')";
const RESUME: &str =
    "SELECT segment, byte_offset FROM spool_checkpoints WHERE spool_id = $1 AND lane = $2";

const LOCK_REQUESTS: &str = "SELECT 1 FROM pipeline_requests WHERE trace_id = ANY($1) \
    ORDER BY trace_id, span_id FOR UPDATE";
/// A request is a trace's root, so what counts in the trace lies below it.
const SUM_REQUESTS: &str = "UPDATE pipeline_requests AS p SET \
    embedding_ms = s.embedding_ms, vector_search_ms = s.vector_search_ms, \
    rerank_ms = s.rerank_ms, llm_ms = s.llm_ms, json_parsing_ms = s.json_parsing_ms, \
    stt_ms = s.stt_ms, tokens = s.tokens, cost = s.cost FROM (\
    SELECT trace_id, sum(ms) FILTER (WHERE stage = 'embedding') AS embedding_ms, \
    sum(ms) FILTER (WHERE stage = 'vector_search') AS vector_search_ms, \
    sum(ms) FILTER (WHERE stage = 'rerank') AS rerank_ms, \
    sum(ms) FILTER (WHERE stage = 'llm') AS llm_ms, \
    sum(ms) FILTER (WHERE stage = 'json_parsing') AS json_parsing_ms, \
    sum(ms) FILTER (WHERE stage = 'stt') AS stt_ms, \
    CAST(sum(tokens) AS bigint) AS tokens, sum(cost) AS cost FROM (\
    SELECT trace_id, CASE WHEN call_type = 'embedding' THEN 'embedding' ELSE 'llm' END AS stage, \
    latency_ms AS ms, CASE WHEN prompt_tokens IS NULL AND completion_tokens IS NULL \
    THEN total_tokens ELSE coalesce(prompt_tokens, 0) + coalesce(completion_tokens, 0) END \
    AS tokens, estimated_cost AS cost FROM llm_calls WHERE trace_id = ANY($1) AND counted \
    UNION ALL SELECT trace_id, CASE WHEN rerank_enabled AND db_system IS NULL THEN 'rerank' \
    ELSE 'vector_search' END, latency_ms, NULL, NULL FROM retrievals \
    WHERE trace_id = ANY($1) AND counted \
    UNION ALL SELECT trace_id, 'json_parsing', latency_ms, NULL, NULL FROM json_parses \
    WHERE trace_id = ANY($1) \
    UNION ALL SELECT trace_id, 'stt', max(duration_seconds) * 1000, NULL, sum(estimated_cost) \
    FROM stt_logs WHERE trace_id = ANY($1) GROUP BY trace_id, span_id) AS parts \
    GROUP BY trace_id) AS s WHERE p.trace_id = s.trace_id AND p.trace_id = ANY($1)";

/// Sums the requests of these traces from the rows that are stored of them.
pub(super) async fn sum_requests(pool: &PgPool, traces: &[TraceId]) -> Result<(), Error> {
    let ids: Vec<String> = traces.iter().map(TraceId::to_string).collect();
    // Whoever sums last must see what the others wrote before it: lock first, then look.
    let mut tx = pool.begin().await?;
    sqlx::query(LOCK_REQUESTS)
        .bind(&ids)
        .execute(&mut *tx)
        .await?;
    sqlx::query(SUM_REQUESTS)
        .bind(&ids)
        .execute(&mut *tx)
        .await?;
    Ok(tx.commit().await?)
}

/// Makes a spool known.
pub(super) async fn announce(pool: &PgPool, spool_id: &str) -> Result<(), Error> {
    sqlx::query(CHECKPOINT)
        .bind(spool_id)
        .bind("presence")
        .bind(0i64)
        .bind(0i64)
        .execute(pool)
        .await?;
    Ok(())
}

/// True if another spool's lane wrote within the last day.
pub(super) async fn is_shared(pool: &PgPool, spool_id: &str) -> Result<bool, Error> {
    Ok(sqlx::query_scalar(SHARED)
        .bind(spool_id)
        .fetch_one(pool)
        .await?)
}

/// The place of a change's kind among those of a batch, and what writes it.
fn kind(change: &Change) -> (u8, &'static [Sql]) {
    match change {
        Change::Counted(_) => (0, &[COUNTED]),
        Change::RetrievalCounted(_) => (1, &[RETRIEVAL_COUNTED]),
        Change::ParentCall(_) => (2, &[PARENT]),
        Change::Request { .. } => (3, &[REQUEST]),
        Change::Context(_) => (
            4,
            &[
                CALL_CONTEXT,
                RETRIEVAL_CONTEXT,
                SPEECH_CONTEXT,
                REQUEST_CONTEXT,
            ],
        ),
    }
}

/// The changes of a batch, kind by kind and row by row; those of one row as they came.
fn sorted(batch: &Batch) -> Vec<&Amendment> {
    let mut all: Vec<&Amendment> = batch.amendments.iter().collect();
    all.sort_by_key(|amendment| (kind(&amendment.change).0, place(amendment)));
    all
}

fn place(amendment: &Amendment) -> (SpanKey, i64) {
    (amendment.key, amendment.started_at)
}

/// Changes of one kind, sorted, as rows of an array. Made one by one: a parent that comes late gives
/// its context to each span below it, which together are far larger than the batch.
fn rows<'a>(changes: &'a [&'a Amendment]) -> impl Iterator<Item = Value> + 'a {
    let of_rows = changes.chunk_by(|one, next| place(one) == place(next));
    of_rows.filter_map(|of_row| {
        let (key, started_at) = place(of_row.first()?);
        let mut row = json!({
            "trace_id": key.trace_id.to_string(),
            "span_id": key.span_id.to_string(),
            "started_at": rfc3339(started_at),
        });
        of_row
            .iter()
            .for_each(|amendment| apply(&mut row, &amendment.change));
        Some(row)
    })
}

/// Writes a change into its row of the array. The last verdict holds, and the last context, which
/// the counter knows whole: the span's own before its nearest ancestor's.
fn apply(row: &mut Value, change: &Change) {
    match change {
        Change::Counted(verdict) | Change::RetrievalCounted(verdict) => {
            row["counted"] = verdict.is_yes().into();
            row["why"] = verdict.why().into();
        }
        Change::ParentCall(parent) => row["parent"] = parent.to_string().into(),
        Change::Context(context) => fill(row, context),
        Change::Request {
            stages,
            tokens,
            cost,
        } => {
            row["embedding_ms"] = stages.embedding_ms.into();
            row["vector_search_ms"] = stages.vector_search_ms.into();
            row["rerank_ms"] = stages.rerank_ms.into();
            row["llm_ms"] = stages.llm_ms.into();
            row["json_parsing_ms"] = stages.json_parsing_ms.into();
            row["stt_ms"] = stages.stt_ms.into();
            row["tokens"] = (*tokens).into();
            row["cost"] = (*cost).into();
        }
    }
}

fn fill(row: &mut Value, context: &Context) {
    for (column, value) in context.fields() {
        if let Some(value) = value {
            row[column] = value.replace('\0', "\u{FFFD}").into();
        }
    }
}

fn parts(position: Position) -> [i64; 2] {
    let (segment, offset) = position.to_parts();
    [segment, offset].map(|part| i64::try_from(part).unwrap_or(i64::MAX))
}

fn position(segment: i64, offset: i64) -> Position {
    Position::from_parts(segment.unsigned_abs(), offset.unsigned_abs())
}

macro_rules! amend {
    ($name:ident, $store:ident, $connection:ty, $resume:ident, $pool:ty) => {
        /// A batch's changes to stored rows, and its checkpoint.
        pub(super) async fn $name(tx: &mut $connection, batch: &Batch) -> Result<(), Error> {
            let changes = sorted(batch);
            for of_kind in changes.chunk_by(|a, b| kind(&a.change).0 == kind(&b.change).0) {
                let statements = of_kind.first().map(|first| kind(&first.change).1);
                for list in arrays(rows(of_kind)) {
                    for sql in statements.unwrap_or_default() {
                        let update = sqlx::query(sql.$store).bind(list.as_str());
                        update.execute(&mut *tx).await?;
                    }
                }
            }
            if let Some(checkpoint) = &batch.checkpoint {
                let [segment, offset] = parts(checkpoint.position);
                sqlx::query(CHECKPOINT)
                    .bind(&checkpoint.spool_id)
                    .bind(checkpoint.lane)
                    .bind(segment)
                    .bind(offset)
                    .execute(&mut *tx)
                    .await?;
            }
            Ok(())
        }

        /// Where a lane resumes.
        pub(super) async fn $resume(
            pool: &$pool,
            spool_id: &str,
            lane: &str,
        ) -> Result<Option<Position>, Error> {
            let found: Option<(i64, i64)> = sqlx::query_as(RESUME)
                .bind(spool_id)
                .bind(lane)
                .fetch_optional(pool)
                .await?;
            Ok(found.map(|(segment, offset)| position(segment, offset)))
        }
    };
}

amend!(
    sqlite,
    sqlite,
    SqliteConnection,
    checkpoint_sqlite,
    SqlitePool
);
amend!(
    postgres,
    postgres,
    PgConnection,
    checkpoint_postgres,
    PgPool
);
