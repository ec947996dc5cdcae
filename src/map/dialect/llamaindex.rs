//! LlamaIndex's own OpenTelemetry integration (`llama-index-observability-otel`). Source:
//! run-llama/llama_index, llama-index-integrations/observability/llama-index-observability-otel.
//! Written after an export of 0.14.
//!
//! Spans carry nothing but tags; what happened stands in their events, whose attributes are read
//! as if they were the span's.
//!
//! | attribute of an event | column |
//! |---|---|
//! | span name (`OpenAI.chat`, `….get_query_embedding`, `….retrieve`) | the kind, by the method's name |
//! | `model_dict.model_name`, `response.raw.model` | model, response_model |
//! | `messages`, `prompt`, `chunks` | prompt, system_prompt |
//! | `response.raw.choices`, `response.message.*`, `response.text` | response, finish_reason |
//! | `response.additional_kwargs.*`, `response.raw.usage.*` | tokens |
//! | `str_or_query_bundle.query_str`, `nodes` | query, hits, scores |
//!
//! Quirks: a stream has no end event, so neither answer nor tokens; embeddings report no tokens.
//! Through OpenInference or OpenLLMetry LlamaIndex has their shape: see there.

use super::{BLANK, Dialect};
use crate::map::{classify::Kind, fields::Field};

pub const DIALECT: Dialect = Dialect {
    name: "llamaindex",
    scopes: &["llamaindex", "llama_index"],
    carriers: &[
        "LLMChatStartEvent",
        "LLMChatEndEvent",
        "LLMCompletionStartEvent",
        "LLMCompletionEndEvent",
        "EmbeddingStartEvent",
        "EmbeddingEndEvent",
        "RetrievalStartEvent",
        "RetrievalEndEvent",
        "ReRankStartEvent",
        "ReRankEndEvent",
    ],
    names: &[
        ("*.chat", Kind::Chat),
        ("*.achat", Kind::Chat),
        ("*.stream_chat", Kind::Chat),
        ("*.astream_chat", Kind::Chat),
        ("*.complete", Kind::Chat),
        ("*.acomplete", Kind::Chat),
        ("*.stream_complete", Kind::Chat),
        ("*.astream_complete", Kind::Chat),
        ("*.predict", Kind::Container),
        ("*.apredict", Kind::Container),
        ("*.get_query_embedding", Kind::Embedding),
        ("*.aget_query_embedding", Kind::Embedding),
        ("*.get_text_embedding", Kind::Embedding),
        ("*.aget_text_embedding", Kind::Embedding),
        ("*.get_text_embedding_batch", Kind::Embedding),
        ("*.aget_text_embedding_batch", Kind::Embedding),
        ("*.retrieve", Kind::Retrieval),
        ("*.aretrieve", Kind::Retrieval),
        ("FunctionTool.*", Kind::Tool),
        ("*.query", Kind::Container),
        ("*.aquery", Kind::Container),
    ],
    own: &[
        ("model_dict.model_name", Field::RequestModel),
        ("model_dict.model", Field::RequestModel),
        ("model_dict.temperature", Field::Temperature),
        ("response.raw.model", Field::ResponseModel),
        ("response.raw.id", Field::ResponseId),
        ("response.raw.usage.prompt_tokens", Field::InputTokens),
        ("response.raw.usage.input_tokens", Field::InputTokens),
        ("response.additional_kwargs.prompt_tokens", Field::InputTokens),
        ("response.raw.usage.completion_tokens", Field::OutputTokens),
        ("response.raw.usage.output_tokens", Field::OutputTokens),
        (
            "response.additional_kwargs.completion_tokens",
            Field::OutputTokens,
        ),
        (
            "response.raw.usage.prompt_tokens_details.cached_tokens",
            Field::CacheRead,
        ),
        (
            "response.raw.usage.cache_read_input_tokens",
            Field::CacheRead,
        ),
        (
            "response.raw.usage.cache_creation_input_tokens",
            Field::CacheWrite,
        ),
        (
            "response.raw.usage.completion_tokens_details.reasoning_tokens",
            Field::Reasoning,
        ),
        ("messages", Field::InputMessages),
        ("prompt", Field::InputMessages),
        ("chunks", Field::InputMessages),
        ("response.raw.choices", Field::OutputMessages),
        ("response.message.blocks", Field::OutputMessages),
        ("response.text", Field::OutputMessages),
        ("str_or_query_bundle.query_str", Field::Query),
        ("str_or_query_bundle", Field::Query),
        ("nodes", Field::Documents),
        ("top_n", Field::TopK),
        ("tags.user.id", Field::Ignored),
        ("tags.session.id", Field::Ignored),
        ("timestamp", Field::Ignored),
        ("id_", Field::Ignored),
        ("span_id", Field::Ignored),
        ("class_name", Field::Ignored),
        ("embeddings", Field::Ignored),
    ],
    ..BLANK
};
