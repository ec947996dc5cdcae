//! `span_links`: spans without rows that tie rows together. Ours, not part of the surface.

use super::{Cell, Column, Table, hex, text, word};
use crate::record::Link;

macro_rules! table {
    ($($context:ident),+) => {
        /// The table and its columns, in order.
        pub(in crate::store) const TABLE: Table<Link> = Table {
            name: "span_links",
            columns: &[
                Column { name: "trace_id",  cell: |r| hex(&r.trace_id.hex()) },
                Column { name: "span_id",  cell: |r| hex(&r.span_id.hex()) },
                Column {
                    name: "parent_span_id",
                    cell: |r| r.parent_span_id.map_or(Cell::Null, |id| hex(&id.hex())),
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
