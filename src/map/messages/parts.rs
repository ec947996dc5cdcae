//! What one message holds: text, parts of it, tool calls, what tools answered.

use serde_json::{Map, Value as Json};

use super::{MAX_DEPTH, Message, Speaker};
use crate::map::{fields::REDACTED, literal};

pub(super) fn argument(step: &str, text: &str) -> Json {
    match step {
        "arguments" => literal::json(text).unwrap_or_else(|| Json::from(text)),
        _ => Json::from(text),
    }
}

pub(super) fn is_reasoning(kind: &str) -> bool {
    matches!(
        kind,
        "reasoning" | "thinking" | "redacted_thinking" | "thought"
    )
}

pub(super) fn push_text(text: &mut String, more: &str) {
    if more.is_empty() || more == REDACTED {
        return;
    }
    if !text.is_empty() {
        text.push('\n');
    }
    text.push_str(more);
}

/// Bedrock's parts are named by their one key.
pub(super) fn is_bedrock_part(part: &Json) -> bool {
    const KEYS: [&str; 4] = ["text", "toolUse", "toolResult", "reasoningContent"];
    part.as_object()
        .is_some_and(|part| part.len() == 1 && KEYS.iter().any(|key| part.contains_key(*key)))
}

/// Content that is text, or JSON parts as text.
pub(super) fn push_content(message: &mut Message, text: &str) {
    if text.starts_with("[{")
        && let Some(Json::Array(parts)) = literal::json(text)
        && parts
            .iter()
            .all(|part| part.get("type").is_some() || is_bedrock_part(part))
    {
        for part in &parts {
            content(part, message, 0);
        }
    } else {
        push_text(&mut message.text, text);
    }
}

pub(super) fn is_tool_result(part: &Map<String, Json>) -> bool {
    let kind = part.get("type").and_then(Json::as_str);
    matches!(
        kind.unwrap_or_default(),
        "tool_result" | "tool-result" | "tool_call_response" | "function_call_output"
    ) || part.contains_key("toolResult")
        || part.contains_key("functionResponse")
}

/// Some APIs let tools answer inside the user's message: what they say is no user's.
pub(super) fn tool_results(object: &Map<String, Json>, out: &mut Vec<Message>, depth: usize) {
    let lists = ["content", "parts"].iter();
    let lists = lists.filter_map(|key| object.get(*key)?.as_array());
    for result in lists.flatten().filter_map(Json::as_object) {
        if is_tool_result(result) {
            let mut message = Message {
                speaker: Speaker::Tool,
                ..Message::default()
            };
            part(result, &mut message, depth + 1);
            out.push(message);
        }
    }
}

/// Adds what a message holds: text, a part, a list of parts, tool calls.
pub(super) fn content(json: &Json, message: &mut Message, depth: usize) {
    if depth >= MAX_DEPTH {
        return;
    }
    match json {
        Json::String(text) => push_content(message, text),
        Json::Array(items) => items
            .iter()
            .for_each(|item| content(item, message, depth + 1)),
        Json::Object(object) => part(object, message, depth + 1),
        Json::Number(_) | Json::Bool(_) if message.speaker == Speaker::Tool => {
            push_text(&mut message.text, &json.to_string());
        }
        _ => {}
    }
}

pub(super) fn part(object: &Map<String, Json>, message: &mut Message, depth: usize) {
    let kind = object
        .get("type")
        .and_then(Json::as_str)
        .unwrap_or_default();
    if is_reasoning(kind) || object.get("thought") == Some(&Json::Bool(true)) {
        return;
    }
    let call = object
        .get("function")
        .or_else(|| object.get("functionCall"))
        .or_else(|| object.get("toolUse"))
        .unwrap_or(&Json::Null);
    let is_call = matches!(
        kind,
        "tool_call" | "tool-call" | "tool_use" | "function_call" | "server_tool_call"
    );
    if is_call || call.is_object() {
        let field = |key: &str| call.get(key).or_else(|| object.get(key)).cloned();
        let arguments = field("arguments")
            .or_else(|| field("input"))
            .or_else(|| field("args"));
        let arguments = match arguments {
            Some(Json::String(text)) => Some(argument("arguments", &text)),
            other => other,
        };
        let fields = [
            (
                "id",
                field("id")
                    .or_else(|| field("toolCallId"))
                    .or_else(|| field("toolUseId")),
            ),
            ("name", field("name").or_else(|| field("toolName"))),
            ("arguments", arguments),
        ];
        let known = fields
            .into_iter()
            .filter_map(|(key, value)| Some((key.to_owned(), value?)));
        message.calls.push(Json::Object(known.collect()));
        return;
    }
    let is_tools = message.speaker == Speaker::Tool;
    if is_tool_result(object) && message.speaker == Speaker::User {
        return;
    }
    let keys = match is_tools {
        true => &RESULT_KEYS[..],
        false => &TEXT_KEYS[..],
    };
    match keys.iter().find_map(|key| object.get(*key)) {
        Some(inner) => content(inner, message, depth),
        // What a tool says may be an object of its own making.
        None if is_tools && !object.is_empty() && !object.contains_key("type") => {
            push_text(&mut message.text, &Json::Object(object.clone()).to_string());
        }
        None => {}
    }
}

/// Keys under which a part keeps its text.
const TEXT_KEYS: [&str; 5] = ["text", "content", "response", "result", "parts"];
/// Keys under which a tool's result keeps it.
const RESULT_KEYS: [&str; 9] = [
    "text",
    "content",
    "response",
    "result",
    "parts",
    "output",
    "value",
    "toolResult",
    "functionResponse",
];
