//! The conventions' own shape, read without building a tree: most calls of new SDKs have it.
//!
//! Whatever is not exactly that shape (another key, another part than text) is left to the slower
//! way, which reads it alike.

use std::borrow::Cow;

use serde::Deserialize;

use super::{Message, Speaker, push_text};

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Said<'a> {
    #[serde(borrow)]
    role: Cow<'a, str>,
    #[serde(borrow)]
    parts: Vec<Part<'a>>,
    #[serde(borrow, default)]
    finish_reason: Option<Cow<'a, str>>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Part<'a> {
    #[serde(borrow, rename = "type")]
    kind: Cow<'a, str>,
    #[serde(borrow)]
    content: Cow<'a, str>,
}

/// A list of messages of text parts, or (a system prompt) a list of text parts.
pub(super) fn read(bytes: &[u8]) -> Option<Vec<Message>> {
    if bytes.starts_with(b"[{\"role\"") {
        let said: Vec<Said<'_>> = serde_json::from_slice(bytes).ok()?;
        return said.iter().map(message).collect();
    }
    if bytes.starts_with(b"[{\"type\"") {
        let parts: Vec<Part<'_>> = serde_json::from_slice(bytes).ok()?;
        let text = joined(&parts)?;
        return Some(vec![Message {
            text,
            ..Message::default()
        }]);
    }
    None
}

fn message(said: &Said<'_>) -> Option<Message> {
    let speaker = Speaker::parse(&said.role);
    (speaker != Speaker::Unknown).then_some(())?;
    Some(Message {
        speaker,
        text: joined(&said.parts)?,
        calls: Vec::new(),
        finish: said.finish_reason.as_deref().map(str::to_owned),
    })
}

/// `None` if a part is no plain text.
fn joined(parts: &[Part<'_>]) -> Option<String> {
    let mut text = String::new();
    for part in parts {
        // Text that is JSON parts itself is the slower way's.
        if part.kind != "text" || part.content.starts_with("[{") || part.content.contains('\0') {
            return None;
        }
        push_text(&mut text, &part.content);
    }
    Some(text)
}

#[cfg(test)]
mod tests {
    use super::{super::read as slow_or_quick, *};
    use crate::otlp::Value;

    /// What the slower way makes of the same list: a blank at its start keeps it from being quick.
    fn slow(text: &str) -> Vec<Message> {
        let text = format!(" {text}");
        slow_or_quick(Value::Str(text.as_bytes()))
    }

    #[test]
    fn both_ways_read_alike() {
        for text in [
            r#"[{"role":"user","parts":[{"type":"text","content":"hi"}]}]"#,
            r#"[{"role":"system","parts":[{"type":"text","content":"a\nb"},{"type":"text","content":"c"}]},
                {"role":"user","parts":[]}]"#,
            r#"[{"role":"assistant","parts":[{"type":"text","content":"x"}],"finish_reason":"stop"}]"#,
            r#"[{"type":"text","content":"You are brief."},{"type":"text","content":"Be kind."}]"#,
        ] {
            let mut quick = read(text.as_bytes()).expect("the quick shape");
            quick.retain(|m| !m.text.is_empty() || m.finish.is_some());
            assert_eq!(quick, slow(text), "{text}");
        }
    }

    #[test]
    fn other_shapes_are_left_alone() {
        for text in [
            r#"[{"role":"user","content":"hi"}]"#,
            r#"[{"role":"assistant","parts":[{"type":"tool_call","name":"f"}]}]"#,
            r#"[{"role":"oracle","parts":[{"type":"text","content":"x"}]}]"#,
            r#"[{"type":"text","content":"[{\"type\":\"text\"}]"}]"#,
            "not json",
        ] {
            assert_eq!(read(text.as_bytes()), None, "{text}");
        }
    }
}
