//! Attribute values and key-value lists, read in place; depth- and size-bounded.

use std::borrow::Cow;

use super::{
    plain::plain,
    wire::{Fields, Wire},
};

/// Arrays and maps inside one another beyond this become null: deeper values are an attack or a
/// bug, and Postgres, SQLite and serde_json each have a limit of their own further out.
pub const MAX_DEPTH: usize = 32;
/// Values of a list or map that become JSON: they may have two bytes each, and take many times that in
/// memory.
const MOST_VALUES: usize = 1 << 18;

/// Text that every store takes: invalid UTF-8 and NUL become U+FFFD.
#[inline]
pub fn text(bytes: &[u8]) -> Cow<'_, str> {
    match plain(bytes) {
        Some(text) => Cow::Borrowed(text),
        None => any_text(bytes),
    }
}

#[inline(never)]
fn any_text(bytes: &[u8]) -> Cow<'_, str> {
    // Almost all text is valid, and this check is far quicker than the lossy one.
    let text = match std::str::from_utf8(bytes) {
        Ok(text) => Cow::Borrowed(text),
        Err(_) => String::from_utf8_lossy(bytes),
    };
    match memchr::memchr(0, text.as_bytes()) {
        None => text,
        Some(_) => Cow::Owned(text.replace('\0', "\u{FFFD}")),
    }
}

/// Text as it is; `None` if it is not UTF-8.
#[inline]
pub fn utf8(bytes: &[u8]) -> Option<&str> {
    plain(bytes).or_else(|| std::str::from_utf8(bytes).ok())
}

/// One `AnyValue`.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Value<'a> {
    /// Unset.
    Empty,
    /// Raw bytes of the text; see [`text`].
    Str(&'a [u8]),
    /// Boolean.
    Bool(bool),
    /// Integer.
    Int(i64),
    /// Double; may be NaN or infinite.
    Double(f64),
    /// Body of an `ArrayValue`.
    Array(&'a [u8]),
    /// Body of a `KeyValueList`.
    Map(&'a [u8]),
    /// Opaque bytes.
    Bytes(&'a [u8]),
}

impl<'a> Value<'a> {
    /// Reads the body of an `AnyValue`; the last member of the oneof wins, as protobuf says.
    /// `None` if it is malformed.
    #[inline]
    pub fn parse(body: &'a [u8]) -> Option<Self> {
        // One member of the oneof, as every SDK writes it.
        match *body {
            [0x0a, ref rest @ ..] => match whole(rest) {
                Some(text) => Some(Value::Str(text)),
                None => Self::parse_any(body),
            },
            [0x18, int @ ..0x80] => Some(Value::Int(i64::from(int))),
            [0x18, low @ 0x80..=0xff, high @ ..0x80] => {
                Some(Value::Int(i64::from(low & 0x7f) | i64::from(high) << 7))
            }
            [0x21, ref bits @ ..] => match bits.try_into() {
                Ok(bits) => Some(Value::Double(f64::from_le_bytes(bits))),
                Err(_) => Self::parse_any(body),
            },
            _ => Self::parse_any(body),
        }
    }

    #[inline(never)]
    fn parse_any(body: &'a [u8]) -> Option<Self> {
        let mut value = Value::Empty;
        for field in Fields::new(body) {
            value = match field.ok()? {
                (1, Wire::Bytes(b)) => Value::Str(b),
                (2, Wire::Varint(v)) => Value::Bool(v != 0),
                (3, Wire::Varint(v)) => Value::Int(v as i64),
                (4, Wire::Fixed64(v)) => Value::Double(f64::from_bits(v)),
                (5, Wire::Bytes(b)) => Value::Array(b),
                (6, Wire::Bytes(b)) => Value::Map(b),
                (7, Wire::Bytes(b)) => Value::Bytes(b),
                (1..=7, _) => return None,
                _ => value,
            };
        }
        Some(value)
    }

    /// The members of an array; empty for any other kind.
    pub fn items(self) -> impl Iterator<Item = Value<'a>> {
        let body: &[u8] = if let Value::Array(b) = self { b } else { &[] };
        Fields::new(body).filter_map(|field| match field {
            Ok((1, Wire::Bytes(b))) => Value::parse(b),
            _ => None,
        })
    }

    /// The entries of a map; empty for any other kind.
    pub fn entries(self) -> Attributes<'a> {
        Attributes::new(if let Value::Map(b) = self { b } else { &[] }, 1)
    }

    /// The text of a string value.
    pub fn as_text(self) -> Option<Cow<'a, str>> {
        match self {
            Value::Str(b) => Some(text(b)),
            _ => None,
        }
    }

    /// The value as JSON. NaN and infinities become strings ("NaN", "Infinity", "-Infinity"),
    /// bytes become lower-case hex; beyond [`MAX_DEPTH`] everything is null, and beyond
    /// 262,144 values there is nothing.
    pub fn to_json(self) -> serde_json::Value {
        self.json_at(0, &mut { MOST_VALUES })
    }

    fn json_at(self, depth: usize, left: &mut usize) -> serde_json::Value {
        use serde_json::Value as Json;
        if depth >= MAX_DEPTH {
            return Json::Null;
        }
        match self {
            Value::Empty => Json::Null,
            Value::Str(b) => Json::String(text(b).into_owned()),
            Value::Bool(b) => Json::Bool(b),
            Value::Int(i) => Json::from(i),
            Value::Double(d) if d.is_nan() => Json::from("NaN"),
            Value::Double(d) if d.is_infinite() => {
                Json::from(if d > 0.0 { "Infinity" } else { "-Infinity" })
            }
            Value::Double(d) => Json::from(d),
            Value::Array(_) => {
                let items = self.items().map_while(|value| {
                    *left = left.checked_sub(1)?;
                    Some(value.json_at(depth + 1, left))
                });
                Json::Array(items.collect())
            }
            Value::Map(_) => {
                let entries = self.entries().map_while(|(key, value)| {
                    *left = left.checked_sub(1)?;
                    Some((text(key).into_owned(), value.json_at(depth + 1, left)))
                });
                Json::Object(entries.collect())
            }
            Value::Bytes(b) => Json::String(b.iter().map(|byte| format!("{byte:02x}")).collect()),
        }
    }
}

/// The `KeyValue`s among a message's fields, in order: (key bytes, value). Entries that can't be
/// read are passed over; a broken frame ends the list.
#[derive(Debug, Clone)]
pub struct Attributes<'a> {
    fields: Fields<'a>,
    /// One byte: the number of the field, and wire type 2.
    tag: u8,
}

impl<'a> Attributes<'a> {
    /// Field `number`, at most 15, of the message `body` is the repeated `KeyValue`.
    pub fn new(body: &'a [u8], number: u8) -> Self {
        Self {
            fields: Fields::new(body),
            tag: number << 3 | 2,
        }
    }

    /// No attributes.
    pub fn empty() -> Self {
        Self::new(&[], 1)
    }
}

impl<'a> Iterator for Attributes<'a> {
    type Item = (&'a [u8], Value<'a>);

    fn next(&mut self) -> Option<Self::Item> {
        self.read()
    }
}

impl<'a> Attributes<'a> {
    /// The next entry, for the loop that sees most of them.
    #[inline(always)]
    pub fn read(&mut self) -> Option<(&'a [u8], Value<'a>)> {
        loop {
            let body = match self.fields.tagged(self.tag) {
                Some(body) => body,
                None => match self.fields.next()?.ok()? {
                    (number, Wire::Bytes(body)) if number == u32::from(self.tag >> 3) => body,
                    _ => continue,
                },
            };
            if let Some(pair) = key_value(body) {
                return Some(pair);
            }
        }
    }
}

/// What a length of one byte or two announces, if it is all that is left.
#[inline]
fn whole(rest: &[u8]) -> Option<&[u8]> {
    match *rest {
        [len @ ..0x80, ref rest @ ..] => (usize::from(len) == rest.len()).then_some(rest),
        [low, high @ ..0x80, ref rest @ ..] => {
            let len = usize::from(low & 0x7f) | usize::from(high) << 7;
            (len == rest.len()).then_some(rest)
        }
        _ => None,
    }
}

#[inline]
fn key_value(body: &[u8]) -> Option<(&[u8], Value<'_>)> {
    // The key, then the value, and nothing else, as every SDK writes them.
    if let [0x0a, len @ 1..0x80, rest @ ..] = body
        && let Some((key, [0x12, rest @ ..])) = rest.split_at_checked(usize::from(*len))
        && let Some(value) = whole(rest)
    {
        return Some((key, Value::parse(value)?));
    }
    any_key_value(body)
}

#[inline(never)]
fn any_key_value(body: &[u8]) -> Option<(&[u8], Value<'_>)> {
    let (mut key, mut value): (&[u8], _) = (&[], Value::Empty);
    for field in Fields::new(body) {
        match field.ok()? {
            (1, Wire::Bytes(b)) => key = b,
            (2, Wire::Bytes(b)) => value = Value::parse(b)?,
            (1 | 2, _) => return None,
            _ => {}
        }
    }
    (!key.is_empty()).then_some((key, value))
}

#[cfg(test)]
mod tests {
    use super::*;
    use opentelemetry_proto::tonic::common::v1::{AnyValue, KeyValue, any_value};
    use prost::Message;

    #[test]
    fn no_more_values_become_json_than_memory_has_room_for() {
        let wide = [0x0a, 0].repeat(MOST_VALUES * 2);
        let json = Value::Array(&wide).to_json();
        assert_eq!(json.as_array().map(Vec::len), Some(MOST_VALUES));
    }

    #[test]
    fn text_is_clean_for_both_stores() {
        assert!(matches!(text(b"plain"), Cow::Borrowed("plain")));
        assert_eq!(text(b"a\0b\xff"), "a\u{FFFD}b\u{FFFD}");
        assert_eq!((utf8(b"a\0\xc3\xa4"), utf8(b"\xff")), (Some("a\0ä"), None));
    }

    #[test]
    fn values_read_as_prost_wrote_them() {
        let value = AnyValue {
            value: Some(any_value::Value::KvlistValue(
                opentelemetry_proto::tonic::common::v1::KeyValueList {
                    values: vec![KeyValue {
                        key: "k".into(),
                        value: Some(AnyValue {
                            value: Some(any_value::Value::IntValue(-5)),
                        }),
                        ..Default::default()
                    }],
                },
            )),
        };
        let bytes = value.encode_to_vec();
        assert_eq!(
            Value::parse(&bytes).unwrap().to_json(),
            serde_json::json!({"k": -5})
        );
    }

    #[test]
    fn the_usual_form_is_read_as_any_form_is() {
        let value = |any| AnyValue { value: Some(any) };
        let text = |len| any_value::Value::StringValue("x".repeat(len));
        let mut bodies: Vec<Vec<u8>> = [0, 1, 5, 127, 128, 129, 300, 16_383, 16_384, 70_000]
            .map(|len| value(text(len)).encode_to_vec())
            .into();
        bodies.extend(
            [0, 1, 127, 128, -1, i64::MAX]
                .map(|int| value(any_value::Value::IntValue(int)).encode_to_vec()),
        );
        bodies.push(value(any_value::Value::BoolValue(true)).encode_to_vec());
        bodies.push(value(any_value::Value::DoubleValue(0.5)).encode_to_vec());
        bodies.push(
            [
                value(text(3)).encode_to_vec(),
                value(text(4)).encode_to_vec(),
            ]
            .concat(),
        );
        for valid in &bodies {
            for cut in valid.len().saturating_sub(5)..=valid.len() {
                let body = &valid[..cut];
                assert_eq!(Value::parse(body), Value::parse_any(body), "{body:02x?}");
                for key in ["", "k", "a.longer.key", &"k".repeat(127), &"k".repeat(128)] {
                    let mut pair = KeyValue {
                        key: key.to_owned(),
                        ..Default::default()
                    }
                    .encode_to_vec();
                    prost::encoding::encode_key(
                        2,
                        prost::encoding::WireType::LengthDelimited,
                        &mut pair,
                    );
                    prost::encoding::encode_varint(body.len() as u64, &mut pair);
                    pair.extend_from_slice(body);
                    assert_eq!(key_value(&pair), any_key_value(&pair), "{pair:02x?}");
                    pair.push(0x0a);
                    assert_eq!(key_value(&pair), any_key_value(&pair), "{pair:02x?}");
                }
            }
        }
    }

    #[test]
    fn nesting_is_bounded() {
        let mut value = AnyValue {
            value: Some(any_value::Value::IntValue(1)),
        };
        for _ in 0..2000 {
            value = AnyValue {
                value: Some(any_value::Value::ArrayValue(
                    opentelemetry_proto::tonic::common::v1::ArrayValue {
                        values: vec![value],
                    },
                )),
            };
        }
        let bytes = value.encode_to_vec();
        let json = Value::parse(&bytes).unwrap().to_json().to_string();
        assert!(json.len() < 200, "{json}");
        std::mem::forget(value); // its own recursive drop is not what is tested
    }
}
