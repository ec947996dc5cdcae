//! `llm_calls`: One row a span that is, or wraps, a model call. `counted` marks the one that stands for it.

use super::{
    Cell, Column, Kind, Table, flag, float, hex, id, int, json, maybe, metadata, money, parent,
    rule, tags, text, time, usd, version, word,
};
use crate::record::LlmCall;

/// The table and its columns, in order.
pub(in crate::store) const TABLE: Table<LlmCall> = Table {
    name: "llm_calls",
    columns: &[
        Column {
            name: "id",
            kind: Kind::Text,
            cell: |r| id(&r.header),
        },
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
            name: "parent_call_id",
            kind: Kind::Text,
            cell: |r| text(&r.parent_call_id),
        },
        Column {
            name: "call_type",
            kind: Kind::Text,
            cell: |r| word(r.call_type.as_str()),
        },
        Column {
            name: "operation",
            kind: Kind::Text,
            cell: |r| text(&r.operation),
        },
        Column {
            name: "status",
            kind: Kind::Text,
            cell: |r| word(r.status.as_str()),
        },
        Column {
            name: "counted",
            kind: Kind::Bool,
            cell: |r| Cell::Bool(r.counted.is_yes()),
        },
        Column {
            name: "not_counted_why",
            kind: Kind::Text,
            cell: |r| maybe(r.counted.why()),
        },
        Column {
            name: "provider",
            kind: Kind::Text,
            cell: |r| text(&r.provider),
        },
        Column {
            name: "model",
            kind: Kind::Text,
            cell: |r| text(&r.model),
        },
        Column {
            name: "response_model",
            kind: Kind::Text,
            cell: |r| text(&r.response_model),
        },
        Column {
            name: "prompt",
            kind: Kind::Text,
            cell: |r| text(&r.prompt),
        },
        Column {
            name: "system_prompt",
            kind: Kind::Text,
            cell: |r| text(&r.system_prompt),
        },
        Column {
            name: "response",
            kind: Kind::Text,
            cell: |r| text(&r.response),
        },
        Column {
            name: "prompt_length",
            kind: Kind::Int,
            cell: |r| int(r.prompt_length),
        },
        Column {
            name: "response_length",
            kind: Kind::Int,
            cell: |r| int(r.response_length),
        },
        Column {
            name: "temperature",
            kind: Kind::Float,
            cell: |r| float(r.temperature),
        },
        Column {
            name: "top_p",
            kind: Kind::Float,
            cell: |r| float(r.top_p),
        },
        Column {
            name: "max_tokens",
            kind: Kind::Int,
            cell: |r| int(r.max_tokens),
        },
        Column {
            name: "reasoning_level",
            kind: Kind::Text,
            cell: |r| text(&r.reasoning_level),
        },
        Column {
            name: "finish_reason",
            kind: Kind::Text,
            cell: |r| text(&r.finish_reason),
        },
        Column {
            name: "streamed",
            kind: Kind::Bool,
            cell: |r| flag(r.streamed),
        },
        Column {
            name: "prompt_tokens",
            kind: Kind::Int,
            cell: |r| int(r.usage.prompt),
        },
        Column {
            name: "completion_tokens",
            kind: Kind::Int,
            cell: |r| int(r.usage.completion),
        },
        Column {
            name: "total_tokens",
            kind: Kind::Int,
            cell: |r| int(r.usage.total),
        },
        Column {
            name: "cache_read_tokens",
            kind: Kind::Int,
            cell: |r| int(r.usage.cache_read),
        },
        Column {
            name: "cache_write_tokens",
            kind: Kind::Int,
            cell: |r| int(r.usage.cache_write),
        },
        Column {
            name: "reasoning_tokens",
            kind: Kind::Int,
            cell: |r| int(r.usage.reasoning),
        },
        Column {
            name: "audio_seconds",
            kind: Kind::Float,
            cell: |r| float(r.audio_seconds),
        },
        Column {
            name: "estimated_cost",
            kind: Kind::Money,
            cell: |r| usd(&r.cost),
        },
        Column {
            name: "reported_cost",
            kind: Kind::Money,
            cell: |r| money(r.reported_cost),
        },
        Column {
            name: "price_rule",
            kind: Kind::Text,
            cell: |r| rule(&r.cost),
        },
        Column {
            name: "price_version",
            kind: Kind::Text,
            cell: |r| version(&r.cost),
        },
        Column {
            name: "latency_ms",
            kind: Kind::Float,
            cell: |r| float(r.header.latency_ms()),
        },
        Column {
            name: "ttft_ms",
            kind: Kind::Float,
            cell: |r| float(r.ttft_ms),
        },
        Column {
            name: "started_at",
            kind: Kind::Time,
            cell: |r| Cell::Time(r.header.started_at),
        },
        Column {
            name: "completed_at",
            kind: Kind::Time,
            cell: |r| time(r.header.completed_at),
        },
        Column {
            name: "error_type",
            kind: Kind::Text,
            cell: |r| text(&r.error_type),
        },
        Column {
            name: "error_message",
            kind: Kind::Text,
            cell: |r| text(&r.error_message),
        },
        Column {
            name: "error_severity",
            kind: Kind::Text,
            cell: |r| maybe(r.error_severity.map(|s| s.as_str())),
        },
        Column {
            name: "error_context",
            kind: Kind::Json,
            cell: |r| json(&r.error_context),
        },
        Column {
            name: "retry_count",
            kind: Kind::Int,
            cell: |r| int(r.retry_count),
        },
        Column {
            name: "user_id",
            kind: Kind::Text,
            cell: |r| text(&r.context.user_id),
        },
        Column {
            name: "user_hash",
            kind: Kind::Text,
            cell: |r| text(&r.context.user_hash),
        },
        Column {
            name: "session_id",
            kind: Kind::Text,
            cell: |r| text(&r.context.session_id),
        },
        Column {
            name: "task_id",
            kind: Kind::Text,
            cell: |r| text(&r.context.task_id),
        },
        Column {
            name: "company_id",
            kind: Kind::Text,
            cell: |r| text(&r.context.company_id),
        },
        Column {
            name: "review_id",
            kind: Kind::Text,
            cell: |r| text(&r.context.review_id),
        },
        Column {
            name: "meeting_id",
            kind: Kind::Text,
            cell: |r| text(&r.context.meeting_id),
        },
        Column {
            name: "agenda_id",
            kind: Kind::Text,
            cell: |r| text(&r.context.agenda_id),
        },
        Column {
            name: "request_id",
            kind: Kind::Text,
            cell: |r| text(&r.context.request_id),
        },
        Column {
            name: "collection_name",
            kind: Kind::Text,
            cell: |r| text(&r.context.collection_name),
        },
        Column {
            name: "experiment",
            kind: Kind::Text,
            cell: |r| text(&r.context.experiment),
        },
        Column {
            name: "variant",
            kind: Kind::Text,
            cell: |r| text(&r.context.variant),
        },
        Column {
            name: "service_name",
            kind: Kind::Text,
            cell: |r| text(&r.header.service_name),
        },
        Column {
            name: "environment",
            kind: Kind::Text,
            cell: |r| text(&r.context.environment),
        },
        Column {
            name: "dialect",
            kind: Kind::Text,
            cell: |r| maybe((!r.dialect.is_empty()).then_some(r.dialect)),
        },
        Column {
            name: "metadata",
            kind: Kind::Json,
            cell: |r| metadata(r),
        },
        Column {
            name: "tags",
            kind: Kind::Json,
            cell: |r| tags(&r.tags),
        },
        Column {
            name: "created_at",
            kind: Kind::Time,
            cell: |r| Cell::Time(r.header.received_at),
        },
    ],
};
