//! The token tree of a call.

/// Tokens of one call, normalised: `prompt` holds **all** input (cache and audio included),
/// `completion` all output (reasoning and audio included), whatever the dialect reports.
/// `None` = not exported.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Usage {
    /// All input tokens.
    pub prompt: Option<i64>,
    /// All output tokens.
    pub completion: Option<i64>,
    /// Sum of both; the reported total only where neither is known.
    pub total: Option<i64>,
    /// Part of `prompt` that was read from the provider's cache.
    pub cache_read: Option<i64>,
    /// Part of `prompt` that was written to the provider's cache (5-minute and 1-hour together).
    pub cache_write: Option<i64>,
    /// Part of `cache_write` with a one-hour life, which costs more.
    pub cache_write_1h: Option<i64>,
    /// Part of `completion` spent on reasoning.
    pub reasoning: Option<i64>,
    /// Part of `prompt` that is audio.
    pub audio_input: Option<i64>,
    /// Part of `completion` that is audio.
    pub audio_output: Option<i64>,
}

impl Usage {
    /// True if the span said anything about tokens.
    pub fn is_known(&self) -> bool {
        self.prompt.is_some() || self.completion.is_some() || self.total.is_some()
    }
}
