//! OpenAI's Agents SDK, through OpenTelemetry's and OpenLLMetry's instrumentations. Source:
//! open-telemetry/opentelemetry-python-contrib, opentelemetry-instrumentation-openai-agents-v2;
//! traceloop/openllmetry, opentelemetry-instrumentation-openai-agents.
//!
//! | attribute | column |
//! |---|---|
//! | the conventions' own | see `otel`; indexed messages as `traceloop` has them |
//! | `openai.agent.*`, `gen_ai.agent.*` | nothing: agents, handoffs and guardrails wrap calls |
//! | `response.model` and friends in the raw response | response_model |
//!
//! Quirks: `gen_ai.system` is `openai_agents` on agents' spans. Through Logfire the spans are
//! Logfire's ("Responses API with …"), through OpenInference its own: see there.

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
        ("openai.response", Kind::Chat),
        ("openai_agents.response", Kind::Chat),
        ("Agent Workflow", Kind::Container),
        ("*.agent", Kind::Container),
        ("*.handoff", Kind::Aside),
        ("*.tool", Kind::Tool),
        ("*.guardrail", Kind::Aside),
    ],
    own: &[
        ("raw_input", Field::Input),
        ("response", Field::Output),
        ("model_config", Field::Parameters),
        ("events", Field::EventList),
    ],
    ..BLANK
};
