//! `pipeline_requests`: One row a request, as its root span saw it; stage times, tokens and cost are sums of what counts below it.

use super::{Cell, Column, Table, flag, float, int, money, text, word};
use crate::record::PipelineRequest;

/// The table and its columns, in order.
pub(in crate::store) const TABLE: Table<PipelineRequest> = Table {
    name: "pipeline_requests",
    columns: &[
        Column {
            name: "trace_id",
            cell: |r| Cell::Trace(r.header.trace_id),
        },
        Column {
            name: "span_id",
            cell: |r| Cell::Span(r.header.span_id),
        },
        Column {
            name: "pipeline",
            cell: |r| text(&r.pipeline),
        },
        Column {
            name: "framework",
            cell: |r| text(&r.framework),
        },
        Column {
            name: "status",
            cell: |r| word(r.status.as_str()),
        },
        Column {
            name: "matched",
            cell: |r| flag(r.matched),
        },
        Column {
            name: "match_count",
            cell: |r| int(r.match_count),
        },
        Column {
            name: "confidence",
            cell: |r| float(r.confidence),
        },
        Column {
            name: "fallback",
            cell: |r| flag(r.fallback),
        },
        Column {
            name: "retry_count",
            cell: |r| int(r.retry_count),
        },
        Column {
            name: "timed_out",
            cell: |r| flag(r.timed_out),
        },
        Column {
            name: "regenerated",
            cell: |r| flag(r.regenerated),
        },
        Column {
            name: "latency_ms",
            cell: |r| float(r.header.latency_ms()),
        },
        Column {
            name: "embedding_ms",
            cell: |r| float(r.stages.embedding_ms),
        },
        Column {
            name: "vector_search_ms",
            cell: |r| float(r.stages.vector_search_ms),
        },
        Column {
            name: "rerank_ms",
            cell: |r| float(r.stages.rerank_ms),
        },
        Column {
            name: "llm_ms",
            cell: |r| float(r.stages.llm_ms),
        },
        Column {
            name: "json_parsing_ms",
            cell: |r| float(r.stages.json_parsing_ms),
        },
        Column {
            name: "stt_ms",
            cell: |r| float(r.stages.stt_ms),
        },
        Column {
            name: "tokens",
            cell: |r| int(r.tokens),
        },
        Column {
            name: "cost",
            cell: |r| money(r.cost),
        },
        Column {
            name: "user_id",
            cell: |r| text(&r.context.user_id),
        },
        Column {
            name: "session_id",
            cell: |r| text(&r.context.session_id),
        },
        Column {
            name: "request_id",
            cell: |r| text(&r.context.request_id),
        },
        Column {
            name: "experiment",
            cell: |r| text(&r.context.experiment),
        },
        Column {
            name: "variant",
            cell: |r| text(&r.context.variant),
        },
        Column {
            name: "service_name",
            cell: |r| text(&r.header.service_name),
        },
        Column {
            name: "error_type",
            cell: |r| text(&r.error_type),
        },
        Column {
            name: "started_at",
            cell: |r| Cell::Time(r.header.started_at),
        },
    ],
};
