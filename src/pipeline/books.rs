//! The books of spans: what came in, and what became of it, in one scrape.
//!
//! ```text
//! received + replayed = stored + duplicate + rejected + lost + in_flight
//! ```
//!
//! The two sides come from different hands. What came in is counted by the receiver, and by
//! walking over the raw requests that the spool hands out; what became of it by the mapper and the
//! counter once the store has committed it. `in_flight` is what was received and not handed out
//! yet, so the spool can't swallow anything unseen either: once the newest entry is delivered, what
//! is still missing is `lost`.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use prometheus::{
    IntGauge, IntGaugeVec, Opts, Registry,
    core::{Collector, Desc},
    proto::MetricFamily,
};

use super::refine::Bundle;
use crate::spool::{Entry, Position, Spool};

/// The books of one process life.
#[derive(Debug, Clone)]
pub struct Books(Arc<Shared>);

#[derive(Debug)]
struct Shared {
    spool: Arc<Spool>,
    /// The spool's end at the start: what lies before it was received by an earlier process.
    start: Position,
    sums: Mutex<Sums>,
}

/// Spans, since the start.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
struct Sums {
    /// Handed out of what this process received.
    handed_out: u64,
    /// Handed out of what an earlier process received.
    replayed: u64,
    stored: u64,
    duplicate: u64,
    rejected: u64,
    lost: u64,
}

/// The spans of a batch as its raw requests have them.
#[derive(Debug, Default)]
pub(super) struct Page {
    replayed: u64,
    handed_out: u64,
    upto: Option<Position>,
}

impl Books {
    /// Empty books of a spool that takes nothing yet, and their metrics.
    pub fn new(spool: Arc<Spool>, registry: &Registry) -> prometheus::Result<Self> {
        let books = Self(Arc::new(Shared {
            start: spool.end(),
            spool,
            sums: Mutex::default(),
        }));
        registry.register(Box::new(Gauges::new(books.clone())?))?;
        Ok(books)
    }

    /// Entries that were handed out, on a page: each has so many spans, readable or not.
    pub(super) fn page(&self, entries: &[Entry], counts: &[u64]) -> Page {
        let mut page = Page::default();
        for (entry, spans) in entries.iter().zip(counts) {
            match entry.position <= self.0.start {
                true => page.replayed += spans,
                false => page.handed_out += spans,
            }
        }
        page.upto = entries.last().map(|entry| entry.position);
        page
    }

    /// The entries of this page are delivered, as `bundle`.
    pub(super) fn delivered(&self, page: &Page, bundle: &Bundle) {
        let mut sums = self.sums();
        sums.replayed += page.replayed;
        sums.handed_out += page.handed_out;
        sums.stored += bundle.spans - bundle.duplicates.min(bundle.spans);
        sums.duplicate += bundle.duplicates;
        sums.rejected += bundle.rejected;
        let appended = self.0.spool.appended();
        if page.upto >= appended.end {
            sums.lost = appended.spans.saturating_sub(sums.handed_out);
        }
    }

    fn sums(&self) -> MutexGuard<'_, Sums> {
        self.0.sums.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Read off when asked for.
struct Gauges {
    books: Books,
    spans: IntGaugeVec,
    unbalanced: IntGauge,
}

impl Gauges {
    fn new(books: Books) -> prometheus::Result<Self> {
        Ok(Self {
            books,
            spans: IntGaugeVec::new(
                Opts::new(
                    "spanledger_books_spans",
                    "Spans since the start of the process. received + replayed = stored + duplicate + rejected + lost + in_flight. replayed: received by an earlier process; stored: what they say is committed, rows that the store refused in dead_letters; rejected: unreadable, their senders were told; lost: damaged in the spool; in_flight: in the spool.",
                ),
                &["entry"],
            )?,
            unbalanced: IntGauge::new(
                "spanledger_books_unbalanced_spans",
                "received + replayed less all that became of them: 0, or spans went missing unseen.",
            )?,
        })
    }
}

impl Collector for Gauges {
    fn desc(&self) -> Vec<&Desc> {
        let mut all = self.spans.desc();
        all.extend(self.unbalanced.desc());
        all
    }

    fn collect(&self) -> Vec<MetricFamily> {
        // The sums first: the spool has never handed out more than it was given.
        let sums = *self.books.sums();
        let received = self.books.0.spool.appended().spans;
        let in_flight = received.saturating_sub(sums.handed_out + sums.lost);
        let gauge = |spans: u64| i64::try_from(spans).unwrap_or(i64::MAX);
        let became = [
            ("stored", sums.stored),
            ("duplicate", sums.duplicate),
            ("rejected", sums.rejected),
            ("lost", sums.lost),
            ("in_flight", in_flight),
        ];
        let came = [("received", received), ("replayed", sums.replayed)];
        for (entry, spans) in came.into_iter().chain(became) {
            self.spans.with_label_values(&[entry]).set(gauge(spans));
        }
        let [came, became]: [u64; 2] =
            [&came[..], &became[..]].map(|side| side.iter().map(|(_, spans)| spans).sum());
        self.unbalanced.set(gauge(came) - gauge(became));
        let mut all = self.spans.collect();
        all.extend(self.unbalanced.collect());
        all
    }
}
