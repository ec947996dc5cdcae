//! The tables: name, columns, and how each column's value comes out of a record. This is the only
//! list of columns in code; rows are packed and statements made by it, and a test compares it with
//! the live catalogue of both stores.

mod cache_lookups;
mod json_parses;
mod llm_calls;
mod message_texts;
mod metadata;
mod numeric;
mod pack;
mod pipeline_requests;
mod retrievals;
mod row;
mod span_links;
mod stt_logs;

pub(super) use cache_lookups::TABLE as CACHE_LOOKUPS;
pub(super) use json_parses::TABLE as JSON_PARSES;
pub(super) use llm_calls::TABLE as LLM_CALLS;
pub(super) use message_texts::{DayText, TABLE as MESSAGE_TEXTS};
pub(super) use metadata::history as history_json;
pub(super) use pack::{Field, Packed};
pub(super) use pipeline_requests::TABLE as PIPELINE_REQUESTS;
pub(super) use retrievals::TABLE as RETRIEVALS;
pub(super) use span_links::TABLE as SPAN_LINKS;
pub(super) use stt_logs::TABLE as STT_LOGS;

/// The tables whose rows are of a day, the one of `started_at`: Postgres has a partition for each
/// and one for all other days, and retention lets old days go.
pub(super) const OF_A_DAY: [&str; 8] = [
    LLM_CALLS.name,
    STT_LOGS.name,
    RETRIEVALS.name,
    CACHE_LOOKUPS.name,
    JSON_PARSES.name,
    PIPELINE_REQUESTS.name,
    SPAN_LINKS.name,
    MESSAGE_TEXTS.name,
];

use row::{Kind, Row};

use crate::record::{Cost, Record, Unpriced};

/// One table.
pub(super) struct Table<R: 'static> {
    pub name: &'static str,
    /// Names, and what they hold.
    columns: &'static [(&'static str, Kind)],
    /// Puts a row's values, in the order of the columns.
    put: fn(&R, &mut Row<'_>),
}

/// A table as a list of `column: kind = value`; kinds are the methods of [`Row`].
macro_rules! table {
    ($name:literal, $row:ty, |$r:ident| $($column:ident: $kind:ident = $value:expr),+ $(,)?) => {
        /// The table and its columns, in order.
        pub(in crate::store) const TABLE: super::Table<$row> = super::Table {
            name: $name,
            columns: &[$((stringify!($column), $crate::store::tables::row::kind!($kind))),+],
            put: |$r, row| { $(row.$kind($value);)+ },
        };
    };
}
use table;

/// The row that a record becomes, as JSON: its table and its columns.
pub fn row(record: &Record) -> (&'static str, serde_json::Value) {
    fn of<R>(table: &Table<R>, row: &R) -> (&'static str, serde_json::Value) {
        let mut packed = Packed::new(table);
        packed.push(table, row);
        (table.name, packed.to_json(0))
    }
    match record {
        Record::LlmCall(row) => of(&LLM_CALLS, row),
        Record::SttEvent(row) => of(&STT_LOGS, row),
        Record::Retrieval(row) => of(&RETRIEVALS, row),
        Record::CacheLookup(row) => of(&CACHE_LOOKUPS, row),
        Record::JsonParse(row) => of(&JSON_PARSES, row),
        Record::PipelineRequest(row) => of(&PIPELINE_REQUESTS, row),
    }
}

/// RFC 3339 UTC with microseconds: the text that SQLite stores, and what both stores are asked for.
pub(super) fn rfc3339(unix_ns: i64) -> String {
    let micros = unix_ns.div_euclid(1000);
    chrono::DateTime::from_timestamp_micros(micros)
        .unwrap_or_default()
        .to_rfc3339_opts(chrono::SecondsFormat::Micros, true)
}

fn priced(cost: &Option<Result<Cost, Unpriced>>) -> Option<&Cost> {
    cost.as_ref()?.as_ref().ok()
}

/// A JSON array.
fn tags(tags: &[String]) -> String {
    serde_json::Value::from(tags).to_string()
}

/// A JSON array of those that both stores keep.
fn scores(scores: &[f64]) -> String {
    let mut buffer = zmij::Buffer::new();
    let mut text = String::with_capacity(2 + 8 * scores.len());
    for score in scores.iter().copied().filter_map(row::finite) {
        text.push(if text.is_empty() { '[' } else { ',' });
        text.push_str(buffer.format_finite(score));
    }
    text.push_str(if text.is_empty() { "[]" } else { "]" });
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn scores_are_those_of_json_that_are_finite() {
        let all = [
            1.0,
            -0.0,
            0.1,
            f64::NAN,
            1e300,
            1e-7,
            f64::INFINITY,
            12345.0,
        ];
        let json = serde_json::to_string(&[1.0, 0.0, 0.1, 1e300, 1e-7, 12345.0]).unwrap();
        assert_eq!(scores(&all), json);
        assert_eq!(scores(&[f64::NAN]), "[]");
    }

    #[test]
    fn times_have_one_width() {
        assert_eq!(rfc3339(0), "1970-01-01T00:00:00.000000Z");
        assert_eq!(
            rfc3339(1_795_203_676_883_293_861),
            "2026-11-20T19:41:16.883293Z"
        );
    }
}
