//! Traces that no app has: what they cost is bounded, and what counts in them counts.

use super::*;

#[test]
fn memory_is_bounded_and_cycles_end() {
    let mut counter = Counter::new(&Config { max_spans: 100 });
    for n in 0..10_000u32 {
        let mut one = call(1, 2, Role::Call, Some((1, 1)), "t");
        let mut two = span(2, 1, Role::Call);
        for span in [&mut one, &mut two] {
            span.key.trace_id.0[..4].copy_from_slice(&n.to_be_bytes());
        }
        counter.count(&mut vec![one, two]);
    }
    assert!(counter.remembered() <= 100);
}

/// Scenario: calls that name themselves or one another as parents, whichever comes first, together
/// or in batches of their own.
/// Guarantees: each that says something else counts; of two that say the same, one.
#[test]
fn calls_in_a_ring_of_parents_count() {
    let own = |n, parent, model: &str| {
        let mut span = call(n, parent, Role::Call, Some((9, i64::from(n))), "t");
        if let Some(Record::LlmCall(call)) = span.records.first_mut() {
            call.model = Some(model.into());
        }
        span
    };
    let itself = vec![own(1, 1, "a")];
    let two_calls = vec![own(1, 2, "a"), own(2, 1, "b")];
    let one_call =
        [(1, 2), (2, 1)].map(|(n, parent)| call(n, parent, Role::Call, Some((9, 1)), "t"));
    for (spans, counts) in [(itself, 1), (two_calls, 2), (one_call.to_vec(), 1)] {
        for is_reversed in [false, true] {
            for size in [1, 2] {
                let mut spans = spans.clone();
                if is_reversed {
                    spans.reverse();
                }
                let batches = spans.chunks(size).map(<[_]>::to_vec).collect();
                let verdicts = verdicts_of(batches);
                let yes = verdicts.values().filter(|verdict| verdict.is_yes());
                assert_eq!(yes.count(), counts, "{verdicts:?}");
            }
        }
    }
}

/// Scenario: two traces of thousands of spans, the spans of one between those of the other, as a
/// store may give them back; all of their parents are unknown.
/// Guarantees: they are judged, and judged again (each once took the square of their size).
#[test]
fn spans_of_large_traces_that_are_mixed_are_judged_like_others() {
    const SPANS: u32 = 40_000;
    let mut spans: Vec<MappedSpan> = (0..SPANS)
        .map(|n| {
            let mut span = call(1, 0, Role::Call, Some((1, 1)), "");
            span.key.trace_id = TraceId([n as u8 % 2; 16]);
            span.key.span_id = SpanId((u64::from(n) + 1).to_be_bytes());
            span.parent_span_id = Some(SpanId([0xff; 8]));
            span
        })
        .collect();
    let mut counter = Counter::new(&Config::default());
    let again = spans.clone();
    let counted = counter.count(&mut spans);
    let stands =
        |record: &&Record| matches!(record, Record::LlmCall(call) if call.counted.is_yes());
    assert_eq!(
        counted.records.iter().filter(stands).count(),
        SPANS as usize
    );
    assert_eq!(counter.reconcile(again).amendments.len(), 0);
}

/// Scenario: one request with a trace that no app has: thousands of roots, or of calls inside one
/// another, or of calls below a long chain.
/// Guarantees: it is judged (each of these once took the square of its size); what counts, counts.
#[test]
fn monstrous_traces_are_judged_like_others() {
    const SPANS: u32 = 20_000;
    let wide = |n: u32| SpanId((u64::from(n) + 1).to_be_bytes());
    let monster = |parent: &dyn Fn(u32) -> Option<u32>| -> Vec<MappedSpan> {
        (0..SPANS)
            .map(|n| {
                let mut span = call(1, 0, Role::Call, Some((1, 1)), "");
                span.key.span_id = wide(n);
                span.parent_span_id = parent(n).map(wide);
                if span.parent_span_id.is_none() {
                    span.records.push(Record::PipelineRequest(Box::default()));
                }
                span
            })
            .collect()
    };
    for (parent, calls, requests) in [
        (&(|_| None) as &dyn Fn(u32) -> Option<u32>, SPANS, SPANS),
        (&|n| n.checked_sub(1), 1, 1),
        (&|n| n.checked_sub(1).map(|n| n.min(250)), SPANS - 251, 1),
    ] {
        let counted = Counter::new(&Config::default()).count(&mut monster(parent));
        let stands =
            |record: &&Record| matches!(record, Record::LlmCall(call) if call.counted.is_yes());
        let found = counted.records.iter().filter(stands).count();
        let rows = counted
            .records
            .iter()
            .filter(|r| matches!(r, Record::PipelineRequest(_)));
        assert_eq!((found as u32, rows.count() as u32), (calls, requests));
    }
}
