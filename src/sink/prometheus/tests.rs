use opentelemetry_proto::tonic::{
    collector::metrics::v1::ExportMetricsServiceRequest,
    metrics::v1::{
        Histogram, HistogramDataPoint, Metric, ResourceMetrics, ScopeMetrics, metric::Data,
    },
};
use prometheus::{Encoder, Registry, TextEncoder};
use prost::Message;

use super::{Config, Prometheus};
use crate::record::*;

fn text(registry: &Registry) -> String {
    let mut out = Vec::new();
    TextEncoder::new()
        .encode(&registry.gather(), &mut out)
        .unwrap();
    String::from_utf8(out).unwrap()
}

fn sum(text: &str, name: &str, label: &str) -> f64 {
    text.lines()
        .filter(|line| line.starts_with(&format!("{name}{{")) && line.contains(label))
        .filter_map(|line| line.rsplit(' ').next()?.parse::<f64>().ok())
        .sum()
}

fn call(n: i64) -> LlmCall {
    LlmCall {
        model: Some(format!("m{}", n % 3)),
        usage: Usage {
            prompt: Some(n),
            completion: (n % 2 == 0).then_some(2),
            ..Usage::default()
        },
        counted: if n % 5 == 0 {
            Counted::No(NotCounted::Wrapper)
        } else {
            Counted::Yes
        },
        cost: Some(if n % 7 == 0 {
            Err(Unpriced::UnknownModel)
        } else {
            Ok(Cost {
                usd: n as f64 / 1e3,
                rule: "r".into(),
                version: "v".into(),
            })
        }),
        ..LlmCall::default()
    }
}

#[test]
fn counters_say_what_the_counted_rows_say() {
    let registry = Registry::new();
    let metrics = Prometheus::new(&Config::default(), &registry).unwrap();
    let calls: Vec<LlmCall> = (1..=1000).map(call).collect();
    let records: Vec<Record> = calls
        .iter()
        .cloned()
        .map(|c| Record::LlmCall(Box::new(c)))
        .collect();
    metrics.observe(&records);
    let text = text(&registry);
    let counted = || calls.iter().filter(|call| call.counted.is_yes());
    let tokens: i64 = counted().filter_map(|call| call.usage.prompt).sum();
    let usd: f64 = counted()
        .filter_map(|c| Some(c.cost.as_ref()?.as_ref().ok()?.usd))
        .sum();
    assert_eq!(
        sum(&text, "genai_tokens_total", "type=\"input\""),
        tokens as f64
    );
    assert_eq!(
        sum(
            &text,
            "gen_ai_client_token_usage_sum",
            "token_type=\"input\""
        ),
        tokens as f64
    );
    assert!((sum(&text, "genai_cost_usd_total", "") - usd).abs() < 1e-6);
    assert_eq!(
        sum(&text, "genai_calls_total", ""),
        counted().count() as f64
    );
    assert_eq!(sum(&text, "genai_not_counted_total", "wrapper"), 200.0);
    let unpriced = counted().filter(|c| matches!(c.cost, Some(Err(_)))).count();
    assert_eq!(
        sum(&text, "genai_unpriced_calls_total", ""),
        unpriced as f64
    );
}

#[test]
fn series_are_bounded_and_hostile_names_stay_inside_their_quotes() {
    let registry = Registry::new();
    let metrics = Prometheus::new(
        &Config {
            max_label_values: 20,
        },
        &registry,
    )
    .unwrap();
    for n in 0..5_000 {
        let mut one = call(1);
        one.model = Some(format!("\"}} 1\n# HELP {n}\\"));
        metrics.observe(&[Record::LlmCall(Box::new(one))]);
    }
    let text = text(&registry);
    assert_eq!(sum(&text, "genai_calls_total", "__other__"), 4_980.0);
    assert_eq!(
        text.lines()
            .filter(|line| line.starts_with("genai_calls_total"))
            .count(),
        21
    );
    let is_fine = |line: &str| {
        line.starts_with('#') || line.rsplit(' ').next().unwrap().parse::<f64>().is_ok()
    };
    assert!(text.lines().all(is_fine));
}

#[test]
fn own_metrics_of_apps_are_shown_apart_cumulative_or_not() {
    let registry = Registry::new();
    let metrics = Prometheus::new(&Config::default(), &registry).unwrap();
    let body = |temporality: i32, start: u64, sum: f64, name: &str| {
        ExportMetricsServiceRequest {
            resource_metrics: vec![ResourceMetrics {
                scope_metrics: vec![ScopeMetrics {
                    metrics: vec![Metric {
                        name: name.into(),
                        data: Some(Data::Histogram(Histogram {
                            aggregation_temporality: temporality,
                            data_points: vec![HistogramDataPoint {
                                start_time_unix_nano: start,
                                count: sum as u64,
                                sum: Some(sum),
                                ..Default::default()
                            }],
                        })),
                        ..Default::default()
                    }],
                    ..Default::default()
                }],
                ..Default::default()
            }],
        }
        .encode_to_vec()
    };
    let tokens = "gen_ai.client.token.usage";
    for (temporality, start, sum) in [
        (1, 0, 10.0),
        (1, 0, 10.0),
        (2, 1, 5.0),
        (2, 1, 8.0),
        (2, 2, 3.0),
    ] {
        metrics.reported(&body(temporality, start, sum, tokens));
    }
    metrics.reported(&body(1, 0, 1.0, "http.server.request.duration"));
    metrics.reported(b"nonsense");
    let text = text(&registry);
    assert_eq!(sum(&text, "genai_reported_tokens_total", ""), 31.0);
    assert_eq!(
        sum(&text, "spanledger_metrics_dropped_total", "not_genai"),
        1.0
    );
    assert_eq!(
        sum(&text, "spanledger_metrics_dropped_total", "malformed"),
        1.0
    );
}
