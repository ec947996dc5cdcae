//! Semantic Kernel (Python and .NET), Microsoft.Extensions.AI and the Agent Framework. Source:
//! microsoft/semantic-kernel, ModelDiagnostics.cs and model_diagnostics/gen_ai_attributes.py;
//! dotnet/extensions, Microsoft.Extensions.AI/OpenTelemetryConsts.cs.
//!
//! | attribute | column |
//! |---|---|
//! | the conventions' own | see `otel` |
//! | `gen_ai.operation.name` = `chat.completions`, `text.completions` (old .NET) | the kind |
//! | `gen_ai.response.prompt_tokens`, `gen_ai.response.completion_tokens` (old .NET) | tokens |
//! | `gen_ai.response.finish_reason` | finish_reason |
//! | message events, their text under `gen_ai.event.content` | prompt, response |
//! | `sk.available_functions`, `code.function` | nothing |
//!
//! Quirks: `gen_ai.system` names the connector's client (`AzureAIInferenceChatClient`), not
//! always a provider.

use super::{BLANK, Dialect, Event};
use crate::map::{fields::Field, messages::Speaker};

pub const DIALECT: Dialect = Dialect {
    name: "semantic_kernel",
    scopes: &[
        "semantic_kernel",
        "Microsoft.SemanticKernel",
        "Experimental.Microsoft.Extensions.AI",
        "Microsoft.Extensions.AI",
        "agent_framework",
        "Experimental.Microsoft.Agents.AI",
    ],
    signs: &["sk.available_functions"],
    keys: &[
        ("gen_ai.response.prompt_tokens", Field::InputTokens),
        ("gen_ai.response.completion_tokens", Field::OutputTokens),
    ],
    events: &[
        ("gen_ai.developer.message", Event::Message(Speaker::System)),
        ("gen_ai.tool.developer", Event::Message(Speaker::System)),
    ],
    dropped: &["sk.available_functions"],
    ..BLANK
};
