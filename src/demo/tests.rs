//! Against a real OTLP receiver in this process.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use opentelemetry_proto::tonic::collector::trace::v1::trace_service_server::{
    TraceService, TraceServiceServer,
};
use opentelemetry_proto::tonic::collector::trace::v1::{
    ExportTraceServiceRequest, ExportTraceServiceResponse,
};
use opentelemetry_proto::tonic::common::v1::any_value::Value;
use opentelemetry_proto::tonic::trace::v1::Span;
use tonic::{Request, Response, Status};

use super::fleet::{self, Plan, WINDOW};
use super::summary::{ Paint, Summary};
use super::{Ledger, Progress};

/// Keeps what it receives, and refuses for good what comes after `limit` exports.
#[derive(Clone, Default)]
struct Receiver {
    exports: Arc<Mutex<Vec<ExportTraceServiceRequest>>>,
    limit: Option<usize>,
}

#[tonic::async_trait]
impl TraceService for Receiver {
    async fn export(
        &self,
        request: Request<ExportTraceServiceRequest>,
    ) -> Result<Response<ExportTraceServiceResponse>, Status> {
        let mut exports = self.exports.lock().unwrap();
        if self.limit.is_some_and(|limit| exports.len() >= limit) {
            return Err(Status::invalid_argument("no more"));
        }
        exports.push(request.into_inner());
        Ok(Response::new(ExportTraceServiceResponse::default()))
    }
}

impl Receiver {
    /// Listens on a free port and returns its endpoint.
    async fn start(&self) -> String {
        let incoming =
            tonic::transport::server::TcpIncoming::bind("127.0.0.1:0".parse().unwrap()).unwrap();
        let endpoint = format!("http://{}", incoming.local_addr().unwrap());
        let server = tonic::transport::Server::builder()
            .add_service(TraceServiceServer::new(self.clone()))
            .serve_with_incoming(incoming);
        tokio::spawn(server);
        endpoint
    }

    /// Every span received, with its service.
    fn spans(&self) -> Vec<(String, Span)> {
        let mut spans = Vec::new();
        for export in self.exports.lock().unwrap().iter() {
            for group in &export.resource_spans {
                let resource = group.resource.as_ref().unwrap();
                let service = resource
                    .attributes
                    .iter()
                    .find(|attribute| attribute.key == "service.name")
                    .and_then(|attribute| attribute.value.as_ref()?.value.as_ref())
                    .map(text)
                    .unwrap();
                for scope in &group.scope_spans {
                    spans.extend(
                        scope
                            .spans
                            .iter()
                            .map(|span| (service.clone(), span.clone())),
                    );
                }
            }
        }
        spans
    }
}

fn text(value: &Value) -> String {
    match value {
        Value::StringValue(text) => text.clone(),
        other => panic!("a text was expected: {other:?}"),
    }
}

fn attribute<'a>(span: &'a Span, key: &str) -> Option<&'a Value> {
    let mut found = span
        .attributes
        .iter()
        .filter(|attribute| attribute.key == key);
    let value = found.next()?.value.as_ref()?.value.as_ref();
    assert!(found.next().is_none(), "{key} twice on {}", span.name);
    value
}

fn number(span: &Span, key: &str) -> i64 {
    match attribute(span, key) {
        Some(Value::IntValue(number)) => *number,
        None => 0,
        other => panic!("{key} should be a whole number: {other:?}"),
    }
}

fn plan(requests_per_app: u64) -> Plan {
    Plan {
        seed: 7,
        requests_per_app,
        end: UNIX_EPOCH + Duration::from_secs(1_800_000_000),
    }
}

async fn play(plan: &Plan) -> (Ledger, Vec<(String, Span)>) {
    let receiver = Receiver::default();
    let endpoint = receiver.start().await;
    let ledger = fleet::run(&endpoint, plan, |_| {}).await.unwrap();
    (ledger, receiver.spans())
}

/// Scenario: more spans than the queue holds. Guarantee: every span arrives once, and the
/// ledger's sums are those of what arrived.
#[tokio::test(flavor = "multi_thread")]
async fn what_arrives_is_what_the_ledger_says() {
    let (ledger, spans) = play(&plan(900)).await;
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
    let mut responses = std::collections::BTreeSet::new();
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
    assert_eq!(ledger, later);
    let ids = |spans: &[(String, Span)]| -> std::collections::BTreeSet<_> {
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
        ledger.requests < 900,
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

#[tokio::test(flavor = "multi_thread")]
async fn a_summary_agrees_or_says_what_differs() {
    let (ledger, _) = play(&plan(30)).await;
    let landed = Landed {
        spans: ledger.spans,
        requests: ledger.requests,
        failed_requests: ledger.failed_requests,
        calls: ledger.calls,
        failed_calls: ledger.failed_calls,
        input_tokens: ledger.input_tokens,
        output_tokens: ledger.output_tokens,
        speech_events: ledger.speech_events.values().sum(),
        cache_lookups: ledger.cache_hits + ledger.cache_misses,
        json_parses: ledger.parses + ledger.failed_parses,
        ..Landed::default()
    };
    let summary = Summary::new(ledger.clone(), landed.clone());
    assert_eq!(summary.differences, Vec::<String>::new());
    let mut text = Vec::new();
    summary.write_text(&mut text, Paint::Plain).unwrap();
    let text = String::from_utf8(text).unwrap();
    println!("{text}{ledger:#?}");
    assert!(text.ends_with("every span is accounted for\n"), "{text}");
    assert!(!text.contains('\x1b'));

    let mut json = Vec::new();
    summary.write_json(&mut json).unwrap();
    let json: serde_json::Value = serde_json::from_slice(&json).unwrap();
    assert_eq!(json["accounted_for"], true);
    assert_eq!(json["sent"]["spans"], ledger.spans);

    let short = Landed {
        calls: landed.calls - 1,
        ..landed
    };
    let summary = Summary::new(ledger.clone(), short);
    let expected = format!(
        "calls: {} sent, {} in the ledger",
        ledger.calls,
        ledger.calls - 1
    );
    assert_eq!(summary.differences, [expected]);
}
