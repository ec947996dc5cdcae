//! The rule, a pure function over one trace. The station's doc has it in words.

use super::{
    family::{Facts, Family, Kind, Sums, Tokens},
    nodes::BySpan,
};
use crate::record::{Counted, NotCounted, Role, SpanId, Stage};

/// Steps down that one judgement of a trace takes. Beyond them a span with another of its kind inside
/// is taken for a wrapper: only a trace of thousands of calls inside one another has so many.
const MOST_STEPS: usize = 1 << 20;

/// The verdict on every span with a row that can count.
pub(super) fn verdicts(family: &Family) -> BySpan<Counted> {
    let mut verdicts = BySpan::default();
    let mut inner_of: BySpan<Vec<SpanId>> = BySpan::default();
    let mut over_usage: BySpan<()> = BySpan::default();
    let mut above_usage: BySpan<()> = BySpan::default();
    for (id, node) in family.nodes.iter() {
        let Some(facts) = &node.facts else { continue };
        verdicts.insert(id, Counted::Yes);
        let wraps_usage = node.role == Role::Rollup && facts.tokens.is_known();
        if is_call(node.role, facts) || wraps_usage {
            // Above one that was reached before, all were.
            let unseen = family
                .ancestors(id)
                .take_while(|(id, _)| above_usage.insert(*id, ()));
            let rollups = unseen.filter(|(_, above)| above.role == Role::Rollup);
            for (id, _) in rollups {
                over_usage.insert(id, ());
            }
        }
        if !matches!(node.role, Role::Rollup | Role::Attempt)
            && let Some(outer) = same_kind_above(family, id, facts.kind)
        {
            inner_of.or_default(outer).push(id);
        }
    }
    for (id, verdict) in verdicts.iter_mut() {
        let Some(node) = family.nodes.get(&id) else {
            continue;
        };
        let has_usage = node.facts.as_ref().is_some_and(|f| f.tokens.is_known());
        match node.role {
            Role::Rollup if over_usage.contains_key(&id) || !has_usage => {
                *verdict = Counted::No(NotCounted::Wrapper);
            }
            Role::Attempt => *verdict = Counted::No(NotCounted::Duplicate),
            _ => {}
        }
    }
    let mut outers: Vec<SpanId> = inner_of.iter().map(|(id, _)| id).collect();
    outers.sort_by_cached_key(|&id| (std::cmp::Reverse(family.ancestors(id).count()), id));
    let mut steps = MOST_STEPS;
    for outer in outers {
        settle(family, outer, &inner_of, &mut verdicts, &mut steps);
    }
    for (id, verdict) in verdicts.iter_mut() {
        if verdict.is_yes() && family.nodes.get(&id).is_some_and(|node| node.is_elsewhere) {
            *verdict = Counted::No(NotCounted::Duplicate);
        }
    }
    verdicts
}

fn is_call(role: Role, facts: &Facts) -> bool {
    matches!(role, Role::Call | Role::Embedding) && facts.kind != Kind::Other
}

/// The nearest ancestor that could be the same call seen again.
fn same_kind_above(family: &Family, id: SpanId, kind: Kind) -> Option<SpanId> {
    if kind == Kind::Other {
        return None;
    }
    for (above, node) in family.ancestors(id) {
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
    outer: SpanId,
    inner_of: &BySpan<Vec<SpanId>>,
    verdicts: &mut BySpan<Counted>,
    steps: &mut usize,
) {
    let standing = standing(outer, inner_of, verdicts, steps);
    if *steps == 0 {
        verdicts.insert(outer, Counted::No(NotCounted::Wrapper));
        return;
    }
    let facts_of = |id: &SpanId| family.nodes.get(id).and_then(|node| node.facts.as_deref());
    let Some(own) = facts_of(&outer) else { return };
    let inner: Vec<&Facts> = standing.iter().filter_map(facts_of).collect();
    let best = inner.iter().map(|f| f.richness).max().unwrap_or_default();
    if own.kind == Kind::Retrieval {
        if own.richness >= best {
            demote(&standing, verdicts);
        } else {
            verdicts.insert(outer, Counted::No(NotCounted::Wrapper));
        }
    } else if is_call_of_its_own(own, &inner) {
        // Both count: the outer span made a call besides the ones below it.
    } else if best >= own.richness {
        verdicts.insert(outer, Counted::No(NotCounted::Wrapper));
    } else {
        demote(&standing, verdicts);
    }
}

fn demote(spans: &[SpanId], verdicts: &mut BySpan<Counted>) {
    for &id in spans {
        verdicts.insert(id, Counted::No(NotCounted::Duplicate));
    }
}

/// The counted spans below `outer`, through those that turned out to be wrappers.
fn standing(
    outer: SpanId,
    inner_of: &BySpan<Vec<SpanId>>,
    verdicts: &BySpan<Counted>,
    steps: &mut usize,
) -> Vec<SpanId> {
    let mut found = Vec::new();
    let mut open = vec![outer];
    let mut seen = BySpan::default();
    while let Some(id) = open.pop() {
        for &inner in inner_of.get(&id).into_iter().flatten() {
            if seen.insert(inner, ()) {
                if verdicts.get(&inner).is_some_and(|v| v.is_yes()) {
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

/// What the rows of a trace's requests say of the counted rows below each.
pub(super) fn sums(family: &Family, verdicts: &BySpan<Counted>) -> BySpan<Sums> {
    let mut all: BySpan<Sums> = BySpan::default();
    for (id, node) in family.nodes.iter() {
        let counted = verdicts.get(&id).is_none_or(|verdict| verdict.is_yes());
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
        if !counted {
            continue;
        }
        for (above, _) in std::iter::once((id, node))
            .chain(family.ancestors(id))
            .filter(|(_, above)| above.request.is_some())
        {
            let sums = all.or_default(above);
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
