//! `span_links`: spans without rows that tie rows together. Ours, not part of the surface.

use super::{Cell, Column, Table, text, word};
use crate::record::Link;

macro_rules! table {
    ($($context:ident),+) => {
        /// The table and its columns, in order.
        pub(in crate::store) const TABLE: Table<Link> = Table {
            name: "span_links",
            columns: &[
                Column { name: "trace_id",  cell: |r| Cell::Trace(r.trace_id) },
                Column { name: "span_id",  cell: |r| Cell::Span(r.span_id) },
                Column {
                    name: "parent_span_id",
                    cell: |r| r.parent_span_id.map_or(Cell::Null, Cell::Span),
                },
                Column { name: "started_at",  cell: |r| Cell::Time(r.started_at) },
                Column { name: "role", cell: |r| word(r.role.as_str()) },
                $(Column {
                    name: stringify!($context),
                    cell: |r| text(&r.context.$context),
                }),+
            ],
        };
    };
}

table!(
    user_id,
    user_hash,
    session_id,
    task_id,
    company_id,
    review_id,
    meeting_id,
    agenda_id,
    request_id,
    collection_name,
    experiment,
    variant,
    environment,
    recording_id
);
