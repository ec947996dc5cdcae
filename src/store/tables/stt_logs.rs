//! `stt_logs`: One row an event of a transcription; `complete` and `error` end one.

use super::{Cell, Column, Table, float, int, json, text, time, usd, word};
use crate::record::SttEvent;

/// The table and its columns, in order.
pub(in crate::store) const TABLE: Table<SttEvent> = Table {
    name: "stt_logs",
    columns: &[
        Column {
            name: "id",
            cell: |r| Cell::Text(r.id().into()),
        },
        Column {
            name: "trace_id",
            cell: |r| Cell::Trace(r.header.trace_id),
        },
        Column {
            name: "span_id",
            cell: |r| Cell::Span(r.header.span_id),
        },
        Column {
            name: "recording_id",
            cell: |r| text(&r.context.recording_id),
        },
        Column {
            name: "task_id",
            cell: |r| text(&r.context.task_id),
        },
        Column {
            name: "event_type",
            cell: |r| word(r.event_type.as_str()),
        },
        Column {
            name: "chunk_index",
            cell: |r| int(r.chunk_index),
        },
        Column {
            name: "total_chunks",
            cell: |r| int(r.total_chunks),
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
            name: "duration_seconds",
            cell: |r| float(r.header.latency_ms().map(|ms| ms / 1e3)),
        },
        Column {
            name: "audio_duration_seconds",
            cell: |r| float(r.audio_duration_seconds),
        },
        Column {
            name: "audio_file_size_bytes",
            cell: |r| int(r.audio_file_size_bytes),
        },
        Column {
            name: "transcript_length",
            cell: |r| int(r.transcript_length),
        },
        Column {
            name: "word_count",
            cell: |r| int(r.word_count),
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
            name: "language",
            cell: |r| text(&r.language),
        },
        Column {
            name: "estimated_cost",
            cell: |r| usd(&r.cost),
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
            name: "error_context",
            cell: |r| json(&r.error_context),
        },
        Column {
            name: "service_name",
            cell: |r| text(&r.header.service_name),
        },
        Column {
            name: "created_at",
            cell: |r| Cell::Time(r.header.received_at),
        },
    ],
};
