//! `stt_logs`: One row an event of a transcription; `complete` and `error` end one.

use super::{priced, table};
use crate::record::SttEvent;

table! { "stt_logs", SttEvent, |r|
    id: text = Some(&*r.id()),
    trace_id: trace = r.header.trace_id,
    span_id: span = r.header.span_id,
    recording_id: text = r.context.recording_id.as_deref(),
    task_id: text = r.context.task_id.as_deref(),
    event_type: word = r.event_type.as_str(),
    chunk_index: int = r.chunk_index,
    total_chunks: int = r.total_chunks,
    started_at: time = r.header.started_at,
    completed_at: time = r.header.completed_at,
    duration_seconds: float = r.header.latency_ms().map(|ms| ms / 1e3),
    audio_duration_seconds: float = r.audio_duration_seconds,
    audio_file_size_bytes: int = r.audio_file_size_bytes,
    transcript_length: int = r.transcript_length,
    word_count: int = r.word_count,
    provider: text = r.provider.as_deref(),
    model: text = r.model.as_deref(),
    language: text = r.language.as_deref(),
    estimated_cost: money = priced(&r.cost).map(|cost| cost.usd),
    error_type: text = r.error_type.as_deref(),
    error_message: text = r.error_message.as_deref(),
    error_context: json = r.error_context.as_ref().map(serde_json::Value::to_string),
    service_name: text = r.header.service_name.as_deref(),
    created_at: time = r.header.received_at,
}
