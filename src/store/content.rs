//! Content that came apart from its call, in a log event: kept until the call is there, whichever
//! comes first.

use std::{collections::BTreeSet, sync::LazyLock};

use serde_json::{Value, json};
use sqlx::{AssertSqlSafe, PgConnection, PgPool, SqliteConnection, SqlitePool};

use super::{
    Error, Sql,
    arrays::arrays,
    tables::{history_json, rfc3339},
};
use crate::record::{CallContent, SpanKey};

// The events of one call are merged before they come here: DO UPDATE may not touch a row twice.
const KEEP: Sql = Sql {
    sqlite: "INSERT INTO pending_content (trace_id, span_id, received_at, prompt, system_prompt, \
        response, finish_reason, prompt_tokens, completion_tokens, total_tokens, history) \
        SELECT value ->> 'trace_id', value ->> 'span_id', value ->> 'received_at', \
        value ->> 'prompt', value ->> 'system_prompt', value ->> 'response', \
        value ->> 'finish_reason', value ->> 'prompt_tokens', value ->> 'completion_tokens', \
        value ->> 'total_tokens', value ->> 'history' FROM json_each($1) WHERE true \
        ON CONFLICT (trace_id, span_id) DO UPDATE SET \
        prompt = coalesce(excluded.prompt, prompt), \
        system_prompt = coalesce(system_prompt, excluded.system_prompt), \
        response = coalesce(excluded.response, response), \
        finish_reason = coalesce(excluded.finish_reason, finish_reason), \
        prompt_tokens = coalesce(prompt_tokens, excluded.prompt_tokens), \
        completion_tokens = coalesce(completion_tokens, excluded.completion_tokens), \
        total_tokens = coalesce(total_tokens, excluded.total_tokens), \
        history = coalesce(excluded.history, history)",
    postgres: "INSERT INTO pending_content AS p (trace_id, span_id, received_at, prompt, \
        system_prompt, response, finish_reason, prompt_tokens, completion_tokens, total_tokens, \
        history) SELECT trace_id, span_id, received_at, prompt, system_prompt, response, \
        finish_reason, prompt_tokens, completion_tokens, total_tokens, history \
        FROM jsonb_to_recordset($1::jsonb) AS v(trace_id text, span_id text, \
        received_at timestamptz, prompt text, system_prompt text, response text, \
        finish_reason text, prompt_tokens bigint, completion_tokens bigint, total_tokens bigint, \
        history jsonb) ON CONFLICT (trace_id, span_id) DO UPDATE SET \
        prompt = coalesce(excluded.prompt, p.prompt), \
        system_prompt = coalesce(p.system_prompt, excluded.system_prompt), \
        response = coalesce(excluded.response, p.response), \
        finish_reason = coalesce(excluded.finish_reason, p.finish_reason), \
        prompt_tokens = coalesce(p.prompt_tokens, excluded.prompt_tokens), \
        completion_tokens = coalesce(p.completion_tokens, excluded.completion_tokens), \
        total_tokens = coalesce(p.total_tokens, excluded.total_tokens), \
        history = coalesce(excluded.history, p.history)",
};

/// A statement over the calls and contents of this batch alone: content whose call never comes
/// must not make every later batch dearer.
macro_rules! of_keys {
    ($before:literal, $sqlite:literal, $postgres:literal, $after:literal) => {
        Sql {
            sqlite: concat!(
                $before,
                $sqlite,
                " FROM (SELECT value ->> 'trace_id' AS trace_id, value ->> 'span_id' AS span_id ",
                "FROM json_each($1)) AS k ",
                $after
            ),
            postgres: concat!(
                $before,
                $postgres,
                " FROM jsonb_to_recordset($1::jsonb) AS k(trace_id text, span_id text) ",
                $after
            ),
        }
    };
}

const JOIN: Sql = of_keys!(
    "UPDATE llm_calls AS t SET prompt = coalesce(t.prompt, p.prompt), \
     prompt_length = coalesce(t.prompt_length, length(p.prompt)), \
     system_prompt = coalesce(t.system_prompt, p.system_prompt), \
     response = coalesce(t.response, p.response), \
     response_length = coalesce(t.response_length, length(p.response)), \
     finish_reason = coalesce(t.finish_reason, p.finish_reason), \
     prompt_tokens = coalesce(t.prompt_tokens, p.prompt_tokens), \
     completion_tokens = coalesce(t.completion_tokens, p.completion_tokens), \
     total_tokens = coalesce(t.total_tokens, p.total_tokens), metadata = ",
    "CASE WHEN p.history IS NULL OR json_extract(t.metadata, '$.\"spanledger.history\"') IS NOT NULL \
     THEN t.metadata ELSE json_set(coalesce(t.metadata, '{}'), '$.\"spanledger.history\"', \
     json(p.history)) END",
    "CASE WHEN p.history IS NULL OR t.metadata ->> 'spanledger.history' IS NOT NULL \
     THEN t.metadata ELSE coalesce(t.metadata, '{}') \
     || jsonb_build_object('spanledger.history', p.history) END",
    "JOIN pending_content AS p ON p.trace_id = k.trace_id AND p.span_id = k.span_id \
     WHERE t.trace_id = p.trace_id AND t.span_id = p.span_id"
);
const JOINED: &str = "DELETE FROM pending_content WHERE (trace_id, span_id) IN \
    (SELECT t.trace_id, t.span_id FROM (SELECT value ->> 'trace_id' AS trace_id, \
    value ->> 'span_id' AS span_id FROM json_each($1)) AS k \
    JOIN llm_calls AS t ON t.trace_id = k.trace_id AND t.span_id = k.span_id)";
/// Joins and lets go in one statement: a call that another process commits between two would have
/// its content deleted without being joined. (SQLite has one writer, and no such statement.)
static MOVE: LazyLock<String> = LazyLock::new(|| {
    format!(
        "WITH joined AS ({} RETURNING t.trace_id, t.span_id) \
         DELETE FROM pending_content AS p USING joined AS j \
         WHERE p.trace_id = j.trace_id AND p.span_id = j.span_id",
        JOIN.postgres
    )
});
const WAITING: &str = "SELECT jsonb_agg(jsonb_build_object('trace_id', trace_id, 'span_id', span_id)) \
    ::text FROM (SELECT trace_id, span_id FROM pending_content \
    WHERE received_at > now() - interval '1 hour' LIMIT 1000) AS w";
const IS_ANY: &str = "SELECT 1 FROM pending_content LIMIT 1";
const FORGET: Sql = Sql {
    sqlite: "DELETE FROM pending_content WHERE received_at < $1",
    postgres: "DELETE FROM pending_content WHERE received_at < $1::timestamptz",
};

/// Content by call, sorted; the events of one call as they came.
fn sorted(contents: &[CallContent]) -> Vec<&CallContent> {
    let mut sorted: Vec<&CallContent> = contents.iter().collect();
    sorted.sort_by_key(|content| content.key);
    sorted
}

/// Sorted content as rows of an array, the events of one call merged.
fn rows<'a>(sorted: &'a [&'a CallContent]) -> impl Iterator<Item = Value> + 'a {
    let of_calls = sorted.chunk_by(|one, next| one.key == next.key);
    of_calls.filter_map(|of_call| {
        let first = of_call.first()?;
        let mut row = json!({
            "trace_id": first.key.trace_id.to_string(),
            "span_id": first.key.span_id.to_string(),
            "received_at": rfc3339(first.received_at),
        });
        of_call.iter().for_each(|content| add(&mut row, content));
        Some(row)
    })
}

fn add(row: &mut Value, content: &CallContent) {
    let mut set = |name: &str, value: Option<Value>| {
        if let Some(value) = value {
            row[name] = value;
        }
    };
    let text = |text: Option<&str>| text.map(|t| t.replace('\0', "\u{FFFD}").into());
    set("prompt", text(content.prompt.as_deref()));
    set("system_prompt", text(content.system_prompt.as_deref()));
    set("response", text(content.response.as_deref()));
    set("finish_reason", text(content.finish_reason.as_deref()));
    let history = content.history.as_deref().map(history_json);
    set(
        "history",
        history.and_then(|json| serde_json::from_str(&json).ok()),
    );
    let usage = &content.usage;
    set("prompt_tokens", usage.prompt.map(Value::from));
    set("completion_tokens", usage.completion.map(Value::from));
    let both = usage.prompt.zip(usage.completion);
    let sum = both.map(|(prompt, completion)| prompt.saturating_add(completion));
    set("total_tokens", usage.total.or(sum).map(Value::from));
}

/// The keys of calls and contents, each once.
fn keys(calls: &[SpanKey], contents: &[CallContent]) -> impl Iterator<Item = Value> + use<> {
    let contents = contents.iter().map(|content| content.key);
    let keys: BTreeSet<SpanKey> = calls.iter().copied().chain(contents).collect();
    keys.into_iter().map(
        |key| json!({ "trace_id": key.trace_id.to_string(), "span_id": key.span_id.to_string() }),
    )
}

/// Joins content whose call another process stored at the same moment.
pub(super) async fn claim(pool: &PgPool) -> Result<(), Error> {
    let mut tx = pool.begin().await?;
    let waiting: Option<String> = sqlx::query_scalar(WAITING).fetch_one(&mut *tx).await?;
    if let Some(keys) = waiting {
        join_postgres(&mut tx, &keys).await?;
    }
    Ok(tx.commit().await?)
}

async fn join_postgres(tx: &mut PgConnection, keys: &str) -> Result<(), Error> {
    let statement = sqlx::query(AssertSqlSafe(MOVE.as_str())).bind(keys);
    statement.execute(tx).await?;
    Ok(())
}

async fn join_sqlite(tx: &mut SqliteConnection, keys: &str) -> Result<(), Error> {
    let join = sqlx::query(JOIN.sqlite).bind(keys);
    if join.execute(&mut *tx).await?.rows_affected() > 0 {
        let joined = sqlx::query(JOINED).bind(keys);
        joined.execute(&mut *tx).await?;
    }
    Ok(())
}

macro_rules! content {
    ($store:ident, $connection:ty, $join:ident, $forget:ident, $pool:ty) => {
        /// Keeps a batch's content, then joins what has found its call.
        pub(super) async fn $store(
            tx: &mut $connection,
            calls: &[SpanKey],
            contents: &[CallContent],
        ) -> Result<(), Error> {
            if !contents.is_empty() {
                for list in arrays(rows(&sorted(contents))) {
                    let keep = sqlx::query(KEEP.$store).bind(list);
                    keep.execute(&mut *tx).await?;
                }
            } else if calls.is_empty()
                || sqlx::query(IS_ANY)
                    .fetch_optional(&mut *tx)
                    .await?
                    .is_none()
            {
                return Ok(());
            }
            for list in arrays(keys(calls, contents)) {
                $join(&mut *tx, &list).await?;
            }
            Ok(())
        }

        /// Lets go of content whose call never came; says of how many calls.
        pub(super) async fn $forget(pool: &$pool, before: i64) -> Result<u64, Error> {
            let forget = sqlx::query(FORGET.$store).bind(rfc3339(before));
            Ok(forget.execute(pool).await?.rows_affected())
        }
    };
}

content!(
    sqlite,
    SqliteConnection,
    join_sqlite,
    forget_sqlite,
    SqlitePool
);
content!(
    postgres,
    PgConnection,
    join_postgres,
    forget_postgres,
    PgPool
);
