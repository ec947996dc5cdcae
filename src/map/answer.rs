//! The provider's raw answer, where an SDK exports it whole: its id, which tells two spans of one
//! call, its model, and its usage where no attribute has it.

use serde_json::Value as Json;
use smol_str::SmolStr;

use super::{
    fields::{self, Field},
    limits,
    read::Reading,
    usage,
};
use crate::{otlp::Value, record::Usage};

/// Names under which an answer says its model.
const MODELS: [&str; 4] = ["model", "modelVersion", "model_version", "model_name"];

/// Names under which it says why it ended.
const FINISHES: [&str; 3] = ["finish_reason", "finishReason", "stop_reason"];
/// What frameworks put around a provider's answer.
const WRAPPERS: [&str; 13] = [
    "message",
    "messages",
    "kwargs",
    "response_metadata",
    "additional_kwargs",
    "generations",
    "replies",
    "meta",
    "llm_output",
    "llmOutput",
    "raw",
    "outputs",
    "choices",
];
/// Wrappers inside wrappers beyond this are not followed.
const MAX_DEPTH: usize = 8;

/// The text under one of these names, in the answer itself or in what is wrapped around it.
fn told<'j>(json: &'j Json, names: &[&str]) -> Option<&'j Json> {
    let mut open = vec![(json, 0)];
    let mut next = 0;
    while let Some(&(json, depth)) = open.get(next) {
        next += 1;
        if let Json::Array(list) = json
            && let [only] = list.as_slice()
            && depth < MAX_DEPTH
        {
            open.push((only, depth + 1));
        }
        let own = names.iter().filter_map(|name| json.get(*name));
        if let Some(found) = own.into_iter().find(|value| value.is_string()) {
            return Some(found);
        }
        if depth < MAX_DEPTH {
            let inner = WRAPPERS.iter().filter_map(|name| json.get(*name));
            open.extend(inner.map(|inner| (inner, depth + 1)));
        }
    }
    None
}

/// What is read of an answer.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Answer {
    /// The provider's id.
    pub id: Option<SmolStr>,
    /// The answering model.
    pub model: Option<SmolStr>,
    /// The model that frameworks' wrappings name, for where nothing else does.
    pub inner_model: Option<SmolStr>,
    /// Why the model stopped, in the provider's word.
    pub finish: Option<SmolStr>,
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
        let word = |json: &Json| {
            let word = limits::name(json.as_str()?, limits::NAME_BYTES);
            (!word.is_empty()).then(|| SmolStr::from(word))
        };
        let own = |json: &Json| MODELS.iter().find_map(|key| json.get(*key).and_then(word));
        Some(Answer {
            id: json.get("id").and_then(word),
            model: own(&json).or_else(|| own(json.get("raw")?)),
            inner_model: told(&json, &MODELS).and_then(word),
            finish: told(&json, &FINISHES).and_then(word),
            usage: usage::find(&json),
        })
    }
}
