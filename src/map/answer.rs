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

/// Names under which an answer says its model.
const MODELS: [&str; 4] = ["model", "modelVersion", "model_version", "model_name"];

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
        let found = usage::find(&json);
        // Who reports the usage knows the model, too.
        let beside = found.and_then(|(_, holder)| MODELS.iter().find_map(|key| holder.get(*key)));
        let own = MODELS.iter().find_map(|key| json.get(*key));
        let word = |json: &Json| {
            let word = limits::name(json.as_str()?, limits::NAME_BYTES);
            (!word.is_empty()).then_some(word)
        };
        Some(Answer {
            id: json.get("id").and_then(word),
            model: own.or(beside).and_then(word),
            usage: found.map(|(usage, _)| usage),
        })
    }
}
