//! Entries to counted records: the pure stations in a row.

use std::{ops::Range, sync::Arc};

use super::sorted::Sorted;
use crate::{
    count::{self, Counter},
    map::{Mapped, Mapper},
    otlp::Signal,
    price::Table,
    record::{Amendment, CallContent, IdMap, Link, LlmCall, Record, SpanKey, TraceId},
    spool::Entry,
    store::Batch,
};

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
    pub is_forgotten: bool,
}

/// A batch that is being refined, slice by slice.
pub(super) struct Work<'a> {
    pub sorted: Sorted<'a>,
    /// What is left.
    slices: std::vec::IntoIter<Range<usize>>,
    /// A slice is mapped, and not counted yet.
    is_mapped: bool,
    /// Others write to the store, too.
    is_shared: bool,
    pub bundle: Bundle,
}

impl Bundle {
    /// Adds what entries became; their records are let go.
    fn add(&mut self, refined: Refined) {
        self.batch.rows.add(refined.records, &refined.links);
        self.batch.contents.extend(refined.contents);
        self.batch.amendments.extend(refined.amendments);
        self.spans += refined.spans;
        self.rejected += refined.rejected;
        self.duplicates += refined.duplicates;
        self.open.extend(refined.open);
        self.is_forgotten |= refined.is_forgotten;
    }
}

/// The pure stations, with what they remember.
pub struct Refiner {
    mapper: Mapper,
    /// Empty between slices; keeps its memory.
    mapped: Mapped,
    /// Metric payloads of the batch, until its first slice takes them along.
    metrics: Vec<bytes::Bytes>,
    prices: Arc<Table>,
    counter: Counter,
}

impl Refiner {
    /// With empty memories.
    pub fn new(map: &crate::map::Config, count: &count::Config, prices: Arc<Table>) -> Self {
        Self {
            mapper: Mapper::new(map),
            mapped: Mapped::default(),
            metrics: Vec::new(),
            prices,
            counter: Counter::new(count),
        }
    }

    /// The counter, to warm it.
    pub fn counter(&mut self) -> &mut Counter {
        &mut self.counter
    }

    /// Maps, joins, prices and counts a batch, and shows what came of each slice.
    pub fn refine(&mut self, entries: &[Entry], mut show: impl FnMut(Refined)) {
        let sorted = self.begin(entries, usize::MAX);
        for slice in self.slices(&sorted) {
            self.map(&sorted, slice);
            show(self.count());
        }
    }

    /// What is refined at a time: everything if there is content to be joined to calls.
    fn slices(&self, sorted: &Sorted<'_>) -> Vec<Range<usize>> {
        match self.mapped.contents.is_empty() {
            true => sorted.slices(),
            false => vec![sorted.all()],
        }
    }

    /// Begins a batch of as many entries as the memory has room for; what comes of it is added to
    /// `batch`.
    pub(super) fn take_up<'a>(
        &mut self,
        entries: &'a [Entry],
        batch: Batch,
        is_shared: bool,
    ) -> Work<'a> {
        let sorted = self.begin(entries, self.counter.room());
        // A shared store is asked about all new traces at once.
        let slices = match is_shared {
            true => vec![sorted.all()],
            false => self.slices(&sorted),
        };
        Work {
            slices: slices.into_iter(),
            sorted,
            is_mapped: false,
            is_shared,
            bundle: Bundle {
                batch,
                ..Bundle::default()
            },
        }
    }

    /// Goes on with a batch: each slice is shown before it is packed. Ends early where the store may
    /// know more of these traces, and should be asked first.
    pub(super) fn go_on(
        &mut self,
        work: &mut Work<'_>,
        mut show: impl FnMut(&Refined),
    ) -> Option<Vec<Part>> {
        loop {
            if std::mem::take(&mut work.is_mapped) {
                let refined = self.count();
                show(&refined);
                work.bundle.add(refined);
            }
            self.map(&work.sorted, work.slices.next()?);
            work.is_mapped = true;
            let strangers = self.strangers(work.is_shared);
            if !strangers.is_empty() {
                return Some(strangers);
            }
        }
    }

    /// Begins a batch of whole entries, as few as have `most` spans: sorts these, and reads what
    /// else is in the entries.
    pub fn begin<'a>(&mut self, entries: &'a [Entry], most: usize) -> Sorted<'a> {
        self.counter.begin_batch();
        let sorted = Sorted::new(entries, most, &self.mapper);
        let mapped = &mut self.mapped;
        for entry in sorted.entries {
            match entry.signal {
                Signal::Traces => {}
                Signal::Logs => {
                    self.mapper
                        .map(entry.signal, &entry.body, entry.received_at, mapped);
                }
                Signal::Metrics => self.metrics.push(entry.body.clone()),
            }
        }
        // Unreadable log records are no spans; the receiver has counted them.
        mapped.rejected = sorted.rejected;
        sorted
    }

    /// The first half: maps a slice, and keeps the spans for [`Refiner::count`].
    pub fn map(&mut self, sorted: &Sorted<'_>, slice: Range<usize>) {
        self.mapper.map_spans(sorted.spans(slice), &mut self.mapped);
    }

    /// The traces of the mapped spans of which the store may know more than the memory.
    fn strangers(&self, is_shared: bool) -> Vec<Part> {
        self.counter.strangers(&self.mapped.spans, is_shared)
    }

    /// The second half: joins, prices and counts what was mapped.
    pub fn count(&mut self) -> Refined {
        let mapped = &mut self.mapped;
        let mut refined = Refined {
            metrics: std::mem::take(&mut self.metrics),
            spans: mapped.spans.len() as u64,
            rejected: std::mem::take(&mut mapped.rejected),
            contents: join(mapped, &self.counter),
            ..Refined::default()
        };
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
    let mut calls: IdMap<SpanKey, &mut LlmCall> = IdMap::default();
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
    use opentelemetry_proto::tonic::{
        collector::trace::v1::ExportTraceServiceRequest,
        common::v1::{AnyValue, KeyValue, any_value::Value},
        trace::v1::{ResourceSpans, ScopeSpans, Span},
    };
    use prost::Message;

    use super::*;
    use crate::spool::Position;

    fn entry(id: u8, parent: &[u8], attributes: [(&str, &str); 2]) -> Entry {
        let attribute = |(key, value): (&str, &str)| KeyValue {
            key: key.into(),
            value: Some(AnyValue {
                value: Some(Value::StringValue(value.into())),
            }),
            ..KeyValue::default()
        };
        let span = Span {
            trace_id: vec![7; 16],
            span_id: vec![id; 8],
            parent_span_id: parent.to_vec(),
            name: "ask".into(),
            attributes: attributes.map(attribute).to_vec(),
            ..Span::default()
        };
        let request = ExportTraceServiceRequest {
            resource_spans: vec![ResourceSpans {
                scope_spans: vec![ScopeSpans {
                    spans: vec![span],
                    ..ScopeSpans::default()
                }],
                ..ResourceSpans::default()
            }],
        };
        Entry {
            position: Position::from_parts(1, id.into()),
            signal: Signal::Traces,
            received_at: 0,
            body: request.encode_to_vec().into(),
        }
    }

    /// Users of the calls as they are packed, and changes to rows.
    fn refined(max_spans: usize, entries: &[Entry]) -> (Vec<Option<String>>, usize) {
        let mut refiner = Refiner::new(
            &Default::default(),
            &count::Config { max_spans },
            Arc::new(Table::shipped()),
        );
        let (mut rest, mut users, mut changes) = (entries, Vec::new(), 0);
        while !rest.is_empty() {
            let mut work = refiner.take_up(rest, Batch::default(), false);
            let asked = refiner.go_on(&mut work, |refined| {
                for record in &refined.records {
                    if let Record::LlmCall(call) = record {
                        users.push(call.context.user_id.as_deref().map(str::to_owned));
                    }
                }
            });
            assert!(asked.is_none());
            changes += work.bundle.batch.amendments.len();
            rest = &rest[work.sorted.entries.len()..];
        }
        (users, changes)
    }

    #[test]
    fn a_trace_that_came_in_pieces_is_judged_once() {
        let call = [
            ("gen_ai.operation.name", "chat"),
            ("gen_ai.request.model", "gpt-4o"),
        ];
        let entries = [
            entry(2, &[1; 8], call),
            entry(1, &[], [("user.id", "ana"), ("x", "y")]),
        ];
        let ana = Some("ana".to_owned());
        assert_eq!(refined(100, &entries), (vec![ana], 0));
        // Where there is room for one span at a time, the row is put right afterwards.
        let (users, changes) = refined(3, &entries);
        assert_eq!(users, [None]);
        assert!(changes > 0);
    }
}
