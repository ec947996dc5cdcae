//! Mastra's exporters, 0.x and 1.x. Source: mastra-ai/mastra, observability/otel-exporter. Written
//! after exports of 0.24 and 1.71.
//!
//! | attribute | column |
//! |---|---|
//! | `mastra.span.type` | the kind, where no operation's name says it |
//! | the conventions' own | see `otel` |
//! | `mastra.metadata.userId`, `….sessionId`, `….threadId` (0.x: bare) | user_id, session_id |
//! | `input`, `output` (0.x) | prompt, response |
//!
//! Quirks: only the innermost span of a generation carries usage. To 0.x one `chat` spans a whole
//! tool loop with its sum. Anthropic's input leaves out the cache. A failed call's status is OK,
//! its finish reason "error".

use super::{BLANK, Dialect};
use crate::map::{accounting::Excludes, classify::Kind, fields::Field, read::Reading};

pub const DIALECT: Dialect = Dialect {
    name: "mastra",
    scopes: &["@mastra/"],
    signs: &["mastra.span.type"],
    kinds: &[
        ("model_generation", Kind::Container),
        ("model_step", Kind::Container),
        ("model_inference", Kind::Chat),
        ("model_chunk", Kind::Aside),
        ("agent_run", Kind::Container),
        ("workflow_*", Kind::Container),
        ("tool_call", Kind::Tool),
        ("mcp_tool_call", Kind::Tool),
    ],
    own: &[
        ("input", Field::Input),
        ("output", Field::Output),
        ("streaming", Field::Streamed),
    ],
    context: &[
        ("mastra.metadata.userId", "user_id"),
        ("mastra.metadata.sessionId", "session_id"),
        ("mastra.metadata.threadId", "session_id"),
        ("userId", "user_id"),
        ("sessionId", "session_id"),
        ("threadId", "session_id"),
    ],
    excludes,
    ..BLANK
};

fn excludes(_: &Reading<'_, '_>, provider: Option<&str>) -> Excludes {
    Excludes {
        cache: matches!(provider, Some("anthropic" | "aws.bedrock")),
        reasoning: false,
    }
}
