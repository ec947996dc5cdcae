//! LlamaIndex's own OpenTelemetry integration (`llama-index-observability-otel`). Source:
//! run-llama/llama_index, llama-index-integrations/observability/llama-index-observability-otel.
//!
//! | attribute or event | column |
//! |---|---|
//! | span name (`OpenAI.chat-…`, `….get_text_embedding-…`, `….retrieve-…`) | the kind, by the method's name |
//! | event `LLMChatEndEvent`, `LLMCompletionEndEvent` | prompt, response, tokens |
//! | event `EmbeddingEndEvent` | prompt |
//! | event `RetrievalEndEvent` | query, hits, best_score |
//!
//! Quirks: spans are named class, method and a random id. Through OpenInference or OpenLLMetry
//! LlamaIndex has their shape: see there.

use super::{BLANK, Dialect};

pub const DIALECT: Dialect = Dialect {
    name: "llamaindex",
    scopes: &["llama_index", "llamaindex"],
    ..BLANK
};
