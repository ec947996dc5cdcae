//! `retrievals`: One row a vector search or rerank.

use super::{scores, table};
use crate::record::Retrieval;

table! { "retrievals", Retrieval, |r|
    trace_id: trace = r.header.trace_id,
    span_id: span = r.header.span_id,
    parent_span_id: span = r.header.parent_span_id,
    query: text = r.query.as_deref(),
    db_system: text = r.db_system.as_deref(),
    collection_name: text = r.collection_name.as_deref().or(r.context.collection_name.as_deref()),
    top_k: int = r.top_k,
    hits: int = r.hits,
    best_score: float = r.best_score,
    score_kind: word = r.score_kind.map(|s| s.as_str()),
    scores: json = r.scores.as_deref().map(scores),
    rerank_enabled: flag = r.rerank_enabled,
    rerank_model: text = r.rerank_model.as_deref(),
    counted: flag = r.counted.is_yes(),
    latency_ms: float = r.header.latency_ms(),
    status: word = r.status.as_str(),
    error_type: text = r.error_type.as_deref(),
    session_id: text = r.context.session_id.as_deref(),
    service_name: text = r.header.service_name.as_deref(),
    started_at: time = r.header.started_at,
    created_at: time = r.header.received_at,
}
