//! AWS Strands Agents. Source: strands-agents/sdk-python, src/strands/telemetry/tracer.py.
//!
//! | attribute | column |
//! |---|---|
//! | the conventions' own, prompt and completion tokens under the old names as well | see `otel` |
//! | `gen_ai.usage.cache_read_input_tokens`, `….cache_write_input_tokens` | cache_read_tokens, cache_write_tokens |
//! | `gen_ai.server.time_to_first_token` | ttft_ms, in milliseconds |
//! | `gen_ai.user.message`, `gen_ai.choice`, … as span events | prompt, response, finish_reason |
//! | `agent.name`, `execute_event_loop_cycle` | wrappers: an agent's span sums what is below it |
//!
//! Quirks: `gen_ai.system` names Strands, not the provider. Bedrock's input leaves out the cache.

use super::{BLANK, Dialect};
use crate::map::{accounting::Excludes, classify::Kind, fields::Field, read::Reading};

pub const DIALECT: Dialect = Dialect {
    name: "strands",
    scopes: &["strands"],
    names: &[
        ("execute_event_loop_cycle", Kind::Container),
        ("Model invoke", Kind::Chat),
        ("Cycle", Kind::Container),
    ],
    own: &[
        ("gen_ai.server.time_to_first_token", Field::TtftMillis),
        ("gen_ai.server.request.duration", Field::Ignored),
        ("gen_ai.event.start_time", Field::Ignored),
        ("gen_ai.event.end_time", Field::Ignored),
        ("event_loop.cycle_id", Field::Ignored),
    ],
    excludes,
    ..BLANK
};

/// The provider is not told: the model's name shows Bedrock.
fn excludes(_: &Reading<'_, '_>, provider: Option<&str>) -> Excludes {
    Excludes {
        cache: provider == Some("aws.bedrock"),
        reasoning: false,
    }
}
