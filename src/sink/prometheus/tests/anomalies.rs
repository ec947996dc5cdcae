//! Which values are watched for anomalies, and under which names.

use std::collections::BTreeMap;

use prometheus::Registry;

use super::{Config, Prometheus, family, sink, total};
use crate::record::*;

/// Scores by signal and name.
fn scores(registry: &Registry) -> BTreeMap<(String, String), f64> {
    let family = family(registry, "genai_anomaly_score");
    let metrics = family.iter().flat_map(|family| family.get_metric());
    let label = |metric: &prometheus::proto::Metric, name: &str| {
        let mut labels = metric.get_label().iter();
        labels
            .find(|l| l.name() == name)
            .unwrap()
            .value()
            .to_owned()
    };
    let score = |metric: &prometheus::proto::Metric| {
        let key = (label(metric, "signal"), label(metric, "name"));
        (key, metric.get_gauge().get_value())
    };
    metrics.map(score).collect()
}

fn took(seconds: i64) -> Header {
    Header {
        completed_at: Some(seconds * 1_000_000_000),
        ..Header::default()
    }
}

fn request(pipeline: &str, seconds: i64) -> Record {
    Record::PipelineRequest(Box::new(PipelineRequest {
        header: took(seconds),
        pipeline: Some(pipeline.into()),
        ..PipelineRequest::default()
    }))
}

fn call(model: &str, seconds: i64, tokens: [Option<i64>; 2], counted: Counted) -> Record {
    let [prompt, completion] = tokens;
    Record::LlmCall(Box::new(LlmCall {
        header: took(seconds),
        model: Some(model.into()),
        counted,
        usage: Usage {
            prompt,
            completion,
            ..Usage::default()
        },
        ..LlmCall::default()
    }))
}

#[test]
fn each_pipeline_and_model_is_compared_with_itself() {
    let (mut sink, registry) = sink();
    let tokens = [Some(900), Some(100)];
    for _ in 0..140 {
        sink.observe(&[
            request("map", 2),
            request("chat", 20),
            call("m", 1, tokens, Counted::Yes),
            call("n", 1, [None, None], Counted::Yes),
            call("o", 1, tokens, Counted::No(NotCounted::Wrapper)),
        ]);
    }
    let steady = scores(&registry);
    let names: Vec<(&str, &str)> = steady
        .keys()
        .map(|(signal, name)| (signal.as_str(), name.as_str()))
        .collect();
    assert_eq!(
        names,
        [
            ("call_duration", "m"),
            ("call_duration", "n"),
            ("call_tokens", "m"),
            ("request_duration", "chat"),
            ("request_duration", "map"),
        ]
    );
    assert!(steady.values().all(|score| *score == 0.0), "{steady:?}");

    // One pipeline is slower, one model is wordier; all others go on.
    for _ in 0..30 {
        sink.observe(&[
            request("map", 6),
            request("chat", 20),
            call("m", 1, [Some(900), Some(2_100)], Counted::Yes),
            call("n", 1, [None, None], Counted::Yes),
        ]);
    }
    for ((signal, name), score) in scores(&registry) {
        let is_odd = [("request_duration", "map"), ("call_tokens", "m")]
            .contains(&(signal.as_str(), name.as_str()));
        assert_eq!(score > 5.0, is_odd, "{signal} {name}: {score}");
    }
}

#[test]
fn names_beyond_the_budget_are_not_mixed_into_one() {
    let registry = Registry::new();
    let config = Config {
        max_label_values: 1,
    };
    let mut sink = Prometheus::new(&config, &registry).unwrap();
    for _ in 0..140 {
        sink.observe(&[request("first", 1), request("second", 50)]);
    }
    let scores = scores(&registry);
    let names: Vec<&str> = scores.keys().map(|(_, name)| name.as_str()).collect();
    assert_eq!(names, ["first"]);
    let folded = [("label", "pipeline")];
    assert_eq!(
        total(&registry, "spanledger_labels_folded_total", &folded),
        140.0,
        "told once for each request"
    );
}
