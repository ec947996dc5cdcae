//! LiveKit Agents (speech in, speech out). Source: livekit/agents,
//! livekit-agents/livekit/agents/telemetry/trace_types.py.
//!
//! | attribute | column |
//! |---|---|
//! | span name | `llm_request` calls, `llm_request_run` is one try of it, `user_turn` is speech to text, `llm_node`, `agent_turn`, `agent_session` wrap |
//! | the conventions' own | provider, model, tokens: see `otel` |
//! | `gen_ai.usage.input_cached_tokens` | cache_read_tokens |
//! | `lk.response.ttft` | ttft_ms, from seconds |
//! | `lk.pii.chat_ctx`, `lk.chat_ctx`, `lk.pii.response.text`, `lk.response.text` | prompt, response |
//! | `lk.pii.user_transcript`, `lk.user_transcript` | transcript_length, word_count |
//! | `lk.retry_count` | retry_count |
//! | `lk.room_name`, `lk.participant_identity` | session_id, user_id |
//!
//! Quirks: a turn's seconds of audio are a metric of their own, not on the span, so its cost is
//! unknown. A turn carries the model, yet is no call of a language model.

use super::{BLANK, Dialect};
use crate::map::{classify::Kind, fields::Field};

pub const DIALECT: Dialect = Dialect {
    name: "livekit",
    scopes: &["livekit-agents", "livekit"],
    names: &[
        ("llm_request", Kind::Chat),
        ("llm_request_run", Kind::Attempt),
        ("llm_fallback_adapter", Kind::Container),
        ("user_turn", Kind::Speech),
        ("tts_request", Kind::Media),
        ("tts_request_run", Kind::Attempt),
        ("llm_node", Kind::Container),
        ("tts_node", Kind::Container),
        ("agent_turn", Kind::Container),
        ("agent_session", Kind::Container),
        ("job_entrypoint", Kind::Container),
        ("function_tool", Kind::Tool),
    ],
    keys: &[
        ("lk.response.ttft", Field::TtftSeconds),
        ("lk.pii.chat_ctx", Field::InputMessages),
        ("lk.chat_ctx", Field::InputMessages),
        ("lk.pii.instructions", Field::SystemPrompt),
        ("lk.instructions", Field::SystemPrompt),
        ("lk.pii.response.text", Field::OutputText),
        ("lk.response.text", Field::OutputText),
        ("lk.pii.response.function_calls", Field::OutputMessages),
        ("lk.response.function_calls", Field::OutputMessages),
        ("lk.provider_request_ids", Field::Ignored),
    ],
    context: &[
        ("lk.participant_identity", "user_id"),
        ("lk.room_name", "session_id"),
        ("lk.job_id", "request_id"),
    ],
    dropped: &["lk.llm_metrics", "lk.tts_metrics", "lk.stt_metrics"],
    ..BLANK
};
