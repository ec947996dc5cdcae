//! A span's place in its trace, and what late spans change in rows that are already stored.

use std::sync::Arc;

use smol_str::SmolStr;

use super::{Context, Counted, History, Role, SpanId, SpanKey, StageTimes, TraceId, Usage};

/// A span of which counting must know, and that no row of a call, a search or a request tells of: it
/// stands between a call and its ancestor, or carries context, or has rows of other kinds alone.
/// Kept in the store's own `span_links` table so that counting survives a restart.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Link {
    /// The trace.
    pub trace_id: TraceId,
    /// The span.
    pub span_id: SpanId,
    /// Its parent; `None` for a root.
    pub parent_span_id: Option<SpanId>,
    /// Unix ns.
    pub started_at: i64,
    /// Its part: a call below a tool is judged otherwise than a call below nothing.
    pub role: Role,
    /// Context that holds for the spans below.
    pub context: Context,
}

/// A change to a row that is stored already.
#[derive(Debug, Clone, PartialEq)]
pub struct Amendment {
    /// Whose row.
    pub key: SpanKey,
    /// Start of that span, Unix ns: part of the primary key, and it finds the partition.
    pub started_at: i64,
    /// What changes.
    pub change: Change,
}

/// What changes.
#[derive(Debug, Clone, PartialEq)]
pub enum Change {
    /// `llm_calls.counted` and `not_counted_why`.
    Counted(Counted),
    /// `retrievals.counted`.
    RetrievalCounted(Counted),
    /// Context columns take these values, which are the span's own and, where it has none, its
    /// nearest ancestor's (`llm_calls`, `retrievals`, `stt_logs`: whichever columns the table has).
    Context(Arc<Context>),
    /// `llm_calls.parent_call_id`.
    ParentCall(SpanKey),
    /// Sums of a `pipeline_requests` row, replaced.
    Request {
        /// Stage times.
        stages: StageTimes,
        /// Counted tokens.
        tokens: Option<i64>,
        /// USD.
        cost: Option<f64>,
    },
}

/// Content of a call that came in a log event. Fields that the row has already are kept.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct CallContent {
    /// The call's span.
    pub key: SpanKey,
    /// When the event was received, Unix ns.
    pub received_at: i64,
    /// Newest user input.
    pub prompt: Option<String>,
    /// System prompt.
    pub system_prompt: Option<String>,
    /// The answer.
    pub response: Option<String>,
    /// The other messages that were sent.
    pub history: Option<Box<History>>,
    /// Normalised.
    pub finish_reason: Option<SmolStr>,
    /// Tokens, where the event carries them.
    pub usage: Usage,
}
