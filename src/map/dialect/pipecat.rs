//! Pipecat (speech in, speech out). Source: pipecat-ai/pipecat, src/pipecat/utils/tracing.
//!
//! | attribute | column |
//! |---|---|
//! | span name | `stt` is speech to text, `llm` calls, `tts` speaks, `turn` and `conversation` wrap |
//! | the conventions' own | provider (a class's name without `Service`), model, tokens: see `otel` |
//! | `input`, `output`, `system_instruction` | prompt, response, system_prompt |
//! | `metrics.ttfb` | ttft_ms, from seconds |
//! | `transcript`, `is_final`, `language` | transcript_length, word_count, language |
//! | `conversation.id`, `user_id` | session_id, user_id |
//! | `stream` | streamed |
//! | `metrics.audio_seconds` (from 1) | audio_duration_seconds |
//!
//! Quirks: before 1.0 a transcription's seconds are not exported, so its cost is unknown.

use super::{BLANK, Dialect};
use crate::map::{classify::Kind, fields::Field};

pub const DIALECT: Dialect = Dialect {
    name: "pipecat",
    scopes: &["pipecat"],
    names: &[
        ("stt", Kind::Speech),
        ("llm", Kind::Chat),
        ("tts", Kind::Media),
        ("turn", Kind::Container),
        ("conversation", Kind::Container),
        ("llm_setup", Kind::Aside),
        ("llm_request", Kind::Chat),
        ("llm_response", Kind::Chat),
    ],
    own: &[
        ("metrics.ttfb", Field::TtftSeconds),
        ("input", Field::InputMessages),
        ("output", Field::OutputText),
        ("system_instruction", Field::SystemPrompt),
        ("system", Field::SystemPrompt),
        ("stream", Field::Streamed),
        ("tools", Field::Ignored),
        ("text", Field::Input),
        ("metrics.audio_seconds", Field::AudioDuration),
    ],
    ..BLANK
};
