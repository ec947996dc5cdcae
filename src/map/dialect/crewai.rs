//! CrewAI, as OpenLLMetry and its own telemetry show it. Source: traceloop/openllmetry,
//! opentelemetry-instrumentation-crewai; crewAIInc/crewAI, crewai/telemetry/telemetry.py.
//!
//! | attribute | column |
//! |---|---|
//! | `crewai.crew.*`, `crewai.agent.*`, `crewai.task.*` | nothing: crews, agents and tasks wrap calls |
//! | `crewai.crew.token_usage`, `….usage_metrics` | a crew's sums: they never count beside its calls |
//!
//! Quirks: CrewAI's own spans ("Crew Created", "Task Execution") are product telemetry and carry
//! neither calls nor usage.

use super::{BLANK, Dialect};
use crate::map::{classify::Kind, fields::Field};

pub const DIALECT: Dialect = Dialect {
    name: "crewai",
    scopes: &["crewai.telemetry", "opentelemetry.instrumentation.crewai"],
    names: &[
        ("crewai.workflow", Kind::Container),
        ("*.task", Kind::Container),
        ("*.agent", Kind::Container),
        ("*.llm", Kind::Chat),
        ("Crew Created", Kind::Aside),
        ("Crew Execution", Kind::Container),
        ("Task Created", Kind::Aside),
        ("Task Execution", Kind::Container),
        ("Tool Usage", Kind::Tool),
        ("Flow Creation", Kind::Aside),
        ("Flow Execution", Kind::Container),
    ],
    own: &[
        ("crewai.crew.token_usage", Field::UsageObject),
        ("crewai.crew.usage_metrics", Field::UsageObject),
        ("crewai.crew.name", Field::Pipeline),
        ("crewai.agent.role", Field::Operation),
        ("crewai.task.name", Field::Operation),
    ],
    ..BLANK
};
