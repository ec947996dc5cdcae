//! The spans of a batch, sorted by trace.
//!
//! The spans of a trace mostly come in several requests, and mixed with those of others. Together
//! they are judged once, with no change to a row that was just written; and the batch can be refined
//! a few traces at a time, so that each station finds in the processor's cache what the last one
//! left there.

use std::ops::Range;

use crate::{
    map::{Group, Mapper},
    otlp::{self, RawSpan, Signal},
    record::{IdMap, TraceId},
    spool::Entry,
};

/// Bytes of spans that are refined together.
const SLICE_BYTES: usize = 64 * 1024;
/// Most spans are larger: a list that grows is copied again and again.
const SMALL_SPAN_BYTES: usize = 256;

/// Entries, and their spans by trace: the traces, and the spans of each, in the order in which they
/// came.
pub struct Sorted<'a> {
    /// What was sorted.
    pub entries: &'a [Entry],
    /// Spans of each entry, readable or not.
    pub counts: Vec<u64>,
    /// Spans that can't be reached, or not be read for there being too many.
    pub rejected: u64,
    /// Group by group: what its spans share, and when they were received, Unix ns.
    groups: Vec<(Group, i64)>,
    spans: Vec<Sited<'a>>,
}

/// A span, the number of its trace, and the place of its group.
struct Sited<'a> {
    span: RawSpan<'a>,
    trace: usize,
    group: usize,
}

impl<'a> Sorted<'a> {
    /// Sorts the spans of the first entries: whole entries, as few as have `most` spans.
    pub fn new(entries: &'a [Entry], most: usize, mapper: &Mapper) -> Self {
        let bytes: usize = entries.iter().map(|entry| entry.body.len()).sum();
        let mut sorted = Self {
            entries: &[],
            counts: Vec::with_capacity(entries.len()),
            rejected: 0,
            groups: Vec::new(),
            spans: Vec::with_capacity((bytes / SMALL_SPAN_BYTES).min(most)),
        };
        let mut traces = Traces::default();
        for entry in entries {
            if sorted.spans.len() >= most {
                break;
            }
            let count = match entry.signal {
                Signal::Traces => sorted.add(entry, mapper, &mut traces),
                Signal::Logs | Signal::Metrics => 0,
            };
            sorted.counts.push(count);
        }
        sorted.entries = entries.get(..sorted.counts.len()).unwrap_or(entries);
        sorted.spans.sort_by_key(|sited| sited.trace);
        sorted
    }

    /// Adds the spans of an entry; says how many it has.
    fn add(&mut self, entry: &'a Entry, mapper: &Mapper, traces: &mut Traces) -> u64 {
        let (mut view, mut count): (Option<otlp::ScopeView<'_>>, u64) = (None, 0);
        let walked = otlp::raw_spans(&entry.body, |of, span| {
            count += 1;
            let Ok(span) = span else {
                self.rejected += 1;
                return;
            };
            if !view.is_some_and(|view| view.is_same(&of)) {
                let last = self.groups.last().map(|(group, _)| group);
                let group = mapper.group(of, view.zip(last));
                view = Some(of);
                self.groups.push((group, entry.received_at));
            }
            self.spans.push(Sited {
                span,
                trace: traces.number(span.trace_id()),
                group: self.groups.len() - 1,
            });
        });
        // The door checks a request's frame before it acks; what can't be read is lost to mapping
        // only, and counted.
        self.rejected += u64::from(walked.is_err());
        count
    }

    /// Everything.
    pub fn all(&self) -> Range<usize> {
        0..self.spans.len()
    }

    /// Whole traces, as few as are worth it, one slice after the other; one of nothing, if there are
    /// no spans.
    pub fn slices(&self) -> Vec<Range<usize>> {
        let (mut slices, mut start, mut bytes) = (Vec::new(), 0, 0);
        for (place, pair) in self.spans.windows(2).enumerate() {
            let [sited, next] = pair else { continue };
            bytes += sited.span.encoded_len();
            if bytes >= SLICE_BYTES && sited.trace != next.trace {
                slices.push(start..place + 1);
                (start, bytes) = (place + 1, 0);
            }
        }
        slices.push(start..self.spans.len());
        slices
    }

    /// The spans of a slice, each with its group and when it was received. They come from memory, all
    /// together: a slice has room in the processor's cache.
    pub fn spans(&self, slice: Range<usize>) -> impl Iterator<Item = (RawSpan<'a>, &Group, i64)> {
        let spans = self.spans.get(slice).unwrap_or_default();
        spans.iter().for_each(|sited| sited.span.fetch());
        spans.iter().filter_map(|sited| {
            let (group, received_at) = self.groups.get(sited.group)?;
            Some((sited.span, group, *received_at))
        })
    }
}

/// The traces of a batch, numbered as they come.
#[derive(Default)]
struct Traces {
    numbers: IdMap<Option<TraceId>, usize>,
    last: Option<(Option<TraceId>, usize)>,
}

impl Traces {
    fn number(&mut self, id: Option<TraceId>) -> usize {
        if let Some((last, number)) = self.last
            && last == id
        {
            return number;
        }
        let next = self.numbers.len();
        let number = *self.numbers.entry(id).or_insert(next);
        self.last = Some((id, number));
        number
    }
}

#[cfg(test)]
mod tests {
    use opentelemetry_proto::tonic::{
        collector::trace::v1::ExportTraceServiceRequest,
        trace::v1::{ResourceSpans, ScopeSpans, Span},
    };
    use prost::Message;

    use super::*;
    use crate::spool::Position;

    /// An entry whose spans are of these traces, each of about so many bytes.
    fn entry(signal: Signal, traces: &[u8], bytes: usize) -> Entry {
        let span = |trace: &u8| Span {
            trace_id: vec![*trace; 16],
            span_id: vec![1; 8],
            name: "x".repeat(bytes),
            ..Span::default()
        };
        let request = ExportTraceServiceRequest {
            resource_spans: vec![ResourceSpans {
                scope_spans: vec![ScopeSpans {
                    spans: traces.iter().map(span).collect(),
                    ..ScopeSpans::default()
                }],
                ..ResourceSpans::default()
            }],
        };
        Entry {
            position: Position::from_parts(1, 0),
            signal,
            received_at: i64::from(traces.first().copied().unwrap_or_default()),
            body: request.encode_to_vec().into(),
        }
    }

    fn mapper() -> Mapper {
        Mapper::new(&Default::default())
    }

    /// Trace and time of each span of a slice.
    fn seen(sorted: &Sorted<'_>, slice: Range<usize>) -> Vec<(Option<u8>, i64)> {
        let spans = sorted.spans(slice);
        spans
            .map(|(span, _, received_at)| (span.trace_id().map(|id| id.0[0]), received_at))
            .collect()
    }

    #[test]
    fn the_spans_of_a_trace_stand_together_whatever_they_came_in() {
        let entries = [
            entry(Signal::Traces, &[5, 3, 5, 0], 1),
            entry(Signal::Metrics, &[5], 1),
            entry(Signal::Traces, &[3, 7], 1),
        ];
        let sorted = Sorted::new(&entries, 100, &mapper());
        assert_eq!(sorted.counts, [4, 0, 2]);
        assert_eq!(
            seen(&sorted, sorted.all()),
            [(5, 5), (5, 5), (3, 5), (3, 3), (0, 5), (7, 3)]
                .map(|(trace, time)| (Some(trace).filter(|id| *id > 0), time))
        );
        // An id is found wherever it stands.
        let mut late = vec![0x12, 8, 1, 1, 1, 1, 1, 1, 1, 1, 0x0a, 16];
        late.extend([9; 16]);
        let mut request = vec![0x0a, 32, 0x12, 30, 0x12, 28];
        request.extend(late);
        let late = Entry {
            body: request.into(),
            ..entry(Signal::Traces, &[], 0)
        };
        let sorted = Sorted::new(std::slice::from_ref(&late), 100, &mapper());
        assert_eq!(seen(&sorted, sorted.all()), [(Some(9), 0)]);
    }

    #[test]
    fn a_slice_is_whole_traces_and_no_more_than_is_worth_it() {
        let half = SLICE_BYTES / 2;
        let slices = |traces: &[u8]| {
            let entries = [entry(Signal::Traces, traces, half)];
            Sorted::new(&entries, 100, &mapper()).slices()
        };
        assert_eq!(slices(&[1, 2, 3, 4, 5]), [0..2, 2..4, 4..5]);
        assert_eq!(slices(&[1, 2, 2, 2, 2, 3, 1]), [0..2, 2..6, 6..7]);
        assert!(slices(&[]).iter().all(Range::is_empty));
        assert_eq!(slices(&[]).len(), 1);
    }

    #[test]
    fn as_many_entries_are_taken_as_have_so_many_spans() {
        let entries = [3, 4, 5].map(|trace| entry(Signal::Traces, &[trace; 10], 1));
        let taken = |most| Sorted::new(&entries, most, &mapper()).entries.len();
        assert_eq!([1, 10, 11, 20, 21, 99].map(taken), [1, 1, 2, 2, 3, 3]);
    }

    #[test]
    fn what_cannot_be_reached_is_rejected() {
        let mut broken = entry(Signal::Traces, &[1, 2], 1);
        broken.body = broken.body.slice(..broken.body.len() - 1);
        let sorted = Sorted::new(std::slice::from_ref(&broken), 100, &mapper());
        assert_eq!((sorted.rejected, sorted.all()), (1, 0..0));
    }
}
