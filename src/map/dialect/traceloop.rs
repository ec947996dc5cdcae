//! OpenLLMetry (Traceloop), of all ages. Source: traceloop/openllmetry,
//! opentelemetry-semantic-conventions-ai.
//!
//! New releases write the OTel names and add a few of their own; old ones (to 0.47) spell messages
//! `gen_ai.prompt.N.content`, and totals `llm.usage.total_tokens`. `traceloop.span.kind` names
//! containers only. Model calls say what they are in `llm.request.type`.

use super::{BLANK, Dialect, Event};
use crate::map::{classify::Kind, fields::Field, messages::Family};

pub const DIALECT: Dialect = Dialect {
    name: "traceloop",
    scopes: &["traceloop."],
    signs: &[
        "traceloop.span.kind",
        "traceloop.workflow.name",
        "traceloop.entity.name",
        "traceloop.entity.path",
        "llm.request.type",
        "llm.is_streaming",
        "gen_ai.is_streaming",
    ],
    kinds: &[
        ("chat", Kind::Chat),
        ("completion", Kind::Chat),
        ("embedding", Kind::Embedding),
        ("rerank", Kind::Rerank),
        ("workflow", Kind::Container),
        ("task", Kind::Container),
        ("agent", Kind::Container),
        ("tool", Kind::Tool),
    ],
    keys: &[
        ("llm.request.type", Field::Kind),
        ("traceloop.span.kind", Field::Kind),
        (
            "traceloop.association.properties.ls_provider",
            Field::ProviderHint,
        ),
        ("llm.request.model", Field::RequestModel),
        ("llm.response.model", Field::ResponseModel),
        ("llm.usage.prompt_tokens", Field::InputTokens),
        ("llm.usage.completion_tokens", Field::OutputTokens),
        ("llm.usage.total_tokens", Field::TotalTokens),
        ("llm.usage.reasoning_tokens", Field::Reasoning),
        ("llm.request.reasoning_effort", Field::ReasoningLevel),
        ("llm.response.finish_reason", Field::FinishReason),
        ("llm.response.stop_reason", Field::FinishReason),
        ("gen_ai.is_streaming", Field::Streamed),
        ("llm.is_streaming", Field::Streamed),
        ("traceloop.entity.input", Field::Input),
        ("traceloop.entity.output", Field::Output),
        ("traceloop.entity.name", Field::Operation),
        ("traceloop.entity.path", Field::Operation),
        ("traceloop.prompt.key", Field::Operation),
        ("traceloop.workflow.name", Field::Pipeline),
        ("db.chroma.query.n_results", Field::TopK),
        ("pinecone.query.top_k", Field::TopK),
        ("db.milvus.search.limit", Field::TopK),
        ("db.milvus.search.result_count", Field::HitCount),
        ("db.pinecone.query.result_count", Field::HitCount),
        ("db.marqo.search.query", Field::Query),
        ("qdrant.search.collection_name", Field::Collection),
        ("qdrant.upsert.collection_name", Field::Collection),
        ("db.milvus.search.collection_name", Field::Collection),
        ("pinecone.query.namespace", Field::Collection),
    ],
    context: &[
        ("traceloop.association.properties.user_id", "user_id"),
        ("traceloop.association.properties.session_id", "session_id"),
        ("traceloop.association.properties.chat_id", "session_id"),
        ("traceloop.association.properties.thread_id", "session_id"),
        (
            "traceloop.association.properties.conversation_id",
            "session_id",
        ),
    ],
    families: &[
        ("gen_ai.prompt", Family::Input),
        ("gen_ai.completion", Family::Output),
    ],
    events: &[
        ("gen_ai.content.completion.chunk", Event::FirstChunk),
        ("llm.content.completion.chunk", Event::FirstChunk),
        ("db.query.result", Event::Hit),
        ("db.search.result", Event::Hit),
    ],
    // The same text twice: `gen_ai.task.*` repeats `traceloop.entity.*`.
    dropped: &["gen_ai.task.input", "gen_ai.task.output", "llm.headers"],
    ..BLANK
};
