//! One event of a transcription.

use std::sync::Arc;

use smol_str::SmolStr;

use super::{Context, Cost, Header, Origin, Status, Unpriced, llm_call::words};

words!(
    /// Which event.
    #[allow(missing_docs, reason = "the variants are the column's words")]
    SttEventType {
        Start = "start",
        ChunkComplete = "chunk_complete",
        #[default]
        Complete = "complete",
        Error = "error",
    }
);

/// A row of `stt_logs`. Its `id` is trace_id-span_id, followed by `-event` and `-chunk` where one
/// span brings several.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct SttEvent {
    /// Ids, times, service.
    pub header: Header,
    /// Which event.
    pub event_type: SttEventType,
    /// Which of the span's events it is; 0 for the span's own row.
    pub ordinal: u32,
    /// 0-based chunk.
    pub chunk_index: Option<i64>,
    /// Planned or final number of chunks.
    pub total_chunks: Option<i64>,
    /// Seconds of audio that this event covers.
    pub audio_duration_seconds: Option<f64>,
    /// Bytes of audio.
    pub audio_file_size_bytes: Option<i64>,
    /// Characters of the transcript.
    pub transcript_length: Option<i64>,
    /// Words of the transcript.
    pub word_count: Option<i64>,
    /// Normalised provider.
    pub provider: Option<SmolStr>,
    /// Speech model.
    pub model: Option<SmolStr>,
    /// BCP-47.
    pub language: Option<SmolStr>,
    /// Cost of the event; only rows that are billed have one.
    pub cost: Option<Result<Cost, Unpriced>>,
    /// False for events whose seconds another row bills (start; chunks below a complete).
    pub billed: bool,
    /// How it ended.
    pub status: Status,
    /// Error class.
    pub error_type: Option<SmolStr>,
    /// Error text.
    pub error_message: Option<String>,
    /// Details, a JSON object.
    pub error_context: Option<serde_json::Value>,
    /// Who and where; `recording_id` and `task_id` are columns here.
    pub context: Arc<Context>,
    /// Where the numbers came from.
    pub origin: Origin,
}

impl SttEvent {
    /// The `id` column.
    pub fn id(&self) -> String {
        match self.ordinal {
            0 => self.header.key().to_string(),
            n => format!("{}-{n}", self.header.key()),
        }
    }
}
