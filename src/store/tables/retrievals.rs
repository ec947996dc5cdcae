//! `retrievals`: One row a vector search or rerank.

use super::{Cell, Column, Table, flag, float, int, maybe, parent, scores, text, word};
use crate::record::Retrieval;

/// The table and its columns, in order.
pub(in crate::store) const TABLE: Table<Retrieval> = Table {
    name: "retrievals",
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
            name: "parent_span_id",
            cell: |r| parent(&r.header),
        },
        Column {
            name: "query",
            cell: |r| text(&r.query),
        },
        Column {
            name: "db_system",
            cell: |r| text(&r.db_system),
        },
        Column {
            name: "collection_name",
            cell: |r| match &r.collection_name {
                None => text(&r.context.collection_name),
                own => text(own),
            },
        },
        Column {
            name: "top_k",
            cell: |r| int(r.top_k),
        },
        Column {
            name: "hits",
            cell: |r| int(r.hits),
        },
        Column {
            name: "best_score",
            cell: |r| float(r.best_score),
        },
        Column {
            name: "score_kind",
            cell: |r| maybe(r.score_kind.map(|s| s.as_str())),
        },
        Column {
            name: "scores",
            cell: |r| scores(&r.scores),
        },
        Column {
            name: "rerank_enabled",
            cell: |r| flag(r.rerank_enabled),
        },
        Column {
            name: "rerank_model",
            cell: |r| text(&r.rerank_model),
        },
        Column {
            name: "counted",
            cell: |r| Cell::Bool(r.counted.is_yes()),
        },
        Column {
            name: "latency_ms",
            cell: |r| float(r.header.latency_ms()),
        },
        Column {
            name: "status",
            cell: |r| word(r.status.as_str()),
        },
        Column {
            name: "error_type",
            cell: |r| text(&r.error_type),
        },
        Column {
            name: "session_id",
            cell: |r| text(&r.context.session_id),
        },
        Column {
            name: "service_name",
            cell: |r| text(&r.header.service_name),
        },
        Column {
            name: "started_at",
            cell: |r| Cell::Time(r.header.started_at),
        },
        Column {
            name: "created_at",
            cell: |r| Cell::Time(r.header.received_at),
        },
    ],
};
