//! The provider's raw answer, where an SDK exports it whole: its id, which tells two spans of one
//! call, its model, and its usage where no attribute has it.

use serde_json::Value as Json;

use super::{
    fields::{self, Field},
    limits,
    read::Reading,
    usage,
};
use crate::{otlp::Value, record::Usage};

/// What is read of an answer.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Answer {
    /// The provider's id.
    pub id: Option<String>,
    /// The answering model.
    pub model: Option<String>,
    /// Its usage, made inclusive.
    pub usage: Option<Usage>,
}

impl Answer {
    /// Reads the span's whole output if it is a JSON object.
    pub fn read(reading: &Reading<'_, '_>) -> Option<Self> {
        let value = reading.got(Field::Output)?.value;
        if let Value::Str(bytes) = value
            && !bytes.trim_ascii_start().starts_with(b"{")
        {
            return None;
        }
        let json = fields::json(value)?;
        let word = |key: &str| {
            let word = json.get(key).and_then(Json::as_str)?;
            Some(limits::name(word, limits::NAME_BYTES)).filter(|word| !word.is_empty())
        };
        Some(Answer {
            id: word("id"),
            model: word("model").or_else(|| word("modelVersion")),
            usage: usage::find(&json),
        })
    }
}
