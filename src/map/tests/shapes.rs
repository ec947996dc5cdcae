//! Message lists of every shape give the same conversation.

use serde_json::json;

use super::payload::{call_of, event, int, span, text};
use crate::map::{
    messages::{self, Speaker},
    transcript::Transcript,
};
use crate::otlp::Value;

fn heard(input: &str, output: &str) -> (Option<String>, Option<String>, Option<String>) {
    let mut transcript = Transcript {
        input: messages::read(Value::Str(input.as_bytes())),
        output: messages::read(Value::Str(output.as_bytes())),
        ..Transcript::default()
    };
    (
        transcript.system(),
        transcript.prompt(false),
        transcript.response(),
    )
}

#[test]
fn every_shape_of_json_is_read() {
    let otel = json!([
        {"role": "system", "parts": [{"type": "text", "content": "Be brief."}]},
        {"role": "user", "parts": [{"type": "text", "content": "old"}]},
        {"role": "assistant", "parts": [{"type": "text", "content": "yes"}]},
        {"role": "user", "parts": [{"type": "text", "content": "new"}]},
    ]);
    let openai = json!({"model": "m", "messages": [
        {"role": "system", "content": "Be brief."},
        {"role": "user", "content": [{"type": "text", "text": "new"}]},
        {"role": "tool", "content": "42", "tool_call_id": "1"},
    ]});
    let anthropic = json!({"system": [{"type": "text", "text": "Be brief."}], "messages": [
        {"role": "user", "content": "new"},
        {"role": "assistant", "content": [{"type": "tool_use", "id": "1", "name": "f", "input": {}}]},
        {"role": "user", "content": [{"type": "tool_result", "content": "42"}]},
    ]});
    let gemini = json!({"system_instruction": {"parts": [{"text": "Be brief."}]}, "contents": [
        {"role": "user", "parts": [{"text": "new"}]},
    ]});
    let langchain = json!({"messages": [[
        {"lc": 1, "type": "constructor", "id": ["langchain", "schema", "messages", "SystemMessage"],
         "kwargs": {"content": "Be brief.", "type": "system"}},
        {"lc": 1, "type": "constructor", "id": ["langchain", "schema", "messages", "HumanMessage"],
         "kwargs": {"content": "new"}},
    ]]});
    let typed = json!([{"type": "system", "data": {"content": "Be brief."}},
        {"type": "human", "data": {"content": "new"}}]);
    let pairs = json!({"messages": [["system", "Be brief."], ["user", "new"]]});
    let twice = json!(otel.to_string());
    for input in [
        &otel, &openai, &anthropic, &gemini, &langchain, &typed, &pairs, &twice,
    ] {
        let (system, prompt, _) = heard(&input.to_string(), "x");
        assert_eq!(system.as_deref(), Some("Be brief."), "{input}");
        assert_eq!(prompt.as_deref(), Some("new"), "{input}");
    }
    assert_eq!(heard("just text", "").1.as_deref(), Some("just text"));
    assert_eq!(heard("[]", "").1, None);
    assert_eq!(heard("__REDACTED__", "").1, None);
}

#[test]
fn answers_are_read_without_reasoning_and_with_tool_calls_where_there_is_no_text() {
    let answer = |output: serde_json::Value| heard("", &output.to_string()).2;
    let part = |kind: &str, text: &str| json!({"type": kind, "content": text});
    let thought =
        json!([{"role": "assistant", "parts": [part("reasoning", "hm"), part("text", "42")]}]);
    assert_eq!(answer(thought).as_deref(), Some("42"));
    let choice = json!({"choices": [{"finish_reason": "stop", "message": {"content": "42"}}]});
    assert_eq!(answer(choice).as_deref(), Some("42"));
    let generation = json!({"generations": [[{"text": "42", "message": {"kwargs": {"content": "42"},
        "lc": 1, "id": ["AIMessage"]}}]]});
    assert_eq!(answer(generation).as_deref(), Some("42"));
    let responses = json!({"output": [{"type": "reasoning", "summary": []},
        {"type": "message", "role": "assistant", "content": [{"type": "output_text", "text": "42"}]}]});
    assert_eq!(answer(responses).as_deref(), Some("42"));
    let call = json!([{"role": "assistant", "tool_calls": [
        {"id": "c", "type": "function", "function": {"name": "f", "arguments": "{\"x\":1}"}}]}]);
    let called = answer(call).unwrap();
    let called: serde_json::Value = serde_json::from_str(&called).unwrap();
    assert_eq!(
        called,
        json!([{"id": "c", "name": "f", "arguments": {"x": 1}}])
    );
    assert_eq!(
        answer(json!({"answer": 42})).as_deref(),
        Some("{\"answer\":42}"),
        "JSON as text"
    );
}

#[test]
fn pieces_of_one_stream_are_put_together() {
    let piece = |text: &str, finish: &str| {
        json!({"role": "assistant", "parts": [{"type": "text", "content": text}],
               "finish_reason": finish})
    };
    let stream = json!([
        piece("One ", ""),
        piece("two", "stop"),
        piece("other choice", "stop")
    ]);
    assert_eq!(
        heard("", &stream.to_string()).2.as_deref(),
        Some("One two\nother choice")
    );
}

#[test]
fn span_events_carry_messages_as_attributes() {
    let mut asked = span(
        "chat",
        vec![
            ("gen_ai.operation.name", text("chat")),
            ("gen_ai.request.model", text("m")),
            ("gen_ai.usage.input_tokens", int(1)),
        ],
    );
    asked.events = vec![
        event(
            "gen_ai.system.message",
            vec![("content", text("Be brief."))],
        ),
        event("gen_ai.user.message", vec![("content", text("old"))]),
        event("gen_ai.user.message", vec![("content", text("new"))]),
        event(
            "gen_ai.choice",
            vec![
                ("finish_reason", text("end_turn")),
                (
                    "message",
                    text("{\"role\":\"assistant\",\"content\":\"42\"}"),
                ),
            ],
        ),
    ];
    let call = call_of(asked);
    assert_eq!(call.system_prompt.as_deref(), Some("Be brief."));
    assert_eq!(call.prompt.as_deref(), Some("new"));
    assert_eq!(call.response.as_deref(), Some("42"));
    assert_eq!(call.finish_reason.as_deref(), Some("stop"));
}

#[test]
fn roles_and_classes_name_speakers() {
    for (word, speaker) in [
        ("AIMessageChunk", Speaker::Assistant),
        ("HumanMessage", Speaker::User),
        ("developer", Speaker::System),
        ("ToolMessage", Speaker::Tool),
        ("text", Speaker::Unknown),
    ] {
        assert_eq!(Speaker::parse(word), speaker, "{word}");
    }
}
