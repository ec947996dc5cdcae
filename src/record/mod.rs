//! WORDS: what spans become. Plain structs; `None` always means "unknown" and becomes NULL.
//!
//! | file | what |
//! |---|---|
//! | `id` | trace and span ids |
//! | `llm_call` | one span that is, or wraps, a model call |
//! | `history` | the earlier messages that a call was sent |
//! | `stt_event` | one event of a transcription |
//! | `retrieval` `cache_lookup` `json_parse` | the other stages |
//! | `pipeline_request` | one request as its root span saw it |
//! | `error_class` | what an error means, and whom it concerns |
//! | `usage` `cost` `context` `origin` | what the records share |
//! | `link` | a span's place in its trace, and changes that late spans bring to stored rows |
//! | `mapped` | a span after mapping, before counting |

pub mod cache_lookup;
pub mod context;
pub mod cost;
pub mod error_class;
pub mod history;
pub mod id;
pub mod json_parse;
pub mod link;
pub mod llm_call;
pub mod mapped;
pub mod origin;
pub mod pipeline_request;
pub mod retrieval;
pub mod stt_event;
pub mod usage;

use std::sync::Arc;

pub use cache_lookup::CacheLookup;
pub use context::Context;
pub use cost::{Cost, Unpriced};
pub use error_class::ErrorClass;
pub use history::{History, MessageText, TextHash};
pub use id::{IdHasher, IdMap, IdSet, SpanId, SpanKey, TraceId};
pub use json_parse::JsonParse;
pub use link::{Amendment, CallContent, Change, Link};
pub use llm_call::{CallType, Counted, LlmCall, NotCounted, Severity, Status};
pub use mapped::{MappedSpan, Role};
pub use origin::Origin;
pub use pipeline_request::{PipelineRequest, Stage, StageTimes};
pub use retrieval::{Retrieval, ScoreKind};
pub use stt_event::{SttEvent, SttEventType};
pub use usage::Usage;

/// One row to be: the sum of the kinds.
#[derive(Debug, Clone, PartialEq)]
pub enum Record {
    /// `llm_calls`
    LlmCall(Box<LlmCall>),
    /// `stt_logs`
    SttEvent(Box<SttEvent>),
    /// `retrievals`
    Retrieval(Box<Retrieval>),
    /// `cache_lookups`
    CacheLookup(Box<CacheLookup>),
    /// `json_parses`
    JsonParse(Box<JsonParse>),
    /// `pipeline_requests`
    PipelineRequest(Box<PipelineRequest>),
}

/// What every record of a span shares. Times are Unix nanoseconds, UTC, already made sane
/// (start ≤ end, within the window that the stores accept).
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Header {
    /// The span's trace.
    pub trace_id: TraceId,
    /// The span itself.
    pub span_id: SpanId,
    /// Its parent; `None` for a root.
    pub parent_span_id: Option<SpanId>,
    /// Start of the span, Unix ns.
    pub started_at: i64,
    /// End of the span, Unix ns; `None` where it was not exported.
    pub completed_at: Option<i64>,
    /// When the request that brought it was received, Unix ns: `created_at`. Comes from the
    /// spool entry, so a replay stores the same value.
    pub received_at: i64,
    /// Resource attribute `service.name`; shared by all spans of a resource.
    pub service_name: Option<Arc<str>>,
}

impl Header {
    /// Duration in milliseconds, where both ends are known.
    pub fn latency_ms(&self) -> Option<f64> {
        self.completed_at
            .map(|end| (end.saturating_sub(self.started_at)) as f64 / 1e6)
    }

    /// The identity of the span.
    pub fn key(&self) -> SpanKey {
        SpanKey {
            trace_id: self.trace_id,
            span_id: self.span_id,
        }
    }
}

impl Record {
    /// What all kinds share.
    pub fn header(&self) -> &Header {
        match self {
            Record::LlmCall(r) => &r.header,
            Record::SttEvent(r) => &r.header,
            Record::Retrieval(r) => &r.header,
            Record::CacheLookup(r) => &r.header,
            Record::JsonParse(r) => &r.header,
            Record::PipelineRequest(r) => &r.header,
        }
    }
}
