//! OpenAI's Agents SDK, through OpenTelemetry's and OpenLLMetry's instrumentations. Source:
//! open-telemetry/opentelemetry-python-contrib, opentelemetry-instrumentation-openai-agents-v2;
//! traceloop/openllmetry, opentelemetry-instrumentation-openai-agents.
//!
//! | attribute | column |
//! |---|---|
//! | the conventions' own | see `otel`; indexed messages as `traceloop` has them |
//! | `openai.agent.*`, `gen_ai.agent.*` | nothing: agents, handoffs and guardrails wrap calls |
//! | through Logfire: `input`, `output`, `events`, `response`, `usage`, `model_settings` | prompt, response, tokens, temperature, max_tokens |
//!
//! Quirks: `gen_ai.system` is `openai_agents` on agents' spans. Through Logfire a span's name is
//! its template ("Responses API with …"). Through OpenInference it has that shape: see there.

use super::{BLANK, Dialect};
use crate::map::{classify::Kind, fields::Field};

pub const DIALECT: Dialect = Dialect {
    name: "openai_agents",
    scopes: &[
        "opentelemetry.instrumentation.openai_agents",
        "opentelemetry.instrumentation.genai.openai_agents",
        "logfire.openai_agents",
    ],
    names: &[
        ("Responses API with *", Kind::Chat),
        ("Chat completion with *", Kind::Chat),
        ("openai.response", Kind::Chat),
        ("openai_agents.response", Kind::Chat),
        ("Agent Workflow", Kind::Container),
        ("*.agent", Kind::Container),
        ("*.handoff", Kind::Aside),
        ("*.tool", Kind::Tool),
        ("*.guardrail", Kind::Aside),
    ],
    context: &[("metadata", "*")],
    own: &[
        ("input", Field::InputMessages),
        ("output", Field::OutputMessages),
        ("raw_input", Field::Input),
        ("response", Field::Output),
        ("response_id", Field::ResponseId),
        ("usage", Field::UsageObject),
        ("gen_ai.usage.raw", Field::UsageObject),
        ("model_config", Field::Parameters),
        ("model_settings", Field::Parameters),
        ("events", Field::EventList),
    ],
    ..BLANK
};
