//! `pipeline_requests`: One row a request, as its root span saw it; stage times, tokens and cost are sums of what counts below it.

use super::table;
use crate::record::PipelineRequest;

table! { "pipeline_requests", PipelineRequest, |r|
    trace_id: trace = r.header.trace_id,
    span_id: span = r.header.span_id,
    pipeline: text = r.pipeline.as_deref(),
    framework: text = r.framework.as_deref(),
    status: word = r.status.as_str(),
    matched: flag = r.matched,
    match_count: int = r.match_count,
    confidence: float = r.confidence,
    fallback: flag = r.fallback,
    retry_count: int = r.retry_count,
    timed_out: flag = r.timed_out,
    regenerated: flag = r.regenerated,
    latency_ms: float = r.header.latency_ms(),
    embedding_ms: float = r.stages.embedding_ms,
    vector_search_ms: float = r.stages.vector_search_ms,
    rerank_ms: float = r.stages.rerank_ms,
    llm_ms: float = r.stages.llm_ms,
    json_parsing_ms: float = r.stages.json_parsing_ms,
    stt_ms: float = r.stages.stt_ms,
    tokens: int = r.tokens,
    cost: money = r.cost,
    user_id: text = r.context.user_id.as_deref(),
    session_id: text = r.context.session_id.as_deref(),
    request_id: text = r.context.request_id.as_deref(),
    experiment: text = r.context.experiment.as_deref(),
    variant: text = r.context.variant.as_deref(),
    service_name: text = r.header.service_name.as_deref(),
    error_type: text = r.error_type.as_deref(),
    started_at: time = r.header.started_at,
}
