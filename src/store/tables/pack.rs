//! Rows of one table, packed: what COPY BINARY takes of each, one after the other.
//!
//! A row is encoded as soon as it is complete, and its record let go: a batch of records is several
//! times as large, and all of it would be read again from far away. Postgres takes the bytes as
//! they are; SQLite and dead letters read the fields back.
//!
//! Format: postgresql.org/docs/current/sql-copy.html, "Binary Format"; the types' own forms:
//! numeric, timestamptz and jsonb as their `_recv` functions read them.

use super::{
    Table, numeric, rfc3339,
    row::{EPOCH_MICROS, Kind, Row},
};

/// About this much is sent to the server at once.
const CHUNK_BYTES: usize = 128 * 1024;
/// What a chunk takes: the row that fills it may be a large one.
const CHUNK_ROOM: usize = 160 * 1024;

/// Rows of one table.
#[derive(Debug, Clone)]
pub(in crate::store) struct Packed {
    /// The table's name.
    pub name: &'static str,
    columns: &'static [(&'static str, Kind)],
    /// Whole rows; none is cut between two chunks.
    chunks: Vec<Vec<u8>>,
    /// Chunk, start and end of each row.
    rows: Vec<(usize, usize, usize)>,
    /// Empty chunks of earlier rows.
    spare: Vec<Vec<u8>>,
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
            columns: table.columns,
            chunks: Vec::new(),
            rows: Vec::new(),
            spare: Vec::new(),
        }
    }

    /// Lets all rows go, and keeps what memory they took for those to come: as fresh memory, each page
    /// of it would cost the kernel more than the rows cost us. What they did not take goes, so that
    /// batches of ever other tables don't add up.
    pub fn clear(&mut self) {
        self.rows.clear();
        self.spare.clear();
        for mut chunk in self.chunks.drain(..) {
            chunk.clear();
            if chunk.capacity() <= CHUNK_ROOM {
                self.spare.push(chunk);
            }
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
            let room = if self.chunks.is_empty() {
                CHUNK_ROOM / 10
            } else {
                CHUNK_ROOM
            };
            let spare = self.spare.pop();
            self.chunks
                .push(spare.unwrap_or_else(|| Vec::with_capacity(room)));
        }
        let place = self.chunks.len() - 1;
        let Some(out) = self.chunks.last_mut() else {
            return;
        };
        let start = out.len();
        let width = i16::try_from(table.columns.len()).unwrap_or(i16::MAX);
        out.extend_from_slice(&width.to_be_bytes());
        (table.put)(row, &mut Row(out));
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
        let names: Vec<_> = self.columns.iter().map(|(name, _)| *name).collect();
        names.join(", ")
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
        self.columns.iter().map_while(move |(_, kind)| {
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
        let columns = self.columns.iter().map(|(name, _)| (*name).to_owned());
        serde_json::Value::Object(columns.zip(fields).collect())
    }
}

/// What [`Row`] put. `None` for anything else.
fn decode(kind: Kind, bytes: &[u8]) -> Option<Field<'_>> {
    let eight = || bytes.try_into().map(i64::from_be_bytes).ok();
    Some(match kind {
        Kind::Text => Field::Text(std::str::from_utf8(bytes).ok()?),
        Kind::Int => Field::Int(eight()?),
        Kind::Float => Field::Float(f64::from_be_bytes(bytes.try_into().ok()?)),
        Kind::Bool => Field::Bool(bytes == [1]),
        Kind::Time => Field::Time((eight()? + EPOCH_MICROS).saturating_mul(1000)),
        Kind::Money => Field::Float(numeric::read(bytes)?),
        Kind::Json => Field::Json(std::str::from_utf8(bytes.get(1..)?).ok()?),
    })
}

#[cfg(test)]
mod tests {
    use super::{super::table, *};
    use crate::record::{SpanId, SpanKey, TraceId};

    #[derive(Default)]
    pub struct Thing {
        text: Option<String>,
        word: Option<&'static str>,
        int: Option<i64>,
        float: Option<f64>,
        flag: Option<bool>,
        time: Option<i64>,
        usd: Option<f64>,
        json: Option<String>,
        trace: TraceId,
        span: Option<SpanId>,
    }

    table! { "things", Thing, |r|
        trace: trace = r.trace,
        text: text = r.text.as_deref(),
        word: word = r.word,
        int: int = r.int,
        float: float = r.float,
        flag: flag = r.flag,
        at: time = r.time,
        usd: money = r.usd,
        object: json = r.json.clone(),
        span: span = r.span,
        key: key = r.span.map(|span_id| SpanKey { trace_id: r.trace, span_id }),
        never: int = None,
    }

    fn only(thing: &Thing) -> Packed {
        let mut packed = Packed::new(&TABLE);
        packed.push(&TABLE, thing);
        packed
    }

    #[test]
    fn rows_are_read_back() {
        let thing = |n: i64| Thing {
            text: Some("ä".repeat(n as usize * 7 % 3000)),
            word: Some("word"),
            int: Some(-n),
            float: Some(n as f64 / 7.0),
            flag: Some(n % 2 == 0),
            time: Some(i64::MAX - n),
            usd: Some(n as f64 / 1e7),
            json: Some(format!("{{\"n\":{n}}}")),
            trace: TraceId((n as u128 + 1).to_be_bytes()),
            span: Some(SpanId((n as u64 + 1).to_be_bytes())),
        };
        let mut packed = only(&Thing::default());
        for n in 1..300 {
            packed.push(&TABLE, &thing(n));
        }
        assert_eq!((packed.len(), packed.width()), (300, 12));
        assert!(packed.chunks().count() > 1);
        let all: Vec<u8> = (0..300).flat_map(|n| packed.row(n).to_vec()).collect();
        assert_eq!(packed.chunks().flatten().copied().collect::<Vec<u8>>(), all);
        assert!(packed.fields(0).skip(1).all(|field| field == Field::Null));
        for n in 1..300i64 {
            let thing = thing(n);
            let (trace, span) = (thing.trace.to_string(), thing.span.unwrap().to_string());
            assert_eq!(
                packed.fields(n as usize).collect::<Vec<_>>(),
                [
                    Field::Text(&trace),
                    Field::Text(thing.text.as_deref().unwrap()),
                    Field::Text("word"),
                    Field::Int(-n),
                    Field::Float(n as f64 / 7.0),
                    Field::Bool(n % 2 == 0),
                    Field::Time((i64::MAX - n).div_euclid(1000) * 1000),
                    Field::Float(n as f64 / 1e7),
                    Field::Json(thing.json.as_deref().unwrap()),
                    Field::Text(&span),
                    Field::Text(&format!("{trace}-{span}")),
                    Field::Null,
                ]
            );
        }
        assert_eq!(packed.row(300), b"");

        // What is left of them holds nothing of theirs.
        packed.clear();
        assert!(packed.is_empty() && packed.chunks().next().is_none());
        packed.push(&TABLE, &thing(7));
        assert_eq!((packed.len(), packed.row(0)), (1, only(&thing(7)).row(0)));
        assert!(packed.chunks().eq([packed.row(0)]));
        // Nor does what was of use once stay for ever.
        packed.clear();
        assert_eq!(packed.spare.len(), 1);
    }

    #[test]
    fn text_is_clean_and_numbers_are_finite() {
        let hostile = Thing {
            text: Some("a\0b".into()),
            float: Some(f64::NAN),
            usd: Some(f64::INFINITY),
            json: Some(serde_json::json!({"k\0": ["\0", {"x": "\0"}]}).to_string()),
            ..Thing::default()
        };
        let row = only(&hostile).to_json(0);
        assert_eq!(row["text"], "a\u{FFFD}b");
        assert_eq!(row["float"], serde_json::Value::Null);
        assert_eq!(row["usd"], serde_json::Value::Null);
        let clean = serde_json::json!({"k\u{FFFD}": ["\u{FFFD}", {"x": "\u{FFFD}"}]});
        assert_eq!(row["object"], clean);

        let zero = Thing {
            float: Some(-0.0),
            json: Some("\\u0000".into()),
            ..Thing::default()
        };
        let zero = only(&zero);
        let fields: Vec<_> = zero.fields(0).collect();
        assert!(matches!(fields[4], Field::Float(zero) if zero.is_sign_positive()));
        assert_eq!(fields[8], Field::Null);
    }
}
