//! OTLP/JSON to the same protobuf bytes: one encoding in the spool, one reader after it.
//!
//! One pass, without a tree: a value is written when it is read, so a request takes its own bytes,
//! those of the protobuf, and nothing else.
//!
//! Tolerant on purpose, because senders are many: `null` means unset; keys in lowerCamelCase or
//! snake_case; ids as hex of either case, or base64; enums as numbers or names; 64-bit integers as
//! strings, numbers or `{low, high}` objects; doubles as numbers, numeric text, "NaN" or
//! "Infinity"; unknown keys are passed over (OTLP says so); half a surrogate pair is U+FFFD. A field
//! that can't be read is left out and costs nothing but itself; a span without a readable id is for
//! the receiver to refuse alone.
//!
//! A key that stands twice in an object means what its field does twice in protobuf: of single
//! values the last holds, and lists are joined, so that nothing sent is lost.
//!
//! | file | what |
//! |---|---|
//! | `read` | JSON text, read in place |
//! | `scalar` | single values as senders spell them |
//! | `schema` | the messages of OTLP |
//! | `write` | protobuf, appended |

mod read;
mod scalar;
mod schema;
mod write;

#[cfg(test)]
mod tests;

use read::{Broken, Reader, Text as JsonText, Token};
use schema::{
    LOGS, METRICS, Schema, TRACES,
    Type::{self, Base64, Bool, Double, Enum, Fixed64, Id, Message, Text, Varint},
};
use write::Writer;

use super::Signal;

/// Why a body can't be taken as OTLP/JSON.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    /// Not JSON at all, or nested too deeply. Line and column count from 1, the column in bytes.
    #[error("not JSON: {what} at line {line} column {column}")]
    #[allow(missing_docs, reason = "named in the line above")]
    Syntax {
        what: &'static str,
        line: usize,
        column: usize,
    },
    /// JSON, but no request.
    #[error("expected an object with {0:?}")]
    NoRequest(&'static str),
    /// Short numbers take more bytes in protobuf than in JSON.
    #[error("it takes more than {0} bytes as protobuf")]
    TooLarge(usize),
}

/// The protobuf bytes of an OTLP/JSON request body: `max_bytes` of them at most.
pub fn to_protobuf(signal: Signal, body: &[u8], max_bytes: usize) -> Result<Vec<u8>, Error> {
    let body = body.strip_prefix(b"\xef\xbb\xbf").unwrap_or(body);
    let text = std::str::from_utf8(body)
        .map_err(|error| syntax(body, error.valid_up_to(), "a byte that is not UTF-8"))?;
    let (schema, key) = match signal {
        Signal::Traces => (TRACES, "resourceSpans"),
        Signal::Logs => (LOGS, "resourceLogs"),
        Signal::Metrics => (METRICS, "resourceMetrics"),
    };
    let mut transcoder = Transcoder {
        from: Reader::new(text),
        to: Writer {
            // Nearly always enough, and pages that are not written take no memory.
            out: Vec::with_capacity(body.len().min(max_bytes)),
        },
        max_bytes,
    };
    match transcoder.request(schema) {
        Ok(true) => Ok(transcoder.to.out),
        Ok(false) => Err(Error::NoRequest(key)),
        Err(Broken) if transcoder.to.out.len() > max_bytes => Err(Error::TooLarge(max_bytes)),
        Err(Broken) => {
            let reader = transcoder.from;
            Err(syntax(body, reader.position(), reader.what()))
        }
    }
}

#[cold]
fn syntax(body: &[u8], at: usize, what: &'static str) -> Error {
    let before = body.get(..at).unwrap_or(body);
    let line_start = memchr::memrchr(b'\n', before).map_or(0, |newline| newline + 1);
    Error::Syntax {
        what,
        line: memchr::memchr_iter(b'\n', before).count() + 1,
        column: before.len() - line_start + 1,
    }
}

struct Transcoder<'a> {
    from: Reader<'a>,
    to: Writer,
    max_bytes: usize,
}

impl<'a> Transcoder<'a> {
    /// The whole text. False if it is JSON, but no request: neither empty nor with the one key.
    fn request(&mut self, schema: Schema) -> Result<bool, Broken> {
        let token = self.from.value()?;
        let mut is_request = false;
        if matches!(token, Token::Object) {
            let keys = self.message(schema)?;
            is_request = keys.known > 0 || keys.unknown == 0;
        } else {
            self.from.skip(token)?;
        }
        self.from.end()?;
        Ok(is_request)
    }

    /// The members of an object, its begin read already.
    fn message(&mut self, schema: Schema) -> Result<Keys, Broken> {
        let mut keys = Keys::default();
        let mut is_first = true;
        while let Some(key) = self.from.key(&mut is_first)? {
            let value = self.from.value()?;
            let Some((_, number, kind)) = find(schema, key) else {
                keys.unknown += 1;
                self.from.skip(value)?;
                continue;
            };
            keys.known += 1;
            if !matches!(value, Token::Array) {
                self.field(*number, *kind, value)?;
                continue;
            }
            // Repeated fields are never packed here; readers must take both.
            let mut is_first = true;
            while self.from.item(&mut is_first)? {
                let item = self.from.value()?;
                self.field(*number, *kind, item)?;
            }
        }
        Ok(keys)
    }

    fn field(&mut self, number: u32, kind: Type, value: Token<'a>) -> Result<(), Broken> {
        match (kind, value) {
            (_, Token::Null) => {}
            (Message(schema), Token::Object) => {
                let open = self.to.open(number, 0);
                self.message(schema())?;
                self.to.close(open);
            }
            (Varint | Enum(_), Token::Object) => {
                if let Some(n) = self.halves()? {
                    self.to.varint(number, n as u64);
                }
            }
            (Fixed64, Token::Object) => {
                if let Some(n) = self.halves()? {
                    self.to.fixed64(number, n.to_le_bytes());
                }
            }
            (_, Token::Object | Token::Array) => self.from.skip(value)?,
            (Text, Token::Text(text)) => self.to.text(number, text),
            (Text, Token::Number(digits)) => self.to.bytes(number, digits.as_bytes()),
            (Id(_) | Base64, Token::Number(_)) => {}
            (_, Token::Text(text)) => self.single(number, kind, &text.read()),
            (_, Token::Number(digits)) => self.single(number, kind, digits),
            (Bool, Token::Bool(flag)) => self.to.varint(number, u64::from(flag)),
            (Text, Token::Bool(flag)) => self.to.bytes(number, flag.to_string().as_bytes()),
            (_, Token::Bool(_)) => {}
        }
        if self.to.out.len() > self.max_bytes {
            return Err(self.from.fail("it grows beyond its limit"));
        }
        Ok(())
    }

    /// A value that was written as a string or a number.
    fn single(&mut self, number: u32, kind: Type, text: &str) {
        match kind {
            Id(len) => {
                let id = scalar::id(text, len);
                if let Some(bytes) = id.as_ref().and_then(|id| id.get(..len)) {
                    self.to.bytes(number, bytes);
                }
            }
            Base64 => {
                if let Some(bytes) = scalar::base64(text.as_bytes()) {
                    self.to.bytes(number, &bytes);
                }
            }
            Varint => {
                if let Some(n) = scalar::integer(text) {
                    self.to.varint(number, n as u64);
                }
            }
            Fixed64 => {
                if let Some(n) = scalar::integer(text) {
                    self.to.fixed64(number, n.to_le_bytes());
                }
            }
            Double => {
                if let Some(n) = scalar::double(text) {
                    self.to.fixed64(number, n.to_le_bytes());
                }
            }
            Bool => {
                if let Some(flag) = scalar::flag(text) {
                    self.to.varint(number, u64::from(flag));
                }
            }
            Enum(names) => {
                let named = names.iter().position(|name| *name == text);
                let n = named.map(|n| n as i64).or_else(|| scalar::integer(text));
                if let Some(n) = n {
                    self.to.varint(number, n as u64);
                }
            }
            Text | Message(_) => {}
        }
    }

    /// `{low, high}`, its begin read already: what JavaScript without big integers makes of them.
    fn halves(&mut self) -> Result<Option<i64>, Broken> {
        let (mut low, mut high) = (None, None);
        let mut is_first = true;
        while let Some(key) = self.from.key(&mut is_first)? {
            let half = match self.from.value()? {
                Token::Number(digits) => digits.parse::<i64>().ok(),
                other => {
                    self.from.skip(other)?;
                    None
                }
            };
            match &*key.read() {
                "low" => low = half,
                "high" => high = half,
                _ => {}
            }
        }
        Ok(high
            .zip(low)
            .map(|(high, low)| high << 32 | low & 0xffff_ffff))
    }
}

/// How many keys of an object its schema has.
#[derive(Default)]
struct Keys {
    known: usize,
    unknown: usize,
}

/// The field of a key: by its own name, or by that but for underscores and case.
fn find(schema: Schema, key: JsonText<'_>) -> Option<&'static (&'static str, u32, Type)> {
    let exact = |key: &str| schema.iter().find(|(name, ..)| *name == key);
    match key.plain() {
        Some(key) => exact(key).or_else(|| find_tolerant(schema, key)),
        None => {
            let key = key.read();
            exact(&key).or_else(|| find_tolerant(schema, &key))
        }
    }
}

#[cold]
fn find_tolerant(schema: Schema, key: &str) -> Option<&'static (&'static str, u32, Type)> {
    if !key.contains('_') {
        return None;
    }
    let plain = || key.bytes().filter(|byte| *byte != b'_');
    schema.iter().find(|(name, ..)| {
        let same = |(a, b): (u8, u8)| a.eq_ignore_ascii_case(&b);
        plain().count() == name.len() && plain().zip(name.bytes()).all(same)
    })
}
