//! What alerts look at and what the rows say are the same numbers.

use std::path::Path;

use opentelemetry_proto::tonic::trace::v1::{Span, Status};

use crate::support::{
    process::{Folder, Service, post},
    rows::Rows,
    spans::{attribute, of_spans, rag_trace, text},
};

/// A request that failed with this error, or did not, and what it says of its outcome.
fn outcome(
    trace: u64,
    error: Option<(&str, &str)>,
    matched: Option<bool>,
    fallback: bool,
) -> Vec<Span> {
    use opentelemetry_proto::tonic::common::v1::any_value::Value;
    let mut spans = rag_trace(trace);
    if let Some((kind, message)) = error {
        spans[2].attributes.push(text("error.type", kind));
        spans[2].status = Some(Status {
            code: 2,
            message: message.to_owned(),
        });
    }
    let root = &mut spans[4].attributes;
    root.push(text("pipeline.framework", "GRI"));
    root.push(attribute("pipeline.fallback", Value::BoolValue(fallback)));
    if let Some(matched) = matched {
        root.push(attribute("pipeline.matched", Value::BoolValue(matched)));
    }
    spans
}

#[test]
fn errors_matches_and_fallbacks_are_those_of_the_rows() {
    let folder = Folder::new("agreement");
    let service = Service::start(folder.path());
    let errors = [
        None,
        Some(("openai.BadRequestError", "maximum context length is 8192")),
        Some(("openai.RateLimitError", "too many requests")),
        Some(("503", "overloaded")),
        Some(("401", "")),
        Some(("asyncio.CancelledError", "")),
    ];
    let traces = (0..60_u64).flat_map(|n| {
        let matched = [Some(true), Some(false), None][n as usize % 3];
        outcome(n, errors[n as usize % errors.len()], matched, n % 5 == 0)
    });
    let spans: Vec<Span> = traces.collect();
    let sent = spans.len() as u64;
    let body = prost::Message::encode_to_vec(&of_spans(spans));
    let headers = [("Content-Type", "application/x-protobuf")];
    assert_eq!(
        post(&service.otlp_http, "/v1/traces", &headers, &body).0,
        200
    );
    service.wait_until_stored(sent);

    let rows = Rows::sqlite(Path::new(&folder.path().join("spanledger.db")));
    let count = |from: &str| -> f64 {
        let found = rows.query(&format!("SELECT count(*) FROM {from}"));
        found[0][0].parse().unwrap()
    };
    for severity in ["warning", "error", "critical"] {
        let shown = service.metric("genai_errors_total", &[&format!("severity=\"{severity}\"")]);
        let stored = count(&format!(
            "llm_calls WHERE counted AND error_severity = '{severity}'"
        ));
        assert!(stored >= 10.0, "{severity}: {stored}");
        assert_eq!(shown, stored, "{severity}");
    }
    for (metric, label, from) in [
        (
            "genai_matches_total",
            "result=\"matched\"",
            "pipeline_requests WHERE matched",
        ),
        (
            "genai_matches_total",
            "result=\"unmatched\"",
            "pipeline_requests WHERE NOT matched",
        ),
        (
            "genai_fallbacks_total",
            "result=\"used\"",
            "pipeline_requests WHERE fallback",
        ),
        (
            "genai_fallbacks_total",
            "result=\"unused\"",
            "pipeline_requests WHERE NOT fallback",
        ),
    ] {
        let stored = count(from);
        assert!(stored > 0.0, "{from}");
        assert_eq!(service.metric(metric, &[label]), stored, "{metric} {label}");
    }
    let records = service.metric(
        "spanledger_service_records_total",
        &["service=\"shop-rag\""],
    );
    let stored: f64 = [
        "llm_calls",
        "retrievals",
        "pipeline_requests",
        "cache_lookups",
        "json_parses",
        "stt_logs",
    ]
    .into_iter()
    .map(count)
    .sum();
    assert_eq!(records, stored);
}
