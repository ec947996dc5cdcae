//! `json_parses`: One row a parse of a model's answer.

use super::{Cell, Column, Kind, Table, flag, float, hex, text};
use crate::record::JsonParse;

/// The table and its columns, in order.
pub(in crate::store) const TABLE: Table<JsonParse> = Table {
    name: "json_parses",
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
            name: "success",
            kind: Kind::Bool,
            cell: |r| Cell::Bool(r.success),
        },
        Column {
            name: "repaired",
            kind: Kind::Bool,
            cell: |r| flag(r.repaired),
        },
        Column {
            name: "fallback",
            kind: Kind::Bool,
            cell: |r| flag(r.fallback),
        },
        Column {
            name: "error_type",
            kind: Kind::Text,
            cell: |r| text(&r.error_type),
        },
        Column {
            name: "latency_ms",
            kind: Kind::Float,
            cell: |r| float(r.header.latency_ms()),
        },
        Column {
            name: "started_at",
            kind: Kind::Time,
            cell: |r| Cell::Time(r.header.started_at),
        },
        Column {
            name: "service_name",
            kind: Kind::Text,
            cell: |r| text(&r.header.service_name),
        },
    ],
};
