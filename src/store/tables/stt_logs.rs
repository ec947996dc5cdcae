//! `stt_logs`: One row an event of a transcription; `complete` and `error` end one.

use super::{Cell, Column, Kind, Table, float, hex, int, json, text, time, usd, word};
use crate::record::SttEvent;

/// The table and its columns, in order.
pub(in crate::store) const TABLE: Table<SttEvent> = Table {
    name: "stt_logs",
    columns: &[
        Column {
            name: "id",
            kind: Kind::Text,
            cell: |r| Cell::Text(r.id().into()),
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
            name: "recording_id",
            kind: Kind::Text,
            cell: |r| text(&r.context.recording_id),
        },
        Column {
            name: "task_id",
            kind: Kind::Text,
            cell: |r| text(&r.context.task_id),
        },
        Column {
            name: "event_type",
            kind: Kind::Text,
            cell: |r| word(r.event_type.as_str()),
        },
        Column {
            name: "chunk_index",
            kind: Kind::Int,
            cell: |r| int(r.chunk_index),
        },
        Column {
            name: "total_chunks",
            kind: Kind::Int,
            cell: |r| int(r.total_chunks),
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
            name: "duration_seconds",
            kind: Kind::Float,
            cell: |r| float(r.header.latency_ms().map(|ms| ms / 1e3)),
        },
        Column {
            name: "audio_duration_seconds",
            kind: Kind::Float,
            cell: |r| float(r.audio_duration_seconds),
        },
        Column {
            name: "audio_file_size_bytes",
            kind: Kind::Int,
            cell: |r| int(r.audio_file_size_bytes),
        },
        Column {
            name: "transcript_length",
            kind: Kind::Int,
            cell: |r| int(r.transcript_length),
        },
        Column {
            name: "word_count",
            kind: Kind::Int,
            cell: |r| int(r.word_count),
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
            name: "language",
            kind: Kind::Text,
            cell: |r| text(&r.language),
        },
        Column {
            name: "estimated_cost",
            kind: Kind::Money,
            cell: |r| usd(&r.cost),
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
            name: "error_context",
            kind: Kind::Json,
            cell: |r| json(&r.error_context),
        },
        Column {
            name: "service_name",
            kind: Kind::Text,
            cell: |r| text(&r.header.service_name),
        },
        Column {
            name: "created_at",
            kind: Kind::Time,
            cell: |r| Cell::Time(r.header.received_at),
        },
    ],
};
