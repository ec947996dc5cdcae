//! Batches in, records and amendments out, in bounded memory.

use std::{collections::VecDeque, sync::Arc};

use super::{
    Config, Counted,
    answers::{Answers, answer_of, mark_elsewhere},
    family::{Asked, Family, Node, Request, Sums},
    forgotten::Forgotten,
    judge::{Filled, amend, complete},
    rule::{self, RequestSums},
};
use crate::record::{
    Change, Context, Counted as Verdict, IdMap, IdSet, MappedSpan, NotCounted, Record, SpanId,
    SpanKey, TraceId,
};

/// The newest batches, this one included, that may still be on their way to the store.
const UNDER_WAY: usize = 3;

/// Counts each call once. One per lane; not shared.
#[derive(Debug)]
pub struct Counter {
    max_spans: usize,
    spans: usize,
    families: IdMap<TraceId, (u64, Family)>,
    /// (turn, trace), oldest first; entries whose turn has passed are stale.
    turns: VecDeque<(u64, TraceId)>,
    turn: u64,
    /// The turns in which the newest batches began, newest first.
    begun: [u64; UNDER_WAY],
    /// Spans that started up to here (Unix ns) may be stored and not remembered.
    blind_until: i64,
    forgotten: Forgotten,
    answers: Answers,
}

impl Counter {
    /// An empty memory.
    pub fn new(config: &Config) -> Self {
        Self {
            max_spans: config.max_spans.max(1),
            spans: 0,
            families: IdMap::default(),
            turns: VecDeque::new(),
            turn: 0,
            begun: [0; UNDER_WAY],
            blind_until: i64::MIN,
            forgotten: Forgotten::default(),
            answers: Answers::default(),
        }
    }

    /// Remembers spans that are stored already, so that what is above or below them is judged
    /// with them.
    pub fn warm(&mut self, stored: Vec<MappedSpan>) {
        self.recall(stored);
        self.forget();
    }

    /// Spans of a batch for which there is room: what is under way to the store is not forgotten.
    pub fn room(&self) -> usize {
        (self.max_spans / UNDER_WAY).max(1)
    }

    /// What is counted from now on is of a new batch.
    pub fn begin_batch(&mut self) {
        self.begun.rotate_right(1);
        self.begun[0] = self.turn + 1;
    }

    /// Everything that started up to then (Unix ns) may be stored without being remembered; so may
    /// the parents that are missing now. (Where a request is known, so is the trace's beginning.)
    pub fn is_blind_until(&mut self, unix_ns: i64) {
        self.blind_until = self.blind_until.max(unix_ns);
        for (_, family) in self.families.values_mut() {
            if family.has_orphan() && !family.has_request() {
                family.asked = Asked::InPart;
            }
        }
    }

    /// The traces of these spans that may be stored in part without being remembered, and within
    /// which bounds their spans started (Unix ns). `is_shared`: others write to the store, too.
    pub fn strangers(&self, spans: &[MappedSpan], is_shared: bool) -> Vec<(TraceId, i64, i64)> {
        // Step by step for all of them: so the places in memory are waited for together.
        let runs = by_trace(spans).filter(|(_, run)| run.iter().any(matters));
        let asked = |trace_id| {
            let known = self.families.get(&trace_id);
            known.map_or(Asked::No, |(_, family)| family.asked)
        };
        let mut unknown: Vec<(TraceId, &[MappedSpan], Asked)> =
            runs.map(|(id, run)| (id, run, asked(id))).collect();
        unknown.retain(|(.., asked)| *asked != Asked::Yes);
        let mut found: IdMap<TraceId, (i64, i64)> = IdMap::default();
        for (trace_id, run, asked) in unknown {
            let is_asked = is_shared || asked == Asked::InPart || self.forgotten.has(trace_id);
            for span in run.iter().filter(|span| matters(span)) {
                if is_asked || span.started_at <= self.blind_until {
                    let (from, to) = found
                        .entry(trace_id)
                        .or_insert((span.started_at, span.started_at));
                    *from = span.started_at.min(*from);
                    *to = span.started_at.max(*to);
                }
            }
        }
        found
            .into_iter()
            .map(|(id, (from, to))| (id, from, to))
            .collect()
    }

    /// Judges traces again together with what is stored of them: what somebody else stored, or
    /// what this memory lost. Changes to stored rows come of it, and the rows of requests that waited
    /// for something of ours.
    pub fn reconcile(&mut self, stored: Vec<MappedSpan>) -> Counted {
        let mut counted = Counted::default();
        let mut touched = self.recall(stored);
        self.settle_answers(&mut touched);
        for trace_id in touched {
            if let Some((_, family)) = self.families.get_mut(&trace_id) {
                amend(trace_id, family, &mut counted);
            }
        }
        self.forget();
        counted
    }

    /// Remembers what is stored as it is stored, and says which traces have it. What was believed
    /// to be stored gives way: another process may have stored the same span first.
    fn recall(&mut self, mut stored: Vec<MappedSpan>) -> Vec<TraceId> {
        let mut told: IdMap<SpanKey, (Verdict, Option<SpanId>)> = IdMap::default();
        let mut sums: Vec<(SpanKey, Sums)> = Vec::new();
        for span in &stored {
            for record in &span.records {
                match record {
                    Record::LlmCall(call) => {
                        let parent = call.parent_call.map(|parent| parent.span_id);
                        told.insert(span.key, (call.counted, parent));
                    }
                    Record::Retrieval(search) => {
                        told.insert(span.key, (search.counted, None));
                    }
                    Record::PipelineRequest(row) => sums.push((
                        span.key,
                        Sums {
                            stages: row.stages,
                            tokens: row.tokens,
                            cost: row.cost,
                        },
                    )),
                    _ => {}
                }
            }
        }
        let contexts: Vec<(SpanKey, Option<Arc<Context>>)> = stored
            .iter()
            .map(|span| (span.key, span.context.clone()))
            .collect();
        let mut traces: IdSet<TraceId> = stored.iter().map(|span| span.key.trace_id).collect();
        let mut touched = self.admit(&mut stored, &mut Vec::new(), &mut Counted::default());
        for trace_id in &traces {
            if let Some((_, family)) = self.families.get_mut(trace_id) {
                family.asked = Asked::Yes;
            }
        }
        for trace in &touched {
            traces.remove(trace);
        }
        touched.extend(traces);
        for (key, context) in contexts {
            let Some((_, family)) = self.families.get_mut(&key.trace_id) else {
                continue;
            };
            let Some(node) = family.nodes.get_mut(&key.span_id) else {
                continue;
            };
            let (verdict, parent) = told.get(&key).copied().unwrap_or_default();
            node.verdict = verdict;
            node.told_parent_call = parent;
            if told.contains_key(&key) || node.told_context.is_none() {
                node.told_context = context;
            }
            node.emitted = true;
            node.linked = true;
        }
        self.recall_elsewhere(&told);
        let mut known_sums: IdMap<TraceId, RequestSums> = IdMap::default();
        for (key, stored) in sums {
            let Some((_, family)) = self.families.get_mut(&key.trace_id) else {
                continue;
            };
            let of_trace = known_sums.entry(key.trace_id).or_insert_with(|| {
                let verdict = |node: &Node| node.facts.as_ref().map(|_| node.verdict);
                rule::sums(family, &family.nodes.values().map(verdict).collect())
            });
            let Some(place) = family.nodes.place(&key.span_id) else {
                continue;
            };
            let known = of_trace.of(place);
            if let Some(request) = &mut family.nodes.at_mut(place).request {
                // A row that this memory wrote itself has its own sums.
                if request.held.take().is_some() {
                    request.base = stored.plus(&known, -1.0);
                    request.told = stored;
                }
            }
        }
        touched
    }

    /// Remembers of calls that another trace stands for that one does.
    fn recall_elsewhere(&mut self, told: &IdMap<SpanKey, (Verdict, Option<SpanId>)>) {
        let mut duplicates: IdMap<TraceId, Vec<SpanId>> = IdMap::default();
        for (key, (verdict, _)) in told {
            if *verdict == Verdict::No(NotCounted::Duplicate) {
                let of_trace = duplicates.entry(key.trace_id).or_default();
                of_trace.push(key.span_id);
            }
        }
        for (trace_id, spans) in duplicates {
            if let Some((_, family)) = self.families.get_mut(&trace_id) {
                mark_elsewhere(family, &spans);
            }
        }
    }

    /// Counts a batch of priced spans and leaves it empty, its memory kept for the next.
    pub fn count(&mut self, spans: &mut Vec<MappedSpan>) -> Counted {
        let mut counted = Counted::default();
        let mut fresh = Vec::with_capacity(spans.len());
        counted.records.reserve(spans.len());
        let mut touched = self.admit(spans, &mut fresh, &mut counted);
        self.settle_answers(&mut touched);
        for trace_id in touched {
            if let Some((_, family)) = self.families.get_mut(&trace_id) {
                let before = counted.amendments.len();
                amend(trace_id, family, &mut counted);
                let new = counted.amendments.get(before..).unwrap_or_default();
                let has_new_sums = new
                    .iter()
                    .any(|amendment| matches!(amendment.change, Change::Request { .. }));
                family.nodes.shrink();
                family.was_open |= family.has_orphan() || family.holds_request();
                if has_new_sums || (family.was_open && family.may_matter()) {
                    let (from, to) = family.times();
                    counted.open.push((trace_id, from, to));
                }
            }
        }
        let mut contexts = Filled::default();
        let mut last = None;
        for (key, place, mut record) in fresh {
            // The spans of a trace mostly come together.
            let family = match last {
                Some((trace_id, family)) if trace_id == key.trace_id => family,
                _ => self.families.get(&key.trace_id).map(|(_, family)| family),
            };
            last = Some((key.trace_id, family));
            if let Some(family) = family {
                complete(&mut record, key, family.nodes.at(place), &mut contexts);
            }
            counted.records.push(record);
        }
        counted.is_forgotten = self.forget();
        counted
    }

    /// True if the span was seen before: what comes again of it is left out.
    pub fn knows(&self, key: SpanKey) -> bool {
        self.families
            .get(&key.trace_id)
            .is_some_and(|(_, family)| family.nodes.place(&key.span_id).is_some())
    }

    /// The traces that are remembered and have something of ours, or a request that waits for it,
    /// and within which bounds their spans started, Unix ns.
    pub fn traces(&self) -> Vec<(TraceId, i64, i64)> {
        let families = self.families.iter();
        let ours = families.filter(|(_, (_, family))| family.may_matter());
        ours.map(|(id, (_, family))| {
            let (from, to) = family.times();
            (*id, from, to)
        })
        .collect()
    }

    /// Spans remembered now.
    pub fn remembered(&self) -> usize {
        self.spans
    }

    /// Puts new spans into their families; their records wait in `fresh`, each with the place of its
    /// span. Says which traces have any, each once.
    fn admit(
        &mut self,
        spans: &mut Vec<MappedSpan>,
        fresh: &mut Vec<(SpanKey, usize, Record)>,
        counted: &mut Counted,
    ) -> Vec<TraceId> {
        self.turn += 1;
        let mut touched = Vec::new();
        // The spans of a trace mostly come together.
        let runs: Vec<(TraceId, usize)> =
            by_trace(spans).map(|(id, run)| (id, run.len())).collect();
        let mut shown = Vec::new();
        let mut spans = spans.drain(..);
        for (trace_id, len) in runs {
            let (turn, family) = self.families.entry(trace_id).or_default();
            if family.nodes.len() == 0 {
                family.nodes.reserve(len);
            }
            for mut span in spans.by_ref().take(len) {
                // Before what matters is counted, the store was asked, if it may know more.
                if matters(&span) {
                    family.asked = Asked::Yes;
                }
                if family.nodes.place(&span.key.span_id).is_some() {
                    counted.duplicates += 1;
                    continue;
                }
                let mut node = Node::new(&span);
                for record in span.records.drain(..) {
                    match record {
                        Record::PipelineRequest(row) => {
                            node.request = Some(Box::new(Request {
                                held: Some(row),
                                told: Sums::default(),
                                base: Sums::default(),
                            }));
                        }
                        record => {
                            node.has_rows = true;
                            node.is_read_back |=
                                matches!(record, Record::LlmCall(_) | Record::Retrieval(_));
                            fresh.push((span.key, family.nodes.len(), record));
                        }
                    }
                }
                shown.extend(answer_of(&node).map(|answer| (answer, span.key)));
                family.nodes.push(span.key.span_id, node);
                self.spans += 1;
                if *turn != self.turn {
                    *turn = self.turn;
                    self.turns.push_back((self.turn, trace_id));
                    touched.push(trace_id);
                }
            }
        }
        // Once for each trace, however its spans are mixed with those of others.
        for trace_id in &touched {
            if let Some((_, family)) = self.families.get_mut(trace_id) {
                family.nodes.tie();
            }
        }
        for (answer, key) in shown {
            self.answers.add(answer, key);
        }
        touched
    }

    /// Makes room; says whether traces had to go that may not be stored yet.
    fn forget(&mut self) -> bool {
        let mut is_recent = false;
        // Step by step for all of them: so the places in memory are waited for together.
        let mut gone = Vec::new();
        while self.spans > self.max_spans {
            let Some((turn, trace_id)) = self.turns.pop_front() else {
                break;
            };
            if let Some((last, family)) = self.families.get(&trace_id)
                && *last == turn
            {
                self.spans -= family.nodes.len();
                is_recent |= turn >= self.begun[UNDER_WAY - 1];
                gone.push(trace_id);
            }
        }
        let gone: Vec<(TraceId, Family, i64)> = gone
            .into_iter()
            .filter_map(|trace_id| {
                let (_, family) = self.families.remove(&trace_id)?;
                let (_, newest) = family.times();
                Some((trace_id, family, newest))
            })
            .collect();
        let mut shown = Vec::new();
        for (trace_id, family, newest) in &gone {
            if let Some(old) = self.forgotten.add(*trace_id, *newest) {
                self.blind_until = self.blind_until.max(old);
            }
            let answers = family.nodes.values().filter_map(answer_of);
            shown.extend(answers.map(|answer| (answer, *trace_id)));
        }
        for (answer, trace_id) in shown {
            self.answers.remove(answer, trace_id);
        }
        is_recent
    }

    /// Finds calls that spans of several traces show, and lets one trace stand for each. Traces
    /// where that changes something are touched, too.
    fn settle_answers(&mut self, touched: &mut Vec<TraceId>) {
        let changed = self.answers.settle(&self.families, touched);
        if changed.is_empty() {
            return;
        }
        let mut known: IdSet<TraceId> = touched.iter().copied().collect();
        for (key, is_elsewhere) in changed {
            let node = self
                .families
                .get_mut(&key.trace_id)
                .and_then(|(_, family)| family.nodes.get_mut(&key.span_id));
            if let Some(node) = node {
                node.is_elsewhere = is_elsewhere;
                if known.insert(key.trace_id) {
                    touched.push(key.trace_id);
                }
            }
        }
    }
}

/// True if what the store knows of the span's trace bears on it.
fn matters(span: &MappedSpan) -> bool {
    span.is_genai || !span.records.is_empty() || span.context.is_some()
}

/// The spans of each trace that stand together, as they mostly do.
fn by_trace(spans: &[MappedSpan]) -> impl Iterator<Item = (TraceId, &[MappedSpan])> {
    spans
        .chunk_by(|span, next| span.key.trace_id == next.key.trace_id)
        .filter_map(|run| Some((run.first()?.key.trace_id, run)))
}
