//! What a call was sent beside its system prompt and its newest prompt: earlier turns and, in an
//! agent's loop, what its tools were asked and said. A text is known by its hash, so that a store
//! keeps it once, however many calls repeat it.

use sha2::{Digest, Sha256};

use super::id::id;

id!(
    /// Hash of a message: see [`MessageText::new`].
    TextHash,
    16
);

/// The messages that a call was sent and its row does not hold itself, in their order.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct History {
    /// Before the newest prompt: the earlier turns. All of them, where there is no prompt.
    pub before: Vec<MessageText>,
    /// After the newest prompt: tool calls and their results.
    pub after: Vec<MessageText>,
    /// Messages older than these, which are not kept.
    pub left_out: u64,
}

/// A message as it is stored: without NUL, cut where it is too long.
#[derive(Debug, Clone, PartialEq)]
pub struct MessageText {
    /// Says what it holds.
    pub hash: TextHash,
    /// `system`, `user`, `assistant`, `tool` or `unknown`.
    pub role: &'static str,
    /// What is said; `None` in a message of tool calls only.
    pub content: Option<String>,
    /// The tool calls in it, a JSON array as text; `None` if there are none.
    pub tool_calls: Option<String>,
}

impl History {
    /// All of them, in order.
    pub fn messages(&self) -> impl Iterator<Item = &MessageText> {
        self.before.iter().chain(&self.after)
    }
}

impl MessageText {
    /// Cleans the texts and hashes them: the first 16 bytes of the SHA-256 (FIPS 180-4) of role,
    /// NUL, content, NUL, tool calls, in UTF-8; what is absent counts as empty. No part holds a NUL
    /// of its own, so no two messages have one preimage. The hash stands in stored rows: this must
    /// never change.
    pub fn new(role: &'static str, content: Option<String>, tool_calls: Option<String>) -> Self {
        let clean = |text: Option<String>| text.filter(|text| !text.is_empty()).map(without_nul);
        let (content, tool_calls) = (clean(content), clean(tool_calls));
        let digest = Sha256::new()
            .chain_update(role)
            .chain_update([0])
            .chain_update(content.as_deref().unwrap_or_default())
            .chain_update([0])
            .chain_update(tool_calls.as_deref().unwrap_or_default())
            .finalize();
        let mut hash = TextHash::default();
        hash.0
            .iter_mut()
            .zip(digest)
            .for_each(|(to, from)| *to = from);
        Self {
            hash,
            role,
            content,
            tool_calls,
        }
    }
}

/// Postgres' text takes no NUL.
fn without_nul(text: String) -> String {
    match memchr::memchr(0, text.as_bytes()) {
        None => text,
        Some(_) => text.replace('\0', "\u{FFFD}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn hash(role: &'static str, content: &str, calls: &str) -> String {
        let [content, calls] = [content, calls].map(|text| Some(text.to_owned()));
        MessageText::new(role, content, calls).hash.to_string()
    }

    /// `printf 'user\0hi\0' | sha256sum`, and so on: rows of every release have these.
    #[test]
    fn the_hash_is_the_same_in_every_release() {
        assert_eq!(hash("user", "hi", ""), "c35c3605aeeb79c11ee0c441a633611f");
        assert_eq!(
            hash("assistant", "", "[{}]"),
            "322e6182dc4317918b96a9ee1e36e477"
        );
        assert_eq!(
            hash("tool", "42 °C", ""),
            "9570b561c9ae844e1b2e9f23e312e734"
        );
    }

    #[test]
    fn what_differs_in_any_part_has_another_hash() {
        let all = [
            hash("user", "a", ""),
            hash("assistant", "a", ""),
            hash("user", "", "a"),
            hash("user", "a\0", ""),
            hash("user", "a", "\0"),
            hash("user", "a ", ""),
        ];
        let different: std::collections::HashSet<&String> = all.iter().collect();
        assert_eq!(different.len(), all.len());
    }

    #[test]
    fn it_holds_what_a_store_takes() {
        let text = MessageText::new("tool", Some("a\0b".into()), Some(String::new()));
        assert_eq!(text.content.as_deref(), Some("a\u{FFFD}b"));
        assert_eq!(text.tool_calls, None);
    }
}
