//! The conventions' own shape, read without building a tree: most calls of new SDKs have it.
//!
//! Whatever is not exactly that shape (another key, another part than text) is left to the slower
//! way, which reads it alike.

use super::{super::scan::Scan, Message, Speaker, push_text};

/// A list of messages of text parts, or (a system prompt) a list of text parts.
pub(super) fn read(bytes: &[u8]) -> Option<Vec<Message>> {
    let mut json = Scan::new(bytes)?;
    json.eat(b'[')?;
    let messages = if json.rest().starts_with(b"{\"role\"") {
        let mut messages = Vec::with_capacity(2);
        json.list(|json| {
            messages.push(message(json)?);
            Some(())
        })?;
        messages
    } else if json.rest().starts_with(b"{\"type\"") {
        vec![Message {
            text: parts(&mut json)?,
            ..Message::default()
        }]
    } else {
        return None;
    };
    json.is_done().then_some(messages)
}

/// `{"role": …, "parts": […], "finish_reason": …}`, the reason or nothing.
fn message(json: &mut Scan<'_>) -> Option<Message> {
    json.key(b'{', "role")?;
    let speaker = Speaker::parse(&json.string()?);
    (speaker != Speaker::Unknown).then_some(())?;
    json.key(b',', "parts")?;
    json.eat(b'[')?;
    let text = match json.eat(b']') {
        Some(()) => String::new(),
        None => parts(json)?,
    };
    let mut finish = None;
    if json.eat(b'}').is_none() {
        json.key(b',', "finish_reason")?;
        finish = Some(json.string()?.into_owned());
        json.eat(b'}')?;
    }
    Some(Message {
        speaker,
        text,
        calls: Vec::new(),
        finish,
    })
}

/// The texts of `{"type": "text", "content": …}`, up to the list's end.
fn parts(json: &mut Scan<'_>) -> Option<String> {
    let mut text = String::new();
    json.list(|json| {
        json.key(b'{', "type")?;
        (json.string()? == "text").then_some(())?;
        json.key(b',', "content")?;
        let content = json.string()?;
        json.eat(b'}')?;
        // Text that is JSON parts itself is the slower way's.
        if content.starts_with("[{") || content.contains('\0') {
            return None;
        }
        if text.is_empty() {
            text.reserve_exact(content.len());
        }
        push_text(&mut text, &content);
        Some(())
    })?;
    Some(text)
}

#[cfg(test)]
mod tests {
    use super::{super::from_text, *};

    /// What the slower way makes of the same list.
    fn slow(text: &str) -> Vec<Message> {
        let mut messages = Vec::new();
        from_text(text, &mut messages, 0);
        messages.retain(|m| !m.text.is_empty() || m.finish.is_some());
        messages
    }

    #[test]
    fn both_ways_read_alike() {
        for text in [
            r#"[{"role":"user","parts":[{"type":"text","content":"hi"}]}]"#,
            r#"[{"role":"system","parts":[{"type":"text","content":"a\nb"},{"type":"text","content":"c"}]},
                {"role":"user","parts":[]}]"#,
            r#"[{"role":"assistant","parts":[{"type":"text","content":"x"}],"finish_reason":"stop"}]"#,
            r#"[{"type":"text","content":"You are brief."},{"type":"text","content":"Be kind."}]"#,
            r#"[{"role": "user", "parts": [{"type": "text", "content": "\"ä\" \\ \u00e4"}]}, {"role": "tool", "parts": [ ] }] "#,
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
            r#"[{"role":"user","parts":[{"type":"text","content":"x"}]}] x"#,
            r#"[{"role":"user","parts":[{"type":"text","content":"x"}]},]"#,
            r#"[{"role":"user","parts":[{"type":"text","content":"x"}],"name":"y"}]"#,
            r#"[{"role":"user","parts":[{"type":"text","content":"x"}]}"#,
            "[{\"role\":\"user\",\"parts\":[{\"type\":\"text\",\"content\":\"a\nb\"}]}]",
            "not json",
        ] {
            assert_eq!(read(text.as_bytes()), None, "{text}");
        }
    }
}
