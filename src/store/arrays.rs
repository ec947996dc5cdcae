//! Rows as JSON arrays, which statements take: as many arrays as keep each of them small.
//!
//! However many rows a batch has, they must not be in memory as text all at once, and Postgres takes
//! no array beyond 256 MiB: it would refuse the batch, again and again.

use serde_json::Value;

/// Rows of an array.
pub(super) const ROWS: usize = 2_000;
/// Bytes after which an array takes no more rows: they may be large.
pub(super) const BYTES: usize = 4 * 1024 * 1024;

/// The arrays, one after the other; none, if there are no rows.
pub(super) fn arrays(mut rows: impl Iterator<Item = Value>) -> impl Iterator<Item = String> {
    std::iter::from_fn(move || {
        let mut text = format!("[{}", rows.next()?);
        for _ in 1..ROWS {
            if text.len() >= BYTES {
                break;
            }
            let Some(row) = rows.next() else { break };
            text.push(',');
            text.push_str(&row.to_string());
        }
        text.push(']');
        Some(text)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lengths(rows: Vec<Value>) -> Vec<usize> {
        arrays(rows.into_iter())
            .map(|text| serde_json::from_str::<Vec<Value>>(&text).unwrap().len())
            .collect()
    }

    /// Scenario: many rows, large rows, no rows.
    /// Guarantees: no array is longer or, but for its last row, larger than it may be; none is empty.
    #[test]
    fn an_array_has_so_many_rows_and_bytes() {
        let small = |number| vec![Value::from(1); number];
        assert!(lengths(small(0)).is_empty());
        assert_eq!(lengths(small(1)), [1]);
        assert_eq!(lengths(small(ROWS)), [ROWS]);
        assert_eq!(lengths(small(2 * ROWS + 1)), [ROWS, ROWS, 1]);
        let large = Value::from("x".repeat(BYTES / 2));
        assert_eq!(lengths(vec![large; 5]), [2, 2, 1]);
    }
}
