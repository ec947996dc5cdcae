//! What failed by its meaning, what requests say of their outcome, who sends.

use super::{sink, total};
use crate::record::*;

fn header(service: &str) -> Header {
    Header {
        service_name: Some(service.into()),
        ..Header::default()
    }
}

fn call(counted: Counted, class: Option<ErrorClass>) -> Record {
    Record::LlmCall(Box::new(LlmCall {
        header: header("bot"),
        counted,
        error_class: class,
        ..LlmCall::default()
    }))
}

#[test]
fn failures_are_counted_by_what_they_mean_and_once() {
    let (mut sink, registry) = sink();
    let search = |status| {
        Record::Retrieval(Box::new(Retrieval {
            header: header("bot"),
            status,
            error_type: Some("ConnectionError".into()),
            ..Retrieval::default()
        }))
    };
    let failed_request = Record::PipelineRequest(Box::new(PipelineRequest {
        header: header("bot"),
        status: Status::Error,
        error_type: Some("500".into()),
        ..PipelineRequest::default()
    }));
    sink.observe(&[
        call(Counted::Yes, Some(ErrorClass::TokenLimit)),
        call(
            Counted::No(NotCounted::Wrapper),
            Some(ErrorClass::TokenLimit),
        ),
        call(Counted::Yes, Some(ErrorClass::Cancelled)),
        call(Counted::Yes, None),
        search(Status::Success),
        search(Status::Error),
        Record::JsonParse(Box::default()),
        failed_request,
    ]);
    let errors = |labels: &[(&str, &str)]| total(&registry, "genai_errors_total", labels);
    assert_eq!(errors(&[]), 4.0);
    let limit = [
        ("stage", "llm"),
        ("class", "token_limit"),
        ("severity", "warning"),
        ("alerts", "yes"),
        ("service", "bot"),
    ];
    assert_eq!(errors(&limit), 1.0);
    assert_eq!(errors(&[("class", "cancelled"), ("alerts", "no")]), 1.0);
    assert_eq!(
        errors(&[("stage", "vector_search"), ("severity", "critical")]),
        1.0
    );
    assert_eq!(errors(&[("class", "parse_failure")]), 1.0);
}

#[test]
fn requests_count_as_what_they_say_and_not_at_all_if_they_say_nothing() {
    let (mut sink, registry) = sink();
    let request = |matched, fallback| {
        Record::PipelineRequest(Box::new(PipelineRequest {
            header: header("mapper"),
            framework: Some("GRI".into()),
            matched,
            fallback,
            ..PipelineRequest::default()
        }))
    };
    sink.observe(&[
        request(Some(true), None),
        request(Some(true), Some(false)),
        request(Some(false), Some(true)),
        request(None, None),
        call(Counted::Yes, None),
    ]);
    let matches = |result| total(&registry, "genai_matches_total", &[("result", result)]);
    assert_eq!((matches("matched"), matches("unmatched")), (2.0, 1.0));
    let fallbacks = |result| total(&registry, "genai_fallbacks_total", &[("result", result)]);
    assert_eq!((fallbacks("used"), fallbacks("unused")), (1.0, 1.0));
    let sent = |service| {
        let labels = [("service", service)];
        total(&registry, "spanledger_service_records_total", &labels)
    };
    assert_eq!(
        (sent("mapper"), sent("bot"), sent("unknown")),
        (4.0, 1.0, 0.0)
    );
}
