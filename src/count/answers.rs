//! One call shown in several traces: an SDK that starts a trace of its own inside a framework's
//! span, a gateway that exports the call again.
//!
//! The provider's id of the answer tells; since test servers and replayed caches repeat ids, the
//! spans must also overlap in time and not contradict in usage. Of the traces that show a call, the
//! one that says most stands for it; among equals, the one where the call has a parent, then the one
//! that started first.

use std::{cmp::Reverse, collections::hash_map::Entry};

use super::{
    family::{Family, Node, Tokens},
    rule,
};
use crate::record::{Counted, IdMap, IdSet, Role, SpanId, SpanKey, TraceId};

/// Spans by the answer that they show.
#[derive(Debug, Default)]
pub(super) struct Answers(IdMap<u64, Spans>);

/// The spans that show an answer: mostly one, which needs no memory of its own.
#[derive(Debug)]
enum Spans {
    One(SpanKey),
    Several(Vec<SpanKey>),
}

impl Spans {
    fn as_slice(&self) -> &[SpanKey] {
        match self {
            Spans::One(key) => std::slice::from_ref(key),
            Spans::Several(keys) => keys,
        }
    }
}

/// More spans than this under one id are no sign of anything.
const MOST_SPANS: usize = 64;

type Families = IdMap<TraceId, (u64, Family)>;

impl Answers {
    pub fn add(&mut self, answer: u64, key: SpanKey) {
        match self.0.entry(answer) {
            Entry::Vacant(place) => drop(place.insert(Spans::One(key))),
            Entry::Occupied(mut place) => match place.get_mut() {
                Spans::One(first) => *place.get_mut() = Spans::Several(vec![*first, key]),
                Spans::Several(keys) if keys.len() < MOST_SPANS => keys.push(key),
                Spans::Several(_) => {}
            },
        }
    }

    /// Forgets that a trace shows an answer.
    pub fn remove(&mut self, answer: u64, trace_id: TraceId) {
        let Entry::Occupied(mut place) = self.0.entry(answer) else {
            return;
        };
        let is_left = match place.get_mut() {
            Spans::One(key) => key.trace_id != trace_id,
            Spans::Several(keys) => {
                keys.retain(|key| key.trace_id != trace_id);
                !keys.is_empty()
            }
        };
        if !is_left {
            place.remove();
        }
    }

    /// The spans of the touched traces' answers that now stand for nothing because another trace
    /// does, or stand again.
    pub fn settle(&self, families: &Families, touched: &[TraceId]) -> Vec<(SpanKey, bool)> {
        let mut changed = Vec::new();
        let mut seen = IdSet::default();
        for (_, family) in touched.iter().filter_map(|id| families.get(id)) {
            for answer in family.nodes.values().filter_map(answer_of) {
                let spans = self.0.get(&answer).map_or(&[][..], Spans::as_slice);
                let is_in_one = spans
                    .windows(2)
                    .all(|two| two[0].trace_id == two[1].trace_id);
                if !is_in_one && seen.insert(answer) {
                    settle_one(spans, families, &mut changed);
                }
            }
        }
        changed
    }
}

pub(super) fn answer_of(node: &Node) -> Option<u64> {
    node.facts.as_ref()?.answer
}

/// Marks what is stored as a duplicate, though the rule inside its trace would count it: another
/// trace stands for it, which may not be recalled with it. One with a call above it is left to the
/// rule: it may have been that one's duplicate, before something between them was known.
pub(super) fn mark_elsewhere(family: &mut Family, duplicates: &[SpanId]) {
    let places = duplicates.iter().filter_map(|id| family.nodes.place(id));
    let is_alone = |place: &usize| {
        let mut above = family.ancestors(*place);
        answer_of(family.nodes.at(*place)).is_some()
            && !above.any(|(_, node)| node.is_call_row() && node.role != Role::Rollup)
    };
    let places: Vec<usize> = places.filter(is_alone).collect();
    if places.is_empty() {
        return;
    }
    for &place in &places {
        family.nodes.at_mut(place).is_elsewhere = false;
    }
    let verdicts = rule::verdicts(family);
    for place in places {
        family.nodes.at_mut(place).is_elsewhere = verdicts[place] == Some(Counted::Yes);
    }
}

/// Traces are compared by their best spans: what stands for the call inside a trace is that trace's
/// own matter, so a trace that stands for a call keeps all of its spans that show it.
fn settle_one(spans: &[SpanKey], families: &Families, changed: &mut Vec<(SpanKey, bool)>) {
    let mut open: Vec<(SpanKey, &Node)> = spans
        .iter()
        .filter_map(|key| {
            let (_, family) = families.get(&key.trace_id)?;
            Some((*key, family.nodes.get(&key.span_id)?))
        })
        .collect();
    open.sort_by_cached_key(|(key, node)| Reverse(rank(*key, node)));
    let mut tell = |spans: &[(SpanKey, &Node)], is_elsewhere: bool| {
        let others = spans
            .iter()
            .filter(|(_, node)| node.is_elsewhere != is_elsewhere);
        changed.extend(others.map(|(key, _)| (*key, is_elsewhere)));
    };
    while let Some(&(best, node)) = open.first() {
        let (standing, others): (Vec<_>, Vec<_>) = open.into_iter().partition(|(key, other)| {
            *key == best || (key.trace_id == best.trace_id && is_same(node, other))
        });
        let (lost, rest): (Vec<_>, Vec<_>) = others.into_iter().partition(|(key, other)| {
            let mut of_winner = standing.iter().map(|(_, node)| node);
            key.trace_id != best.trace_id && of_winner.any(|node| is_same(node, other))
        });
        tell(&standing, false);
        tell(&lost, true);
        open = rest;
    }
}

/// Higher stands for the call.
fn rank(key: SpanKey, node: &Node) -> impl Ord + use<> {
    let richness = node.facts.as_ref().map(|facts| facts.richness);
    (
        richness,
        node.parent.is_some(),
        Reverse((node.started_at, key.trace_id.0, key.span_id.0)),
    )
}

/// The same moment, and no contradiction in usage.
fn is_same(a: &Node, b: &Node) -> bool {
    let end = |node: &Node| {
        let ns = node.duration_ms.unwrap_or(0.0) * 1e6;
        node.started_at.saturating_add(ns as i64)
    };
    let overlap = a.started_at <= end(b) && b.started_at <= end(a);
    let tokens = |node: &Node| node.facts.as_ref().map(|facts| facts.tokens);
    overlap && !contradict(tokens(a).unwrap_or_default(), tokens(b).unwrap_or_default())
}

/// True if both know a count and say it otherwise. The total tells only where the parts don't: some
/// add reasoning or cached tokens to it, others do not.
fn contradict(a: Tokens, b: Tokens) -> bool {
    let same = |a: Option<i64>, b: Option<i64>| Some(a? == b?);
    let parts = [same(a.prompt, b.prompt), same(a.completion, b.completion)];
    let told = match parts {
        [None, None] => [same(a.total, b.total), None],
        parts => parts,
    };
    told.contains(&Some(false))
}
