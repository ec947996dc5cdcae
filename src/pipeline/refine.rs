//! Entries to counted records: the pure stations in a row.

use std::sync::Arc;

use rustc_hash::FxHashMap;

use crate::{
    count::{self, Counter},
    map::{Mapped, Mapper},
    otlp::Signal,
    price::Table,
    record::{Amendment, CallContent, Link, LlmCall, Record, SpanKey, TraceId},
    spool::Entry,
    store::Batch,
};

/// Bytes of requests that are refined together.
const SLICE_BYTES: usize = 64 * 1024;

/// What entries became.
#[derive(Debug, Default)]
pub struct Refined {
    /// New rows.
    pub records: Vec<Record>,
    /// Spans that tie rows together.
    pub links: Vec<Link>,
    /// Content of calls that are not in this batch.
    pub contents: Vec<CallContent>,
    /// Changes to rows of earlier batches.
    pub amendments: Vec<Amendment>,
    /// Metric payloads, as received.
    pub metrics: Vec<bytes::Bytes>,
    /// Spans read.
    pub spans: u64,
    /// Spans that could not be read; the receiver told their sender.
    pub rejected: u64,
    /// Spans seen before.
    pub duplicates: u64,
    /// Traces whose rest may be stored by another process.
    pub open: Vec<Part>,
    /// True if the memory has no room for the newest batches: the store must have them before the
    /// next one is judged.
    pub is_forgotten: bool,
}

/// A trace, and within which bounds its known spans started, Unix ns.
pub type Part = (TraceId, i64, i64);

/// What was refined of a batch so far, in the form that the store takes.
#[derive(Debug, Default)]
pub(super) struct Bundle {
    pub batch: Batch,
    pub spans: u64,
    pub rejected: u64,
    pub duplicates: u64,
    pub open: Vec<Part>,
}

impl Bundle {
    /// Adds what entries became; their records are let go.
    pub fn add(&mut self, refined: Refined) {
        self.batch.rows.add(refined.records, &refined.links);
        self.batch.contents.extend(refined.contents);
        self.batch.amendments.extend(refined.amendments);
        self.spans += refined.spans;
        self.rejected += refined.rejected;
        self.duplicates += refined.duplicates;
        self.open.extend(refined.open);
    }
}

/// The first of these entries, to be refined together: whole requests, as few as are worth it, so that
/// what they become is still in the processor's cache when it is packed.
pub(super) fn slice(entries: &[Entry]) -> &[Entry] {
    let mut bytes = 0;
    let few = entries.iter().take_while(|entry| {
        let goes_on = bytes < SLICE_BYTES;
        bytes += entry.body.len();
        goes_on
    });
    entries.get(..few.count()).unwrap_or(entries)
}

/// The pure stations, with what they remember.
pub struct Refiner {
    mapper: Mapper,
    /// Empty between batches; keeps its memory.
    mapped: Mapped,
    prices: Arc<Table>,
    counter: Counter,
}

impl Refiner {
    /// With empty memories.
    pub fn new(map: &crate::map::Config, count: &count::Config, prices: Arc<Table>) -> Self {
        Self {
            mapper: Mapper::new(map),
            mapped: Mapped::default(),
            prices,
            counter: Counter::new(count),
        }
    }

    /// The counter, to warm it.
    pub fn counter(&mut self) -> &mut Counter {
        &mut self.counter
    }

    /// Maps, joins, prices and counts a batch.
    pub fn refine(&mut self, entries: &[Entry]) -> Refined {
        self.counter.begin_batch();
        self.map(entries);
        self.count(entries)
    }

    /// The first half: maps, and keeps the spans for [`Refiner::count`].
    pub fn map(&mut self, entries: &[Entry]) {
        let mapped = &mut self.mapped;
        (mapped.rejected, mapped.unmapped) = (0, 0);
        for entry in entries {
            let rejected = mapped.rejected;
            if entry.signal != Signal::Metrics {
                self.mapper
                    .map(entry.signal, &entry.body, entry.received_at, mapped);
            }
            if entry.signal == Signal::Logs {
                // Unreadable log records are no spans; the receiver has counted them.
                mapped.rejected = rejected;
            }
        }
    }

    /// The traces of the mapped spans of which the store may know more than the memory.
    pub fn strangers(&self, is_shared: bool) -> Vec<Part> {
        self.counter.strangers(&self.mapped.spans, is_shared)
    }

    /// The second half: joins, prices and counts what was mapped of these entries.
    pub fn count(&mut self, entries: &[Entry]) -> Refined {
        let mapped = &mut self.mapped;
        let metrics = entries
            .iter()
            .filter(|entry| entry.signal == Signal::Metrics);
        let mut refined = Refined {
            metrics: metrics.map(|entry| entry.body.clone()).collect(),
            ..Refined::default()
        };
        refined.spans = mapped.spans.len() as u64;
        refined.rejected = mapped.rejected;
        refined.contents = join(mapped, &self.counter);
        for record in mapped.spans.iter_mut().flat_map(|span| &mut span.records) {
            self.prices.price(record);
        }
        let counted = self.counter.count(&mut mapped.spans);
        refined.records = counted.records;
        refined.links = counted.links;
        refined.amendments = counted.amendments;
        refined.duplicates = counted.duplicates;
        refined.open = counted.open;
        refined.is_forgotten = counted.is_forgotten;
        refined
    }
}

/// Puts content from log events into the calls of the same batch; what is left belongs to calls
/// of other batches and is the store's to join. A call that is here again is one of another batch.
fn join(mapped: &mut Mapped, counter: &Counter) -> Vec<CallContent> {
    if mapped.contents.is_empty() {
        return Vec::new();
    }
    let mut calls: FxHashMap<SpanKey, &mut LlmCall> = FxHashMap::default();
    for record in mapped.spans.iter_mut().flat_map(|span| &mut span.records) {
        if let Record::LlmCall(call) = record
            && !counter.knows(call.header.key())
        {
            calls.entry(call.header.key()).or_insert(call);
        }
    }
    let mut left = Vec::new();
    for content in mapped.contents.drain(..) {
        match calls.get_mut(&content.key) {
            Some(call) => call.take_content(content),
            None => left.push(content),
        }
    }
    left
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::spool::Position;

    #[test]
    fn small_requests_are_refined_together_and_a_large_one_alone() {
        let entry = |bytes: usize| Entry {
            position: Position::from_parts(1, 0),
            signal: Signal::Traces,
            received_at: 0,
            body: vec![0; bytes].into(),
        };
        let sizes = [
            1,
            SLICE_BYTES,
            5,
            7,
            SLICE_BYTES * 9,
            SLICE_BYTES - 1,
            0,
            1,
            2,
        ];
        let entries = sizes.map(entry);
        let (mut rest, mut slices) = (entries.as_slice(), Vec::new());
        while !rest.is_empty() {
            slices.push(slice(rest).len());
            rest = &rest[slice(rest).len()..];
        }
        assert_eq!(slices, [2, 3, 3, 1]);
    }
}
