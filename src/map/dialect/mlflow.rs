//! MLflow tracing, exported by its own exporter or over OTLP. Source: mlflow/mlflow,
//! mlflow/tracing/constant.py. A real export of 3.17 is among the tests.
//!
//! | attribute | column |
//! |---|---|
//! | `mlflow.spanType` | the kind |
//! | `mlflow.llm.provider`, `mlflow.message.format` | provider |
//! | `model`, `invocation_params`, `mlflow.spanInputs` | model, temperature, top_p, max_tokens, streamed |
//! | `mlflow.llm.model` | response_model (or model, where nothing else names one) |
//! | `mlflow.chat.tokenUsage`, `mlflow.spanOutputs` | tokens |
//! | `mlflow.llm.cost` | reported_cost |
//! | `mlflow.spanInputs`, `mlflow.spanOutputs` | prompt, response, query, hits |
//! | `mlflow.trace.user`, `mlflow.trace.session` | user_id, session_id |
//!
//! Quirks: every value is JSON, so a text has quotes of its own. The input is whole whatever the
//! provider; reasoning stands in the answer only. LangChain's and OpenAI's autologging show one
//! call twice. Without its root span (which stays in MLflow) a trace has orphans.

use super::{BLANK, Dialect, Event};
use crate::map::{classify::Kind, fields::Field};

pub const DIALECT: Dialect = Dialect {
    name: "mlflow",
    scopes: &["mlflow."],
    signs: &["mlflow.spanType", "mlflow.spanInputs"],
    kinds: &[
        ("llm", Kind::Chat),
        ("chat_model", Kind::Chat),
        ("embedding", Kind::Embedding),
        ("retriever", Kind::Retrieval),
        ("reranker", Kind::Rerank),
        ("tool", Kind::Tool),
        ("agent", Kind::Container),
        ("chain", Kind::Container),
        ("workflow", Kind::Container),
        ("task", Kind::Container),
        ("evaluator", Kind::Container),
        ("guardrail", Kind::Container),
        ("memory", Kind::Aside),
    ],
    keys: &[
        ("mlflow.spanType", Field::Kind),
        ("mlflow.llm.provider", Field::Provider),
        ("mlflow.message.format", Field::ProviderHint),
        ("mlflow.llm.model", Field::AnyModel),
        ("mlflow.chat.tokenUsage", Field::UsageObject),
        ("mlflow.llm.cost", Field::CostObject),
        ("mlflow.spanInputs", Field::Input),
        ("mlflow.spanOutputs", Field::Output),
        ("mlflow.trace.tags", Field::Tags),
    ],
    own: &[
        ("model", Field::RequestModel),
        ("invocation_params", Field::Parameters),
        ("mlflow.spanInputs", Field::Parameters),
        ("stream", Field::Streamed),
        ("temperature", Field::Temperature),
        ("top_p", Field::TopP),
        ("max_tokens", Field::MaxTokens),
        ("max_completion_tokens", Field::MaxTokens),
        ("max_output_tokens", Field::MaxTokens),
        ("reasoning_effort", Field::ReasoningLevel),
        ("service_tier", Field::ServiceTier),
    ],
    context: &[
        ("mlflow.trace.user", "user_id"),
        ("mlflow.user", "user_id"),
        ("mlflow.trace.session", "session_id"),
    ],
    events: &[
        ("mlflow.chunk.item.0", Event::FirstChunk),
        ("mlflow.chunk.start", Event::FirstChunk),
    ],
    dropped: &[
        "mlflow.traceRequestId",
        "mlflow.spanLogLevel",
        "mlflow.spanFunctionName",
        "options",
        "batch_size",
        "stream_options",
        "extra_headers",
    ],
    ..BLANK
};
