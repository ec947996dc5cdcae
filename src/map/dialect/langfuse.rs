//! Langfuse's SDKs, Python 3 to 5 and JavaScript 4 and 5. Source: langfuse/langfuse,
//! packages/shared/src/server/otel; langfuse-python, langfuse/_client/attributes.py. Real exports
//! of 3.5 and 5.0 are among the tests.
//!
//! | attribute | column |
//! |---|---|
//! | `langfuse.observation.type` | the kind: generation, embedding, retriever, tool, agent, chain, … |
//! | `langfuse.observation.model.name` | model (or response_model, where the request's is told) |
//! | `langfuse.observation.model.parameters` | temperature, top_p, max_tokens |
//! | `langfuse.observation.usage_details` | tokens |
//! | `langfuse.observation.cost_details` | reported_cost |
//! | `langfuse.observation.input`, `.output` | prompt, system_prompt, response |
//! | `langfuse.observation.level`, `.status_message` | status, error_message |
//! | `langfuse.observation.completion_start_time` | ttft_ms, streamed |
//! | `langfuse.observation.metadata.ls_*` | provider, model (LangChain's callback) |
//! | `user.id`, `session.id` (and `langfuse.user.id`, …) | user_id, session_id |
//!
//! Quirks: usage comes in the provider's own words or in Langfuse's buckets, where the cache
//! stands beside the input. To 3.3 a generation calls itself `span`. An error sets no span
//! status. LangChain's callback and the OpenAI wrapper show one call twice.

use super::{BLANK, Dialect};
use crate::map::{classify::Kind, fields::Field};

pub const DIALECT: Dialect = Dialect {
    name: "langfuse",
    scopes: &["langfuse-sdk"],
    signs: &["langfuse.observation.type", "langfuse.observation.model.name"],
    kinds: &[
        ("generation", Kind::Chat),
        ("embedding", Kind::Embedding),
        ("retriever", Kind::Retrieval),
        ("tool", Kind::Tool),
        ("agent", Kind::Container),
        ("chain", Kind::Container),
        ("evaluator", Kind::Container),
        ("guardrail", Kind::Container),
        ("event", Kind::Aside),
    ],
    keys: &[
        ("langfuse.observation.type", Field::Kind),
        (
            "langfuse.observation.metadata.ls_provider",
            Field::ProviderHint,
        ),
        (
            "langfuse.observation.metadata.ls_model_name",
            Field::RequestModel,
        ),
        ("langfuse.observation.model.name", Field::AnyModel),
        ("langfuse.observation.model.parameters", Field::Parameters),
        ("langfuse.observation.usage_details", Field::UsageObject),
        ("langfuse.observation.cost_details", Field::CostObject),
        (
            "langfuse.observation.completion_start_time",
            Field::FirstTokenAt,
        ),
        (
            "langfuse.observation.metadata.finish_reason",
            Field::FinishReason,
        ),
        ("langfuse.observation.input", Field::Input),
        ("langfuse.observation.output", Field::Output),
        ("langfuse.observation.level", Field::Level),
        ("langfuse.observation.status_message", Field::ErrorMessage),
        ("langfuse.observation.prompt.name", Field::Operation),
        ("langfuse.trace.name", Field::Pipeline),
        ("langfuse.trace.tags", Field::Tags),
        ("langfuse.tags", Field::Tags),
    ],
    context: &[
        ("langfuse.user.id", "user_id"),
        (
            "langfuse.observation.metadata.langfuse_user_id",
            "user_id",
        ),
        ("langfuse.trace.metadata.user_id", "user_id"),
        ("langfuse.session.id", "session_id"),
        (
            "langfuse.observation.metadata.langfuse_session_id",
            "session_id",
        ),
        ("langfuse.environment", "environment"),
        ("langfuse.experiment.name", "experiment"),
    ],
    // The trace's input and output repeat those of its root.
    dropped: &["langfuse.trace.input", "langfuse.trace.output"],
    ..BLANK
};
