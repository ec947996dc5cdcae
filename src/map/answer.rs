//! The provider's raw answer, where an SDK exports it whole: its id, which tells two spans of one
//! call, and its usage where no attribute has it.

use serde::Deserialize;
use serde_json::Value as Json;

use super::{
    accounting::{Reported, normalise},
    fields::{self, Field},
    limits,
    read::Reading,
};
use crate::{otlp::Value, record::Usage};

/// What is read of an answer.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Answer {
    /// The provider's id.
    pub id: Option<String>,
    /// Its usage, normalised.
    pub usage: Option<Usage>,
}

/// Only what is wanted; the rest is skipped without being built.
#[derive(Deserialize, Default)]
#[serde(default)]
struct Raw {
    id: Json,
    usage: RawUsage,
    meta: Meta,
}

#[derive(Deserialize, Default)]
#[serde(default)]
struct Meta {
    usage: RawUsage,
}

#[derive(Deserialize, Default)]
#[serde(default)]
struct RawUsage {
    prompt_tokens: Option<f64>,
    input_tokens: Option<f64>,
    completion_tokens: Option<f64>,
    output_tokens: Option<f64>,
    total_tokens: Option<f64>,
    prompt_tokens_details: Option<RawCache>,
    input_tokens_details: Option<RawCache>,
    cache_read_input_tokens: Option<f64>,
    cache_creation_input_tokens: Option<f64>,
}

#[derive(Deserialize, Default)]
#[serde(default)]
struct RawCache {
    cached_tokens: Option<f64>,
}

impl Answer {
    /// Reads the span's whole output if it is a JSON object.
    pub fn read(reading: &Reading<'_, '_>) -> Option<Self> {
        let Value::Str(bytes) = reading.got(Field::Output)?.value else {
            return None;
        };
        if !bytes.trim_ascii_start().starts_with(b"{") {
            return None;
        }
        let raw: Raw = serde_json::from_slice(bytes).ok()?;
        let id = raw
            .id
            .as_str()
            .map(|id| limits::name(id, limits::NAME_BYTES));
        Some(Answer {
            id: id.filter(|id| !id.is_empty()),
            usage: raw.usage.normalise().or_else(|| raw.meta.usage.normalise()),
        })
    }
}

impl RawUsage {
    fn normalise(&self) -> Option<Usage> {
        let count = |number: Option<f64>| fields::count(Value::Double(number?));
        let inside = self
            .prompt_tokens_details
            .as_ref()
            .or(self.input_tokens_details.as_ref());
        // Anthropic's raw counts stand beside the input, OpenAI's are part of it.
        let beside = self
            .cache_read_input_tokens
            .or(self.cache_creation_input_tokens)
            .is_some();
        let reported = Reported {
            input: count(self.prompt_tokens).or_else(|| count(self.input_tokens)),
            output: count(self.completion_tokens).or_else(|| count(self.output_tokens)),
            total: count(self.total_tokens),
            cache_read: count(self.cache_read_input_tokens)
                .or_else(|| count(inside.and_then(|details| details.cached_tokens))),
            cache_write: count(self.cache_creation_input_tokens),
            reasoning: None,
        };
        let (usage, ..) = normalise(reported, beside);
        usage.is_known().then_some(usage)
    }
}
