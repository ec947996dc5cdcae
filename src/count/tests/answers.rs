//! One call shown in several traces.

use super::*;

#[test]
fn one_answer_in_two_traces_counts_once_whichever_comes_first() {
    let poor = || answered(1, 1, 10, "chatcmpl-abc", "");
    let rich = || answered(2, 2, 11, "chatcmpl-abc", "said");
    for batches in [
        vec![vec![poor(), rich()]],
        vec![vec![poor()], vec![rich()]],
        vec![vec![rich()], vec![poor()]],
    ] {
        assert_eq!(counted_in(batches), [2], "the one that says more");
    }
}

#[test]
fn an_id_that_is_used_again_is_another_call() {
    let later = answered(2, 2, 60, "chatcmpl-abc", "said");
    let first = answered(1, 1, 10, "chatcmpl-abc", "said");
    assert_eq!(
        counted_in(vec![vec![first.clone(), later]]),
        [1, 2],
        "at another time"
    );
    let mut other = answered(2, 2, 10, "chatcmpl-abc", "said");
    if let Some(Record::LlmCall(call)) = other.records.first_mut() {
        call.usage.prompt = Some(77);
    }
    assert_eq!(
        counted_in(vec![vec![first.clone(), other]]),
        [1, 2],
        "another usage"
    );
    let short = [answered(1, 1, 10, "7", "x"), answered(2, 2, 10, "7", "x")];
    assert_eq!(
        counted_in(vec![short.to_vec()]),
        [1, 2],
        "an app's own numbering"
    );
}

/// Scenario: a trace shows a call twice, one span inside the other; of another trace's span for the
/// same call, the outer one is the better and the inner one the worse.
/// Guarantees: the call counts in one trace, by the span that stands for it there.
#[test]
fn a_call_that_a_trace_shows_twice_counts_in_one_trace() {
    let at = |mut span: MappedSpan, parent: u8, ms: i64| {
        span.parent_span_id = Some(id(parent));
        span.started_at += ms * 1_000_000;
        span
    };
    let outer = at(answered(1, 1, 10, "chatcmpl-abc", "said"), 9, 0);
    let inner = at(answered(1, 2, 10, "chatcmpl-abc", "said"), 1, 2);
    let other = at(answered(2, 3, 10, "chatcmpl-abc", "said"), 9, 1);
    let spans = [outer, inner, other];
    for turn in 0..spans.len() {
        let mut spans = spans.to_vec();
        spans.rotate_left(turn);
        let single = spans.iter().map(|span| vec![span.clone()]).collect();
        for batches in [vec![spans], single] {
            let verdicts = verdicts_of(batches).into_values().collect::<Vec<_>>();
            assert_eq!(verdicts, [WRAPPER, Verdict::Yes, DUPLICATE], "{turn}");
        }
    }
}

/// Scenario: two traces show a call; one of them knows a part of the usage only, or the whole only.
/// Guarantees: what one does not know is no contradiction; what both know and say otherwise is.
#[test]
fn usage_that_one_trace_does_not_know_contradicts_nothing() {
    let with = |trace: u8, [prompt, completion, total]: [Option<i64>; 3]| {
        let mut span = answered(trace, trace, 10, "chatcmpl-abc", "said");
        if let Some(Record::LlmCall(call)) = span.records.first_mut() {
            call.usage.prompt = prompt;
            call.usage.completion = completion;
            call.usage.total = total;
        }
        span
    };
    let full = [Some(100), Some(10), None];
    for (other, counts) in [
        ([Some(100), None, None], 1),
        ([None, Some(10), None], 1),
        ([None, None, Some(110)], 1),
        // Some add what others leave out; the parts tell.
        ([Some(100), Some(10), Some(140)], 1),
        ([Some(90), None, None], 2),
        ([None, Some(11), None], 2),
    ] {
        let spans = vec![with(1, full), with(2, other)];
        assert_eq!(counted_in(vec![spans]).len(), counts, "{other:?}");
    }
    let totals = [110, 120].map(|total| [None, None, Some(total)]);
    let spans = vec![with(1, totals[0]), with(2, totals[1])];
    assert_eq!(counted_in(vec![spans]), [1, 2]);
}
