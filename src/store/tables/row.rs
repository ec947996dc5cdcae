//! A row's values, put one after the other in the form of COPY BINARY: a field is its length, then its
//! bytes. Text gets clean here and numbers finite, so that both stores keep the same.

use super::numeric;
use crate::{
    otlp::has_nul,
    record::{SpanId, SpanKey, TraceId},
};

/// 2000-01-01 in Unix microseconds.
pub(super) const EPOCH_MICROS: i64 = 946_684_800_000_000;

/// The length of a field that is NULL.
const NULL: [u8; 4] = (-1i32).to_be_bytes();

/// What a column holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::store) enum Kind {
    Text,
    Int,
    Float,
    Bool,
    Time,
    Money,
    Json,
}

/// What a method of [`Row`] puts.
macro_rules! kind {
    (int) => {
        $crate::store::tables::row::Kind::Int
    };
    (float) => {
        $crate::store::tables::row::Kind::Float
    };
    (flag) => {
        $crate::store::tables::row::Kind::Bool
    };
    (time) => {
        $crate::store::tables::row::Kind::Time
    };
    (money) => {
        $crate::store::tables::row::Kind::Money
    };
    (json) => {
        $crate::store::tables::row::Kind::Json
    };
    ($text:ident) => {
        $crate::store::tables::row::Kind::Text
    };
}
pub(super) use kind;

/// A row that is being written. Every value may be `None`: NULL.
pub(in crate::store) struct Row<'o>(pub(super) &'o mut Vec<u8>);

impl Row<'_> {
    /// A field of `BYTES` bytes: with its length, which is put before it, it has `WIDTH`.
    #[inline]
    fn field<const BYTES: usize, const WIDTH: usize>(&mut self, bytes: Option<[u8; BYTES]>) {
        const { assert!(WIDTH == BYTES + 4) };
        let Some(bytes) = bytes else {
            return self.0.extend_from_slice(&NULL);
        };
        let mut field = [0; WIDTH];
        let (length, rest) = field.split_at_mut(4);
        length.copy_from_slice(&(BYTES as i32).to_be_bytes());
        rest.copy_from_slice(&bytes);
        self.0.extend_from_slice(&field);
    }

    #[inline]
    fn bytes(&mut self, bytes: &[u8]) {
        self.length(bytes.len());
        self.0.extend_from_slice(bytes);
    }

    #[inline]
    fn length(&mut self, bytes: usize) {
        let bytes = i32::try_from(bytes).unwrap_or(i32::MAX);
        self.0.extend_from_slice(&bytes.to_be_bytes());
    }

    /// Text that both stores take. The reader cleaned what came off the wire; text that was JSON
    /// inside an attribute may still hold an escaped NUL.
    #[inline]
    pub fn text(&mut self, text: Option<&str>) {
        match text {
            None => self.0.extend_from_slice(&NULL),
            Some(text) => self.clean(text),
        }
    }

    #[inline(never)]
    fn clean(&mut self, text: &str) {
        self.0.reserve(4 + text.len());
        match has_nul(text.as_bytes()) {
            false => self.bytes(text.as_bytes()),
            true => self.bytes(text.replace('\0', "\u{FFFD}").as_bytes()),
        }
    }

    /// Text of ours.
    #[inline]
    pub fn word(&mut self, word: impl Into<Option<&'static str>>) {
        match word.into() {
            Some(word) => self.bytes(word.as_bytes()),
            None => self.0.extend_from_slice(&NULL),
        }
    }

    /// A trace id in hex.
    #[inline]
    pub fn trace(&mut self, id: TraceId) {
        self.field::<32, 36>(Some(id.hex()));
    }

    /// A span id in hex.
    #[inline]
    pub fn span(&mut self, id: impl Into<Option<SpanId>>) {
        self.field::<16, 20>(id.into().map(|id| id.hex()));
    }

    /// `trace_id-span_id`
    #[inline]
    pub fn key(&mut self, key: impl Into<Option<SpanKey>>) {
        self.field::<49, 53>(key.into().map(|key| {
            let mut text = [b'-'; 49];
            let (trace, rest) = text.split_at_mut(32);
            trace.copy_from_slice(&key.trace_id.hex());
            rest[1..].copy_from_slice(&key.span_id.hex());
            text
        }));
    }

    /// A whole number.
    #[inline]
    pub fn int(&mut self, int: impl Into<Option<i64>>) {
        self.field::<8, 12>(int.into().map(i64::to_be_bytes));
    }

    /// A number; NULL if it is not finite.
    #[inline]
    pub fn float(&mut self, float: impl Into<Option<f64>>) {
        self.field::<8, 12>(float.into().and_then(finite).map(f64::to_be_bytes));
    }

    /// True or false.
    #[inline]
    pub fn flag(&mut self, flag: impl Into<Option<bool>>) {
        self.field::<1, 5>(flag.into().map(|flag| [u8::from(flag)]));
    }

    /// Unix ns, kept to the microsecond.
    #[inline]
    pub fn time(&mut self, ns: impl Into<Option<i64>>) {
        let micros = |ns: i64| ns.div_euclid(1000) - EPOCH_MICROS;
        self.field::<8, 12>(ns.into().map(|ns| micros(ns).to_be_bytes()));
    }

    /// USD; NULL if it is not finite.
    pub fn money(&mut self, usd: impl Into<Option<f64>>) {
        match usd.into().and_then(finite) {
            Some(usd) => numeric::write(self.0, usd),
            None => self.0.extend_from_slice(&NULL),
        }
    }

    /// JSON text, without the `\u0000` that jsonb refuses; what isn't JSON then becomes NULL.
    pub fn json(&mut self, json: Option<String>) {
        // Few have any escape, and one byte is found quicker than six.
        let has_escaped_nul = |text: &str| {
            let escape = memchr::memchr(b'\\', text.as_bytes());
            let rest = escape.and_then(|at| text.as_bytes().get(at..));
            rest.is_some_and(|rest| memchr::memmem::find(rest, b"\\u0000").is_some())
        };
        let json = match json {
            Some(text) if has_escaped_nul(&text) => clean(&text),
            json => json,
        };
        match json {
            Some(json) => {
                self.length(json.len() + 1);
                // The version of jsonb's form.
                self.0.push(1);
                self.0.extend_from_slice(json.as_bytes());
            }
            None => self.0.extend_from_slice(&NULL),
        }
    }
}

/// A number that both stores keep as it is. SQLite forgets the sign of a zero.
pub(super) fn finite(value: f64) -> Option<f64> {
    value.is_finite().then_some(value + 0.0)
}

fn clean(json: &str) -> Option<String> {
    let mut value = serde_json::from_str(json).ok()?;
    clean_value(&mut value);
    Some(value.to_string())
}

fn clean_value(value: &mut serde_json::Value) {
    use serde_json::Value;
    match value {
        Value::String(text) => *text = text.replace('\0', "\u{FFFD}"),
        Value::Array(items) => items.iter_mut().for_each(clean_value),
        Value::Object(entries) => {
            for (key, mut value) in std::mem::take(entries) {
                clean_value(&mut value);
                entries.insert(key.replace('\0', "\u{FFFD}"), value);
            }
        }
        _ => {}
    }
}
