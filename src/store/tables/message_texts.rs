//! `message_texts`: what was said in the earlier turns of conversations, each message once a day.
//! Ours, not part of the surface.

use super::table;
use crate::record::{MessageText, TextHash};

/// Nanoseconds of a day.
const DAY: i64 = 86_400_000_000_000;

/// A message on a day that a call with it started.
#[derive(Debug, Clone, PartialEq)]
pub(in crate::store) struct DayText {
    /// Midnight UTC, Unix ns.
    day: i64,
    message: MessageText,
}

table! { "message_texts", DayText, |r|
    hash: text = Some(&*r.message.hash.to_string()),
    started_at: time = r.day,
    role: word = r.message.role,
    content: text = r.message.content.as_deref(),
    tool_calls: text = r.message.tool_calls.as_deref(),
}

impl DayText {
    /// A message of a call that started then, Unix ns.
    pub fn new(started_at: i64, message: MessageText) -> Self {
        let (_, day) = Self::key_of(started_at, message.hash);
        Self { day, message }
    }

    /// What makes it one: a message is stored once for each day, so that it lives as long as the
    /// calls of that day.
    pub fn key(&self) -> (TextHash, i64) {
        (self.message.hash, self.day)
    }

    /// The key of a message of a call that started then, Unix ns.
    pub fn key_of(started_at: i64, hash: TextHash) -> (TextHash, i64) {
        (hash, started_at.div_euclid(DAY).saturating_mul(DAY))
    }
}
