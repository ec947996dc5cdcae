//! `retrievals`: One row a vector search or rerank.

use super::{
    Cell, Column, Kind, Table, flag, float, hex, int, maybe, or, parent, scores, text, word,
};
use crate::record::Retrieval;

/// The table and its columns, in order.
pub(in crate::store) const TABLE: Table<Retrieval> = Table {
    name: "retrievals",
    columns: &[
        Column {
            name: "trace_id",
            kind: Kind::Text,
            cell: |r| hex(&r.header.trace_id.hex()),
        },
        Column {
            name: "span_id",
            kind: Kind::Text,
            cell: |r| hex(&r.header.span_id.hex()),
        },
        Column {
            name: "parent_span_id",
            kind: Kind::Text,
            cell: |r| parent(&r.header),
        },
        Column {
            name: "query",
            kind: Kind::Text,
            cell: |r| text(&r.query),
        },
        Column {
            name: "db_system",
            kind: Kind::Text,
            cell: |r| text(&r.db_system),
        },
        Column {
            name: "collection_name",
            kind: Kind::Text,
            cell: |r| text(or(&r.collection_name, &r.context.collection_name)),
        },
        Column {
            name: "top_k",
            kind: Kind::Int,
            cell: |r| int(r.top_k),
        },
        Column {
            name: "hits",
            kind: Kind::Int,
            cell: |r| int(r.hits),
        },
        Column {
            name: "best_score",
            kind: Kind::Float,
            cell: |r| float(r.best_score),
        },
        Column {
            name: "score_kind",
            kind: Kind::Text,
            cell: |r| maybe(r.score_kind.map(|s| s.as_str())),
        },
        Column {
            name: "scores",
            kind: Kind::Json,
            cell: |r| scores(&r.scores),
        },
        Column {
            name: "rerank_enabled",
            kind: Kind::Bool,
            cell: |r| flag(r.rerank_enabled),
        },
        Column {
            name: "rerank_model",
            kind: Kind::Text,
            cell: |r| text(&r.rerank_model),
        },
        Column {
            name: "counted",
            kind: Kind::Bool,
            cell: |r| Cell::Bool(r.counted.is_yes()),
        },
        Column {
            name: "latency_ms",
            kind: Kind::Float,
            cell: |r| float(r.header.latency_ms()),
        },
        Column {
            name: "status",
            kind: Kind::Text,
            cell: |r| word(r.status.as_str()),
        },
        Column {
            name: "error_type",
            kind: Kind::Text,
            cell: |r| text(&r.error_type),
        },
        Column {
            name: "session_id",
            kind: Kind::Text,
            cell: |r| text(&r.context.session_id),
        },
        Column {
            name: "service_name",
            kind: Kind::Text,
            cell: |r| text(&r.header.service_name),
        },
        Column {
            name: "started_at",
            kind: Kind::Time,
            cell: |r| Cell::Time(r.header.started_at),
        },
        Column {
            name: "created_at",
            kind: Kind::Time,
            cell: |r| Cell::Time(r.header.received_at),
        },
    ],
};
