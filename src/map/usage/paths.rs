//! The table: which member of a usage object is which part, in every spelling.

/// A part of a call's tokens.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Part {
    /// All input, or what the emitter takes for it.
    Input,
    /// Input without the cache, under a name that says so.
    Uncached,
    /// All output, or what the emitter takes for it.
    Output,
    /// The reported sum.
    Total,
    /// Input read from the cache.
    CacheRead,
    /// Input written to the cache.
    CacheWrite,
    /// Of it, what lives five minutes.
    CacheWrite5m,
    /// Of it, what lives an hour.
    CacheWrite1h,
    /// Output spent on reasoning.
    Reasoning,
    /// Input that is audio.
    AudioInput,
    /// Output that is audio.
    AudioOutput,
    /// Input besides the input: Gemini counts the results of its own tools apart.
    MoreInput,
}

/// Where a part stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Place {
    /// It is part of the whole (or is the whole).
    Inside,
    /// It is not part of the whole.
    Beside,
    /// Not part of it, but only if the whole is a bucket, too.
    Bucket,
}

use Part::*;
use Place::*;

/// The end of a path, the part, its place. The first fitting line of a part wins.
pub const PATHS: &[(&str, Part, Place)] = &[
    ("billed_units.input_tokens", Input, Inside),
    ("inputTokens.total", Input, Inside),
    ("prompt_tokens", Input, Inside),
    ("input_tokens", Input, Inside),
    ("promptTokens", Input, Inside),
    ("inputTokens", Input, Inside),
    ("promptTokenCount", Input, Inside),
    ("prompt_token_count", Input, Inside),
    ("inputTokenCount", Input, Inside),
    ("input_token_count", Input, Inside),
    ("prompt_eval_count", Input, Inside),
    ("input", Input, Bucket),
    ("tokens", Input, Inside),
    ("inputTokens.noCache", Uncached, Inside),
    ("inputTokenDetails.noCacheTokens", Uncached, Inside),
    ("billed_units.output_tokens", Output, Inside),
    ("outputTokens.total", Output, Inside),
    ("completion_tokens", Output, Inside),
    ("output_tokens", Output, Inside),
    ("completionTokens", Output, Inside),
    ("outputTokens", Output, Inside),
    ("candidatesTokenCount", Output, Inside),
    ("candidates_token_count", Output, Inside),
    ("outputTokenCount", Output, Inside),
    ("output_token_count", Output, Inside),
    ("eval_count", Output, Inside),
    ("output", Output, Bucket),
    ("total_tokens", Total, Inside),
    ("totalTokens", Total, Inside),
    ("totalTokenCount", Total, Inside),
    ("total_token_count", Total, Inside),
    ("total", Total, Inside),
    ("cache_read_input_tokens", CacheRead, Beside),
    ("cacheReadInputTokens", CacheRead, Beside),
    ("cacheReadInputTokenCount", CacheRead, Beside),
    ("prompt_tokens_details.cached_tokens", CacheRead, Inside),
    ("input_tokens_details.cached_tokens", CacheRead, Inside),
    ("input_token_details.cache_read", CacheRead, Inside),
    ("inputTokens.cacheRead", CacheRead, Inside),
    ("inputTokenDetails.cacheReadTokens", CacheRead, Inside),
    ("cachedContentTokenCount", CacheRead, Inside),
    ("cached_content_token_count", CacheRead, Inside),
    ("cachedInputTokens", CacheRead, Inside),
    ("cachedPromptTokens", CacheRead, Inside),
    ("cached_prompt_text_tokens", CacheRead, Inside),
    ("prompt_cache_hit_tokens", CacheRead, Inside),
    ("cached_input_tokens", CacheRead, Inside),
    ("cached_tokens", CacheRead, Inside),
    ("cache_read_tokens", CacheRead, Inside),
    ("input_cache_read", CacheRead, Bucket),
    ("input_cached_tokens", CacheRead, Bucket),
    ("cache_read", CacheRead, Bucket),
    ("cache_creation_input_tokens", CacheWrite, Beside),
    ("cacheCreationInputTokens", CacheWrite, Beside),
    ("cacheWriteInputTokens", CacheWrite, Beside),
    ("cache_write_input_tokens", CacheWrite, Beside),
    ("cacheWriteInputTokenCount", CacheWrite, Beside),
    (
        "prompt_tokens_details.cache_write_tokens",
        CacheWrite,
        Inside,
    ),
    (
        "prompt_tokens_details.cache_creation_tokens",
        CacheWrite,
        Inside,
    ),
    ("input_token_details.cache_creation", CacheWrite, Inside),
    ("inputTokens.cacheWrite", CacheWrite, Inside),
    ("inputTokenDetails.cacheWriteTokens", CacheWrite, Inside),
    ("cache_write_tokens", CacheWrite, Inside),
    ("input_cache_creation", CacheWrite, Bucket),
    ("input_cache_write", CacheWrite, Bucket),
    (
        "cache_creation.ephemeral_5m_input_tokens",
        CacheWrite5m,
        Beside,
    ),
    (
        "cache_creation.ephemeral_1h_input_tokens",
        CacheWrite1h,
        Beside,
    ),
    (
        "input_token_details.ephemeral_5m_input_tokens",
        CacheWrite5m,
        Inside,
    ),
    (
        "input_token_details.ephemeral_1h_input_tokens",
        CacheWrite1h,
        Inside,
    ),
    (
        "cache_creation_input_tokens_above_1hr",
        CacheWrite1h,
        Inside,
    ),
    ("input_cache_creation_5m", CacheWrite5m, Bucket),
    ("input_cache_creation_1h", CacheWrite1h, Bucket),
    (
        "completion_tokens_details.reasoning_tokens",
        Reasoning,
        Inside,
    ),
    ("output_tokens_details.reasoning_tokens", Reasoning, Inside),
    ("output_tokens_details.thinking_tokens", Reasoning, Inside),
    ("output_token_details.reasoning", Reasoning, Inside),
    ("outputTokenDetails.reasoningTokens", Reasoning, Inside),
    ("outputTokens.reasoning", Reasoning, Inside),
    ("thoughtsTokenCount", Reasoning, Beside),
    ("thoughts_token_count", Reasoning, Beside),
    ("reasoningTokens", Reasoning, Inside),
    ("reasoning_tokens", Reasoning, Inside),
    ("reasoning_output_tokens", Reasoning, Inside),
    ("output_reasoning", Reasoning, Bucket),
    ("output_reasoning_tokens", Reasoning, Bucket),
    ("prompt_tokens_details.audio_tokens", AudioInput, Inside),
    ("input_tokens_details.audio_tokens", AudioInput, Inside),
    ("input_token_details.audio", AudioInput, Inside),
    ("input_audio", AudioInput, Bucket),
    ("input_audio_tokens", AudioInput, Bucket),
    (
        "completion_tokens_details.audio_tokens",
        AudioOutput,
        Inside,
    ),
    ("output_tokens_details.audio_tokens", AudioOutput, Inside),
    ("output_token_details.audio", AudioOutput, Inside),
    ("output_audio", AudioOutput, Bucket),
    ("output_audio_tokens", AudioOutput, Bucket),
    ("toolUsePromptTokenCount", MoreInput, Beside),
    ("tool_use_prompt_token_count", MoreInput, Beside),
];
