//! `span_links`: spans that counting must know of and can't read from rows. Ours, not part of the
//! surface.

use super::table;
use crate::record::Link;

table! { "span_links", Link, |r|
    trace_id: trace = r.trace_id,
    span_id: span = r.span_id,
    parent_span_id: span = r.parent_span_id,
    started_at: time = r.started_at,
    role: word = r.role.as_str(),
    user_id: text = r.context.user_id.as_deref(),
    user_hash: text = r.context.user_hash.as_deref(),
    session_id: text = r.context.session_id.as_deref(),
    task_id: text = r.context.task_id.as_deref(),
    company_id: text = r.context.company_id.as_deref(),
    review_id: text = r.context.review_id.as_deref(),
    meeting_id: text = r.context.meeting_id.as_deref(),
    agenda_id: text = r.context.agenda_id.as_deref(),
    request_id: text = r.context.request_id.as_deref(),
    collection_name: text = r.context.collection_name.as_deref(),
    experiment: text = r.context.experiment.as_deref(),
    variant: text = r.context.variant.as_deref(),
    environment: text = r.context.environment.as_deref(),
    recording_id: text = r.context.recording_id.as_deref(),
}
