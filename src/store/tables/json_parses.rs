//! `json_parses`: One row a parse of a model's answer.

use super::table;
use crate::record::JsonParse;

table! { "json_parses", JsonParse, |r|
    trace_id: trace = r.header.trace_id,
    span_id: span = r.header.span_id,
    success: flag = r.success,
    repaired: flag = r.repaired,
    fallback: flag = r.fallback,
    error_type: text = r.error_type.as_deref(),
    latency_ms: float = r.header.latency_ms(),
    started_at: time = r.header.started_at,
    service_name: text = r.header.service_name.as_deref(),
}
