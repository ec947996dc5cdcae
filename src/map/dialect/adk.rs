//! Google's Agent Development Kit. Source: google/adk-python, src/google/adk/telemetry/tracing.py.
//!
//! | attribute | column |
//! |---|---|
//! | the conventions' own | see `otel` |
//! | `gcp.vertex.agent.llm_request` | model, temperature, max_tokens, prompt, system_prompt |
//! | `gcp.vertex.agent.llm_response` | response, finish_reason, cache and reasoning tokens |
//! | `gcp.vertex.agent.session_id` | session_id |
//!
//! Quirks: `call_llm` may come without an operation's name, so its name says it. Releases that
//! call the thoughts experimental leave them out of the output; where nothing but the response has
//! them, they are taken from there. Tools carry `{}` as request and response. With Google's own
//! instrumentation on, a `generate_content` span shows the call again below `call_llm`.

use super::{BLANK, Dialect};
use crate::map::{accounting::Excludes, classify::Kind, fields::Field, read::Reading};

const EXPERIMENTAL: &str = "gen_ai.usage.experimental.reasoning_tokens";

pub const DIALECT: Dialect = Dialect {
    name: "adk",
    scopes: &["gcp.vertex.agent", "google.adk"],
    signs: &["gcp.vertex.agent.llm_request", "gcp.vertex.agent.session_id"],
    names: &[
        ("call_llm", Kind::Chat),
        ("invocation", Kind::Container),
        ("execute_tool (merged)", Kind::Aside),
        ("send_data", Kind::Aside),
    ],
    keys: &[
        ("gcp.vertex.agent.llm_request", Field::Input),
        ("gcp.vertex.agent.llm_response", Field::Output),
    ],
    own: &[
        ("gcp.vertex.agent.llm_request", Field::Parameters),
        ("gcp.vertex.agent.llm_response", Field::UsageObject),
        (EXPERIMENTAL, Field::Reasoning),
    ],
    context: &[
        ("gcp.vertex.agent.session_id", "session_id"),
        ("gcp.vertex.agent.user_id", "user_id"),
    ],
    dropped: &[
        "gcp.vertex.agent.invocation_id",
        "gcp.vertex.agent.event_id",
        "gcp.vertex.agent.tool_call_args",
        "gcp.vertex.agent.tool_response",
        "gcp.vertex.agent.data",
    ],
    excludes,
    ..BLANK
};

/// Only the releases that still call the thoughts experimental leave them out of the output.
fn excludes(reading: &Reading<'_, '_>, _: Option<&str>) -> Excludes {
    let thoughts = reading.got(Field::Reasoning);
    Excludes {
        cache: false,
        reasoning: thoughts.is_some_and(|got| got.key == EXPERIMENTAL),
    }
}
