//! Batches in, records and amendments out, in bounded memory.

use std::collections::VecDeque;

use rustc_hash::{FxHashMap, FxHashSet};

use super::{
    Config, Counted,
    family::{Family, Node, Request, Sums},
    rule,
};
use crate::record::{
    Amendment, Change, Link, MappedSpan, PipelineRequest, Record, SpanId, SpanKey, TraceId,
};

/// Counts each call once. One per lane; not shared.
#[derive(Debug)]
pub struct Counter {
    max_spans: usize,
    spans: usize,
    families: FxHashMap<TraceId, (u64, Family)>,
    /// (turn, trace), oldest first; entries whose turn has passed are stale.
    turns: VecDeque<(u64, TraceId)>,
    turn: u64,
}

impl Counter {
    /// An empty memory.
    pub fn new(config: &Config) -> Self {
        Self {
            max_spans: config.max_spans.max(1),
            spans: 0,
            families: FxHashMap::default(),
            turns: VecDeque::new(),
            turn: 0,
        }
    }

    /// Remembers spans that are stored already, so that what is above or below them is judged
    /// with them. For the start of a lane.
    pub fn warm(&mut self, mut stored: Vec<MappedSpan>) {
        let mut counted = Counted::default();
        let touched = self.admit(&mut stored, &mut Vec::new(), &mut counted);
        for trace in touched {
            let Some((_, family)) = self.families.get_mut(&trace) else {
                continue;
            };
            let verdicts = rule::verdicts(family);
            let ids: Vec<SpanId> = family.nodes.keys().copied().collect();
            for id in ids {
                let (context, parent) = (family.full_context(id), family.parent_call(id));
                let Some(node) = family.nodes.get_mut(&id) else {
                    continue;
                };
                node.told_context = context;
                node.told_parent_call = parent;
                node.verdict = verdicts.get(&id).copied().unwrap_or_default();
                node.emitted = true;
                node.linked = true;
            }
        }
        self.forget();
    }

    /// Counts a batch of priced spans and leaves it empty, its memory kept for the next.
    pub fn count(&mut self, spans: &mut Vec<MappedSpan>) -> Counted {
        let mut counted = Counted::default();
        let mut fresh = Vec::with_capacity(spans.len());
        let touched = self.admit(spans, &mut fresh, &mut counted);
        for trace_id in touched {
            if let Some((_, family)) = self.families.get_mut(&trace_id) {
                amend(trace_id, family, &mut counted);
            }
        }
        for (key, mut record) in fresh {
            let family = self.families.get(&key.trace_id).map(|(_, family)| family);
            if let Some(node) = family.and_then(|f| f.nodes.get(&key.span_id)) {
                complete(&mut record, key, node);
            }
            counted.records.push(record);
        }
        self.forget();
        counted
    }

    /// True if the span was seen before: what comes again of it is left out.
    pub fn knows(&self, key: SpanKey) -> bool {
        self.families
            .get(&key.trace_id)
            .is_some_and(|(_, family)| family.nodes.contains_key(&key.span_id))
    }

    /// Spans remembered now.
    pub fn remembered(&self) -> usize {
        self.spans
    }

    /// Puts new spans into their families; their records wait in `fresh`.
    fn admit(
        &mut self,
        spans: &mut Vec<MappedSpan>,
        fresh: &mut Vec<(SpanKey, Record)>,
        counted: &mut Counted,
    ) -> Vec<TraceId> {
        let mut touched = FxHashSet::default();
        let mut order = Vec::new();
        for mut span in spans.drain(..) {
            let trace_id = span.key.trace_id;
            let (_, family) = self.families.entry(trace_id).or_default();
            if family.nodes.contains_key(&span.key.span_id) {
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
                        }));
                    }
                    record => {
                        node.has_rows = true;
                        fresh.push((span.key, record));
                    }
                }
            }
            family.nodes.insert(span.key.span_id, node);
            self.spans += 1;
            if touched.insert(trace_id) {
                order.push(trace_id);
            }
        }
        self.turn += 1;
        for trace_id in &order {
            if let Some((turn, _)) = self.families.get_mut(trace_id) {
                *turn = self.turn;
                self.turns.push_back((self.turn, *trace_id));
            }
        }
        order
    }

    fn forget(&mut self) {
        while self.spans > self.max_spans {
            let Some((turn, trace_id)) = self.turns.pop_front() else {
                break;
            };
            if self
                .families
                .get(&trace_id)
                .is_some_and(|(last, _)| *last == turn)
                && let Some((_, family)) = self.families.remove(&trace_id)
            {
                self.spans -= family.nodes.len();
            }
        }
    }
}

/// Marks the spans that stand above a row.
fn mark_ties(family: &mut Family) {
    let mut above: Vec<SpanId> = Vec::new();
    for (&id, node) in &family.nodes {
        if node.facts.is_some() {
            above.extend(family.ancestors(id).map(|(id, _)| id));
        }
    }
    for id in above {
        if let Some(node) = family.nodes.get_mut(&id) {
            node.is_tie = true;
        }
    }
}

/// Runs the rule over a trace; what changed for rows that have left becomes amendments.
fn amend(trace_id: TraceId, family: &mut Family, out: &mut Counted) {
    let verdicts = rule::verdicts(family);
    mark_ties(family);
    let is_genai = family.is_genai();
    let mut ids: Vec<SpanId> = family.nodes.keys().copied().collect();
    ids.sort_unstable();
    for &id in &ids {
        let has_rows = family.nodes.get(&id).is_some_and(|node| node.has_rows);
        // Only rows have context to fill; other spans lend theirs.
        let (context, parent_call) = match has_rows {
            true => (family.full_context(id), family.parent_call(id)),
            false => (None, None),
        };
        let Some(node) = family.nodes.get_mut(&id) else {
            continue;
        };
        let key = SpanKey {
            trace_id,
            span_id: id,
        };
        let has_request = is_genai && node.request.is_some();
        if node.emitted {
            let mut change = |change| {
                out.amendments.push(Amendment {
                    key,
                    started_at: node.started_at,
                    change,
                });
            };
            if let Some(&verdict) = verdicts.get(&id)
                && verdict != node.verdict
            {
                change(if node.is_call_row() {
                    Change::Counted(verdict)
                } else {
                    Change::RetrievalCounted(verdict)
                });
            }
            if let Some(context) = &context
                && node.told_context.as_ref() != Some(context)
            {
                change(Change::Context(context.clone()));
            }
            if let Some(parent) = parent_call.filter(|_| node.is_call_row())
                && node.told_parent_call != Some(parent)
            {
                change(Change::ParentCall(SpanKey {
                    trace_id,
                    span_id: parent,
                }));
            }
        }
        node.verdict = verdicts.get(&id).copied().unwrap_or_default();
        node.told_context = context;
        node.told_parent_call = parent_call;
        node.emitted = has_rows;
        let ties_rows =
            (node.is_tie && node.parent.is_some()) || node.is_genai || node.context.is_some();
        if ties_rows && !has_rows && !has_request && !node.linked {
            node.linked = true;
            out.links.push(Link {
                trace_id,
                span_id: id,
                parent_span_id: node.parent,
                started_at: node.started_at,
                role: node.role,
                context: node.context.as_deref().cloned().unwrap_or_default(),
            });
        }
    }
    if is_genai {
        requests(trace_id, family, &ids, &verdicts, out);
    }
}

/// Lets the rows of requests go as soon as something of ours is in their trace, and keeps their
/// sums right.
fn requests(
    trace_id: TraceId,
    family: &mut Family,
    ids: &[SpanId],
    verdicts: &FxHashMap<SpanId, crate::record::Counted>,
    out: &mut Counted,
) {
    for &id in ids {
        if family
            .nodes
            .get(&id)
            .is_none_or(|node| node.request.is_none())
        {
            continue;
        }
        let sums = rule::sums(family, id, verdicts);
        let Some(node) = family.nodes.get_mut(&id) else {
            continue;
        };
        let started_at = node.started_at;
        let Some(request) = node.request.as_mut() else {
            continue;
        };
        if let Some(mut row) = request.held.take() {
            fill_sums(&mut row, &sums);
            out.records.push(Record::PipelineRequest(row));
        } else if request.told != sums {
            out.amendments.push(Amendment {
                key: SpanKey {
                    trace_id,
                    span_id: id,
                },
                started_at,
                change: Change::Request {
                    stages: sums.stages,
                    tokens: sums.tokens,
                    cost: sums.cost,
                },
            });
        }
        request.told = sums;
    }
}

fn fill_sums(row: &mut PipelineRequest, sums: &Sums) {
    row.stages = sums.stages;
    row.tokens = sums.tokens;
    row.cost = sums.cost;
}

/// Writes what the tree knows into a record that is about to leave.
fn complete(record: &mut Record, key: SpanKey, node: &Node) {
    let context = match record {
        Record::LlmCall(call) => {
            call.counted = node.verdict;
            call.parent_call_id = node.told_parent_call.map(|span_id| {
                SpanKey {
                    trace_id: key.trace_id,
                    span_id,
                }
                .to_string()
            });
            &mut call.context
        }
        Record::Retrieval(retrieval) => {
            retrieval.counted = node.verdict;
            &mut retrieval.context
        }
        Record::SttEvent(event) => &mut event.context,
        Record::CacheLookup(lookup) => &mut lookup.context,
        Record::JsonParse(parse) => &mut parse.context,
        Record::PipelineRequest(request) => &mut request.context,
    };
    if let Some(known) = &node.told_context {
        context.fill_from(known);
    }
}
