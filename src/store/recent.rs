//! What was stored lately, as far as counting needs it: places in the tree, usage, context.

use sqlx::Row;

use super::{Error, Pool, tables::rfc3339};
use crate::record::{
    Context, Counted, Header, LlmCall, MappedSpan, Record, Retrieval, Role, SpanId, SpanKey,
    TraceId, Usage,
};

/// One shape for every table: role, ids, parent, start in microseconds, then what the rule looks
/// at, then context. A row that was a wrapper is taken for a rollup.
macro_rules! select {
    ($micros:literal, $since:literal) => {
        concat!(
            "SELECT CASE WHEN call_type = 'embedding' THEN 'embedding' \
             WHEN not_counted_why = 'wrapper' THEN 'rollup' ELSE 'call' END AS role, \
             trace_id, span_id, parent_span_id, ",
            $micros,
            " AS micros, prompt_tokens, completion_tokens, total_tokens, \
             coalesce(model, response_model) AS model, \
             CASE WHEN coalesce(response, prompt) IS NULL THEN 0 ELSE 1 END AS content, \
             user_id, user_hash, session_id, task_id, company_id, review_id, meeting_id, \
             agenda_id, request_id, collection_name, experiment, variant, environment, NULL \
             FROM llm_calls WHERE started_at >= ",
            $since,
            " UNION ALL SELECT CASE WHEN rerank_enabled THEN 'rerank' ELSE 'retrieval' END, \
             trace_id, span_id, parent_span_id, ",
            $micros,
            ", coalesce(hits, CASE WHEN scores IS NULL THEN NULL ELSE 0 END), NULL, NULL, NULL, \
             CASE WHEN query IS NULL THEN 0 ELSE 1 END, NULL, NULL, session_id, \
             NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL \
             FROM retrievals WHERE started_at >= ",
            $since,
            " UNION ALL SELECT 'none', trace_id, span_id, NULL, ",
            $micros,
            ", NULL, NULL, NULL, NULL, NULL, user_id, NULL, session_id, NULL, NULL, NULL, NULL, \
             NULL, request_id, NULL, experiment, variant, NULL, NULL \
             FROM pipeline_requests WHERE started_at >= ",
            $since,
            " UNION ALL SELECT role, trace_id, span_id, parent_span_id, ",
            $micros,
            ", NULL, NULL, NULL, NULL, NULL, user_id, user_hash, session_id, task_id, company_id, \
             review_id, meeting_id, agenda_id, request_id, collection_name, experiment, variant, \
             environment, recording_id FROM span_links WHERE started_at >= ",
            $since,
            " ORDER BY 5 DESC LIMIT $2"
        )
    };
}

const SQLITE: &str = select!(
    "CAST(strftime('%s', started_at) AS INTEGER) * 1000000 + CAST(substr(started_at, 21, 6) AS INTEGER)",
    "$1"
);
const POSTGRES: &str = select!(
    "CAST(extract(epoch FROM started_at) * 1000000 AS bigint)",
    "$1::timestamptz"
);

/// Where the context columns begin; they stand in the order of [`Context::fields`].
const FIRST_CONTEXT: usize = 10;

pub(super) async fn spans(pool: &Pool, since: i64, limit: usize) -> Result<Vec<MappedSpan>, Error> {
    let (since, limit) = (rfc3339(since), i64::try_from(limit).unwrap_or(i64::MAX));
    macro_rules! read {
        ($sql:expr, $pool:expr) => {
            sqlx::query($sql)
                .bind(since)
                .bind(limit)
                .fetch_all($pool)
                .await?
                .iter()
                .map(|row| {
                    let mut context = Context::default();
                    for (i, (column, _)) in Context::default().fields().iter().enumerate() {
                        if let Some(slot) = context.slot(column) {
                            *slot = row.try_get(FIRST_CONTEXT + i)?;
                        }
                    }
                    Ok(Stored {
                        role: row.try_get(0)?,
                        trace_id: row.try_get(1)?,
                        span_id: row.try_get(2)?,
                        parent: row.try_get(3)?,
                        micros: row.try_get(4)?,
                        prompt: row.try_get(5)?,
                        completion: row.try_get(6)?,
                        total: row.try_get(7)?,
                        model: row.try_get(8)?,
                        has_content: row
                            .try_get::<Option<i32>, _>(9)?
                            .map(|content| content == 1),
                        context,
                    })
                })
                .collect::<Result<Vec<Stored>, sqlx::Error>>()?
        };
    }
    let rows = match pool {
        Pool::Sqlite(pool) => read!(SQLITE, pool),
        Pool::Postgres(pool) => read!(POSTGRES, pool),
    };
    Ok(rows.into_iter().filter_map(Stored::into_span).collect())
}

struct Stored {
    role: String,
    trace_id: String,
    span_id: String,
    parent: Option<String>,
    micros: i64,
    prompt: Option<i64>,
    completion: Option<i64>,
    total: Option<i64>,
    model: Option<String>,
    /// `None` for a span without a row that counts.
    has_content: Option<bool>,
    context: Context,
}

impl Stored {
    fn into_span(self) -> Option<MappedSpan> {
        let key = SpanKey {
            trace_id: TraceId::from_hex(&self.trace_id)?,
            span_id: SpanId::from_hex(&self.span_id)?,
        };
        let parent_span_id = self.parent.as_deref().and_then(SpanId::from_hex);
        let started_at = self.micros.saturating_mul(1000);
        let header = Header {
            trace_id: key.trace_id,
            span_id: key.span_id,
            parent_span_id,
            started_at,
            ..Header::default()
        };
        let text = (self.has_content == Some(true)).then(String::new);
        let role = Role::parse(&self.role)?;
        let record = match role {
            _ if self.has_content.is_none() => None,
            Role::Retrieval | Role::Rerank => Some(Record::Retrieval(Box::new(Retrieval {
                header,
                hits: self.prompt,
                query: text,
                counted: Counted::Yes,
                ..Retrieval::default()
            }))),
            _ => Some(Record::LlmCall(Box::new(LlmCall {
                header,
                model: self.model,
                usage: Usage {
                    prompt: self.prompt,
                    completion: self.completion,
                    total: self.total,
                    ..Usage::default()
                },
                prompt: text,
                ..LlmCall::default()
            }))),
        };
        Some(MappedSpan {
            key,
            parent_span_id,
            started_at,
            role,
            is_genai: role != Role::None,
            context: (!self.context.is_empty()).then(|| Box::new(self.context)),
            records: record.into_iter().collect(),
            ..MappedSpan::default()
        })
    }
}
