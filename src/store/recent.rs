//! What is stored of some traces, as far as counting needs it: places in the tree, usage, verdicts,
//! context, the sums of requests.

use std::{
    collections::{HashMap, hash_map::Entry},
    sync::Arc,
};

use smol_str::SmolStr;
use sqlx::{AssertSqlSafe, Row};

use super::{Error, Pool, tables::rfc3339};
use crate::record::{
    Context, Cost, Counted, Header, LlmCall, MappedSpan, NotCounted, PipelineRequest, Record,
    Retrieval, Role, SpanId, SpanKey, StageTimes, TraceId, Usage,
};

/// Which spans are wanted.
#[derive(Debug, Clone, Copy)]
pub enum Wanted<'a> {
    /// Those that started at or after this (Unix ns), the newest first, so many at most.
    Since(i64, usize),
    /// Those of these traces that started within these bounds (Unix ns), which keep the look to a
    /// few partitions.
    Traces(&'a [TraceId], i64, i64),
}

/// A trace with more spans than this is read in part.
const MOST_SPANS: usize = 200_000;

/// One shape for every table: role, ids, parent, start in microseconds, what the rule looks at,
/// what it said, then context in the order of [`Context::fields`]. `{micros}`, `{role}`, `{answer}`
/// and `{wanted}` differ by store and question.
const SPANS: &str = "SELECT coalesce({role}, CASE WHEN call_type = 'embedding' THEN 'embedding' \
    ELSE 'call' END) AS role, trace_id, span_id, parent_span_id, {micros} AS micros, \
    prompt_tokens, completion_tokens, total_tokens, coalesce(model, response_model) AS model, \
    CASE WHEN coalesce(response, prompt) IS NULL THEN 0 ELSE 1 END AS content, \
    CASE WHEN counted THEN '' ELSE not_counted_why END AS why, parent_call_id, \
    CAST(estimated_cost AS double precision) AS cost, latency_ms, {answer} AS answer, \
    user_id, user_hash, session_id, task_id, company_id, review_id, meeting_id, agenda_id, \
    request_id, collection_name, experiment, variant, environment, NULL \
    FROM llm_calls WHERE {wanted} \
    UNION ALL SELECT CASE WHEN rerank_enabled THEN 'rerank' ELSE 'retrieval' END, trace_id, \
    span_id, parent_span_id, {micros}, \
    coalesce(hits, CASE WHEN scores IS NULL THEN NULL ELSE 0 END), NULL, NULL, NULL, \
    CASE WHEN query IS NULL THEN 0 ELSE 1 END, CASE WHEN counted THEN '' ELSE 'duplicate' END, \
    NULL, NULL, latency_ms, NULL, \
    NULL, NULL, session_id, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL \
    FROM retrievals WHERE {wanted} \
    UNION ALL SELECT 'none', trace_id, span_id, NULL, {micros}, NULL, NULL, NULL, NULL, NULL, \
    NULL, NULL, NULL, latency_ms, NULL, \
    user_id, NULL, session_id, NULL, NULL, NULL, NULL, NULL, request_id, NULL, experiment, \
    variant, NULL, NULL FROM pipeline_requests WHERE {wanted} \
    UNION ALL SELECT role, trace_id, span_id, parent_span_id, {micros}, NULL, NULL, NULL, NULL, \
    NULL, NULL, NULL, NULL, NULL, NULL, \
    user_id, user_hash, session_id, task_id, company_id, review_id, meeting_id, agenda_id, \
    request_id, collection_name, experiment, variant, environment, recording_id \
    FROM span_links WHERE {wanted} ORDER BY 5 DESC LIMIT $4";
/// The sums that a request's row holds.
const SUMS: &str = "SELECT trace_id, span_id, embedding_ms, vector_search_ms, rerank_ms, llm_ms, \
    json_parsing_ms, stt_ms, tokens, CAST(cost AS double precision) FROM pipeline_requests \
    WHERE {wanted} ORDER BY started_at DESC LIMIT $4";
/// Where the context columns begin.
const FIRST_CONTEXT: usize = 15;

const SQLITE: [(&str, &str); 3] = [
    (
        "{micros}",
        "CAST(strftime('%s', started_at) AS INTEGER) * 1000000 \
         + CAST(substr(started_at, 21, 6) AS INTEGER)",
    ),
    ("{role}", "json_extract(metadata, '$.\"spanledger.role\"')"),
    (
        "{answer}",
        "json_extract(metadata, '$.\"gen_ai.response.id\"')",
    ),
];
const POSTGRES: [(&str, &str); 3] = [
    (
        "{micros}",
        "CAST(extract(epoch FROM started_at) * 1000000 AS bigint)",
    ),
    ("{role}", "metadata ->> 'spanledger.role'"),
    ("{answer}", "metadata ->> 'gen_ai.response.id'"),
];
/// `$1` is a JSON array of trace ids, or null for all; `$2` and `$3` bound the start.
const SQLITE_WANTED: &str = "started_at >= $2 AND started_at <= $3 \
    AND ($1 IS NULL OR trace_id IN (SELECT value FROM json_each($1)))";
const SQLITE_WANTED_TRACES: &str = "trace_id IN (SELECT value FROM json_each($1)) \
    AND started_at >= $2 AND started_at <= $3";
const POSTGRES_WANTED: &str = "started_at >= $2::timestamptz AND started_at <= $3::timestamptz \
    AND $1::text IS NULL";
const POSTGRES_WANTED_TRACES: &str = "trace_id = ANY(ARRAY(SELECT jsonb_array_elements_text($1::jsonb))) \
    AND started_at >= $2::timestamptz AND started_at <= $3::timestamptz";

/// Reads the spans; each brings what it has a row for.
pub(super) async fn spans(pool: &Pool, wanted: Wanted<'_>) -> Result<Vec<MappedSpan>, Error> {
    let (traces, from, to, limit) = match wanted {
        Wanted::Since(since, limit) => (None, since, i64::MAX, limit),
        Wanted::Traces(traces, from, to) => {
            let list: Vec<String> = traces.iter().map(TraceId::to_string).collect();
            (
                Some(serde_json::json!(list).to_string()),
                from,
                to,
                MOST_SPANS,
            )
        }
    };
    let (names, condition) = match (pool, &traces) {
        (Pool::Sqlite(_), None) => (SQLITE, SQLITE_WANTED),
        (Pool::Sqlite(_), Some(_)) => (SQLITE, SQLITE_WANTED_TRACES),
        (Pool::Postgres(_), None) => (POSTGRES, POSTGRES_WANTED),
        (Pool::Postgres(_), Some(_)) => (POSTGRES, POSTGRES_WANTED_TRACES),
    };
    let sql = |template: &str| {
        let sql = template.replace("{wanted}", condition);
        names
            .iter()
            .fold(sql, |sql, (name, text)| sql.replace(name, text))
    };
    let limit = i64::try_from(limit).unwrap_or(i64::MAX);
    macro_rules! ask {
        ($pool:expr, $template:expr, $read:expr) => {
            sqlx::query(AssertSqlSafe(sql($template)))
                .bind(&traces)
                .bind(rfc3339(from))
                .bind(rfc3339(to))
                .bind(limit)
                .fetch_all($pool)
                .await?
                .iter()
                .map($read)
                .collect::<Result<_, sqlx::Error>>()?
        };
    }
    macro_rules! read {
        ($pool:expr) => {{
            let spans: Vec<Stored> = ask!($pool, SPANS, |row| {
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
                    why: row.try_get(10)?,
                    parent_call: row.try_get(11)?,
                    cost: row.try_get(12)?,
                    latency_ms: row.try_get(13)?,
                    answer: row.try_get(14)?,
                    context,
                })
            });
            let sums: HashMap<(String, String), PipelineRequest> = ask!($pool, SUMS, |row| {
                let request = PipelineRequest {
                    stages: StageTimes {
                        embedding_ms: row.try_get(2)?,
                        vector_search_ms: row.try_get(3)?,
                        rerank_ms: row.try_get(4)?,
                        llm_ms: row.try_get(5)?,
                        json_parsing_ms: row.try_get(6)?,
                        stt_ms: row.try_get(7)?,
                    },
                    tokens: row.try_get(8)?,
                    cost: row.try_get(9)?,
                    ..PipelineRequest::default()
                };
                Ok(((row.try_get(0)?, row.try_get(1)?), request))
            });
            (spans, sums)
        }};
    }
    let (spans, mut sums) = match pool {
        Pool::Sqlite(pool) => read!(pool),
        Pool::Postgres(pool) => read!(pool),
    };
    // A root may be a row of its own and a request: one span with two records.
    let mut found: HashMap<SpanKey, MappedSpan> = HashMap::with_capacity(spans.len());
    for stored in spans {
        let key = (stored.trace_id.clone(), stored.span_id.clone());
        let Some(mut span) = stored.into_span() else {
            continue;
        };
        if let Some(request) = sums.remove(&key) {
            span.records
                .push(Record::PipelineRequest(Box::new(request)));
        }
        match found.entry(span.key) {
            Entry::Vacant(vacant) => {
                vacant.insert(span);
            }
            Entry::Occupied(mut occupied) => {
                let known = occupied.get_mut();
                if span.role != Role::None {
                    std::mem::swap(known, &mut span);
                }
                known.records.append(&mut span.records);
                match (&mut known.context, span.context) {
                    (Some(own), Some(more)) => *own = Context::filled(own, &more),
                    (own @ None, more) => *own = more,
                    _ => {}
                }
            }
        }
    }
    Ok(found.into_values().collect())
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
    /// Why it does not count; empty if it does.
    why: Option<String>,
    parent_call: Option<String>,
    cost: Option<f64>,
    latency_ms: Option<f64>,
    answer: Option<String>,
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
        let completed_at = self
            .latency_ms
            .map(|ms| started_at.saturating_add((ms * 1e6) as i64));
        let header = Header {
            trace_id: key.trace_id,
            span_id: key.span_id,
            parent_span_id,
            started_at,
            completed_at,
            ..Header::default()
        };
        let counted = match self.why.as_deref() {
            None | Some("") => Counted::Yes,
            Some(why) => Counted::No(NotCounted::parse(why).unwrap_or_default()),
        };
        let text = (self.has_content == Some(true)).then(String::new);
        let role = Role::parse(&self.role)?;
        let record = match role {
            _ if self.has_content.is_none() => None,
            Role::Retrieval | Role::Rerank => Some(Record::Retrieval(Box::new(Retrieval {
                header,
                hits: self.prompt,
                query: text,
                counted,
                ..Retrieval::default()
            }))),
            _ => Some(Record::LlmCall(Box::new(LlmCall {
                header,
                parent_call: self.parent_call.as_deref().and_then(SpanKey::parse),
                counted,
                model: self.model.map(SmolStr::from),
                usage: Usage {
                    prompt: self.prompt,
                    completion: self.completion,
                    total: self.total,
                    ..Usage::default()
                },
                prompt: text,
                cost: self.cost.map(|usd| {
                    Ok(Cost {
                        usd,
                        rule: SmolStr::default(),
                        version: SmolStr::default(),
                    })
                }),
                response_id: self.answer.map(SmolStr::from),
                ..LlmCall::default()
            }))),
        };
        Some(MappedSpan {
            key,
            parent_span_id,
            started_at,
            completed_at,
            role,
            is_genai: role != Role::None,
            context: (!self.context.is_empty()).then(|| Arc::new(self.context)),
            records: record.into_iter().collect(),
        })
    }
}
