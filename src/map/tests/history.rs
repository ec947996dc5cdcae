//! The earlier turns of a call: what is kept of a list of messages beside the row's own columns.

use opentelemetry_proto::tonic::{common::v1::AnyValue, logs::v1::LogRecord};
use serde_json::{Value as Json, json};

use super::payload::{call_of, event, logs, map_with, span, text, traces};
use crate::{
    map::Config,
    otlp::Signal,
    record::{History, LlmCall, MessageText, Record},
};

/// A call whose span carries this list of messages.
fn sent(messages: &Json) -> LlmCall {
    call_of(span(
        "chat",
        vec![
            ("gen_ai.operation.name", text("chat")),
            ("gen_ai.request.model", text("m")),
            ("gen_ai.input.messages", text(&messages.to_string())),
        ],
    ))
}

fn said(messages: &[MessageText]) -> Vec<String> {
    let line = |m: &MessageText| {
        let calls = m.tool_calls.as_deref().unwrap_or_default();
        format!(
            "{}: {}{calls}",
            m.role,
            m.content.as_deref().unwrap_or_default()
        )
    };
    messages.iter().map(line).collect()
}

/// (before the prompt, the prompt, after it)
fn around(messages: &Json) -> (Vec<String>, String, Vec<String>) {
    let call = sent(messages);
    let history = call.history.map(|history| *history).unwrap_or_default();
    let prompt = call.prompt.unwrap_or_default();
    (said(&history.before), prompt, said(&history.after))
}

fn openai(role: &str, content: &str) -> Json {
    json!({"role": role, "content": content})
}

fn otel(role: &str, content: &str) -> Json {
    json!({"role": role, "parts": [{"type": "text", "content": content}]})
}

/// System, then `turns` answered ones, then a new question.
fn conversation(shape: fn(&str, &str) -> Json, turns: usize) -> Vec<Json> {
    let mut list = vec![shape("system", "Be brief.")];
    for n in 1..=turns {
        list.extend([
            shape("user", &format!("question {n}")),
            shape("assistant", &format!("answer {n}")),
        ]);
    }
    list.push(shape("user", "and now?"));
    list
}

#[test]
fn a_call_of_one_turn_has_no_history() {
    for shape in [openai, otel] {
        let call = sent(&json!(conversation(shape, 0)));
        assert_eq!(call.prompt.as_deref(), Some("and now?"));
        assert_eq!(call.history, None);
    }
}

#[test]
fn earlier_turns_stand_in_order_and_the_rows_own_texts_do_not() {
    let earlier = [
        "user: question 1",
        "assistant: answer 1",
        "user: question 2",
        "assistant: answer 2",
    ];
    for shape in [openai, otel] {
        let list = json!(conversation(shape, 2));
        let (before, prompt, after) = around(&list);
        assert_eq!(before, earlier);
        assert_eq!((prompt.as_str(), after.len()), ("and now?", 0));
        assert_eq!(sent(&list).system_prompt.as_deref(), Some("Be brief."));
    }
}

#[test]
fn every_shape_of_a_message_has_the_same_hash() {
    let history = |list: &Json| sent(list).history.unwrap();
    assert_eq!(
        history(&json!(conversation(openai, 3))),
        history(&json!(conversation(otel, 3)))
    );
}

/// In an agent's loop the newest prompt is followed by tool calls and results, however the API
/// spells them.
#[test]
fn tool_loops_stand_after_the_prompt() {
    let openai = json!([
        {"role": "user", "content": "weather?"},
        {"role": "assistant", "content": null, "tool_calls": [{"id": "1", "type": "function",
            "function": {"name": "f", "arguments": "{\"city\":\"Rome\"}"}}]},
        {"role": "tool", "tool_call_id": "1", "content": "sunny"},
    ]);
    let otel = json!([
        {"role": "user", "parts": [{"type": "text", "content": "weather?"}]},
        {"role": "assistant", "parts": [{"type": "tool_call", "id": "1", "name": "f",
            "arguments": {"city": "Rome"}}]},
        {"role": "tool", "parts": [{"type": "tool_call_response", "id": "1", "response": "sunny"}]},
    ]);
    let anthropic = json!([
        {"role": "user", "content": "weather?"},
        {"role": "assistant", "content": [{"type": "tool_use", "id": "1", "name": "f",
            "input": {"city": "Rome"}}]},
        {"role": "user", "content": [{"type": "tool_result", "tool_use_id": "1",
            "content": [{"type": "text", "text": "sunny"}]}]},
    ]);
    let responses = json!([
        {"role": "user", "content": "weather?"},
        {"type": "function_call", "id": "1", "name": "f", "arguments": "{\"city\":\"Rome\"}"},
        {"type": "function_call_output", "call_id": "1", "output": "sunny"},
    ]);
    let bedrock = json!([
        {"role": "user", "content": [{"text": "weather?"}]},
        {"role": "assistant", "content": [{"toolUse": {"toolUseId": "1", "name": "f",
            "input": {"city": "Rome"}}}]},
        {"role": "user", "content": [{"toolResult": {"toolUseId": "1",
            "content": [{"text": "sunny"}]}}]},
    ]);
    let vercel = json!([
        {"role": "user", "content": "weather?"},
        {"role": "assistant", "content": [{"type": "tool-call", "toolCallId": "1", "toolName": "f",
            "input": {"city": "Rome"}}]},
        {"role": "tool", "content": [{"type": "tool-result", "toolCallId": "1", "toolName": "f",
            "output": {"type": "text", "value": "sunny"}}]},
    ]);
    let calls = r#"assistant: [{"arguments":{"city":"Rome"},"id":"1","name":"f"}]"#;
    for list in [openai, otel, anthropic, responses, bedrock, vercel] {
        let (before, prompt, after) = around(&list);
        assert_eq!((before.len(), prompt.as_str()), (0, "weather?"), "{list}");
        assert_eq!(after, [calls, "tool: sunny"], "{list}");
    }
}

#[test]
fn a_tool_may_answer_with_an_object_or_a_number() {
    let gemini = json!([
        {"role": "user", "parts": [{"text": "weather?"}]},
        {"role": "model", "parts": [{"functionCall": {"name": "f", "args": {}}}]},
        {"role": "user", "parts": [{"functionResponse": {"name": "f", "response": {"celsius": 21}}}]},
    ]);
    let (_, prompt, after) = around(&gemini);
    assert_eq!(prompt, "weather?");
    assert_eq!(after[1], r#"tool: {"celsius":21}"#);
    let number = json!([
        {"role": "user", "content": "weather?"},
        {"role": "tool", "content": [{"type": "tool-result", "output": {"type": "json", "value": 21}}]},
        {"role": "tool", "content": {"celsius": 21}},
    ]);
    assert_eq!(around(&number).2, ["tool: 21", r#"tool: {"celsius":21}"#]);
}

/// Scenario: an app sends the last few messages only, so the oldest turns fall off.
/// Guarantees: what stays has the hashes that it had before.
#[test]
fn a_sliding_window_brings_nothing_new() {
    let whole = sent(&json!(conversation(openai, 9))).history.unwrap();
    let mut window = conversation(openai, 9);
    window.drain(1..9);
    let window = sent(&json!(window)).history.unwrap();
    assert_eq!(window.before.len(), 10);
    assert_eq!(window.before, whole.before[8..]);
}

#[test]
fn an_edited_turn_is_the_only_new_text() {
    let old = sent(&json!(conversation(openai, 3))).history.unwrap();
    let mut list = conversation(openai, 3);
    list[3] = openai("user", "question 2, better");
    let new = sent(&json!(list)).history.unwrap();
    let differs =
        |(at, (old, new)): (usize, (&MessageText, &MessageText))| (old != new).then_some(at);
    let pairs = old.before.iter().zip(&new.before).enumerate();
    assert_eq!(pairs.filter_map(differs).collect::<Vec<_>>(), [2]);
}

#[test]
fn the_newest_are_kept_and_the_others_counted() {
    let mut list = conversation(openai, 300);
    list.push(openai("tool", "42"));
    let history = sent(&json!(list)).history.unwrap();
    assert_eq!(history.left_out, 89);
    assert_eq!(said(&history.before[..1]), ["assistant: answer 45"]);
    assert_eq!((history.before.len(), history.after.len()), (511, 1));
    let long = "x".repeat(300 * 1024);
    let list = json!([openai("user", &long), openai("user", "now?")]);
    let history = sent(&list).history.unwrap();
    let kept = history.before[0].content.as_deref().unwrap();
    assert!(kept.len() < 257 * 1024 && kept.contains("[cut, 307200 characters"));
}

#[test]
fn nothing_of_it_is_kept_where_content_is_not() {
    let list = json!(conversation(openai, 2)).to_string();
    let pairs = vec![
        ("gen_ai.operation.name", text("chat")),
        ("gen_ai.input.messages", text(&list)),
    ];
    let config = Config {
        keep_content: false,
        ..Config::default()
    };
    let body = traces("app", vec![span("chat", pairs)]);
    let mapped = map_with(&config, Signal::Traces, &body);
    let Record::LlmCall(call) = &mapped.spans[0].records[0] else {
        panic!("a call")
    };
    assert_eq!((call.prompt_length, &call.history), (Some(8), &None));
    let mapped = map_with(&config, Signal::Logs, &logs(events()));
    assert!(mapped.contents.is_empty());
}

/// Two turns as the conventions' log events.
fn events() -> Vec<LogRecord> {
    let log = |name: &str, content: &str| LogRecord {
        trace_id: vec![7; 16],
        span_id: vec![8; 8],
        event_name: name.to_owned(),
        body: Some(AnyValue {
            value: Some(text(&json!({"content": content}).to_string())),
        }),
        ..LogRecord::default()
    };
    vec![
        log("gen_ai.user.message", "old"),
        log("gen_ai.assistant.message", "yes"),
        log("gen_ai.user.message", "new"),
    ]
}

#[test]
fn events_on_the_span_and_in_logs_bring_it_too() {
    let mut chat = span("chat", vec![("gen_ai.operation.name", text("chat"))]);
    chat.events = vec![
        event("gen_ai.user.message", vec![("content", text("old"))]),
        event("gen_ai.assistant.message", vec![("content", text("yes"))]),
        event("gen_ai.user.message", vec![("content", text("new"))]),
    ];
    let on_span = call_of(chat);
    let in_logs = map_with(&Config::default(), Signal::Logs, &logs(events()));
    for (prompt, history) in [
        (&on_span.prompt, &on_span.history),
        (&in_logs.contents[0].prompt, &in_logs.contents[0].history),
    ] {
        assert_eq!(prompt.as_deref(), Some("new"));
        let History { before, after, .. } = history.as_deref().unwrap();
        assert_eq!(said(before), ["user: old", "assistant: yes"]);
        assert_eq!(after.len(), 0);
    }
}

#[test]
fn a_system_prompt_that_is_exported_twice_is_no_history() {
    let call = |list: Json| {
        call_of(span(
            "chat",
            vec![
                ("gen_ai.operation.name", text("chat")),
                ("gen_ai.system_instructions", text("Be brief.")),
                ("gen_ai.input.messages", text(&list.to_string())),
            ],
        ))
    };
    assert_eq!(call(json!(conversation(openai, 0))).history, None);
    let other = json!([openai("system", "Be kind."), openai("user", "hi")]);
    assert_eq!(
        said(&call(other).history.unwrap().before),
        ["system: Be kind."]
    );
}

/// Some SDKs tell the conversation in the call's attributes and as a list of events as well.
#[test]
fn a_conversation_that_is_exported_twice_is_kept_once() {
    let list = json!(conversation(openai, 1));
    let events: Vec<Json> = conversation(openai, 1)
        .into_iter()
        .map(|mut event| {
            event["event.name"] =
                format!("gen_ai.{}.message", event["role"].as_str().unwrap()).into();
            event
        })
        .collect();
    let call = call_of(span(
        "chat",
        vec![
            ("gen_ai.operation.name", text("chat")),
            ("gen_ai.input.messages", text(&list.to_string())),
            ("logfire.json_schema", text("{}")),
            ("events", text(&json!(events).to_string())),
        ],
    ));
    assert_eq!(call.history, sent(&list).history);
}

#[test]
fn texts_that_nobody_says_are_no_turns() {
    let texts = sent(&json!(["a chunk", "another", "the last"]));
    assert_eq!(
        (texts.prompt.as_deref(), texts.history),
        (Some("the last"), None)
    );
}

#[test]
fn an_embeddings_texts_are_its_prompt() {
    let call = call_of(span(
        "embeddings",
        vec![
            ("gen_ai.operation.name", text("embeddings")),
            ("gen_ai.input.messages", text(r#"["one","two","three"]"#)),
        ],
    ));
    assert_eq!(
        (call.prompt.as_deref(), call.history),
        (Some("one\ntwo\nthree"), None)
    );
}
