//! OpenLIT, Python and TypeScript. Source: openlit/openlit, sdk/python/src/openlit/semcov. A real
//! export of 1.45 is among the tests.
//!
//! | attribute | column |
//! |---|---|
//! | the conventions' own | see `otel` |
//! | `gen_ai.operation.name` = `vectordb` | a search, if the database's operation is one |
//! | `gen_ai.usage.cost` | reported_cost; 0 is an unknown model |
//! | `gen_ai.server.time_to_first_token` | ttft_ms of a stream, s |
//! | `gen_ai.request.user` | user_id |
//! | `gen_ai.application_name`, `gen_ai.environment` | (metadata), environment |
//! | `gen_ai.agent.instructions` | system_prompt |
//!
//! Quirks: Anthropic's and Bedrock's input leaves out the cache. Streams without usage carry
//! guesses of a tokenizer. Request parameters that were not set stand there with their defaults
//! (`max_tokens` -1, `seed` 0, user ""). Old releases: one `gen_ai.prompt` text with the roles in
//! it. The HTTP span below a call has no GenAI attribute.

use super::{BLANK, Dialect};
use crate::map::{accounting::Excludes, classify::Kind, fields::Field, read::Reading};

pub const DIALECT: Dialect = Dialect {
    name: "openlit",
    scopes: &["openlit"],
    // A call that failed has its name alone.
    names: &[
        ("*.chat.completions", Kind::Chat),
        ("anthropic.messages", Kind::Chat),
        ("*.embeddings", Kind::Embedding),
    ],
    own: &[
        ("gen_ai.server.time_to_first_token", Field::TtftSeconds),
        ("gen_ai.agent.instructions", Field::SystemPrompt),
        ("gen_ai.framework.error.message", Field::ErrorMessage),
        ("gen_ai.framework.error.class", Field::ErrorType),
        ("gen_ai.llm.model", Field::RequestModel),
        ("gen_ai.llm.provider", Field::ProviderHint),
        ("gen_ai.llm.temperature", Field::Temperature),
        ("gen_ai.llm.max_tokens", Field::MaxTokens),
        ("gen_ai.llm.top_p", Field::TopP),
        ("db.vector.query", Field::Query),
    ],
    dropped: &[
        "gen_ai.client.token.usage",
        "gen_ai.server.time_per_output_token",
        "gen_ai.sdk.version",
        "db.sdk.version",
        "db.client.operation.duration",
        "openlit.agent.version_hash",
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
