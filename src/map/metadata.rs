//! The attributes that no column takes, as the text of one JSON object.
//!
//! Written as text at once, without a tree: the stores take text, and most rows have some.

use std::io::Write as _;

use super::{fields, limits, subject::Subject};
use crate::otlp::{Value, value::text};

/// Names that the ledger itself writes into a row's metadata.
const RESERVED: &[u8] = b"spanledger.";

/// An attribute mostly takes less.
const USUAL_BYTES: usize = 64;

/// The object, with each key once (the last value sent, as in any JSON object); `None` if it would
/// be empty. Vectors are never kept; where content is not, neither is anything long enough to be
/// content.
pub fn metadata(subject: &Subject<'_, '_>) -> Option<String> {
    let mut rest = subject.reading.rest.iter();
    let mut out = Vec::with_capacity(rest.len() * USUAL_BYTES);
    while let Some((key, value)) = rest.next() {
        let is_sent_again = || rest.as_slice().iter().any(|(later, _)| later == key);
        if !is_kept(*value, subject.keep_content) || key.starts_with(RESERVED) || is_sent_again() {
            continue;
        }
        out.push(if out.is_empty() { b'{' } else { b',' });
        let name = text(key);
        if name.len() > limits::NAME_BYTES {
            write(&mut out, &*limits::name(&name, limits::NAME_BYTES));
        } else {
            quote(&mut out, name.trim());
        }
        out.push(b':');
        detail(*value, &mut out);
    }
    if out.is_empty() {
        return None;
    }
    out.push(b'}');
    String::from_utf8(out).ok()
}

fn is_kept(value: Value<'_>, keep_content: bool) -> bool {
    let may_be_content = match value {
        Value::Str(bytes) | Value::Array(bytes) | Value::Map(bytes) | Value::Bytes(bytes) => {
            bytes.len() > limits::CONTEXT_BYTES
        }
        _ => false,
    };
    (keep_content || !may_be_content) && !fields::is_blank(value) && !is_vector(value)
}

/// Several doubles in a row.
fn is_vector(value: Value<'_>) -> bool {
    value
        .items()
        .take(4)
        .filter(|item| matches!(item, Value::Double(_)))
        .count()
        == 4
}

fn detail(value: Value<'_>, out: &mut Vec<u8>) {
    match value {
        Value::Str(bytes) => {
            let text = text(bytes);
            if text.len() > limits::DETAIL_BYTES {
                write(out, &*limits::content(&text, limits::DETAIL_BYTES));
            } else {
                quote(out, &text);
            }
        }
        Value::Array(bytes) | Value::Map(bytes) | Value::Bytes(bytes)
            if bytes.len() > limits::DETAIL_BYTES =>
        {
            let _ = write!(out, "\"[cut, {} bytes]\"", bytes.len());
        }
        other => write(out, &other.to_json()),
    }
}

/// A string. Folded, not searched: many bytes at once.
fn quote(out: &mut Vec<u8>, text: &str) {
    let is_special = |byte: u8| (byte < b' ') | (byte == b'"') | (byte == b'\\');
    if text.bytes().fold(false, |any, byte| any | is_special(byte)) {
        write(out, text);
    } else {
        out.push(b'"');
        out.extend_from_slice(text.as_bytes());
        out.push(b'"');
    }
}

/// Writing JSON to memory fails for nothing that is written here: text and JSON trees.
fn write<T: serde::Serialize + ?Sized>(out: &mut Vec<u8>, value: &T) {
    if serde_json::to_writer(&mut *out, value).is_err() {
        out.extend_from_slice(b"null");
    }
}
