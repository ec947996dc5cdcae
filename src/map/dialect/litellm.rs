//! LiteLLM's OpenTelemetry callback, library and proxy. Source: BerriAI/litellm,
//! litellm/integrations/opentelemetry.py. A real export of 1.106 is among the tests.
//!
//! | attribute | column |
//! |---|---|
//! | the conventions' own, and `llm.*` as OpenLLMetry spells them | see `otel`, `traceloop` |
//! | `gen_ai.cost.total_cost` | reported_cost |
//! | `llm.PROVIDER.*` of `raw_gen_ai_request` | nothing: that span repeats the call as it was sent |
//! | `metadata.user_api_key_user_id`, `metadata.user_api_key_end_user_id`, `llm.user` | user_id |
//! | `metadata.litellm_session_id`, `metadata.session_id` | session_id |
//! | `SpanAttributes.LLM_PROMPTS.N.*`, `….LLM_COMPLETIONS.N.*` (to 1.7) | prompt, response, finish_reason: the constants' names instead of their values |
//!
//! Quirks: booleans are words ("False"). A stream's response model is the requested one. An
//! embedding counts 0 output tokens. Metadata comes as Python's `repr`, one attribute a key,
//! most of them empty. The proxy's own span ("Received Proxy Server Request") is no call.

use super::{BLANK, Dialect};
use crate::map::{classify::Kind, fields::Field, messages::Family};

pub const DIALECT: Dialect = Dialect {
    name: "litellm",
    scopes: &["litellm"],
    signs: &["litellm.call_id"],
    names: &[
        ("litellm_request", Kind::Chat),
        ("raw_gen_ai_request", Kind::Aside),
        ("Received Proxy Server Request", Kind::Aside),
        ("proxy_pre_call", Kind::Aside),
        ("auth", Kind::Aside),
        ("router", Kind::Aside),
    ],
    keys: &[
        ("gen_ai.cost.total_cost", Field::ReportedCost),
        ("litellm.cost.total", Field::ReportedCost),
        ("gen_ai.cost.input_cost", Field::InputCost),
        ("gen_ai.cost.output_cost", Field::OutputCost),
    ],
    context: &[
        ("metadata.user_api_key_end_user_id", "user_id"),
        ("metadata.user_api_key_user_id", "user_id"),
        ("metadata.litellm_session_id", "session_id"),
        ("metadata.session_id", "session_id"),
    ],
    families: &[
        ("SpanAttributes.LLM_PROMPTS", Family::Input),
        ("SpanAttributes.LLM_COMPLETIONS", Family::Output),
    ],
    dropped: &["hidden_params", "litellm.provider.model"],
    ..BLANK
};
