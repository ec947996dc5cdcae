//! Vercel AI SDK, 3.4 to 6 (`experimental_telemetry`). Source: vercel/ai,
//! packages/ai/src/telemetry, content/docs/03-ai-sdk-core/60-telemetry.mdx. Real exports of 4.3
//! and 6.0 are among the tests. The spans of `@ai-sdk/otel` (7) are the conventions' own (see
//! `otel`), but for the app's context under `ai.settings.context.*`.
//!
//! | attribute | column |
//! |---|---|
//! | `ai.operationId` | the kind: `ai.generateText` and its like wrap, `….doGenerate`, `….doStream`, `….doEmbed` call |
//! | `ai.model.provider`, `ai.model.id`, `ai.response.model` | provider, model, response_model |
//! | `ai.usage.*` | tokens; `promptTokens` to v4, `inputTokens` from v5, `tokens` for embeddings |
//! | `ai.response.providerMetadata` | cache and reasoning tokens to v4 |
//! | `ai.prompt.messages`, `ai.prompt`, `ai.values` | prompt, system_prompt |
//! | `ai.response.text`, `.object`, `.toolCalls` | response |
//! | `ai.settings.*` | temperature, top_p, max_tokens |
//! | `ai.telemetry.functionId`, `ai.telemetry.metadata.*` | operation, user, session, tags |
//!
//! Quirks: the outer span repeats (or sums) the usage of the calls inside it. To v4, a stream
//! without usage counts NaN tokens. To v5, Anthropic's and Bedrock's input leaves out the cache;
//! from v6 it is whole, and `noCacheTokens` says so.

use super::{BLANK, Dialect, Event};
use crate::map::{accounting::Excludes, classify::Kind, fields::Field, read::Reading};

pub const DIALECT: Dialect = Dialect {
    name: "vercel",
    scopes: &[],
    signs: &["ai.operationId"],
    kinds: &[
        ("*.doGenerate", Kind::Chat),
        ("*.doStream", Kind::Chat),
        ("*.doEmbed", Kind::Embedding),
        ("*.doRerank", Kind::Rerank),
        ("ai.generateText", Kind::Container),
        ("ai.streamText", Kind::Container),
        ("ai.generateObject", Kind::Container),
        ("ai.streamObject", Kind::Container),
        ("ai.embed", Kind::Container),
        ("ai.embedMany", Kind::Container),
        ("ai.rerank", Kind::Container),
        ("ai.toolCall", Kind::Tool),
        ("*.doTranscribe", Kind::Speech),
    ],
    keys: &[
        ("ai.operationId", Field::Kind),
        ("ai.model.provider", Field::Provider),
        ("aisdk.model.provider", Field::Provider),
        ("ai.model.id", Field::RequestModel),
        ("aisdk.model.id", Field::RequestModel),
        ("ai.response.model", Field::ResponseModel),
        ("ai.response.id", Field::ResponseId),
        ("ai.usage.inputTokens", Field::InputTokens),
        ("ai.usage.promptTokens", Field::InputTokens),
        ("ai.usage.tokens", Field::InputTokens),
        ("ai.usage.outputTokens", Field::OutputTokens),
        ("ai.usage.completionTokens", Field::OutputTokens),
        ("ai.usage.totalTokens", Field::TotalTokens),
        (
            "ai.usage.inputTokenDetails.cacheReadTokens",
            Field::CacheRead,
        ),
        ("ai.usage.cachedInputTokens", Field::CacheRead),
        (
            "ai.usage.inputTokenDetails.cacheWriteTokens",
            Field::CacheWrite,
        ),
        (
            "ai.usage.inputTokenDetails.noCacheTokens",
            Field::UncachedInput,
        ),
        (
            "ai.usage.outputTokenDetails.reasoningTokens",
            Field::Reasoning,
        ),
        ("ai.usage.reasoningTokens", Field::Reasoning),
        ("ai.response.providerMetadata", Field::UsageObject),
        ("ai.settings.temperature", Field::Temperature),
        ("ai.settings.topP", Field::TopP),
        ("ai.settings.maxOutputTokens", Field::MaxTokens),
        ("ai.settings.maxTokens", Field::MaxTokens),
        ("ai.response.finishReason", Field::FinishReason),
        ("ai.finishReason", Field::FinishReason),
        ("ai.response.msToFirstChunk", Field::TtftMillis),
        ("ai.stream.msToFirstChunk", Field::TtftMillis),
        ("ai.prompt.messages", Field::InputMessages),
        ("ai.prompt", Field::InputMessages),
        ("ai.values", Field::InputMessages),
        ("ai.value", Field::InputMessages),
        ("ai.response.text", Field::OutputText),
        ("ai.result.text", Field::OutputText),
        ("ai.response.object", Field::OutputText),
        ("ai.result.object", Field::OutputText),
        ("ai.response.toolCalls", Field::OutputMessages),
        ("ai.result.toolCalls", Field::OutputMessages),
        ("ai.telemetry.functionId", Field::Operation),
        ("ai.telemetry.metadata.tags", Field::Tags),
        ("ai.toolCall.name", Field::ToolName),
        ("ai.documents", Field::Documents),
    ],
    context: &[
        ("ai.telemetry.metadata.userId", "user_id"),
        ("ai.telemetry.metadata.user_id", "user_id"),
        ("ai.settings.context.userId", "user_id"),
        ("ai.settings.context.user_id", "user_id"),
        ("ai.settings.context.sessionId", "session_id"),
        ("ai.settings.context.session_id", "session_id"),
        ("ai.settings.context.threadId", "session_id"),
        ("ai.settings.context.chatId", "session_id"),
        ("ai.telemetry.metadata.sessionId", "session_id"),
        ("ai.telemetry.metadata.session_id", "session_id"),
        ("ai.telemetry.metadata.threadId", "session_id"),
        ("ai.telemetry.metadata.chatId", "session_id"),
        ("ai.telemetry.metadata.conversationId", "session_id"),
    ],
    events: &[("ai.stream.firstChunk", Event::FirstChunk)],
    dropped: &[
        "operation.name",
        "resource.name",
        "ai.embedding",
        "ai.embeddings",
        "ai.response.timestamp",
        "ai.usage.outputTokenDetails.textTokens",
    ],
    excludes,
    ..BLANK
};

fn excludes(_: &Reading<'_, '_>, provider: Option<&str>) -> Excludes {
    Excludes {
        cache: matches!(provider, Some("anthropic" | "aws.bedrock")),
        reasoning: false,
    }
}
