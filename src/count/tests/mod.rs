mod answers;
mod monsters;
mod recalled;

use std::{collections::BTreeMap, sync::Arc};

use super::{Config, Counted, Counter};
use crate::record::{
    Change, Context, Cost, Counted as Verdict, Header, JsonParse, LlmCall, MappedSpan, NotCounted,
    PipelineRequest, Record, Role, SpanId, SpanKey, SttEvent, TraceId, Usage,
};

const TRACE: TraceId = TraceId([7; 16]);

fn id(n: u8) -> SpanId {
    SpanId([n; 8])
}

fn span(n: u8, parent: u8, role: Role) -> MappedSpan {
    MappedSpan {
        key: SpanKey {
            trace_id: TRACE,
            span_id: id(n),
        },
        parent_span_id: (parent != 0).then(|| id(parent)),
        started_at: i64::from(n),
        completed_at: Some(i64::from(n) + 1_000_000),
        role,
        is_genai: role != Role::None,
        ..MappedSpan::default()
    }
}

fn call(n: u8, parent: u8, role: Role, tokens: Option<(i64, i64)>, text: &str) -> MappedSpan {
    let mut span = span(n, parent, role);
    let call = LlmCall {
        header: Header {
            trace_id: TRACE,
            span_id: id(n),
            parent_span_id: span.parent_span_id,
            started_at: span.started_at,
            ..Header::default()
        },
        model: Some("m".into()),
        usage: Usage {
            prompt: tokens.map(|t| t.0),
            completion: tokens.map(|t| t.1),
            ..Usage::default()
        },
        response: (!text.is_empty()).then(|| text.to_owned()),
        ..LlmCall::default()
    };
    span.records.push(Record::LlmCall(Box::new(call)));
    span
}

fn root(n: u8, user: &str) -> MappedSpan {
    let mut span = span(n, 0, Role::None);
    span.context = Some(Arc::new(Context {
        user_id: Some(user.into()),
        ..Context::default()
    }));
    span.records.push(Record::PipelineRequest(Box::default()));
    span
}

/// The final verdicts and users after amendments, whatever the order and the batches.
fn ledger(batches: Vec<Vec<MappedSpan>>) -> Vec<(SpanId, Verdict, Option<Arc<str>>)> {
    let mut counter = Counter::new(&Config::default());
    let mut rows: Vec<(SpanId, Verdict, Option<Arc<str>>)> = Vec::new();
    for batch in batches {
        let counted = counter.count(&mut batch.clone());
        for record in counted.records {
            if let Record::LlmCall(call) = record {
                rows.push((
                    call.header.span_id,
                    call.counted,
                    call.context.user_id.clone(),
                ));
            }
        }
        for amendment in counted.amendments {
            let row = rows.iter_mut().find(|row| row.0 == amendment.key.span_id);
            match (row, amendment.change) {
                (Some(row), Change::Counted(verdict)) => row.1 = verdict,
                (Some(row), Change::Context(context)) => {
                    row.2 = row.2.take().or(context.user_id.clone());
                }
                _ => {}
            }
        }
    }
    rows.sort();
    rows
}

impl PartialOrd for Verdict {
    fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Verdict {
    fn cmp(&self, other: &Self) -> std::cmp::Ordering {
        self.why().cmp(&other.why())
    }
}

fn in_every_order(spans: &[MappedSpan]) -> Vec<(SpanId, Verdict, Option<Arc<str>>)> {
    let whole = ledger(vec![spans.to_vec()]);
    let single = |spans: Vec<MappedSpan>| ledger(spans.into_iter().map(|s| vec![s]).collect());
    for turn in 0..spans.len() {
        let mut turned = spans.to_vec();
        turned.rotate_left(turn);
        assert_eq!(single(turned.clone()), whole, "turned by {turn}");
        turned.reverse();
        assert_eq!(single(turned.clone()), whole, "reversed, turned by {turn}");
        turned.extend(spans.to_vec());
        assert_eq!(single(turned), whole, "sent twice, turned by {turn}");
    }
    whole
}

fn verdicts(spans: &[MappedSpan]) -> Vec<Verdict> {
    in_every_order(spans).into_iter().map(|row| row.1).collect()
}

const WRAPPER: Verdict = Verdict::No(NotCounted::Wrapper);
const DUPLICATE: Verdict = Verdict::No(NotCounted::Duplicate);

#[test]
fn an_agent_over_calls_is_a_wrapper_also_through_tools_and_agents() {
    let spans = [
        call(1, 0, Role::Rollup, Some((30, 3)), "sum"),
        call(2, 1, Role::Call, Some((10, 1)), "a"),
        span(3, 1, Role::Tool),
        call(4, 3, Role::Rollup, Some((20, 2)), "sub"),
        call(5, 4, Role::Call, Some((20, 2)), "b"),
    ];
    assert_eq!(
        verdicts(&spans),
        [WRAPPER, Verdict::Yes, WRAPPER, Verdict::Yes]
    );
}

#[test]
fn a_rollup_without_calls_counts_only_if_it_has_usage() {
    let hosted = call(1, 0, Role::Rollup, Some((5, 5)), "x");
    assert_eq!(verdicts(&[hosted]), [Verdict::Yes]);
    let created = call(1, 0, Role::Rollup, None, "x");
    assert_eq!(verdicts(&[created]), [WRAPPER]);
}

#[test]
fn of_two_spans_for_one_call_the_one_that_says_more_counts() {
    let richer_outer = [
        call(1, 0, Role::Call, Some((9, 1)), "text"),
        call(2, 1, Role::Call, Some((9, 1)), ""),
    ];
    assert_eq!(verdicts(&richer_outer), [Verdict::Yes, DUPLICATE]);
    let equal = [
        call(1, 0, Role::Call, Some((4, 1)), "text"),
        call(2, 1, Role::Call, Some((9, 1)), "text"),
    ];
    assert_eq!(verdicts(&equal), [WRAPPER, Verdict::Yes]);
    let chain = [
        call(1, 0, Role::Call, Some((9, 1)), "text"),
        call(2, 1, Role::Call, Some((9, 1)), ""),
        call(3, 2, Role::Call, None, ""),
    ];
    assert_eq!(verdicts(&chain), [Verdict::Yes, DUPLICATE, DUPLICATE]);
}

#[test]
fn a_synthesis_over_its_sub_queries_is_a_call_of_its_own() {
    let own = [
        call(1, 0, Role::Call, Some((50, 9)), "s"),
        call(2, 1, Role::Call, Some((10, 1)), "a"),
        call(3, 1, Role::Call, Some((20, 2)), "b"),
    ];
    assert_eq!(verdicts(&own), [Verdict::Yes, Verdict::Yes, Verdict::Yes]);
    let sum = [
        call(1, 0, Role::Call, Some((30, 3)), "s"),
        call(2, 1, Role::Call, Some((10, 1)), "a"),
        call(3, 1, Role::Call, Some((20, 2)), "b"),
    ];
    assert_eq!(verdicts(&sum), [WRAPPER, Verdict::Yes, Verdict::Yes]);
}

#[test]
fn a_call_made_by_a_tool_of_a_call_counts_too() {
    let spans = [
        call(1, 0, Role::Call, Some((9, 1)), "t"),
        span(2, 1, Role::Tool),
        call(3, 2, Role::Call, Some((9, 1)), "t"),
    ];
    assert_eq!(verdicts(&spans), [Verdict::Yes, Verdict::Yes]);
}

#[test]
fn context_of_an_ancestor_holds_below_it_whenever_it_arrives() {
    let spans = [
        root(1, "ann"),
        span(2, 1, Role::None),
        call(3, 2, Role::Call, Some((1, 1)), "t"),
    ];
    let rows = in_every_order(&spans);
    assert_eq!(rows[0].2.as_deref(), Some("ann"));
}

#[test]
fn a_request_sums_what_counts_below_it_and_needs_something_of_ours() {
    let mut counter = Counter::new(&Config::default());
    let counted = counter.count(&mut vec![root(1, "ann"), span(2, 1, Role::None)]);
    assert!(
        counted.records.is_empty(),
        "nothing of ours in the trace yet"
    );
    let counted = counter.count(&mut vec![call(3, 2, Role::Call, Some((5, 2)), "t")]);
    let request = request_of(&counted).expect("the request's row leaves now");
    assert_eq!(
        (request.tokens, request.stages.llm_ms),
        (Some(7), Some(1.0))
    );
    let counted = counter.count(&mut vec![call(4, 2, Role::Call, Some((1, 1)), "t")]);
    assert!(counted.amendments.iter().any(|a| matches!(
        a.change,
        Change::Request {
            tokens: Some(9),
            ..
        }
    )));
}

/// A transcription of which these events have a row, each with its cost.
fn speech(n: u8, parent: u8, costs: &[Option<f64>]) -> MappedSpan {
    let mut span = span(n, parent, Role::Speech);
    let cost = |usd| {
        Ok(Cost {
            usd,
            rule: "r".into(),
            version: "v".into(),
        })
    };
    let events = costs.iter().map(|usd| SttEvent {
        cost: usd.map(cost),
        ..SttEvent::default()
    });
    span.records
        .extend(events.map(|event| Record::SttEvent(Box::new(event))));
    span
}

/// Scenario: a transcription whose chunks are billed, and not its own row, which comes first.
/// Guarantees: the request's cost has all of them; where no event has a cost, it is unknown.
#[test]
fn a_request_has_the_cost_of_all_events_of_a_transcription() {
    for (costs, sum) in [
        (&[None, Some(0.25), Some(0.5)][..], Some(0.75)),
        (&[None, None], None),
    ] {
        let mut counter = Counter::new(&Config::default());
        let counted = counter.count(&mut vec![root(1, "ann"), speech(2, 1, costs)]);
        assert_eq!(request_of(&counted).expect("a row").cost, sum);
    }
}

fn request_of(counted: &Counted) -> Option<&PipelineRequest> {
    counted.records.iter().find_map(|record| match record {
        Record::PipelineRequest(request) => Some(request.as_ref()),
        _ => None,
    })
}

#[test]
fn a_warmed_counter_judges_like_one_that_saw_everything() {
    let mut counter = Counter::new(&Config::default());
    counter.warm(vec![call(2, 1, Role::Call, Some((9, 1)), "t")]);
    let counted = counter.count(&mut vec![
        call(1, 0, Role::Rollup, Some((9, 1)), "t"),
        call(2, 1, Role::Call, Some((9, 1)), "t"),
    ]);
    assert_eq!(counted.duplicates, 1);
    assert!(matches!(&counted.records[..], [Record::LlmCall(c)] if c.counted == WRAPPER));
}

/// A call of another trace that shows an answer, at second `at`.
fn answered(trace: u8, n: u8, at: i64, answer: &str, text: &str) -> MappedSpan {
    let mut span = call(n, 0, Role::Call, Some((9, 1)), text);
    span.key.trace_id = TraceId([trace; 16]);
    span.started_at = at * 1_000_000_000;
    span.completed_at = Some(span.started_at + 2_000_000_000);
    if let Some(Record::LlmCall(call)) = span.records.first_mut() {
        call.header.trace_id = span.key.trace_id;
        call.header.started_at = span.started_at;
        call.header.completed_at = span.completed_at;
        call.response_id = Some(answer.into());
    }
    span
}

/// The last word on each call.
fn verdicts_of(batches: Vec<Vec<MappedSpan>>) -> BTreeMap<SpanKey, Verdict> {
    let mut counter = Counter::new(&Config::default());
    let mut verdicts = BTreeMap::new();
    for mut batch in batches {
        let counted = counter.count(&mut batch);
        for record in &counted.records {
            if let Record::LlmCall(call) = record {
                let (trace_id, span_id) = (call.header.trace_id, call.header.span_id);
                verdicts.insert(SpanKey { trace_id, span_id }, call.counted);
            }
        }
        for amendment in &counted.amendments {
            if let Change::Counted(verdict) = amendment.change {
                verdicts.insert(amendment.key, verdict);
            }
        }
    }
    verdicts
}

/// The first bytes of the traces whose calls count.
fn counted_in(batches: Vec<Vec<MappedSpan>>) -> Vec<u8> {
    let verdicts = verdicts_of(batches).into_iter();
    let yes = verdicts.filter(|(_, verdict)| verdict.is_yes());
    yes.map(|(key, _)| key.trace_id.0[0]).collect()
}

#[test]
fn a_trace_that_was_forgotten_is_recalled_before_it_is_judged() {
    let mut counter = Counter::new(&Config::default());
    counter.is_blind_until(1_000);
    let wrapper = call(1, 0, Role::Rollup, Some((9, 1)), "t");
    let unknown = counter.strangers(std::slice::from_ref(&wrapper), false);
    assert_eq!(
        unknown,
        [(TRACE, 1, 1)],
        "it started while the memory was blind"
    );
    // The store has the call below it.
    let mut stored = call(2, 1, Role::Call, Some((9, 1)), "t");
    stored.is_genai = true;
    counter.warm(vec![stored]);
    let counted = counter.count(&mut vec![wrapper]);
    assert!(matches!(&counted.records[..], [Record::LlmCall(c)] if c.counted == WRAPPER));
    let parent = counted.amendments.iter().map(|a| &a.change);
    let parent: Vec<_> = parent
        .filter(|c| matches!(c, Change::ParentCall(_)))
        .collect();
    assert_eq!(parent.len(), 1, "the stored call learns its parent");
    let mut young = call(3, 0, Role::Call, None, "t");
    young.key.trace_id = TraceId([9; 16]);
    young.started_at = 2_000;
    assert!(
        counter
            .strangers(std::slice::from_ref(&young), false)
            .is_empty()
    );
    assert_eq!(
        counter.strangers(&[young], true).len(),
        1,
        "where others write, too"
    );
}

#[test]
fn what_another_process_stored_first_gives_way_to_the_rule() {
    let mut counter = Counter::new(&Config::default());
    counter.count(&mut vec![
        call(1, 0, Role::Rollup, Some((9, 1)), "t"),
        call(2, 1, Role::Call, Some((9, 1)), "t"),
    ]);
    // Another process stored the wrapper as counted, before it knew of the call.
    let counted = counter.reconcile(vec![call(1, 0, Role::Rollup, Some((9, 1)), "t")]);
    let [amendment] = counted.amendments.as_slice() else {
        panic!("{:?}", counted.amendments)
    };
    assert_eq!(
        (amendment.key.span_id, &amendment.change),
        (id(1), &Change::Counted(WRAPPER))
    );
}

/// Scenario: a request of which nothing of ours is known here, while the process does not know yet
/// that another one writes to the same store.
/// Guarantees: the trace is among those that are looked at again once it does.
#[test]
fn a_request_that_waits_for_another_process_is_not_forgotten() {
    let mut counter = Counter::new(&Config::default());
    assert!(counter.count(&mut vec![root(1, "ann")]).records.is_empty());
    assert_eq!(counter.traces(), [(TRACE, 1, 1)]);
}
