//! The rule, a pure function over one trace. The station's doc has it in words.

use std::{cmp::Reverse, collections::BTreeMap};

use rustc_hash::FxHashSet;
use smallvec::{SmallVec, smallvec};

use super::family::{Facts, Family, Kind, Sums, Tokens};
use crate::record::{Counted, NotCounted, Role, Stage};

/// Steps down that one judgement of a trace takes. Beyond them a span with another of its kind inside
/// is taken for a wrapper: only a trace of thousands of calls inside one another has so many.
const MOST_STEPS: usize = 1 << 20;

/// Something of the span at each place. That of most traces takes no memory of its own.
pub(super) type Places<T> = SmallVec<[T; 16]>;

/// The verdict on the span at each place; `None` on one that has no row that can count.
pub(super) type Verdicts = Places<Option<Counted>>;

/// Places of the spans of one kind directly inside another of that kind, by its place.
type Inner = BTreeMap<usize, Vec<usize>>;

/// The verdict on every span with a row that can count.
pub(super) fn verdicts(family: &Family) -> Verdicts {
    let nodes = &family.nodes;
    let mut verdicts: Verdicts = smallvec![None; nodes.len()];
    let mut above_usage: Places<bool> = smallvec![false; nodes.len()];
    let mut inner_of = Inner::new();
    for (place, node) in nodes.iter() {
        let Some(facts) = &node.facts else { continue };
        verdicts[place] = Some(Counted::Yes);
        let wraps_usage = node.role == Role::Rollup && facts.tokens.is_known();
        if is_call(node.role, facts) || wraps_usage {
            mark_above(family, place, &mut above_usage);
        }
        if !matches!(node.role, Role::Rollup | Role::Attempt)
            && let Some(outer) = same_kind_above(family, place, facts.kind)
        {
            inner_of.entry(outer).or_default().push(place);
        }
    }
    for ((place, node), verdict) in nodes.iter().zip(&mut verdicts) {
        let Some(verdict) = verdict else { continue };
        let has_usage = node.facts.as_ref().is_some_and(|f| f.tokens.is_known());
        match node.role {
            Role::Rollup if above_usage[place] || !has_usage => {
                *verdict = Counted::No(NotCounted::Wrapper);
            }
            Role::Attempt => *verdict = Counted::No(NotCounted::Duplicate),
            _ => {}
        }
    }
    let mut outers: Vec<usize> = inner_of.keys().copied().collect();
    outers.sort_by_cached_key(|&place| {
        let depth = family.ancestors(place).count();
        (Reverse(depth), nodes.id(place))
    });
    let mut steps = MOST_STEPS;
    for outer in outers {
        settle(family, outer, &inner_of, &mut verdicts, &mut steps);
    }
    for (node, verdict) in nodes.values().zip(&mut verdicts) {
        if node.is_elsewhere && *verdict == Some(Counted::Yes) {
            *verdict = Some(Counted::No(NotCounted::Duplicate));
        }
    }
    verdicts
}

/// Marks the places above one, up to the first that is marked: above it, all are.
pub(super) fn mark_above(family: &Family, place: usize, marks: &mut [bool]) {
    for (above, _) in family.ancestors(place) {
        if std::mem::replace(&mut marks[above], true) {
            break;
        }
    }
}

fn is_call(role: Role, facts: &Facts) -> bool {
    matches!(role, Role::Call | Role::Embedding) && facts.kind != Kind::Other
}

/// The nearest ancestor that could be the same call seen again.
fn same_kind_above(family: &Family, place: usize, kind: Kind) -> Option<usize> {
    if kind == Kind::Other {
        return None;
    }
    for (above, node) in family.ancestors(place) {
        match node.role {
            Role::Tool | Role::Rollup => return None,
            Role::Retrieval if kind != Kind::Retrieval => return None,
            _ => {}
        }
        if node.facts.as_ref().is_some_and(|facts| facts.kind == kind) {
            return Some(above);
        }
    }
    None
}

/// Decides between an outer span and those directly inside it, deeper pairs having been settled.
fn settle(
    family: &Family,
    outer: usize,
    inner_of: &Inner,
    verdicts: &mut Verdicts,
    steps: &mut usize,
) {
    let standing = standing(outer, inner_of, verdicts, steps);
    if *steps == 0 {
        verdicts[outer] = Some(Counted::No(NotCounted::Wrapper));
        return;
    }
    let facts_of = |place: &usize| family.nodes.at(*place).facts.as_deref();
    let Some(own) = facts_of(&outer) else { return };
    let inner: Vec<&Facts> = standing.iter().filter_map(facts_of).collect();
    let best = inner.iter().map(|f| f.richness).max().unwrap_or_default();
    if own.kind == Kind::Retrieval {
        if own.richness >= best {
            demote(&standing, verdicts);
        } else {
            verdicts[outer] = Some(Counted::No(NotCounted::Wrapper));
        }
    } else if is_call_of_its_own(own, &inner) {
        // Both count: the outer span made a call besides the ones below it.
    } else if best >= own.richness {
        verdicts[outer] = Some(Counted::No(NotCounted::Wrapper));
    } else {
        demote(&standing, verdicts);
    }
}

fn demote(places: &[usize], verdicts: &mut Verdicts) {
    for &place in places {
        verdicts[place] = Some(Counted::No(NotCounted::Duplicate));
    }
}

/// The counted spans below `outer`, through those that turned out to be wrappers.
fn standing(outer: usize, inner_of: &Inner, verdicts: &Verdicts, steps: &mut usize) -> Vec<usize> {
    let mut found = Vec::new();
    let mut open = vec![outer];
    let mut seen = FxHashSet::default();
    while let Some(place) = open.pop() {
        for &inner in inner_of.get(&place).into_iter().flatten() {
            if seen.insert(inner) {
                if verdicts[inner] == Some(Counted::Yes) {
                    found.push(inner);
                }
                if *steps == 0 {
                    return found;
                }
                *steps -= 1;
                open.push(inner);
            }
        }
    }
    found
}

/// A span whose usage is neither that of a span inside it nor their sum, and that is not the same
/// single call under another accounting (one inner call, same model), made a call of its own.
fn is_call_of_its_own(own: &Facts, inner: &[&Facts]) -> bool {
    let Some(tokens) = own.tokens.sum() else {
        return false;
    };
    let known: Vec<&&Facts> = inner.iter().filter(|f| f.tokens.is_known()).collect();
    if known.is_empty() {
        return false;
    }
    if inner.len() == 1 && (own.model.is_none() || own.model == inner[0].model) {
        return false;
    }
    let sum = known
        .iter()
        .filter_map(|f| f.tokens.sum())
        .fold(0i64, i64::saturating_add);
    tokens != sum && !known.iter().any(|f| same_usage(&own.tokens, &f.tokens))
}

fn same_usage(a: &Tokens, b: &Tokens) -> bool {
    (a.prompt, a.completion) == (b.prompt, b.completion)
}

/// What the rows of a trace's requests say of the counted rows below each: places, in their order.
pub(super) struct RequestSums(Vec<(usize, Sums)>);

impl RequestSums {
    /// Of the request at a place; nothing, if there is none.
    pub fn of(&self, place: usize) -> Sums {
        let found = self.0.binary_search_by_key(&place, |(known, _)| *known);
        let found = found.ok().and_then(|at| self.0.get(at));
        found.map(|(_, sums)| sums.clone()).unwrap_or_default()
    }

    fn slot(&mut self, place: usize) -> Option<&mut Sums> {
        let found = self.0.binary_search_by_key(&place, |(known, _)| *known);
        self.0.get_mut(found.ok()?).map(|(_, sums)| sums)
    }
}

/// Sums up what counts of a trace.
pub(super) fn sums(family: &Family, verdicts: &Verdicts) -> RequestSums {
    let requests = family
        .nodes
        .iter()
        .filter(|(_, node)| node.request.is_some());
    let mut all = RequestSums(
        requests
            .map(|(place, _)| (place, Sums::default()))
            .collect(),
    );
    if all.0.is_empty() {
        return all;
    }
    for ((place, node), verdict) in family.nodes.iter().zip(verdicts) {
        let stage = match node.role {
            Role::Embedding => Stage::Embedding,
            Role::Retrieval => Stage::VectorSearch,
            Role::Rerank => Stage::Rerank,
            Role::Call => Stage::Llm,
            Role::Parse => Stage::JsonParsing,
            Role::Speech => Stage::Stt,
            Role::Rollup if node.facts.is_some() => Stage::Llm,
            _ => continue,
        };
        if verdict.is_some_and(|verdict| !verdict.is_yes()) {
            continue;
        }
        for (above, _) in std::iter::once((place, node))
            .chain(family.ancestors(place))
            .filter(|(_, above)| above.request.is_some())
        {
            let Some(sums) = all.slot(above) else {
                continue;
            };
            if let Some(ms) = node.duration_ms {
                sums.stages.add(stage, ms);
            }
            let Some(facts) = &node.facts else { continue };
            if let Some(tokens) = facts.tokens.sum() {
                sums.tokens = Some(sums.tokens.unwrap_or(0).saturating_add(tokens));
            }
            if let Some(usd) = facts.cost {
                sums.cost = Some(sums.cost.unwrap_or(0.0) + usd);
            }
        }
    }
    all
}
