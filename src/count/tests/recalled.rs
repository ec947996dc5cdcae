//! What memory lost or never had, and the store gives back.

use super::*;

fn told(mut span: MappedSpan, verdict: Verdict) -> MappedSpan {
    if let Some(Record::LlmCall(call)) = span.records.first_mut() {
        call.counted = verdict;
    }
    span
}

fn new_verdicts(counted: &Counted) -> Vec<(SpanId, Verdict)> {
    let changes = counted.amendments.iter();
    changes
        .filter_map(|amendment| match amendment.change {
            Change::Counted(verdict) => Some((amendment.key.span_id, verdict)),
            _ => None,
        })
        .collect()
}

/// Scenario: a call that another trace shows as well is stored as a duplicate; both traces are
/// forgotten. Then the root of its own trace comes, and only that trace is recalled.
/// Guarantees: it stays a duplicate: what stands for it is stored.
#[test]
fn a_call_that_another_trace_stands_for_stays_a_duplicate_when_it_is_recalled_alone() {
    let mut counter = Counter::new(&Config { max_spans: 2 });
    let mut poor = answered(2, 2, 11, "chatcmpl-abc", "");
    poor.parent_span_id = Some(id(9));
    counter.count(&mut vec![
        answered(1, 1, 10, "chatcmpl-abc", "said"),
        poor.clone(),
    ]);
    counter.count(&mut vec![span(3, 0, Role::Tool), span(4, 0, Role::Tool)]);
    let mut late = root(9, "ann");
    late.key.trace_id = poor.key.trace_id;
    let asked = counter.strangers(std::slice::from_ref(&late), false);
    assert_eq!(asked.len(), 1, "the trace was forgotten");
    counter.warm(vec![told(poor, DUPLICATE)]);
    assert_eq!(new_verdicts(&counter.count(&mut vec![late])), []);
}

/// Scenario: a process knows of a tool alone; another one stored the call above it, and the call
/// below it as a duplicate of that, since it did not know of the tool.
/// Guarantees: the call below counts: it has been no other trace's.
#[test]
fn a_duplicate_of_its_own_trace_counts_once_it_is_known_to_be_none() {
    let mut counter = Counter::new(&Config::default());
    counter.count(&mut vec![span(2, 1, Role::Tool)]);
    let mut below = call(3, 2, Role::Call, Some((9, 1)), "t");
    if let Some(Record::LlmCall(call)) = below.records.first_mut() {
        call.response_id = Some("chatcmpl-abc".into());
    }
    let above = call(1, 0, Role::Call, Some((9, 1)), "text");
    let counted = counter.reconcile(vec![above, told(below, DUPLICATE)]);
    assert_eq!(new_verdicts(&counted), [(id(3), Verdict::Yes)]);
}

/// Scenario: of a trace that was forgotten, or that started before the process did, a span comes
/// that is nothing of ours; then one that is.
/// Guarantees: the store is asked about the trace then, and once.
#[test]
fn a_trace_known_by_a_plain_span_alone_is_asked_about() {
    let plain = || vec![span(5, 4, Role::None)];
    let wrapper = || vec![call(1, 0, Role::Rollup, Some((9, 1)), "t")];
    let stored = || vec![call(2, 1, Role::Call, Some((9, 1)), "t")];
    let forgotten = || {
        let mut counter = Counter::new(&Config { max_spans: 3 });
        counter.count(&mut stored());
        let others = [6, 7, 8].map(|n| {
            let mut other = span(n, 0, Role::Tool);
            other.key.trace_id = TraceId([9; 16]);
            other
        });
        counter.count(&mut others.to_vec());
        counter
    };
    let blind = || {
        let mut counter = Counter::new(&Config::default());
        counter.is_blind_until(1_000);
        counter
    };
    for is_stored in [true, false] {
        for mut counter in [forgotten(), blind()] {
            assert!(counter.strangers(&plain(), false).is_empty());
            counter.count(&mut plain());
            assert_eq!(counter.strangers(&wrapper(), false), [(TRACE, 1, 1)]);
            if is_stored {
                counter.warm(stored());
                assert!(counter.strangers(&wrapper(), false).is_empty());
            }
            counter.count(&mut wrapper());
            assert!(counter.strangers(&wrapper(), false).is_empty());
        }
    }
}

/// Scenario: after a restart the store's newest spans are recalled; a trace began before them, so
/// its first spans are not among them. A span of it comes that is younger than the restart.
/// Guarantees: the store is asked about the trace, once; not about traces that are whole.
#[test]
fn a_trace_that_was_warmed_in_part_is_asked_about() {
    let mut counter = Counter::new(&Config::default());
    let mut whole = call(7, 0, Role::Call, None, "t");
    whole.key.trace_id = TraceId([9; 16]);
    let mut begun = [root(1, "ann"), call(14, 9, Role::Call, None, "t")];
    for span in &mut begun {
        span.key.trace_id = TraceId([8; 16]);
    }
    let part = call(12, 11, Role::Call, None, "t");
    counter.warm([vec![part, whole.clone()], begun.to_vec()].concat());
    counter.is_blind_until(10);
    let late = [call(13, 11, Role::Call, None, "t")];
    assert_eq!(counter.strangers(&late, false), [(TRACE, 13, 13)]);
    assert!(counter.strangers(&[whole], false).is_empty());
    assert!(counter.strangers(&begun[1..], false).is_empty());
    counter.warm(vec![span(11, 0, Role::Tool), span(12, 11, Role::Call)]);
    assert!(counter.strangers(&late, false).is_empty());
}

/// Scenario: spans whose rows the store does not give back: of a transcription, of a parse between
/// an agent and a call.
/// Guarantees: each has a link, so that it is known again; a call needs none.
#[test]
fn spans_whose_rows_do_not_count_have_a_link() {
    let mut parse = span(3, 1, Role::Parse);
    parse
        .records
        .push(Record::JsonParse(Box::<JsonParse>::default()));
    let mut counter = Counter::new(&Config::default());
    let spans = [
        root(1, "ann"),
        speech(2, 1, &[Some(0.5), None]),
        parse,
        call(4, 3, Role::Call, None, "t"),
    ];
    let counted = counter.count(&mut spans.to_vec());
    let links: Vec<(SpanId, Role)> = counted
        .links
        .iter()
        .map(|link| (link.span_id, link.role))
        .collect();
    assert_eq!(links, [(id(2), Role::Speech), (id(3), Role::Parse)]);
    assert_eq!(counter.count(&mut spans.to_vec()).links, []);
}
