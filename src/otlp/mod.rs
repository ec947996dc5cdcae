//! WORDS: the wire, read in place.
//!
//! A payload is one accepted OTLP request: raw protobuf bytes (`Export*ServiceRequest`), never
//! re-encoded. The views below borrow from it; nothing is allocated until a value is wanted.
//!
//! What can be wrong is split by whom it costs: bytes that break the request's own frame cost the
//! request ([`Malformed`]); a span that can't be read or has no valid id costs itself; an attribute
//! that can't be read costs itself. Text is cleaned in one place ([`value::text`]): invalid UTF-8
//! and NUL become U+FFFD, so both stores take the same text.
//!
//! | file | what |
//! |---|---|
//! | `wire` | protobuf tags, varints, bounded skipping |
//! | `value` | attribute values, key-values |
//! | `plain` | text that needs no cleaning |
//! | `span` | trace requests: resource, scope, span, event |
//! | `log` | log requests |
//! | `json` | OTLP/JSON to the same protobuf bytes |
//! | `cut` | a large request in parts that say the same |

pub mod cut;
pub mod json;
pub mod log;
mod plain;
pub mod span;
pub mod value;
pub mod wire;

pub use log::{LogView, logs};
pub use plain::has_nul;
pub use span::{EventView, RawSpan, ScopeView, SpanView, raw_spans, spans};
pub use value::{Attributes, Value};

/// Which of the three services a payload came through.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Signal {
    /// `ExportTraceServiceRequest`
    Traces,
    /// `ExportLogsServiceRequest`
    Logs,
    /// `ExportMetricsServiceRequest`
    Metrics,
}

impl Signal {
    /// All of them.
    pub const ALL: [Signal; 3] = [Signal::Traces, Signal::Logs, Signal::Metrics];

    /// Label value, and the last part of the HTTP path.
    pub fn as_str(self) -> &'static str {
        match self {
            Signal::Traces => "traces",
            Signal::Logs => "logs",
            Signal::Metrics => "metrics",
        }
    }
}

/// Bytes that are not what they should be: what, and where in the buffer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("malformed protobuf at byte {at}: {what}")]
pub struct Malformed {
    /// What is wrong.
    pub what: &'static str,
    /// Offset in the message being read.
    pub at: usize,
}
