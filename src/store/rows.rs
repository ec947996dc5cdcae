//! The rows of a batch: packed by table, and what else a commit must know of them.

use std::collections::BTreeSet;

use super::{
    days::day_number,
    tables::{
        CACHE_LOOKUPS, JSON_PARSES, LLM_CALLS, PIPELINE_REQUESTS, Packed, RETRIEVALS, SPAN_LINKS,
        STT_LOGS,
    },
};
use crate::record::{History, Link, Record, SpanKey, TraceId};

/// Bytes of rows whose memory is worth keeping: several batches of the usual size.
const MOST_KEPT: usize = 8 * 1024 * 1024;

/// Rows that are to be stored, complete.
#[derive(Debug, Clone)]
pub struct PackedRows {
    calls: Packed,
    speech: Packed,
    retrievals: Packed,
    lookups: Packed,
    parses: Packed,
    requests: Packed,
    links: Packed,
    starts: Vec<(TraceId, i64)>,
    /// Spans of the rows in `llm_calls`.
    pub(super) call_keys: Vec<SpanKey>,
    /// Messages that calls were sent before, each with the call's start, Unix ns.
    pub(super) histories: Vec<(i64, Box<History>)>,
    /// Days since 1970 that rows started and were received on.
    pub(super) days: BTreeSet<(i64, i64)>,
    /// Days that links started on; they don't say when they were received.
    pub(super) link_days: BTreeSet<i64>,
    /// When the newest was received, Unix ns.
    pub(super) newest: Option<i64>,
}

impl Default for PackedRows {
    fn default() -> Self {
        Self {
            calls: Packed::new(&LLM_CALLS),
            speech: Packed::new(&STT_LOGS),
            retrievals: Packed::new(&RETRIEVALS),
            lookups: Packed::new(&CACHE_LOOKUPS),
            parses: Packed::new(&JSON_PARSES),
            requests: Packed::new(&PIPELINE_REQUESTS),
            links: Packed::new(&SPAN_LINKS),
            starts: Vec::new(),
            call_keys: Vec::new(),
            histories: Vec::new(),
            days: BTreeSet::new(),
            link_days: BTreeSet::new(),
            newest: None,
        }
    }
}

impl PackedRows {
    /// The rows that these become.
    pub fn of(records: impl IntoIterator<Item = Record>, links: &[Link]) -> Self {
        let mut rows = Self::default();
        rows.add(records, links);
        rows
    }

    /// Adds the rows that these become.
    pub fn add(&mut self, records: impl IntoIterator<Item = Record>, links: &[Link]) {
        let mut last = None;
        for mut record in records {
            let header = record.header();
            let key = header.key();
            let started_at = header.started_at;
            self.starts.push((key.trace_id, started_at));
            self.newest = self.newest.max(Some(header.received_at));
            let days = (day_number(started_at), day_number(header.received_at));
            if last != Some(days) {
                last = Some(days);
                self.days.insert(days);
            }
            match &mut record {
                Record::LlmCall(row) => {
                    self.call_keys.push(key);
                    self.calls.push(&LLM_CALLS, row);
                    let history = row.history.take();
                    self.histories.extend(history.map(|h| (started_at, h)));
                }
                Record::SttEvent(row) => self.speech.push(&STT_LOGS, row),
                Record::Retrieval(row) => self.retrievals.push(&RETRIEVALS, row),
                Record::CacheLookup(row) => self.lookups.push(&CACHE_LOOKUPS, row),
                Record::JsonParse(row) => self.parses.push(&JSON_PARSES, row),
                Record::PipelineRequest(row) => self.requests.push(&PIPELINE_REQUESTS, row),
            }
        }
        for link in links {
            self.link_days.insert(day_number(link.started_at));
            self.links.push(&SPAN_LINKS, link);
        }
    }

    /// True if there is nothing in it.
    pub fn is_empty(&self) -> bool {
        self.tables().into_iter().all(Packed::is_empty)
    }

    /// Lets all rows go. Their memory stays for others, unless it is unusually much.
    pub fn clear(&mut self) {
        if self.bytes().map(<[u8]>::len).sum::<usize>() > MOST_KEPT {
            *self = Self::default();
            return;
        }
        let Self {
            calls,
            speech,
            retrievals,
            lookups,
            parses,
            requests,
            links,
            starts,
            call_keys,
            histories,
            days,
            link_days,
            newest,
        } = self;
        for rows in [calls, speech, retrievals, lookups, parses, requests, links] {
            rows.clear();
        }
        starts.clear();
        call_keys.clear();
        histories.clear();
        days.clear();
        link_days.clear();
        *newest = None;
    }

    /// The trace and the start (Unix ns) of every row that a record became.
    pub fn starts(&self) -> &[(TraceId, i64)] {
        &self.starts
    }

    /// Bytes that COPY BINARY takes of them, but for what it wants around the rows of each table.
    pub fn bytes(&self) -> impl Iterator<Item = &[u8]> {
        self.tables().into_iter().flat_map(Packed::chunks)
    }

    /// The tables, in the order in which they are written.
    pub(super) fn tables(&self) -> [&Packed; 7] {
        [
            &self.calls,
            &self.speech,
            &self.retrievals,
            &self.lookups,
            &self.parses,
            &self.requests,
            &self.links,
        ]
    }
}
