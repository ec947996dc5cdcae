//! `cache_lookups`: One row a look into a cache.

use super::{Cell, Column, Table, clean, text};
use crate::record::CacheLookup;

/// The table and its columns, in order.
pub(in crate::store) const TABLE: Table<CacheLookup> = Table {
    name: "cache_lookups",
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
            name: "cache",
            cell: |r| clean(&r.cache),
        },
        Column {
            name: "key_hash",
            cell: |r| text(&r.key_hash),
        },
        Column {
            name: "hit",
            cell: |r| Cell::Bool(r.hit),
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
