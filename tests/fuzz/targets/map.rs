//! Requests through mapper, prices and counter, down to the rows.
//!
//! Whatever comes: no panic; mapping is pure; each valid span is mapped once, sorted by trace or not;
//! a row's text has no NUL and is no longer than its column keeps, its numbers are finite, tokens and
//! costs never below zero, an end never before its start; a request seen again counts nothing; content
//! that is not to be kept is in no row.

use std::{cell::RefCell, collections::HashSet};

use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use prost::Message;
use serde_json::Value as Json;
use spanledger::{
    count::{self, Counter},
    map::{Config, Mapped, Mapper},
    otlp::{self, Signal},
    pipeline::Sorted,
    price::Table,
    record::{Change, MappedSpan, Record},
    spool::{Entry, Position},
    store,
};

use super::{draw::Draw, request};

/// What is kept of a text, bytes: content, error text or a metadata value, a name, context.
const CONTENT: usize = 256 * 1024 + NOTE;
const DETAIL: usize = 4 * 1024 + NOTE;
const NAME: usize = 512;
const CONTEXT: usize = 256;
/// What says that something is missing.
const NOTE: usize = 64;

struct Station {
    /// With content, without.
    mappers: [Mapper; 2],
    prices: Table,
}

thread_local! {
    static STATION: RefCell<Station> = RefCell::new(Station {
        mappers: [true, false].map(|keep_content| Mapper::new(&Config {
            keep_content,
            ..Config::default()
        })),
        prices: Table::shipped(),
    });
}

/// A protobuf request starts with its field 1; what else comes is choices, for a request made up.
pub fn run(input: &[u8]) {
    let mut draw = Draw::new(input);
    let (signal, body) = match draw.byte() {
        0x0a => (Signal::Traces, input.to_vec()),
        style if style & 7 == 7 => (Signal::Logs, request::logs(&mut draw).encode_to_vec()),
        _ => (Signal::Traces, request::traces(&mut draw).encode_to_vec()),
    };
    STATION.with_borrow_mut(|station| {
        through(station, signal, &body);
        if input.first() == Some(&0x0a) {
            through(station, Signal::Logs, &body);
        }
    });
}

fn through(station: &mut Station, signal: Signal, body: &[u8]) {
    let [with, without] = &mut station.mappers;
    let mapped = map(with, signal, body);
    again(&mapped, &map(with, signal, body));
    if signal == Signal::Traces {
        let mut valid = 0;
        let frame = otlp::spans(body, |_, span| valid += usize::from(span.is_ok()));
        assert_eq!(mapped.spans.len(), valid);
        if frame.is_ok()
            && let Ok(sent) = ExportTraceServiceRequest::decode(body)
        {
            let scopes = sent
                .resource_spans
                .iter()
                .flat_map(|group| &group.scope_spans);
            let all: usize = scopes.map(|scoped| scoped.spans.len()).sum();
            assert_eq!(mapped.spans.len() + mapped.rejected as usize, all);
        }
        by_trace(with, body, &mapped);
    }
    for content in &mapped.contents {
        let texts = [&content.prompt, &content.system_prompt, &content.response];
        for text in texts.into_iter().flatten() {
            assert!(text.len() <= CONTENT, "{} bytes of content", text.len());
        }
    }
    ledger(&station.prices, mapped.spans, true);
    let bare = map(without, signal, body);
    let kept = |text: &Option<String>| text.is_some();
    assert!(!bare.contents.iter().any(|content| {
        kept(&content.prompt) || kept(&content.system_prompt) || kept(&content.response)
    }));
    ledger(&station.prices, bare.spans, false);
}

fn map(mapper: &mut Mapper, signal: Signal, body: &[u8]) -> Mapped {
    let mut out = Mapped::default();
    mapper.map(signal, body, request::NOW, &mut out);
    out
}

/// The same bytes give the same.
fn again(first: &Mapped, second: &Mapped) {
    // No NaN may be in a record, so equal records are equal.
    assert_eq!(first.spans, second.spans);
    assert_eq!(first.contents, second.contents);
    assert_eq!(
        (first.rejected, first.unmapped),
        (second.rejected, second.unmapped)
    );
}

/// Sorted by trace, the same spans are mapped.
fn by_trace(mapper: &Mapper, body: &[u8], mapped: &Mapped) {
    let entries = [Entry {
        position: Position::from_parts(1, 0),
        signal: Signal::Traces,
        received_at: request::NOW,
        body: body.to_vec().into(),
    }];
    let sorted = Sorted::new(&entries, usize::MAX, mapper);
    let mut again = Mapped::default();
    for slice in sorted.slices() {
        mapper.map_spans(sorted.spans(slice), &mut again);
    }
    assert_eq!(sorted.rejected + again.rejected, mapped.rejected);
    assert_eq!(again.unmapped, mapped.unmapped);
    let said = |mapped: &Mapped| {
        let spans = mapped.spans.iter();
        let mut said: Vec<_> = spans.map(|span| (span.key, span.records.len())).collect();
        said.sort_unstable();
        said
    };
    assert_eq!(said(&again), said(mapped));
}

fn ledger(prices: &Table, mut spans: Vec<MappedSpan>, keeps_content: bool) {
    for record in spans.iter_mut().flat_map(|span| &mut span.records) {
        prices.price(record);
        if let Record::Retrieval(search) = record
            && let Ok(charge) = prices.charge_rerank(search)
        {
            assert!(charge.usd.is_finite() && charge.usd >= 0.0);
        }
    }
    let distinct: HashSet<_> = spans.iter().map(|span| span.key).collect();
    let (mut copy, sent) = (spans.clone(), spans.len());
    let mut counter = Counter::new(&count::Config::default());
    let counted = counter.count(&mut spans);
    assert_eq!(counted.duplicates as usize, sent - distinct.len());
    counted
        .records
        .iter()
        .for_each(|record| check(record, keeps_content));
    for amendment in &counted.amendments {
        if let Change::Request { tokens, cost, .. } = &amendment.change {
            assert!(tokens.is_none_or(|tokens| tokens >= 0), "{tokens:?}");
            assert!(
                cost.is_none_or(|cost| cost.is_finite() && cost >= 0.0),
                "{cost:?}"
            );
        }
    }
    let counted = counter.count(&mut copy);
    assert_eq!(
        (counted.duplicates as usize, counted.records.len()),
        (sent, 0)
    );
}

fn check(record: &Record, keeps_content: bool) {
    let header = record.header();
    assert!(
        header
            .completed_at
            .is_none_or(|end| end >= header.started_at)
    );
    numbers(record);
    let (table, row) = store::row(record);
    for (column, value) in row.as_object().expect("a row") {
        let place = format_args!("{table}.{column}").to_string();
        match value {
            Json::String(text) => {
                assert!(!text.contains('\0'), "{place}: a NUL");
                assert!(bytes(text) <= most(column), "{place}: {} bytes", text.len());
            }
            Json::Number(number) => {
                let is_known_sign = ["temperature", "top_p", "best_score", "confidence"];
                let number = number.as_f64().unwrap_or(f64::NAN);
                assert!(
                    number >= 0.0 || is_known_sign.contains(&&**column),
                    "{place}: {number}"
                );
            }
            Json::Array(_) | Json::Object(_) => inside(value, &place),
            Json::Null | Json::Bool(_) => {}
        }
        let is_content = ["prompt", "system_prompt", "response", "query"].contains(&&**column);
        assert!(
            keeps_content || !is_content || value.is_null(),
            "{place}: kept"
        );
    }
}

/// What a cell would turn into NULL in silence.
fn numbers(record: &Record) {
    let mut all: Vec<Option<f64>> = Vec::new();
    let usd = |cost: &Option<Result<spanledger::record::Cost, _>>| {
        cost.as_ref()
            .and_then(|cost| cost.as_ref().ok())
            .map(|cost| cost.usd)
    };
    match record {
        Record::LlmCall(call) => {
            all.extend([
                call.temperature,
                call.top_p,
                call.audio_seconds,
                call.ttft_ms,
            ]);
            all.extend([call.reported_cost, usd(&call.cost)]);
            let usage = &call.usage;
            let parts = [usage.cache_write_1h, usage.audio_input, usage.audio_output];
            assert!(
                parts.into_iter().flatten().all(|tokens| tokens >= 0),
                "{usage:?}"
            );
        }
        Record::SttEvent(event) => {
            all.extend([event.audio_duration_seconds, usd(&event.cost)]);
        }
        Record::Retrieval(search) => {
            all.push(search.best_score);
            all.extend(search.scores.iter().flatten().copied().map(Some));
        }
        Record::PipelineRequest(request) => all.extend([request.confidence, request.cost]),
        Record::CacheLookup(_) | Record::JsonParse(_) => {}
    }
    assert!(
        all.iter().flatten().all(|number| number.is_finite()),
        "{record:?}"
    );
}

/// What stands for a NUL that was an escape takes three bytes and is counted as the one it was.
fn bytes(text: &str) -> usize {
    text.len() - 2 * text.matches('\u{FFFD}').count()
}

/// Bytes that a column keeps.
fn most(column: &str) -> usize {
    match column {
        "prompt" | "system_prompt" | "response" | "query" => CONTENT,
        "error_message" => DETAIL,
        "user_id" | "user_hash" | "session_id" | "task_id" | "company_id" | "review_id"
        | "meeting_id" | "agenda_id" | "request_id" | "experiment" | "variant" | "environment"
        | "recording_id" | "service_name" => CONTEXT,
        _ => NAME,
    }
}

/// JSON in a cell.
fn inside(value: &Json, place: &str) {
    match value {
        Json::String(text) => {
            assert!(!text.contains('\0'), "{place}: a NUL");
            assert!(bytes(text) <= DETAIL, "{place}: {} bytes", text.len());
        }
        Json::Array(items) => items.iter().for_each(|item| inside(item, place)),
        Json::Object(members) => {
            for (name, member) in members {
                assert!(
                    !name.contains('\0') && bytes(name) <= NAME,
                    "{place}: {name:?}"
                );
                inside(member, place);
            }
        }
        _ => {}
    }
}
