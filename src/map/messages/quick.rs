//! The conventions' own shape, read without building a tree: most calls of new SDKs have it.
//!
//! Whatever is not exactly that shape (another key, another part than text) is left to the slower
//! way, which reads it alike.

use std::borrow::Cow;

use super::{Message, Speaker, push_text};

/// A list of messages of text parts, or (a system prompt) a list of text parts.
pub(super) fn read(bytes: &[u8]) -> Option<Vec<Message>> {
    let mut json = Json(bytes);
    json.eat(b"[")?;
    let messages = if json.0.starts_with(b"{\"role\"") {
        let mut messages = Vec::with_capacity(2);
        json.list(|json| {
            messages.push(message(json)?);
            Some(())
        })?;
        messages
    } else if json.0.starts_with(b"{\"type\"") {
        vec![Message {
            text: parts(&mut json)?,
            ..Message::default()
        }]
    } else {
        return None;
    };
    json.0.trim_ascii().is_empty().then_some(messages)
}

/// `{"role": …, "parts": […], "finish_reason": …}`, the reason or nothing.
fn message(json: &mut Json<'_>) -> Option<Message> {
    json.key(b"{", b"role")?;
    let speaker = Speaker::parse(&json.string()?);
    (speaker != Speaker::Unknown).then_some(())?;
    json.key(b",", b"parts")?;
    json.eat(b"[")?;
    let text = match json.eat(b"]") {
        Some(()) => String::new(),
        None => parts(json)?,
    };
    let mut finish = None;
    if json.eat(b"}").is_none() {
        json.key(b",", b"finish_reason")?;
        finish = Some(json.string()?.into_owned());
        json.eat(b"}")?;
    }
    Some(Message {
        speaker,
        text,
        calls: Vec::new(),
        finish,
    })
}

/// The texts of `{"type": "text", "content": …}`, up to the list's end.
fn parts(json: &mut Json<'_>) -> Option<String> {
    let mut text = String::new();
    json.list(|json| {
        json.key(b"{", b"type")?;
        (json.string()? == "text").then_some(())?;
        json.key(b",", b"content")?;
        let content = json.string()?;
        json.eat(b"}")?;
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

/// JSON that is still to be read. What is not as expected gives `None`, and the whole to the
/// slower way.
struct Json<'a>(&'a [u8]);

impl<'a> Json<'a> {
    /// Passes over white space, then over a word.
    fn eat(&mut self, word: &[u8]) -> Option<()> {
        self.0 = self.0.trim_ascii_start().strip_prefix(word)?;
        Some(())
    }

    /// What stands before a key, then the key.
    fn key(&mut self, before: &[u8], name: &[u8]) -> Option<()> {
        self.eat(before)?;
        self.eat(b"\"")?;
        self.0 = self.0.strip_prefix(name)?.strip_prefix(b"\"")?;
        self.eat(b":")
    }

    /// Items up to the end of a list that has at least one.
    fn list(&mut self, mut item: impl FnMut(&mut Self) -> Option<()>) -> Option<()> {
        loop {
            item(self)?;
            match self.eat(b"]") {
                Some(()) => return Some(()),
                None => self.eat(b",")?,
            }
        }
    }

    fn string(&mut self) -> Option<Cow<'a, str>> {
        self.0 = self.0.trim_ascii_start();
        let (_, inner) = self.0.split_first().filter(|(first, _)| **first == b'"')?;
        let end = memchr::memchr2(b'"', b'\\', inner)?;
        let (text, rest) = inner.split_at_checked(end)?;
        if let Some(rest) = rest.strip_prefix(b"\"") {
            self.0 = rest;
            // JSON has no control characters in text. Folded, not searched: many bytes at once.
            let has_control = text.iter().fold(false, |any, byte| any | (*byte < b' '));
            let text = std::str::from_utf8(text).ok()?;
            return (!has_control).then_some(Cow::Borrowed(text));
        }
        // Escapes are serde's to read.
        let mut strings = serde_json::Deserializer::from_slice(self.0).into_iter::<String>();
        let text = strings.next()?.ok()?;
        self.0 = self.0.get(strings.byte_offset()..)?;
        Some(Cow::Owned(text))
    }
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
