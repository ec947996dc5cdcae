//! LangSmith's SDK with OpenTelemetry export (LangChain, LangGraph, `traceable`). Source:
//! langchain-ai/langsmith-sdk, python/langsmith/_internal/otel/_otel_exporter.py.
//!
//! | attribute | column |
//! |---|---|
//! | `langsmith.span.kind` | the kind; it beats `gen_ai.operation.name`, which calls prompts chats and retrievers embeddings |
//! | `gen_ai.system`, `langsmith.metadata.ls_provider` | provider |
//! | `gen_ai.request.model`, `langsmith.metadata.ls_model_name` | model |
//! | `gen_ai.usage.*`, `gen_ai.usage.input_token_details`, `….output_token_details` | tokens |
//! | `gen_ai.prompt`, `gen_ai.completion` | prompt, response: the run's inputs and outputs as JSON |
//! | `langsmith.metadata.ls_temperature`, `….ls_max_tokens` | temperature, max_tokens |
//! | `langsmith.metadata.user_id`, `….session_id`, `….thread_id`, `….conversation_id` | user_id, session_id |
//! | `langsmith.span.tags` | tags |
//!
//! Quirks: details are Python's `repr`. Several finish reasons come as one text with commas.
//! `langsmith.trace.session_id` is a project, not a session.

use super::{BLANK, Dialect};
use crate::map::{classify::Kind, fields::Field};

pub const DIALECT: Dialect = Dialect {
    name: "langsmith",
    scopes: &["langsmith"],
    signs: &["langsmith.span.kind"],
    kinds: &[
        ("llm", Kind::Chat),
        ("embedding", Kind::Embedding),
        ("retriever", Kind::Retrieval),
        ("tool", Kind::Tool),
        ("chain", Kind::Container),
        ("prompt", Kind::Container),
        ("parser", Kind::Container),
        ("agent", Kind::Container),
    ],
    keys: &[
        ("langsmith.span.kind", Field::Kind),
        ("langsmith.metadata.ls_provider", Field::ProviderHint),
        ("langsmith.metadata.ls_model_name", Field::RequestModel),
        ("langsmith.metadata.ls_temperature", Field::Temperature),
        ("langsmith.metadata.ls_max_tokens", Field::MaxTokens),
        ("langsmith.request.streaming", Field::Streamed),
        ("langsmith.span.tags", Field::Tags),
        ("langsmith.metadata.usage_metadata", Field::UsageObject),
    ],
    own: &[
        ("gen_ai.usage.input_token_details", Field::InputDetails),
        ("gen_ai.usage.output_token_details", Field::OutputDetails),
        ("gen_ai.prompt", Field::Input),
        ("gen_ai.completion", Field::Output),
    ],
    context: &[
        ("langsmith.metadata.user_id", "user_id"),
        ("langsmith.metadata.session_id", "session_id"),
        ("langsmith.metadata.thread_id", "session_id"),
        ("langsmith.metadata.conversation_id", "session_id"),
    ],
    dropped: &[
        "langsmith.metadata.ls_model_type",
        "langsmith.trace.session_id",
        "langsmith.trace.session_name",
        "gen_ai.serialized.name",
        "gen_ai.serialized.doc",
        "gen_ai.serialized.signature",
    ],
    ..BLANK
};
