//! `json_parses`: One row a parse of a model's answer.

use super::{Cell, Column, Table, flag, float, text};
use crate::record::JsonParse;

/// The table and its columns, in order.
pub(in crate::store) const TABLE: Table<JsonParse> = Table {
    name: "json_parses",
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
            name: "success",
            cell: |r| Cell::Bool(r.success),
        },
        Column {
            name: "repaired",
            cell: |r| flag(r.repaired),
        },
        Column {
            name: "fallback",
            cell: |r| flag(r.fallback),
        },
        Column {
            name: "error_type",
            cell: |r| text(&r.error_type),
        },
        Column {
            name: "latency_ms",
            cell: |r| float(r.header.latency_ms()),
        },
        Column {
            name: "started_at",
            cell: |r| Cell::Time(r.header.started_at),
        },
        Column {
            name: "service_name",
            cell: |r| text(&r.header.service_name),
        },
    ],
};
