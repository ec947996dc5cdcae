//! `llm_calls`: One row a span that is, or wraps, a model call. `counted` marks the one that stands for it.

use super::{
    Cell, Column, Table, flag, float, hex, id, int, json, maybe, metadata::metadata, money, parent,
    rule, tags, text, time, usd, version, word,
};
use crate::record::LlmCall;

/// The table and its columns, in order.
pub(in crate::store) const TABLE: Table<LlmCall> = Table {
    name: "llm_calls",
    columns: &[
        Column {
            name: "id",
            cell: |r| id(&r.header),
        },
        Column {
            name: "trace_id",
            cell: |r| hex(&r.header.trace_id.hex()),
        },
        Column {
            name: "span_id",
            cell: |r| hex(&r.header.span_id.hex()),
        },
        Column {
            name: "parent_span_id",
            cell: |r| parent(&r.header),
        },
        Column {
            name: "parent_call_id",
            cell: |r| text(&r.parent_call_id),
        },
        Column {
            name: "call_type",
            cell: |r| word(r.call_type.as_str()),
        },
        Column {
            name: "operation",
            cell: |r| text(&r.operation),
        },
        Column {
            name: "status",
            cell: |r| word(r.status.as_str()),
        },
        Column {
            name: "counted",
            cell: |r| Cell::Bool(r.counted.is_yes()),
        },
        Column {
            name: "not_counted_why",
            cell: |r| maybe(r.counted.why()),
        },
        Column {
            name: "provider",
            cell: |r| text(&r.provider),
        },
        Column {
            name: "model",
            cell: |r| text(&r.model),
        },
        Column {
            name: "response_model",
            cell: |r| text(&r.response_model),
        },
        Column {
            name: "prompt",
            cell: |r| text(&r.prompt),
        },
        Column {
            name: "system_prompt",
            cell: |r| text(&r.system_prompt),
        },
        Column {
            name: "response",
            cell: |r| text(&r.response),
        },
        Column {
            name: "prompt_length",
            cell: |r| int(r.prompt_length),
        },
        Column {
            name: "response_length",
            cell: |r| int(r.response_length),
        },
        Column {
            name: "temperature",
            cell: |r| float(r.temperature),
        },
        Column {
            name: "top_p",
            cell: |r| float(r.top_p),
        },
        Column {
            name: "max_tokens",
            cell: |r| int(r.max_tokens),
        },
        Column {
            name: "reasoning_level",
            cell: |r| text(&r.reasoning_level),
        },
        Column {
            name: "finish_reason",
            cell: |r| text(&r.finish_reason),
        },
        Column {
            name: "streamed",
            cell: |r| flag(r.streamed),
        },
        Column {
            name: "prompt_tokens",
            cell: |r| int(r.usage.prompt),
        },
        Column {
            name: "completion_tokens",
            cell: |r| int(r.usage.completion),
        },
        Column {
            name: "total_tokens",
            cell: |r| int(r.usage.total),
        },
        Column {
            name: "cache_read_tokens",
            cell: |r| int(r.usage.cache_read),
        },
        Column {
            name: "cache_write_tokens",
            cell: |r| int(r.usage.cache_write),
        },
        Column {
            name: "reasoning_tokens",
            cell: |r| int(r.usage.reasoning),
        },
        Column {
            name: "audio_seconds",
            cell: |r| float(r.audio_seconds),
        },
        Column {
            name: "estimated_cost",
            cell: |r| usd(&r.cost),
        },
        Column {
            name: "reported_cost",
            cell: |r| money(r.reported_cost),
        },
        Column {
            name: "price_rule",
            cell: |r| rule(&r.cost),
        },
        Column {
            name: "price_version",
            cell: |r| version(&r.cost),
        },
        Column {
            name: "latency_ms",
            cell: |r| float(r.header.latency_ms()),
        },
        Column {
            name: "ttft_ms",
            cell: |r| float(r.ttft_ms),
        },
        Column {
            name: "started_at",
            cell: |r| Cell::Time(r.header.started_at),
        },
        Column {
            name: "completed_at",
            cell: |r| time(r.header.completed_at),
        },
        Column {
            name: "error_type",
            cell: |r| text(&r.error_type),
        },
        Column {
            name: "error_message",
            cell: |r| text(&r.error_message),
        },
        Column {
            name: "error_severity",
            cell: |r| maybe(r.error_class.map(|class| class.severity().as_str())),
        },
        Column {
            name: "error_context",
            cell: |r| json(&r.error_context),
        },
        Column {
            name: "retry_count",
            cell: |r| int(r.retry_count),
        },
        Column {
            name: "user_id",
            cell: |r| text(&r.context.user_id),
        },
        Column {
            name: "user_hash",
            cell: |r| text(&r.context.user_hash),
        },
        Column {
            name: "session_id",
            cell: |r| text(&r.context.session_id),
        },
        Column {
            name: "task_id",
            cell: |r| text(&r.context.task_id),
        },
        Column {
            name: "company_id",
            cell: |r| text(&r.context.company_id),
        },
        Column {
            name: "review_id",
            cell: |r| text(&r.context.review_id),
        },
        Column {
            name: "meeting_id",
            cell: |r| text(&r.context.meeting_id),
        },
        Column {
            name: "agenda_id",
            cell: |r| text(&r.context.agenda_id),
        },
        Column {
            name: "request_id",
            cell: |r| text(&r.context.request_id),
        },
        Column {
            name: "collection_name",
            cell: |r| text(&r.context.collection_name),
        },
        Column {
            name: "experiment",
            cell: |r| text(&r.context.experiment),
        },
        Column {
            name: "variant",
            cell: |r| text(&r.context.variant),
        },
        Column {
            name: "service_name",
            cell: |r| text(&r.header.service_name),
        },
        Column {
            name: "environment",
            cell: |r| text(&r.context.environment),
        },
        Column {
            name: "dialect",
            cell: |r| maybe((!r.dialect.is_empty()).then_some(r.dialect)),
        },
        Column {
            name: "metadata",
            cell: |r| metadata(r),
        },
        Column {
            name: "tags",
            cell: |r| tags(&r.tags),
        },
        Column {
            name: "created_at",
            cell: |r| Cell::Time(r.header.received_at),
        },
    ],
};
