//! Pydantic AI (instrumentation versions 1 to 5) and Logfire's instrumentations of the OpenAI and
//! Anthropic SDKs. Source: pydantic/pydantic-ai, pydantic_ai/_instrumentation.py and
//! models/instrumented.py; pydantic/logfire, logfire/_internal/integrations/llm_providers. Real
//! exports of versions 2 and 5 are among the tests.
//!
//! | attribute | column |
//! |---|---|
//! | the conventions' own | see `otel` |
//! | `model_name`, `agent_name` | model of an agent's span |
//! | `events` (a JSON list of message events, to version 1), `all_messages_events` | prompt, response |
//! | `pydantic_ai.all_messages`, `final_result` | prompt, response of an agent's span |
//! | `request_data`, `response_data` (Logfire to 5) | model, parameters, prompt; response, tokens |
//! | `gen_ai.usage.raw`, `gen_ai.usage.details.*` | cache, reasoning and audio tokens |
//! | `gen_ai.aggregated_usage.*` | a run's sums: they never count beside the run's calls |
//! | `operation.cost` | reported_cost |
//!
//! Quirks: to version 2 an agent's span carries its run's sums in the names of a call's usage.
//! Logfire shows a stream as two spans, the second in the name "streaming response from …" with
//! the usage, and in a trace of its own where no span was open.

use super::{BLANK, Dialect};
use crate::map::{classify::Kind, fields::Field};

pub const DIALECT: Dialect = Dialect {
    name: "pydantic",
    scopes: &["pydantic-ai", "pydantic_ai", "logfire"],
    signs: &["logfire.json_schema"],
    names: &[
        ("agent run", Kind::Container),
        ("running tool", Kind::Tool),
        ("running 1 tool", Kind::Container),
        ("running tools", Kind::Container),
        ("Chat Completion with *", Kind::Chat),
        ("Completion with *", Kind::Chat),
        ("streaming response from *", Kind::Chat),
        ("Responses API with *", Kind::Chat),
        ("Message with *", Kind::Chat),
        ("Embedding Creation with *", Kind::Embedding),
        ("Image Generation with *", Kind::Media),
    ],
    own: &[
        ("model_name", Field::RequestModel),
        ("gen_ai.agent.call.id", Field::Ignored),
        ("events", Field::EventList),
        ("all_messages_events", Field::EventList),
        ("pydantic_ai.all_messages", Field::InputMessages),
        ("final_result", Field::OutputText),
        ("request_data", Field::Parameters),
        ("request_data", Field::Input),
        ("response_data", Field::Output),
        ("gen_ai.usage.raw", Field::UsageObject),
        ("model_request_parameters", Field::Ignored),
        ("gen_ai.aggregated_usage.input_tokens", Field::InputTokens),
        ("gen_ai.aggregated_usage.output_tokens", Field::OutputTokens),
        ("tool_arguments", Field::Ignored),
        ("tool_response", Field::Ignored),
    ],
    dropped: &[
        "logfire.msg",
        "logfire.msg_template",
        "logfire.span_type",
        "logfire.level_num",
        "logfire.json_schema",
        "logfire.metrics",
        "logfire.tags",
        "code.filepath",
        "code.lineno",
        "async",
        "duration",
    ],
    ..BLANK
};
