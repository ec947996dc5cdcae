//! OpenInference: Arize's instrumentations, Python and JavaScript. Source:
//! Arize-ai/openinference, spec/semantic_conventions.md.
//!
//! `llm.model_name` is the answering model where the SDK knows it and the requested one where not;
//! the requested model stands in `llm.invocation_parameters` (see `call`). Prompt tokens include
//! the cache for every provider.

use super::{BLANK, Dialect, Event};
use crate::map::{classify::Kind, fields::Field, messages::Family};

pub const DIALECT: Dialect = Dialect {
    name: "openinference",
    scopes: &["openinference.", "@arizeai/openinference"],
    signs: &["openinference.span.kind"],
    kinds: &[
        ("llm", Kind::Chat),
        ("embedding", Kind::Embedding),
        ("retriever", Kind::Retrieval),
        ("reranker", Kind::Rerank),
        ("tool", Kind::Tool),
        ("chain", Kind::Container),
        ("agent", Kind::Container),
        ("prompt", Kind::Container),
        ("guardrail", Kind::Container),
        ("evaluator", Kind::Container),
    ],
    keys: &[
        ("openinference.span.kind", Field::Kind),
        ("llm.provider", Field::Provider),
        ("llm.system", Field::Provider),
        ("llm.request.model_name", Field::RequestModel),
        ("llm.response.model_name", Field::ResponseModel),
        ("llm.model_name", Field::AnyModel),
        ("embedding.model_name", Field::EmbeddingModel),
        ("llm.invocation_parameters", Field::Parameters),
        ("embedding.invocation_parameters", Field::Parameters),
        ("llm.token_count.prompt", Field::InputTokens),
        ("llm.token_count.completion", Field::OutputTokens),
        ("llm.token_count.total", Field::TotalTokens),
        (
            "llm.token_count.prompt_details.cache_read",
            Field::CacheRead,
        ),
        (
            "llm.token_count.prompt_details.cache_input",
            Field::CacheRead,
        ),
        (
            "llm.token_count.prompt_details.cache_write",
            Field::CacheWrite,
        ),
        ("llm.token_count.prompt_details.audio", Field::AudioInput),
        (
            "llm.token_count.completion_details.reasoning",
            Field::Reasoning,
        ),
        (
            "llm.token_count.completion_details.audio",
            Field::AudioOutput,
        ),
        ("llm.cost.total", Field::ReportedCost),
        ("llm.finish_reason", Field::FinishReason),
        ("input.value", Field::Input),
        ("output.value", Field::Output),
        ("tag.tags", Field::Tags),
        ("tool.name", Field::ToolName),
        ("reranker.model_name", Field::RerankModel),
        ("reranker.query", Field::Query),
        ("reranker.top_k", Field::TopK),
    ],
    context: &[("llm.user", "user_id")],
    families: &[
        ("llm.input_messages", Family::Input),
        ("llm.output_messages", Family::Output),
        ("llm.prompts", Family::Input),
        ("llm.choices", Family::Output),
        ("retrieval.documents", Family::Document),
        ("reranker.output_documents", Family::Document),
        ("reranker.input_documents", Family::Dropped),
        ("embedding.embeddings", Family::Embedding),
    ],
    events: &[("First Token Stream Event", Event::FirstChunk)],
    dropped: &["input.mime_type", "output.mime_type"],
    ..BLANK
};
