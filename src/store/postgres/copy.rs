//! Rows as COPY BINARY. Format: postgresql.org/docs/current/sql-copy.html, "Binary Format"; the
//! types' own forms: numeric, timestamptz and jsonb as their `_recv` functions read them.

use std::io::Write as _;

use sqlx::{AssertSqlSafe, PgConnection};

use crate::store::{
    Error,
    tables::{Cell, Table},
};

const SIGNATURE: &[u8] = b"PGCOPY\n\xff\r\n\0\0\0\0\0\0\0\0\0";
const END: i16 = -1;
/// 2000-01-01 in Unix microseconds.
const EPOCH_MICROS: i64 = 946_684_800_000_000;

/// What is sent at once: the server works on it while the next rows are encoded.
const CHUNK_BYTES: usize = 128 * 1024;

/// Copies rows into `target`, which has the table's columns; says how many.
pub(super) async fn copy<R>(
    connection: &mut PgConnection,
    target: &str,
    table: &Table<R>,
    rows: &[&R],
) -> Result<u64, Error> {
    let columns = table.column_list();
    let statement = format!("COPY {target} ({columns}) FROM STDIN (FORMAT binary)");
    let AssertSqlSafe(statement) = AssertSqlSafe(statement);
    let mut copy = connection.copy_in_raw(&statement).await?;
    let mut out = Vec::with_capacity(CHUNK_BYTES + CHUNK_BYTES / 4);
    out.extend_from_slice(SIGNATURE);
    for row in rows {
        encode(&mut out, table, row);
        if out.len() >= CHUNK_BYTES {
            copy.send(out.as_slice()).await?;
            out.clear();
        }
    }
    out.extend_from_slice(&END.to_be_bytes());
    copy.send(out.as_slice()).await?;
    Ok(copy.finish().await?)
}

/// Everything that [`copy`] sends of these rows.
pub(super) fn stream<R>(table: &Table<R>, rows: &[&R]) -> Vec<u8> {
    let mut out = SIGNATURE.to_vec();
    for row in rows {
        encode(&mut out, table, row);
    }
    out.extend_from_slice(&END.to_be_bytes());
    out
}

/// A row: the number of its fields, then each.
fn encode<R>(out: &mut Vec<u8>, table: &Table<R>, row: &R) {
    let width = i16::try_from(table.columns.len()).unwrap_or(i16::MAX);
    out.extend_from_slice(&width.to_be_bytes());
    for column in table.columns {
        field(out, &(column.cell)(row));
    }
}

/// A field: its length, then its bytes.
fn field(out: &mut Vec<u8>, cell: &Cell<'_>) {
    match cell {
        Cell::Null => out.extend_from_slice(&(-1i32).to_be_bytes()),
        Cell::Text(text) => bytes(out, text.as_bytes()),
        Cell::Int(int) => fixed(out, int.to_be_bytes()),
        Cell::Float(float) => fixed(out, float.to_be_bytes()),
        Cell::Bool(flag) => fixed(out, [u8::from(*flag)]),
        Cell::Time(ns) => {
            let micros = ns.div_euclid(1000) - EPOCH_MICROS;
            fixed(out, micros.to_be_bytes());
        }
        Cell::Money(usd) => numeric(out, *usd),
        Cell::Json(json) => {
            length(out, json.len() + 1);
            out.push(1);
            out.extend_from_slice(json.as_bytes());
        }
        Cell::Trace(id) => fixed(out, id.hex()),
        Cell::Span(id) => fixed(out, id.hex()),
        Cell::Key(key) => {
            let (trace_id, span_id) = (key.trace_id.hex(), key.span_id.hex());
            length(out, trace_id.len() + 1 + span_id.len());
            out.extend_from_slice(&trace_id);
            out.push(b'-');
            out.extend_from_slice(&span_id);
        }
    }
}

#[inline]
fn length(out: &mut Vec<u8>, bytes: usize) {
    out.reserve(4 + bytes);
    let bytes = i32::try_from(bytes).unwrap_or(i32::MAX);
    out.extend_from_slice(&bytes.to_be_bytes());
}

#[inline]
fn fixed<const N: usize>(out: &mut Vec<u8>, value: [u8; N]) {
    length(out, N);
    out.extend_from_slice(&value);
}

#[inline]
fn bytes(out: &mut Vec<u8>, value: &[u8]) {
    length(out, value.len());
    out.extend_from_slice(value);
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

#[cfg(test)]
mod tests {
    use super::*;

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
}
