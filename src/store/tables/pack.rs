//! Rows of one table, packed: what COPY BINARY takes of each, one after the other.
//!
//! A row is encoded as soon as it is complete, and its record let go: a batch of records is several
//! times as large, and all of it would be read again from far away. Postgres takes the bytes as
//! they are; SQLite and dead letters read the fields back.
//!
//! Format: postgresql.org/docs/current/sql-copy.html, "Binary Format"; the types' own forms:
//! numeric, timestamptz and jsonb as their `_recv` functions read them.

use std::{fmt::Write as _, io::Write as _};

use super::{Cell, Table, rfc3339};

/// 2000-01-01 in Unix microseconds.
const EPOCH_MICROS: i64 = 946_684_800_000_000;
/// About this much is sent to the server at once.
const CHUNK_BYTES: usize = 128 * 1024;

/// The length of a field that is NULL.
const NULL: [u8; 4] = (-1i32).to_be_bytes();

/// Rows of one table.
#[derive(Debug, Clone)]
pub(in crate::store) struct Packed {
    /// The table's name.
    pub name: &'static str,
    columns: Vec<&'static str>,
    /// What each column holds, as far as any row had a value.
    kinds: Vec<Kind>,
    /// Whole rows; none is cut between two chunks.
    chunks: Vec<Vec<u8>>,
    /// Chunk, start and end of each row.
    rows: Vec<(usize, usize, usize)>,
}

/// How a column's bytes are read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    Unknown,
    Text,
    Int,
    Float,
    Bool,
    Time,
    Money,
    Json,
}

/// A field that is read back.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(in crate::store) enum Field<'a> {
    Null,
    Text(&'a str),
    Int(i64),
    Float(f64),
    Bool(bool),
    /// Unix ns, of whole microseconds.
    Time(i64),
    Json(&'a str),
}

impl Packed {
    /// No rows of a table.
    pub fn new<R>(table: &Table<R>) -> Self {
        Self {
            name: table.name,
            columns: table.columns.iter().map(|column| column.name).collect(),
            kinds: vec![Kind::Unknown; table.columns.len()],
            chunks: Vec::new(),
            rows: Vec::new(),
        }
    }

    /// Adds a row of the same table.
    pub fn push<R>(&mut self, table: &Table<R>, row: &R) {
        if self
            .chunks
            .last()
            .is_none_or(|last| last.len() >= CHUNK_BYTES)
        {
            // A small batch should not take a whole chunk.
            let room = if self.chunks.is_empty() { 16 } else { 160 };
            self.chunks.push(Vec::with_capacity(room * 1024));
        }
        let place = self.chunks.len() - 1;
        let Some(out) = self.chunks.last_mut() else {
            return;
        };
        let start = out.len();
        let width = i16::try_from(table.columns.len()).unwrap_or(i16::MAX);
        out.extend_from_slice(&width.to_be_bytes());
        for (column, kind) in table.columns.iter().zip(&mut self.kinds) {
            match (column.cell)(row) {
                // Most columns of most rows.
                Cell::Null => out.extend_from_slice(&NULL),
                cell => *kind = encode(out, cell),
            }
        }
        self.rows.push((place, start, out.len()));
    }

    /// How many rows.
    pub fn len(&self) -> usize {
        self.rows.len()
    }

    /// True if there is none.
    pub fn is_empty(&self) -> bool {
        self.rows.is_empty()
    }

    /// How many columns.
    pub fn width(&self) -> usize {
        self.columns.len()
    }

    /// `a, b, c`
    pub fn column_list(&self) -> String {
        self.columns.join(", ")
    }

    /// All rows, in pieces of whole rows.
    pub fn chunks(&self) -> impl Iterator<Item = &[u8]> {
        self.chunks.iter().map(Vec::as_slice)
    }

    /// The bytes of a row; nothing of a row that isn't there.
    pub fn row(&self, number: usize) -> &[u8] {
        self.rows
            .get(number)
            .and_then(|&(chunk, start, end)| self.chunks.get(chunk)?.get(start..end))
            .unwrap_or_default()
    }

    /// The fields of a row, in the order of the columns.
    pub fn fields(&self, number: usize) -> impl Iterator<Item = Field<'_>> {
        let mut rest = self.row(number).get(2..).unwrap_or_default();
        self.kinds.iter().map_while(move |kind| {
            let (length, after) = rest.split_first_chunk()?;
            let (field, after) = match usize::try_from(i32::from_be_bytes(*length)) {
                Ok(length) => {
                    let (bytes, after) = after.split_at_checked(length)?;
                    (decode(*kind, bytes)?, after)
                }
                Err(_) => (Field::Null, after),
            };
            rest = after;
            Some(field)
        })
    }

    /// A row as JSON, for dead letters.
    pub fn to_json(&self, number: usize) -> serde_json::Value {
        let fields = self.fields(number).map(|field| match field {
            Field::Null => serde_json::Value::Null,
            Field::Text(text) => text.into(),
            Field::Int(int) => int.into(),
            Field::Float(float) => float.into(),
            Field::Bool(flag) => flag.into(),
            Field::Time(ns) => rfc3339(ns).into(),
            Field::Json(json) => serde_json::from_str(json).unwrap_or_default(),
        });
        let columns = self.columns.iter().map(|name| (*name).to_owned());
        serde_json::Value::Object(columns.zip(fields).collect())
    }
}

/// A field: its length, then its bytes.
fn encode(out: &mut Vec<u8>, cell: Cell<'_>) -> Kind {
    match cell {
        Cell::Null => {
            out.extend_from_slice(&NULL);
            Kind::Unknown
        }
        Cell::Text(text) => {
            length(out, text.len());
            out.extend_from_slice(text.as_bytes());
            Kind::Text
        }
        Cell::Int(int) => {
            eight(out, int.to_be_bytes());
            Kind::Int
        }
        Cell::Float(float) => {
            eight(out, float.to_be_bytes());
            Kind::Float
        }
        Cell::Bool(flag) => {
            out.extend_from_slice(&[0, 0, 0, 1, u8::from(flag)]);
            Kind::Bool
        }
        Cell::Time(ns) => {
            let micros = ns.div_euclid(1000) - EPOCH_MICROS;
            eight(out, micros.to_be_bytes());
            Kind::Time
        }
        Cell::Money(usd) => {
            numeric(out, usd);
            Kind::Money
        }
        Cell::Json(json) => {
            length(out, json.len() + 1);
            out.push(1);
            out.extend_from_slice(json.as_bytes());
            Kind::Json
        }
        Cell::Trace(id) => {
            length(out, 32);
            out.extend_from_slice(&id.hex());
            Kind::Text
        }
        Cell::Span(id) => {
            length(out, 16);
            out.extend_from_slice(&id.hex());
            Kind::Text
        }
        Cell::Key(key) => {
            length(out, 49);
            out.extend_from_slice(&key.trace_id.hex());
            out.push(b'-');
            out.extend_from_slice(&key.span_id.hex());
            Kind::Text
        }
    }
}

/// What [`encode`] wrote. `None` for anything else.
fn decode(kind: Kind, bytes: &[u8]) -> Option<Field<'_>> {
    let eight = || bytes.try_into().map(i64::from_be_bytes).ok();
    Some(match kind {
        Kind::Unknown => return None,
        Kind::Text => Field::Text(std::str::from_utf8(bytes).ok()?),
        Kind::Int => Field::Int(eight()?),
        Kind::Float => Field::Float(f64::from_be_bytes(bytes.try_into().ok()?)),
        Kind::Bool => Field::Bool(bytes == [1]),
        Kind::Time => Field::Time((eight()? + EPOCH_MICROS).saturating_mul(1000)),
        Kind::Money => Field::Float(number(bytes)?),
        Kind::Json => Field::Json(std::str::from_utf8(bytes.get(1..)?).ok()?),
    })
}

#[inline]
fn length(out: &mut Vec<u8>, bytes: usize) {
    let bytes = i32::try_from(bytes).unwrap_or(i32::MAX);
    out.extend_from_slice(&bytes.to_be_bytes());
}

/// One piece: a place for it is made once.
#[inline]
fn eight(out: &mut Vec<u8>, value: [u8; 8]) {
    let [a, b, c, d, e, f, g, h] = value;
    out.extend_from_slice(&[0, 0, 0, 8, a, b, c, d, e, f, g, h]);
}

/// Digits of a double without an exponent: 309 before the point, or 326 in all below one.
const LONGEST_DECIMAL: usize = 400;

/// numeric: ndigits, weight, sign, dscale, then base-10,000 digits. The decimal is the shortest
/// one that reads back as the same double.
fn numeric(out: &mut Vec<u8>, usd: f64) {
    let mut text = [0; LONGEST_DECIMAL];
    let mut rest = text.as_mut_slice();
    // It fits, so it can't fail.
    let _ = write!(rest, "{}", usd.abs());
    let length = LONGEST_DECIMAL - rest.len();
    let text = text.get(..length).unwrap_or_default();
    let point = memchr::memchr(b'.', text).unwrap_or(length);
    let (whole, part) = text.split_at_checked(point).unwrap_or((text, &[]));
    let part = part.get(1..).unwrap_or_default();
    let lead = (4 - whole.len() % 4) % 4;
    let trail = (4 - part.len() % 4) % 4;
    let decimal = std::iter::repeat_n(&b'0', lead)
        .chain(whole)
        .chain(part)
        .chain(std::iter::repeat_n(&b'0', trail));

    // The length and the four fields before the digits are known after them.
    let header = out.len();
    out.extend_from_slice(&[0; 12]);
    let first = out.len();
    let mut weight = (whole.len() + lead) as i16 / 4 - 1;
    let mut digit = 0;
    for (i, byte) in decimal.enumerate() {
        digit = digit * 10 + i16::from(byte - b'0');
        if i % 4 < 3 {
            continue;
        }
        if digit == 0 && out.len() == first {
            weight -= 1;
        } else {
            out.extend_from_slice(&digit.to_be_bytes());
        }
        digit = 0;
    }
    while out.len() > first && out.ends_with(&[0, 0]) {
        out.truncate(out.len() - 2);
    }
    let digits = (out.len() - first) / 2;
    let (weight, sign): (i16, u16) = match digits {
        0 => (0, 0),
        _ if usd < 0.0 => (weight, 0x4000),
        _ => (weight, 0),
    };
    let length = (8 + 2 * digits) as u16;
    let part = part.len() as u16;
    let fields = [0, length, digits as u16, weight as u16, sign, part];
    if let Some(slot) = out.get_mut(header..first) {
        for (slot, field) in slot.chunks_exact_mut(2).zip(fields) {
            slot.copy_from_slice(&field.to_be_bytes());
        }
    }
}

/// The double that [`numeric`] wrote.
fn number(bytes: &[u8]) -> Option<f64> {
    let mut shorts = bytes
        .as_chunks()
        .0
        .iter()
        .map(|two| i16::from_be_bytes(*two));
    let (digits, weight, sign) = (shorts.next()?, shorts.next()?, shorts.next()?);
    let digits = usize::try_from(digits).ok()?;
    let mut text = if sign == 0 { "0" } else { "-0" }.to_owned();
    for digit in shorts.skip(1).take(digits) {
        // Nothing can fail that is written to a string.
        let _ = write!(text, "{digit:04}");
    }
    let exponent = 4 * (i64::from(weight) + 1 - i64::try_from(digits).ok()?);
    let _ = write!(text, "e{exponent}");
    text.parse().ok()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::{super::Column, *};
    use crate::record::TraceId;

    fn shorts(usd: f64) -> Vec<i16> {
        let mut out = Vec::new();
        numeric(&mut out, usd);
        assert_eq!(out[..4], (out.len() as u32 - 4).to_be_bytes());
        out[4..]
            .chunks(2)
            .map(|pair| i16::from_be_bytes([pair[0], pair[1]]))
            .collect()
    }

    #[test]
    fn money_in_numerics_own_form() {
        assert_eq!(shorts(0.0), [0, 0, 0, 0]);
        assert_eq!(shorts(1.5), [2, 0, 0, 1, 1, 5000]);
        assert_eq!(shorts(0.00021), [2, -1, 0, 5, 2, 1000]);
        assert_eq!(shorts(12345.0), [2, 1, 0, 0, 1, 2345]);
        assert_eq!(shorts(-0.5), [1, -1, 0x4000, 1, 5000]);
        assert_eq!(shorts(1e-7), [1, -2, 0, 7, 10]);
        assert_eq!(shorts(20_000.000_000_1)[..4], [4, 1, 0, 7]);
        assert_eq!(shorts(f64::MAX)[..4], [5, 77, 0, 0]);
        assert_eq!(shorts(f64::from_bits(1)), [1, -81, 0, 324, 5]);
    }

    proptest! {
        #![proptest_config(crate::property_tests(256))]

        #[test]
        fn money_is_read_back(usd in proptest::num::f64::NORMAL | proptest::num::f64::SUBNORMAL) {
            for usd in [usd, usd.abs() % 1e3, 0.0] {
                let mut out = Vec::new();
                numeric(&mut out, usd);
                prop_assert_eq!(number(&out[4..]), Some(usd));
            }
        }
    }

    #[test]
    fn rows_are_read_back() {
        type Row = Vec<Cell<'static>>;
        fn cell(row: &Row, at: usize) -> Cell<'_> {
            row[at].clone()
        }
        macro_rules! column {
            ($name:literal, $at:literal) => {
                Column {
                    name: $name,
                    cell: |row| cell(row, $at),
                }
            };
        }
        const TABLE: Table<Row> = Table {
            name: "things",
            columns: &[
                column!("text", 0),
                column!("int", 1),
                column!("float", 2),
                column!("flag", 3),
                column!("at", 4),
                column!("usd", 5),
                column!("object", 6),
                column!("trace", 7),
                column!("never", 8),
            ],
        };
        let row = |n: i64| -> Row {
            vec![
                Cell::Text("ä".repeat(n as usize * 7 % 3000).into()),
                Cell::Int(-n),
                Cell::Float(n as f64 / 7.0),
                Cell::Bool(n % 2 == 0),
                Cell::Time(i64::MAX - n),
                Cell::Money(n as f64 / 1e7),
                Cell::Json(format!("{{\"n\":{n}}}")),
                Cell::Trace(TraceId((n as u128 + 1).to_be_bytes())),
                Cell::Null,
            ]
        };
        let nothing: Row = vec![Cell::Null; 9];
        let mut packed = Packed::new(&TABLE);
        packed.push(&TABLE, &nothing);
        for n in 1..300 {
            packed.push(&TABLE, &row(n));
        }
        assert_eq!((packed.len(), packed.width()), (300, 9));
        assert!(packed.chunks().count() > 1);
        let all: Vec<u8> = (0..300).flat_map(|n| packed.row(n).to_vec()).collect();
        assert_eq!(packed.chunks().flatten().copied().collect::<Vec<u8>>(), all);
        assert!(packed.fields(0).all(|field| field == Field::Null));
        for n in 1..300i64 {
            let ns = (i64::MAX - n).div_euclid(1000) * 1000;
            let fields: Vec<Field<'_>> = packed.fields(n as usize).collect();
            let (text, json) = ("ä".repeat(n as usize * 7 % 3000), format!("{{\"n\":{n}}}"));
            let trace = TraceId((n as u128 + 1).to_be_bytes()).to_string();
            assert_eq!(
                fields,
                [
                    Field::Text(&text),
                    Field::Int(-n),
                    Field::Float(n as f64 / 7.0),
                    Field::Bool(n % 2 == 0),
                    Field::Time(ns),
                    Field::Float(n as f64 / 1e7),
                    Field::Json(&json),
                    Field::Text(&trace),
                    Field::Null,
                ]
            );
            assert_eq!(
                packed.to_json(n as usize)["object"],
                serde_json::json!({ "n": n })
            );
        }
    }
}
