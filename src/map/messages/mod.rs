//! Message lists of any shape to the newest user prompt, the system prompt and the answer.
//!
//! Shapes met so far: JSON as text (also encoded twice), arrays and maps as attribute values;
//! `{role, parts}` (OTel), `{role, content}` (OpenAI, Anthropic), `{role, parts: [{text}]}`
//! (Gemini), LangChain's `{type: "human", content}`, `{lc, kwargs}` and `{type, data}`, choices,
//! whole requests and answers around such lists, and lists as indexed attributes. They are read
//! by what they hold, not by who sent them: a new SDK usually needs nothing here.

mod parts;
mod quick;

use std::collections::BTreeMap;

use serde_json::{Map, Value as Json};

use parts::{
    argument, content, is_bedrock_part, is_reasoning, is_tool_result, part, push_content,
    push_text, tool_results,
};

use super::{
    fields::{self, REDACTED},
    literal,
    read::Member,
};
use crate::otlp::Value;

/// Wrappers inside wrappers beyond this are not followed.
const MAX_DEPTH: usize = 12;
/// Messages of one list that are kept; the newest ones matter.
const MAX_MESSAGES: usize = 4096;

/// Lists that come as indexed attributes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Family {
    /// Messages sent.
    Input,
    /// Messages answered.
    Output,
    /// Hits of a search.
    Document,
    /// Texts and vectors of an embedding call.
    Embedding,
    /// Nothing that is kept.
    Dropped,
}

/// Who says a message.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Speaker {
    /// Instructions.
    System,
    /// The user.
    User,
    /// The model.
    Assistant,
    /// A tool's result.
    Tool,
    /// Not said.
    #[default]
    Unknown,
}

/// One message.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Message {
    /// Who says it.
    pub speaker: Speaker,
    /// Its text, without reasoning.
    pub text: String,
    /// Tool calls in it.
    pub calls: Vec<Json>,
    /// Why the model stopped; `Some("")` if the message says that it goes on.
    pub finish: Option<String>,
}

impl Speaker {
    /// From a role or a message type.
    pub fn parse(word: &str) -> Self {
        match word {
            "user" => return Speaker::User,
            "assistant" => return Speaker::Assistant,
            "system" => return Speaker::System,
            _ => {}
        }
        let word = word.to_ascii_lowercase();
        let word = word.strip_suffix("chunk").unwrap_or(&word);
        match word.strip_suffix("message").unwrap_or(word) {
            "user" | "human" => Speaker::User,
            "assistant" | "ai" | "model" | "bot" => Speaker::Assistant,
            "system" | "developer" => Speaker::System,
            "tool" | "function" => Speaker::Tool,
            _ => Speaker::Unknown,
        }
    }

    /// The word that is stored.
    pub fn as_str(self) -> &'static str {
        match self {
            Speaker::System => "system",
            Speaker::User => "user",
            Speaker::Assistant => "assistant",
            Speaker::Tool => "tool",
            Speaker::Unknown => "unknown",
        }
    }
}

/// The messages in an attribute's value.
pub fn read(value: Value<'_>) -> Vec<Message> {
    let mut messages = Vec::new();
    match value {
        Value::Str(bytes) => {
            if let Some(quick) = quick::read(bytes) {
                messages = quick;
            } else if let Some(text) = fields::scalar(value) {
                from_text(&text, &mut messages, 0);
            }
        }
        Value::Array(_) | Value::Map(_) => from_json(&value.to_json(), &mut messages, 0),
        _ => {}
    }
    messages.retain(|m| !m.text.is_empty() || !m.calls.is_empty() || m.finish.is_some());
    messages
}

/// The messages in a JSON value, for a speaker who is known from elsewhere.
pub fn read_json(json: &Json, speaker: Speaker) -> Vec<Message> {
    let mut messages = Vec::new();
    from_json(json, &mut messages, 0);
    for message in &mut messages {
        if message.speaker == Speaker::Unknown {
            message.speaker = speaker;
        }
    }
    messages
}

/// The messages that came as indexed attributes, in their order.
pub fn from_members<'m, 'a: 'm>(members: impl Iterator<Item = &'m Member<'a>>) -> Vec<Message> {
    let mut drafts = BTreeMap::<u32, Draft>::new();
    for member in members {
        let Some(text) = fields::scalar(member.value) else {
            continue;
        };
        if drafts.len() < MAX_MESSAGES || drafts.contains_key(&member.index) {
            drafts
                .entry(member.index)
                .or_default()
                .set(member.path, &text);
        }
    }
    drafts.into_values().map(Draft::finish).collect()
}

#[derive(Default)]
struct Draft {
    message: Message,
    parts: BTreeMap<u32, (String, String)>,
    calls: BTreeMap<u32, Map<String, Json>>,
}

impl Draft {
    /// `path` is what follows the index: `message.contents.0.message_content.text`.
    fn set(&mut self, path: &str, text: &str) {
        let mut steps = path.split('.').peekable();
        let mut list = "";
        let mut index = 0;
        while let Some(step) = steps.next() {
            if let Some(number) = steps.peek().and_then(|next| next.parse::<u32>().ok()) {
                (list, index) = (step, number);
                steps.next();
                continue;
            }
            if steps.peek().is_some() {
                continue;
            }
            match (list, step) {
                ("tool_calls", "id" | "name" | "arguments") if index < 256 => {
                    let call = self.calls.entry(index).or_default();
                    call.insert(step.to_owned(), argument(step, text));
                }
                ("contents", "type") if index < 4096 => {
                    self.parts.entry(index).or_default().0 = text.to_owned();
                }
                ("contents", "text") if index < 4096 => {
                    self.parts.entry(index).or_default().1 = text.to_owned();
                }
                ("", "role") => self.message.speaker = Speaker::parse(text),
                ("", "content" | "text" | "refusal") => push_content(&mut self.message, text),
                ("", "finish_reason") => self.message.finish = Some(text.to_owned()),
                _ => {}
            }
        }
    }

    fn finish(mut self) -> Message {
        for (kind, text) in self.parts.values() {
            if !is_reasoning(kind) {
                push_text(&mut self.message.text, text);
            }
        }
        self.message
            .calls
            .extend(self.calls.into_values().map(Json::Object));
        self.message
    }
}

fn from_text(text: &str, out: &mut Vec<Message>, depth: usize) {
    let start = text.trim_start();
    if depth < 3
        && start.starts_with(['[', '{', '"'])
        && let Some(json) = literal::json(start)
    {
        let first = out.len();
        match &json {
            Json::String(inner) => return from_text(inner, out, depth + 1),
            _ => from_json(&json, out, depth),
        }
        // JSON that holds no message is the text of one: an answer in JSON, a form's input.
        if out.len() == first && json.as_object().is_some_and(|object| !object.is_empty()) {
            out.push(Message {
                text: text.to_owned(),
                ..Message::default()
            });
        }
    } else if text.trim() != REDACTED {
        let text = text.to_owned();
        out.push(Message {
            text,
            ..Message::default()
        });
    }
}

/// Keys under which a request or an answer keeps its messages.
const WRAPPERS: [&str; 15] = [
    "messages",
    "contents",
    "choices",
    "generations",
    "candidates",
    "replies",
    "output",
    "input",
    "inputs",
    "prompt",
    "query",
    "question",
    "text",
    "kwargs",
    "data",
];

fn from_json(json: &Json, out: &mut Vec<Message>, depth: usize) {
    if depth >= MAX_DEPTH || out.len() >= MAX_MESSAGES {
        return;
    }
    match json {
        Json::String(text) => from_text(text, out, depth.max(1)),
        Json::Array(items) => from_array(items, out, depth),
        Json::Object(object) => from_object(object, out, depth),
        _ => {}
    }
}

fn from_array(items: &[Json], out: &mut Vec<Message>, depth: usize) {
    if let [Json::String(role), Json::String(text)] = items
        && Speaker::parse(role) != Speaker::Unknown
    {
        let (speaker, text) = (Speaker::parse(role), text.clone());
        out.push(Message {
            speaker,
            text,
            ..Message::default()
        });
        return;
    }
    let is_part = |item: &Json| {
        item.get("type")
            .and_then(Json::as_str)
            .is_some_and(|t| Speaker::parse(t) == Speaker::Unknown)
            && ["role", "parts", "message", "kwargs", "content"]
                .iter()
                .all(|key| {
                    item.get(key)
                        .is_none_or(|inner| *key == "content" && inner.is_string())
                })
    };
    if !items.is_empty() && (items.iter().all(is_part) || items.iter().all(is_bedrock_part)) {
        let mut message = Message::default();
        for part in items {
            content(part, &mut message, depth + 1);
        }
        out.push(message);
        return;
    }
    for item in items {
        from_json(item, out, depth + 1);
    }
}

fn from_object(object: &Map<String, Json>, out: &mut Vec<Message>, depth: usize) {
    let word = |key: &str| object.get(key).and_then(Json::as_str);
    let finish = ["finish_reason", "finishReason", "stop_reason"]
        .iter()
        .find_map(|key| word(key))
        .map(str::to_owned);
    // A choice, or LangChain's generation, around a message.
    if let Some(inner @ (Json::Object(_) | Json::Array(_))) = object.get("message") {
        let first = out.len();
        from_json(inner, out, depth + 1);
        if let (Some(message), Some(_)) = (out.get_mut(first), &finish) {
            message.finish = finish;
        }
        return;
    }
    // LangChain's constructor names the class in `id`, or the type beside `data`.
    if let Some(inner) = object.get("kwargs").or_else(|| object.get("data"))
        && (object.contains_key("lc") || object.contains_key("type"))
    {
        let class = object
            .get("id")
            .and_then(Json::as_array)
            .and_then(|id| id.last()?.as_str());
        let first = out.len();
        from_json(inner, out, depth + 1);
        for message in out.iter_mut().skip(first) {
            if message.speaker == Speaker::Unknown {
                message.speaker = Speaker::parse(class.or(word("type")).unwrap_or_default());
            }
        }
        return;
    }
    let speaker = word("role")
        .or(word("type"))
        .map(Speaker::parse)
        .unwrap_or_default();
    let holds = ["content", "parts", "tool_calls"]
        .iter()
        .any(|key| object.contains_key(*key));
    if word("role").is_some() || speaker != Speaker::Unknown || holds {
        if speaker == Speaker::User {
            tool_results(object, out, depth);
        }
        let mut message = Message {
            speaker,
            finish,
            ..Message::default()
        };
        for key in [
            "content",
            "parts",
            "blocks",
            "tool_calls",
            "function_call",
            "refusal",
        ] {
            if let Some(inner) = object.get(key) {
                content(inner, &mut message, depth + 1);
            }
        }
        out.push(message);
        return;
    }
    let lists = [
        "messages",
        "generations",
        "choices",
        "candidates",
        "replies",
    ];
    let is_list = lists
        .iter()
        .any(|key| object.get(*key).is_some_and(Json::is_array));
    if object.get("type").is_some() && !is_list {
        let mut message = Message::default();
        if is_tool_result(object) {
            message.speaker = Speaker::Tool;
        }
        part(object, &mut message, depth + 1);
        out.push(message);
        return;
    }
    for key in [
        "system",
        "instructions",
        "system_instruction",
        "systemInstruction",
    ] {
        let config = || object.get("config")?.get(key);
        if let Some(inner) = object.get(key).or_else(config) {
            let first = out.len();
            from_json(inner, out, depth + 1);
            out.iter_mut()
                .skip(first)
                .for_each(|m| m.speaker = Speaker::System);
        }
    }
    if let Some(inner) = WRAPPERS.iter().find_map(|key| object.get(*key)) {
        from_json(inner, out, depth + 1);
    }
}
