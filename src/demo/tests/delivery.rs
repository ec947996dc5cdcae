//! What is sent arrives, or is told.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Mutex;
use std::time::{Duration, SystemTime};

use opentelemetry_proto::tonic::common::v1::any_value::Value;
use opentelemetry_proto::tonic::trace::v1::Span;

use super::{Receiver, attribute, number, plan, play, play_to, text};
use crate::demo::Ledger;
use crate::demo::Progress;
use crate::demo::fleet::{self, Plan};
use crate::demo::summary::Summary;
use crate::query::landed::Landed;

/// Scenario: more spans than the queue holds, to a receiver that is slower than the apps.
/// Guarantee: every span arrives once, and the ledger's sums are those of what arrived.
#[tokio::test(flavor = "multi_thread")]
async fn what_arrives_is_what_the_ledger_says() {
    let slow = Receiver {
        pause: Duration::from_millis(100),
        ..Receiver::default()
    };
    let (ledger, spans) = play_to(slow, &plan(900)).await;
    assert!(spans.len() > 3 * 4096, "{}", spans.len());
    assert_eq!(ledger.spans, spans.len() as u64);
    assert_eq!(ledger.exported, ledger.spans);
    assert!(ledger.is_delivered());
    assert_eq!(ledger.kinds.values().sum::<u64>(), ledger.spans);

    let mut ids: Vec<_> = spans.iter().map(|(_, span)| &span.span_id).collect();
    ids.sort();
    ids.dedup();
    assert_eq!(ids.len(), spans.len());

    let (mut calls, mut failed, mut resent) = (0, 0, 0);
    let (mut input, mut output, mut seconds) = (0, 0, 0.0);
    let mut models: BTreeMap<String, i64> = BTreeMap::new();
    let mut responses = BTreeSet::new();
    let (mut roots, mut failed_roots, mut agents) = (0, 0, 0);
    for (_, span) in &spans {
        let is_error = span.status.as_ref().is_some_and(|status| status.code == 2);
        roots += u64::from(span.parent_span_id.is_empty());
        failed_roots += u64::from(span.parent_span_id.is_empty() && is_error);
        let operation = attribute(span, "gen_ai.operation.name").map(text);
        if matches!(operation.as_deref(), Some("chat" | "embeddings")) {
            calls += 1;
            failed += u64::from(is_error);
            resent += u64::from(number(span, "http.request.resend_count") > 0);
            input += number(span, "gen_ai.usage.input_tokens");
            output += number(span, "gen_ai.usage.output_tokens");
            let model = text(attribute(span, "gen_ai.request.model").unwrap());
            *models.entry(model).or_default() += number(span, "gen_ai.usage.input_tokens");
            if let Some(id) = attribute(span, "gen_ai.response.id") {
                assert!(responses.insert(text(id)), "one answer id twice");
            }
        }
        agents += u64::from(operation.as_deref() == Some("invoke_agent"));
        if let (Some(event), Some(Value::DoubleValue(audio))) = (
            attribute(span, "stt.event.type").map(text),
            attribute(span, "stt.audio.duration"),
        ) && event == "complete"
        {
            seconds += audio;
        }
    }
    assert_eq!(
        (calls, failed, resent),
        (ledger.calls, ledger.failed_calls, ledger.resent_calls)
    );
    assert_eq!((input, output), (ledger.input_tokens, ledger.output_tokens));
    assert_eq!(
        (roots, failed_roots),
        (ledger.requests, ledger.failed_requests)
    );
    assert_eq!((roots, agents), (2700, ledger.wrappers));
    for (model, tokens) in models {
        assert_eq!(
            ledger.models[model.as_str()].input_tokens,
            tokens,
            "{model}"
        );
    }
    // Broken recordings are charged for the chunks that were done.
    assert!(ledger.billed_audio_seconds > seconds && seconds > 0.0);

    // A run of this size shows everything that the pages have to show.
    for some in [
        ledger.failed_calls,
        ledger.resent_calls,
        ledger.timeouts,
        ledger.reranks,
        ledger.unpriced_calls,
        ledger.wrappers,
        ledger.cache_hits,
        ledger.repaired_parses,
        ledger.failed_parses,
        ledger.speech_events["error"],
        ledger.errors["rate_limit_exceeded"],
    ] {
        assert!(some > 0, "{ledger:#?}");
    }
    let provider = |name: &str| {
        spans.iter().any(|(_, span)| {
            attribute(span, "gen_ai.provider.name").is_some_and(|value| text(value) == name)
        })
    };
    for name in [
        "openai",
        "anthropic",
        "gcp.gemini",
        "azure.ai.openai",
        "acme",
        "cohere",
    ] {
        assert!(provider(name), "{name}");
    }
}

/// Guarantee: the same plan sends the same spans, ids included; a later one the same requests
/// under other ids; another seed other requests.
#[tokio::test(flavor = "multi_thread")]
async fn a_seed_repeats_itself() {
    let sorted = |mut spans: Vec<(String, Span)>| {
        spans.sort_by(|(_, a), (_, b)| a.span_id.cmp(&b.span_id));
        spans
    };
    let first = plan(40);
    let (ledger, spans) = play(&first).await;
    let (again, repeated) = play(&first).await;
    assert_eq!(ledger, again);
    assert_eq!(sorted(spans.clone()), sorted(repeated));

    let later = Plan {
        end: first.end + Duration::from_secs(60),
        ..first.clone()
    };
    let (later, others) = play(&later).await;
    let numbers = |ledger: &Ledger| Ledger {
        trace_ids: Vec::new(),
        ..ledger.clone()
    };
    assert_eq!(numbers(&ledger), numbers(&later));
    let ids = |spans: &[(String, Span)]| -> BTreeSet<_> {
        spans
            .iter()
            .map(|(_, span)| span.trace_id.clone())
            .collect()
    };
    assert!(ids(&spans).is_disjoint(&ids(&others)));

    let (other, _) = play(&Plan { seed: 8, ..first }).await;
    assert_ne!(ledger, other);
}

/// Scenario: the receiver refuses for good after two exports. Guarantee: the ledger says how
/// many spans that cost, and why.
#[tokio::test(flavor = "multi_thread")]
async fn failed_exports_are_told() {
    let receiver = Receiver {
        limit: Some(2),
        ..Receiver::default()
    };
    let endpoint = receiver.start().await;
    let last = Mutex::new(Progress::default());
    let plan = plan(2000);
    let ledger = fleet::run(&endpoint, &plan, |progress| {
        *last.lock().unwrap() = progress
    })
    .await
    .unwrap();
    assert_eq!(ledger.exported, receiver.spans().len() as u64);
    assert!(ledger.failed > 0 && !ledger.is_delivered());
    assert_eq!(ledger.exported + ledger.failed, ledger.spans);
    assert!(
        ledger.requests < 3 * plan.requests_per_app,
        "an app goes on after a failed export"
    );
    let error = ledger.export_error.clone().unwrap();
    assert!(error.contains("InvalidArgument"), "{error}");
    let last = *last.lock().unwrap();
    assert_eq!(
        (last.exported, last.failed),
        (ledger.exported, ledger.failed)
    );

    let summary = Summary::new(ledger, Landed::default());
    assert!(!summary.accounted_for);
    assert!(summary.differences[0].contains("InvalidArgument"));
}

/// Scenario: nobody listens. Guarantee: the run ends and says so, on a single thread too.
#[tokio::test]
async fn a_dead_endpoint_is_told() {
    let ledger = fleet::run("http://127.0.0.1:1", &plan(2), |_| {})
        .await
        .unwrap();
    assert_eq!((ledger.exported, ledger.failed), (0, ledger.spans));
    let error = ledger.export_error.unwrap();
    assert!(error.contains("refused"), "{error}");
}

#[tokio::test]
async fn an_endpoint_that_is_none_is_one_clear_error() {
    let error = fleet::run("no endpoint", &plan(1), |_| {})
        .await
        .unwrap_err();
    assert_eq!(error.to_string(), "send to no endpoint");
    let before = Plan {
        end: SystemTime::UNIX_EPOCH,
        ..plan(1)
    };
    assert!(
        fleet::run("http://127.0.0.1:1", &before, |_| {})
            .await
            .is_err()
    );
}
