//! The tables: name, columns, and how each column's cell comes out of a record. This is the only
//! list of columns in code; rows are packed and statements made by it, and a test compares it with
//! the live catalogue of both stores.

mod cache_lookups;
mod json_parses;
mod llm_calls;
mod message_texts;
mod metadata;
mod pack;
mod pipeline_requests;
mod retrievals;
mod span_links;
mod stt_logs;

use std::borrow::Cow;

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

use crate::record::{Cost, Header, Record, SpanId, SpanKey, TraceId, Unpriced};

/// One value on its way into a store: text is clean, numbers are finite.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Cell<'a> {
    Null,
    Text(Cow<'a, str>),
    Int(i64),
    Float(f64),
    Bool(bool),
    Time(i64),
    Money(f64),
    Json(String),
    Trace(TraceId),
    Span(SpanId),
    Key(SpanKey),
}

/// One column.
pub(super) struct Column<R> {
    pub name: &'static str,
    pub cell: for<'a> fn(&'a R) -> Cell<'a>,
}

/// One table.
pub(super) struct Table<R: 'static> {
    pub name: &'static str,
    pub columns: &'static [Column<R>],
}

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

/// Text that both stores take. The reader cleaned what came off the wire; text that was JSON
/// inside an attribute may still hold an escaped NUL.
fn clean(text: &str) -> Cell<'_> {
    Cell::Text(match memchr::memchr(0, text.as_bytes()) {
        None => Cow::Borrowed(text),
        Some(_) => Cow::Owned(text.replace('\0', "\u{FFFD}")),
    })
}

fn text<T: AsRef<str>>(value: &Option<T>) -> Cell<'_> {
    value
        .as_ref()
        .map_or(Cell::Null, |text| clean(text.as_ref()))
}

fn id(header: &Header) -> Cell<'static> {
    Cell::Key(header.key())
}

fn parent(header: &Header) -> Cell<'static> {
    header.parent_span_id.map_or(Cell::Null, Cell::Span)
}

fn word(word: &'static str) -> Cell<'static> {
    Cell::Text(word.into())
}

fn maybe(value: Option<&'static str>) -> Cell<'static> {
    value.map_or(Cell::Null, word)
}

fn int(value: Option<i64>) -> Cell<'static> {
    value.map_or(Cell::Null, Cell::Int)
}

fn flag(value: Option<bool>) -> Cell<'static> {
    value.map_or(Cell::Null, Cell::Bool)
}

fn time(value: Option<i64>) -> Cell<'static> {
    value.map_or(Cell::Null, Cell::Time)
}

fn float(value: Option<f64>) -> Cell<'static> {
    value.and_then(finite).map_or(Cell::Null, Cell::Float)
}

fn money(value: Option<f64>) -> Cell<'static> {
    value.and_then(finite).map_or(Cell::Null, Cell::Money)
}

/// A number that both stores keep as it is. SQLite forgets the sign of a zero.
fn finite(value: f64) -> Option<f64> {
    value.is_finite().then_some(value + 0.0)
}

fn usd(cost: &Option<Result<Cost, Unpriced>>) -> Cell<'static> {
    money(priced(cost).map(|cost| cost.usd))
}

fn rule(cost: &Option<Result<Cost, Unpriced>>) -> Cell<'_> {
    priced(cost).map_or(Cell::Null, |cost| clean(&cost.rule))
}

fn version(cost: &Option<Result<Cost, Unpriced>>) -> Cell<'_> {
    priced(cost).map_or(Cell::Null, |cost| clean(&cost.version))
}

fn priced(cost: &Option<Result<Cost, Unpriced>>) -> Option<&Cost> {
    cost.as_ref()?.as_ref().ok()
}

fn json(value: &Option<serde_json::Value>) -> Cell<'static> {
    value.as_ref().map_or(Cell::Null, json_text)
}

/// JSON text without `\u0000`, which jsonb refuses.
fn json_text(value: &serde_json::Value) -> Cell<'static> {
    clean_json_text(value.to_string())
}

/// The same of JSON that is text already; what isn't JSON becomes NULL.
fn clean_json_text(text: String) -> Cell<'static> {
    if memchr::memmem::find(text.as_bytes(), b"\\u0000").is_none() {
        return Cell::Json(text);
    }
    let Ok(mut value) = serde_json::from_str(&text) else {
        return Cell::Null;
    };
    clean_json(&mut value);
    Cell::Json(value.to_string())
}

fn clean_json(value: &mut serde_json::Value) {
    use serde_json::Value;
    match value {
        Value::String(text) => *text = text.replace('\0', "\u{FFFD}"),
        Value::Array(items) => items.iter_mut().for_each(clean_json),
        Value::Object(entries) => {
            for (key, mut value) in std::mem::take(entries) {
                clean_json(&mut value);
                entries.insert(key.replace('\0', "\u{FFFD}"), value);
            }
        }
        _ => {}
    }
}

fn tags(tags: &Option<Vec<String>>) -> Cell<'static> {
    tags.as_ref()
        .map_or(Cell::Null, |tags| json_text(&tags.as_slice().into()))
}

fn scores(scores: &Option<Vec<f64>>) -> Cell<'static> {
    let Some(scores) = scores else {
        return Cell::Null;
    };
    let finite: Vec<f64> = scores.iter().copied().filter_map(finite).collect();
    serde_json::to_string(&finite).map_or(Cell::Null, Cell::Json)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nul_never_reaches_a_store() {
        assert_eq!(clean("a\0b"), Cell::Text("a\u{FFFD}b".into()));
        let hostile = serde_json::json!({"k\0": ["\0", {"x": "\0"}]});
        let Cell::Json(text) = json_text(&hostile) else {
            panic!("not JSON")
        };
        assert!(!text.contains("\\u0000"), "{text}");
    }

    #[test]
    fn times_have_one_width_and_numbers_are_finite() {
        assert_eq!(rfc3339(0), "1970-01-01T00:00:00.000000Z");
        assert_eq!(
            rfc3339(1_795_203_676_883_293_861),
            "2026-11-20T19:41:16.883293Z"
        );
        assert_eq!(float(Some(f64::NAN)), Cell::Null);
        assert!(matches!(float(Some(-0.0)), Cell::Float(zero) if zero.is_sign_positive()));
        assert_eq!(money(Some(f64::INFINITY)), Cell::Null);
    }
}
