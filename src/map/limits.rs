//! How much of a text is kept, and how a cut shows.
//!
//! Values come from outside and may be of any size; rows must not. A cut text says that it was
//! cut, how long it was, and carries a hash of the whole, so that equal texts stay equal.

use std::{borrow::Cow, fmt::Write as _};

use super::fields;

/// Prompt, answer, system prompt, query.
pub const CONTENT_BYTES: usize = 256 * 1024;
/// Earlier messages that a call's row names, the newest.
pub const HISTORY_MESSAGES: usize = 512;
/// Context columns: they are grouped and joined by.
pub const CONTEXT_BYTES: usize = 256;
/// Names: model, provider, operation, error type, collection.
pub const NAME_BYTES: usize = 512;
/// Error text, and a value in `metadata`.
pub const DETAIL_BYTES: usize = 4 * 1024;
/// Attributes of a span that are looked at. Beyond them is an attack or a bug.
pub const ATTRIBUTES: usize = 16 * 1024;
/// Events of a span that are looked at.
pub const EVENTS: usize = 4 * 1024;
/// Keys in `metadata`.
pub const METADATA_KEYS: usize = 128;
/// Scores kept of one search.
pub const SCORES: usize = 256;
/// Audio of one call, a year. More is a wrong unit, and one such cost would be all that sums show.
pub const AUDIO_SECONDS: f64 = 366.0 * 86_400.0;
/// Tags kept of one call.
pub const TAGS: usize = 64;

/// FNV-1a, 64 bits (datatracker.ietf.org/doc/html/draft-eastlake-fnv): the same on every machine
/// and in every release, which `std`'s hasher does not promise.
pub fn hash(bytes: &[u8]) -> u64 {
    bytes.iter().fold(0xcbf2_9ce4_8422_2325, |hash, byte| {
        (hash ^ u64::from(*byte)).wrapping_mul(0x0000_0100_0000_01b3)
    })
}

/// The longest start of `text` that has at most `max` bytes and ends with a whole character.
fn start_of(text: &str, max: usize) -> &str {
    let end = (0..=max.min(text.len()))
        .rev()
        .find(|&end| text.is_char_boundary(end))
        .unwrap_or(0);
    text.get(..end).unwrap_or_default()
}

/// Content: `max` bytes and a note of what is missing.
pub fn content(text: &str, max: usize) -> String {
    if text.len() <= max {
        return text.to_owned();
    }
    let mut kept = start_of(text, max).to_owned();
    let (characters, hash) = (text.chars().count(), hash(text.as_bytes()));
    let _ = write!(kept, "…[cut, {characters} characters, {hash:016x}]");
    kept
}

/// [`content`] of a text that isn't needed any more.
pub fn cut(text: String, max: usize) -> String {
    if text.len() <= max {
        text
    } else {
        content(&text, max)
    }
}

/// A name or id: at most `max` bytes in all, the last of them a hash where it was cut.
pub fn name(text: &str, max: usize) -> Cow<'_, str> {
    let text = fields::trim(text);
    if text.len() <= max {
        return Cow::Borrowed(text);
    }
    let suffix = format!("~{:016x}", hash(text.as_bytes()));
    let mut kept = start_of(text, max.saturating_sub(suffix.len())).to_owned();
    kept.push_str(&suffix);
    Cow::Owned(kept)
}

/// Characters of a text, as the length columns mean it.
pub fn characters(text: &str) -> i64 {
    i64::try_from(text.chars().count()).unwrap_or(i64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cut_keeps_whole_characters_and_says_so() {
        let text = "ä".repeat(10);
        assert_eq!(content(&text, 20), text);
        let cut = content(&text, 5);
        assert!(cut.starts_with("ää…[cut, 10 characters, "), "{cut}");
        assert_ne!(cut, content(&"ä".repeat(11), 5));
    }

    #[test]
    fn a_cut_name_fits_and_stays_distinct() {
        let (a, b) = ("x".repeat(300), format!("{}y", "x".repeat(299)));
        assert_eq!(name(&a, 256).len(), 256);
        assert_ne!(name(&a, 256), name(&b, 256));
        assert_eq!(name("  id ", 256), "id");
    }
}
