//! Spans as they arrive.

use std::collections::BTreeMap;
use std::time::UNIX_EPOCH;

use opentelemetry_proto::tonic::common::v1::any_value::Value;

use super::{attribute, number, plan, play, text};
use crate::demo::fleet::WINDOW;

/// Guarantee: spans lie in the hour before the end, children within their parents, messages are
/// JSON, and parts of a token count don't exceed it.
#[tokio::test(flavor = "multi_thread")]
async fn spans_are_sane() {
    let plan = plan(120);
    let (_, spans) = play(&plan).await;
    let end = plan.end.duration_since(UNIX_EPOCH).unwrap();
    let window = (end - WINDOW).as_nanos() as u64..=end.as_nanos() as u64;
    let by_id: BTreeMap<_, _> = spans
        .iter()
        .map(|(service, span)| (&span.span_id, (service, span)))
        .collect();
    for (service, span) in &spans {
        let (start, end) = (span.start_time_unix_nano, span.end_time_unix_nano);
        assert!(start < end, "{}", span.name);
        assert!(
            window.contains(&start) && window.contains(&end),
            "{}",
            span.name
        );
        if let Some((parent_service, parent)) = by_id.get(&span.parent_span_id) {
            assert_eq!(*parent_service, service);
            assert_eq!(parent.trace_id, span.trace_id);
            assert!(parent.start_time_unix_nano <= start, "{}", span.name);
            assert!(
                end <= parent.end_time_unix_nano,
                "{} in {}",
                span.name,
                parent.name
            );
        } else {
            assert!(
                span.parent_span_id.is_empty(),
                "{} lost its parent",
                span.name
            );
        }
        for event in &span.events {
            assert!((start..=end).contains(&event.time_unix_nano));
        }
        assert_eq!(span.dropped_attributes_count, 0);
        for key in [
            "gen_ai.input.messages",
            "gen_ai.output.messages",
            "gen_ai.retrieval.documents",
        ] {
            if let Some(value) = attribute(span, key) {
                serde_json::from_str::<Vec<serde_json::Value>>(&text(value)).unwrap();
            }
        }
        let cached = number(span, "gen_ai.usage.cache_read.input_tokens")
            + number(span, "gen_ai.usage.cache_write.input_tokens");
        assert!(cached <= number(span, "gen_ai.usage.input_tokens"));
        let reasoning = number(span, "gen_ai.usage.reasoning.output_tokens");
        assert!(reasoning <= number(span, "gen_ai.usage.output_tokens"));
        if let Some(Value::DoubleValue(first)) =
            attribute(span, "gen_ai.response.time_to_first_chunk")
        {
            assert!(*first > 0.0 && *first < (end - start) as f64 / 1e9);
        }
    }
}
