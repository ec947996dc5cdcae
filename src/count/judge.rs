//! The rule's outcome, written into rows that are about to leave, and told as changes to those that
//! have left.

use std::sync::Arc;

use smallvec::smallvec;

use super::{
    Counted,
    family::{Family, Node, Sums},
    rule::{self, Places, Verdicts},
};
use crate::record::{Amendment, Change, Context, Link, PipelineRequest, Record, SpanKey, TraceId};

/// Marks the spans that stand above a row.
fn mark_ties(family: &mut Family) {
    let mut above: Places<bool> = smallvec![false; family.nodes.len()];
    for (place, node) in family.nodes.iter() {
        if node.facts.is_some() {
            rule::mark_above(family, place, &mut above);
        }
    }
    for (place, is_above) in above.into_iter().enumerate() {
        family.nodes.at_mut(place).is_tie |= is_above;
    }
}

/// Runs the rule over a trace; what changed for rows that have left becomes amendments.
pub(super) fn amend(trace_id: TraceId, family: &mut Family, out: &mut Counted) {
    let verdicts = rule::verdicts(family);
    mark_ties(family);
    let is_genai = family.is_genai();
    let mut order: Places<usize> = (0..family.nodes.len()).collect();
    order.sort_unstable_by_key(|&place| family.nodes.id(place));
    for &place in &order {
        let has_rows = family.nodes.at(place).has_rows;
        // Only rows have context to fill; other spans lend theirs.
        let (context, parent_call) = match has_rows {
            true => (family.full_context(place), family.parent_call(place)),
            false => (None, None),
        };
        let verdict = verdicts[place];
        let key = SpanKey {
            trace_id,
            span_id: family.nodes.id(place),
        };
        let node = family.nodes.at_mut(place);
        let has_request = is_genai && node.request.is_some();
        if node.emitted {
            let mut change = |change| {
                out.amendments.push(Amendment {
                    key,
                    started_at: node.started_at,
                    change,
                });
            };
            if let Some(verdict) = verdict
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
        node.verdict = verdict.unwrap_or_default();
        node.told_context = context;
        node.told_parent_call = parent_call;
        node.emitted = has_rows;
        let ties_rows =
            (node.is_tie && node.parent.is_some()) || node.is_genai || node.context.is_some();
        let needs_link = match has_rows {
            // Else it would be new when it is sent again after a restart, and a hole in its trace.
            true => !node.is_read_back,
            false => ties_rows && !has_request,
        };
        if needs_link && !node.linked {
            node.linked = true;
            out.links.push(Link {
                trace_id,
                span_id: key.span_id,
                parent_span_id: node.parent,
                started_at: node.started_at,
                role: node.role,
                context: node.context.as_deref().cloned().unwrap_or_default(),
            });
        }
    }
    if is_genai {
        requests(trace_id, family, &order, &verdicts, out);
    }
}

/// Lets the rows of requests go as soon as something of ours is in their trace, and keeps their
/// sums right.
fn requests(
    trace_id: TraceId,
    family: &mut Family,
    order: &[usize],
    verdicts: &Verdicts,
    out: &mut Counted,
) {
    let all = rule::sums(family, verdicts);
    for &place in order {
        let span_id = family.nodes.id(place);
        let node = family.nodes.at_mut(place);
        let started_at = node.started_at;
        let Some(request) = node.request.as_mut() else {
            continue;
        };
        let sums = request.base.plus(&all.of(place), 1.0);
        if let Some(mut row) = request.held.take() {
            fill_sums(&mut row, &sums);
            out.records.push(Record::PipelineRequest(row));
        } else if request.told != sums {
            out.amendments.push(Amendment {
                key: SpanKey { trace_id, span_id },
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

/// Contexts that were put together last: a record's, its family's, and both. The rows of a trace
/// mostly have the same two.
#[derive(Default)]
pub(super) struct Filled(Option<[Arc<Context>; 3]>);

impl Filled {
    fn of(&mut self, own: &Arc<Context>, known: &Arc<Context>) -> Arc<Context> {
        match &self.0 {
            Some([of, by, filled]) if Arc::ptr_eq(of, own) && Arc::ptr_eq(by, known) => {
                Arc::clone(filled)
            }
            _ => {
                let filled = Context::filled(own, known);
                self.0 = Some([own, known, &filled].map(Arc::clone));
                filled
            }
        }
    }
}

/// Writes what the tree knows into a record that is about to leave.
pub(super) fn complete(record: &mut Record, key: SpanKey, node: &Node, contexts: &mut Filled) {
    let context = match record {
        Record::LlmCall(call) => {
            call.counted = node.verdict;
            call.parent_call = node
                .told_parent_call
                .map(|span_id| SpanKey { span_id, ..key });
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
        *context = contexts.of(context, known);
    }
}
