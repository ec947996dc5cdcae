//! Changes to stored rows, content that came apart from its call, checkpoints.
//!
//! Each kind of change is one statement over a JSON array of changes, so a batch with a thousand
//! of them is a handful of round trips.

use serde_json::{Value, json};
use sqlx::{PgConnection, PgPool, SqliteConnection, SqlitePool};

use super::{Batch, Error, tables::rfc3339};
use crate::{
    record::{Amendment, CallContent, Change, Context},
    spool::Position,
};

/// A statement for each store; `$1` is the JSON array.
struct Sql {
    sqlite: &'static str,
    postgres: &'static str,
}

/// `UPDATE table SET … FROM the array`, matched by primary key. In `$set`, `v` has the array's
/// fields; Postgres needs their types.
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
                "AND t.started_at = v.started_at"
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
    "user_id = coalesce(t.user_id, v.user_id), user_hash = coalesce(t.user_hash, v.user_hash), \
     session_id = coalesce(t.session_id, v.session_id), task_id = coalesce(t.task_id, v.task_id), \
     company_id = coalesce(t.company_id, v.company_id), \
     review_id = coalesce(t.review_id, v.review_id), \
     meeting_id = coalesce(t.meeting_id, v.meeting_id), \
     agenda_id = coalesce(t.agenda_id, v.agenda_id), \
     request_id = coalesce(t.request_id, v.request_id), \
     collection_name = coalesce(t.collection_name, v.collection_name), \
     experiment = coalesce(t.experiment, v.experiment), variant = coalesce(t.variant, v.variant), \
     environment = coalesce(t.environment, v.environment)"
);
const RETRIEVAL_CONTEXT: Sql = update!(
    "retrievals",
    "value ->> 'session_id' AS session_id, value ->> 'collection_name' AS collection_name",
    "session_id text, collection_name text",
    "session_id = coalesce(t.session_id, v.session_id), \
     collection_name = coalesce(t.collection_name, v.collection_name)"
);
const SPEECH_CONTEXT: Sql = update!(
    "stt_logs",
    "value ->> 'recording_id' AS recording_id, value ->> 'task_id' AS task_id",
    "recording_id text, task_id text",
    "recording_id = coalesce(t.recording_id, v.recording_id), \
     task_id = coalesce(t.task_id, v.task_id)"
);
const PENDING: Sql = Sql {
    sqlite: "INSERT INTO pending_content (trace_id, span_id, received_at, prompt, system_prompt, \
        response, finish_reason, prompt_tokens, completion_tokens) \
        SELECT value ->> 'trace_id', value ->> 'span_id', value ->> 'received_at', \
        value ->> 'prompt', value ->> 'system_prompt', value ->> 'response', \
        value ->> 'finish_reason', value ->> 'prompt_tokens', value ->> 'completion_tokens' \
        FROM json_each($1) WHERE true ON CONFLICT (trace_id, span_id) DO UPDATE SET \
        prompt = coalesce(excluded.prompt, prompt), \
        system_prompt = coalesce(system_prompt, excluded.system_prompt), \
        response = coalesce(excluded.response, response), \
        finish_reason = coalesce(excluded.finish_reason, finish_reason), \
        prompt_tokens = coalesce(prompt_tokens, excluded.prompt_tokens), \
        completion_tokens = coalesce(completion_tokens, excluded.completion_tokens)",
    // One call's events are merged before they come here: DO UPDATE may not touch a row twice.
    postgres: "INSERT INTO pending_content AS p (trace_id, span_id, received_at, prompt, \
        system_prompt, response, finish_reason, prompt_tokens, completion_tokens) \
        SELECT trace_id, span_id, received_at, prompt, system_prompt, response, finish_reason, \
        prompt_tokens, completion_tokens FROM jsonb_to_recordset($1::jsonb) AS v(trace_id text, \
        span_id text, received_at timestamptz, prompt text, system_prompt text, response text, \
        finish_reason text, prompt_tokens bigint, completion_tokens bigint) \
        ON CONFLICT (trace_id, span_id) DO UPDATE SET \
        prompt = coalesce(excluded.prompt, p.prompt), \
        system_prompt = coalesce(p.system_prompt, excluded.system_prompt), \
        response = coalesce(excluded.response, p.response), \
        finish_reason = coalesce(excluded.finish_reason, p.finish_reason), \
        prompt_tokens = coalesce(p.prompt_tokens, excluded.prompt_tokens), \
        completion_tokens = coalesce(p.completion_tokens, excluded.completion_tokens)",
};
/// Content whose call is there goes into it. Runs after every batch that brought either.
const JOIN: &str = "UPDATE llm_calls AS t SET prompt = coalesce(t.prompt, p.prompt), \
    prompt_length = coalesce(t.prompt_length, length(p.prompt)), \
    system_prompt = coalesce(t.system_prompt, p.system_prompt), \
    response = coalesce(t.response, p.response), \
    response_length = coalesce(t.response_length, length(p.response)), \
    finish_reason = coalesce(t.finish_reason, p.finish_reason), \
    prompt_tokens = coalesce(t.prompt_tokens, p.prompt_tokens), \
    completion_tokens = coalesce(t.completion_tokens, p.completion_tokens) \
    FROM pending_content AS p WHERE t.trace_id = p.trace_id AND t.span_id = p.span_id";
const JOINED: &str = "DELETE FROM pending_content WHERE EXISTS (SELECT 1 FROM llm_calls AS t \
    WHERE t.trace_id = pending_content.trace_id AND t.span_id = pending_content.span_id)";
const CHECKPOINT: &str = "INSERT INTO spool_checkpoints (spool_id, lane, segment, byte_offset) \
    VALUES ($1, $2, $3, $4) ON CONFLICT (spool_id, lane) DO UPDATE SET \
    segment = excluded.segment, byte_offset = excluded.byte_offset";
const RESUME: &str =
    "SELECT segment, byte_offset FROM spool_checkpoints WHERE spool_id = $1 AND lane = $2";

/// The statements that a batch needs, each with its array.
fn changes(batch: &Batch<'_>) -> Vec<(Sql, String)> {
    let mut lists: [Vec<Value>; 5] = Default::default();
    let [counted, retrieval, parents, requests, contexts] = &mut lists;
    for Amendment {
        key,
        started_at,
        change,
    } in batch.amendments
    {
        let mut row = json!({
            "trace_id": key.trace_id.to_string(),
            "span_id": key.span_id.to_string(),
            "started_at": rfc3339(*started_at),
        });
        let list = match change {
            Change::Counted(verdict) => {
                row["counted"] = verdict.is_yes().into();
                row["why"] = verdict.why().into();
                &mut *counted
            }
            Change::RetrievalCounted(verdict) => {
                row["counted"] = verdict.is_yes().into();
                &mut *retrieval
            }
            Change::ParentCall(parent) => {
                row["parent"] = parent.to_string().into();
                &mut *parents
            }
            Change::Context(context) => {
                fill(&mut row, context);
                &mut *contexts
            }
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
                &mut *requests
            }
        };
        list.push(row);
    }
    let [counted, retrieval, parents, requests, contexts] = lists;
    let contexts_text = Value::Array(contexts).to_string();
    let mut all = vec![
        (COUNTED, Value::Array(counted).to_string()),
        (RETRIEVAL_COUNTED, Value::Array(retrieval).to_string()),
        (PARENT, Value::Array(parents).to_string()),
        (REQUEST, Value::Array(requests).to_string()),
        (CALL_CONTEXT, contexts_text.clone()),
        (RETRIEVAL_CONTEXT, contexts_text.clone()),
        (SPEECH_CONTEXT, contexts_text),
        (PENDING, pending(batch.contents)),
    ];
    all.retain(|(_, list)| list != "[]");
    all
}

fn fill(row: &mut Value, context: &Context) {
    for (column, value) in context.fields() {
        if let Some(value) = value {
            row[column] = value.replace('\0', "\u{FFFD}").into();
        }
    }
}

/// Content by call, the events of one call merged.
fn pending(contents: &[CallContent]) -> String {
    let mut rows = std::collections::BTreeMap::new();
    for content in contents {
        let row = rows.entry(content.key).or_insert_with(|| {
            json!({
                "trace_id": content.key.trace_id.to_string(),
                "span_id": content.key.span_id.to_string(),
                "received_at": rfc3339(content.received_at),
            })
        });
        let mut set = |name: &str, value: Option<Value>| {
            if let Some(value) = value {
                row[name] = value;
            }
        };
        let text =
            |text: &Option<String>| text.as_ref().map(|t| t.replace('\0', "\u{FFFD}").into());
        set("prompt", text(&content.prompt));
        set("system_prompt", text(&content.system_prompt));
        set("response", text(&content.response));
        set("finish_reason", text(&content.finish_reason));
        set("prompt_tokens", content.usage.prompt.map(Value::from));
        set(
            "completion_tokens",
            content.usage.completion.map(Value::from),
        );
    }
    Value::Array(rows.into_values().collect()).to_string()
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
        /// Everything of a batch but its new rows.
        pub(super) async fn $name(
            tx: &mut $connection,
            batch: &Batch<'_>,
            has_new_calls: bool,
        ) -> Result<(), Error> {
            for (sql, list) in changes(batch) {
                sqlx::query(sql.$store).bind(list).execute(&mut *tx).await?;
            }
            if has_new_calls || !batch.contents.is_empty() {
                let waiting: Option<i32> =
                    sqlx::query_scalar("SELECT 1 FROM pending_content LIMIT 1")
                        .fetch_optional(&mut *tx)
                        .await?;
                if waiting.is_some() {
                    sqlx::query(JOIN).execute(&mut *tx).await?;
                    sqlx::query(JOINED).execute(&mut *tx).await?;
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
