//! Metrics that apps export: temporality, resets, bounds.

use std::time::{Duration, Instant};

use opentelemetry_proto::tonic::{
    collector::metrics::v1::ExportMetricsServiceRequest,
    common::v1::{AnyValue, KeyValue, any_value::Value},
    metrics::v1::{
        AggregationTemporality as Temporality, Gauge, Histogram, HistogramDataPoint, Metric,
        NumberDataPoint, ResourceMetrics, ScopeMetrics, metric::Data, number_data_point,
    },
    resource::v1::Resource,
};
use prost::Message;

use super::{sink, total};

const USAGE: &str = "gen_ai.client.token.usage";
const DURATION: &str = "gen_ai.client.operation.duration";
const TOKENS: &str = "genai_reported_tokens_total";
const DROPPED: &str = "spanledger_metrics_dropped_total";

fn attribute(key: &str, value: &str) -> KeyValue {
    KeyValue {
        key: key.to_owned(),
        value: Some(AnyValue {
            value: Some(Value::StringValue(value.to_owned())),
        }),
        ..KeyValue::default()
    }
}

fn point(start: u64, time: u64, sum: f64, count: u64) -> HistogramDataPoint {
    HistogramDataPoint {
        attributes: vec![
            attribute("gen_ai.request.model", "m"),
            attribute("gen_ai.token.type", "input"),
        ],
        start_time_unix_nano: start,
        time_unix_nano: time,
        sum: Some(sum),
        count,
        ..HistogramDataPoint::default()
    }
}

fn histogram(temporality: Temporality, data_points: Vec<HistogramDataPoint>) -> Data {
    Data::Histogram(Histogram {
        data_points,
        aggregation_temporality: temporality.into(),
    })
}

fn body(name: &str, unit: &str, data: Data) -> Vec<u8> {
    let metric = Metric {
        name: name.to_owned(),
        unit: unit.to_owned(),
        data: Some(data),
        ..Metric::default()
    };
    let resource = Resource {
        attributes: vec![attribute("service.name", "svc")],
        ..Resource::default()
    };
    ExportMetricsServiceRequest {
        resource_metrics: vec![ResourceMetrics {
            resource: Some(resource),
            scope_metrics: vec![ScopeMetrics {
                metrics: vec![metric],
                ..ScopeMetrics::default()
            }],
            ..ResourceMetrics::default()
        }],
    }
    .encode_to_vec()
}

fn usage(temporality: Temporality, point: HistogramDataPoint) -> Vec<u8> {
    body(USAGE, "{token}", histogram(temporality, vec![point]))
}

#[test]
fn deltas_add_up_and_a_repeated_one_counts_once() {
    let (mut sink, registry) = sink();
    for (start, time, sum) in [(1, 2, 10.0), (2, 3, 5.0), (2, 3, 5.0), (3, 4, 1.0)] {
        sink.reported(&usage(Temporality::Delta, point(start, time, sum, 1)));
    }
    let labels = [("type", "input"), ("model", "m"), ("service", "svc")];
    assert_eq!(total(&registry, TOKENS, &labels), 16.0);
    assert_eq!(total(&registry, "genai_tokens_total", &[]), 0.0);
}

#[test]
fn cumulative_series_show_their_total_whatever_happens() {
    let (mut sink, registry) = sink();
    let mut give = |start, time, sum, count| {
        sink.reported(&usage(
            Temporality::Cumulative,
            point(start, time, sum, count),
        ));
        total(&registry, TOKENS, &[])
    };
    assert_eq!(give(1, 10, 100.0, 2), 100.0);
    assert_eq!(give(1, 20, 130.0, 3), 130.0);
    assert_eq!(give(1, 20, 130.0, 3), 130.0, "again");
    assert_eq!(give(1, 15, 110.0, 2), 130.0, "late");
    assert_eq!(give(25, 30, 7.0, 1), 137.0, "a restart counts from zero");
    assert_eq!(give(1, 40, 131.0, 4), 138.0, "the other process lives on");
    assert_eq!(
        give(25, 50, 3.0, 1),
        141.0,
        "a reset without a new start time"
    );
}

#[test]
fn durations_come_in_seconds() {
    let (mut sink, registry) = sink();
    let both = |unit, sum| {
        body(
            DURATION,
            unit,
            histogram(Temporality::Delta, vec![point(1, 2, sum, 3)]),
        )
    };
    sink.reported(&both("s", 1.5));
    let mut other = point(2, 3, 500.0, 3);
    other.attributes.reverse();
    sink.reported(&body(
        DURATION,
        "ms",
        histogram(Temporality::Delta, vec![other]),
    ));
    assert_eq!(
        total(
            &registry,
            "genai_reported_operations_total",
            &[("model", "m")]
        ),
        6.0
    );
    assert_eq!(
        total(&registry, "genai_reported_operation_seconds_total", &[]),
        2.0
    );
}

#[test]
fn the_rest_is_counted_not_shown() {
    let (mut sink, registry) = sink();
    let gauge = || {
        Data::Gauge(Gauge {
            data_points: vec![NumberDataPoint::default(); 2],
        })
    };
    sink.reported(&body("http.server.duration", "s", gauge()));
    assert_eq!(total(&registry, DROPPED, &[("reason", "not_genai")]), 2.0);
    sink.reported(&body("gen_ai.server.request.duration", "s", gauge()));
    sink.reported(&body(USAGE, "{token}", gauge()));
    sink.reported(b"\xff\xff not protobuf");
    sink.reported(&usage(Temporality::Unspecified, point(1, 2, 3.0, 1)));
    sink.reported(&usage(Temporality::Delta, point(1, 2, f64::NAN, 1)));
    sink.reported(&usage(Temporality::Delta, point(1, 2, -3.0, 1)));
    sink.reported(&usage(Temporality::Delta, point(1, 2, 1e300, 1)));
    sink.reported(&usage(Temporality::Delta, point(1, 2, 3.0, u64::MAX)));
    assert_eq!(
        total(&registry, DROPPED, &[("reason", "unsupported")]),
        10.0
    );
    assert_eq!(total(&registry, TOKENS, &[]), 0.0);
}

#[test]
fn memory_is_bounded_and_the_silent_make_room() {
    let (mut sink, registry) = sink();
    let start = Instant::now();
    let points = |from: u64| {
        (from..from + 10_050)
            .map(|n| point(n, n + 1, 1.0, 1))
            .collect()
    };
    let mut give = |from, now| {
        let data = histogram(Temporality::Cumulative, points(from));
        sink.reported
            .take(&body(USAGE, "", data), now, &mut sink.labels);
        assert_eq!(sink.reported.remembered(), 10_000);
        total(&registry, DROPPED, &[("reason", "unsupported")])
    };
    assert_eq!(give(1, start), 50.0);
    assert_eq!(
        give(100_000, start + Duration::from_secs(120)),
        50.0 + 10_050.0
    );
    assert_eq!(
        give(200_000, start + Duration::from_secs(2 * 3600)),
        2.0 * 50.0 + 10_050.0
    );
}

#[test]
fn gpus_are_shown_by_their_share_of_time() {
    let (mut sink, registry) = sink();
    let gauge = |id: &str, value: f64| {
        Data::Gauge(Gauge {
            data_points: vec![NumberDataPoint {
                attributes: vec![attribute("hw.id", id)],
                value: Some(number_data_point::Value::AsDouble(value)),
                ..NumberDataPoint::default()
            }],
        })
    };
    sink.reported(&body("hw.gpu.utilization", "1", gauge("GPU-0", 0.25)));
    sink.reported(&body("hw.gpu.utilization", "1", gauge("GPU-0", 0.5)));
    sink.reported(&body("DCGM_FI_DEV_GPU_UTIL", "", gauge("GPU-1", 90.0)));
    sink.reported(&body("hw.gpu.utilization", "1", gauge("GPU-2", f64::NAN)));
    let shown = registry.gather();
    let gpus = shown
        .iter()
        .find(|family| family.name() == "genai_gpu_utilization_ratio");
    let values = gpus
        .unwrap()
        .get_metric()
        .iter()
        .map(|gpu| gpu.get_gauge().get_value());
    assert_eq!(values.collect::<Vec<_>>(), [0.5, 0.9]);
    assert_eq!(total(&registry, DROPPED, &[]), 1.0);
}
