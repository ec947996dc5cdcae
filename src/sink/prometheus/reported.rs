//! Metrics that apps report themselves, under names of their own: they show the same calls and
//! tokens as the spans do, so they must never be added to what the spans gave.

use std::sync::{Arc, Mutex, PoisonError};

use opentelemetry_proto::tonic::{
    collector::metrics::v1::ExportMetricsServiceRequest,
    common::v1::{KeyValue, any_value::Value},
    metrics::v1::{AggregationTemporality, HistogramDataPoint, Metric, metric::Data},
};
use prometheus::{CounterVec, IntCounterVec};
use prost::Message;
use rustc_hash::FxHashMap;

use super::{Make, names};
use crate::sink::labels::Labels;

/// Cumulative series remembered; beyond it new ones are dropped and counted.
const MAX_SERIES: usize = 10_000;

#[derive(Debug)]
pub(super) struct Reported {
    labels: Arc<Labels>,
    tokens: CounterVec,
    operations: CounterVec,
    seconds: CounterVec,
    dropped: IntCounterVec,
    /// Last (count, sum) of each cumulative series.
    last: Mutex<FxHashMap<String, (u64, f64)>>,
}

impl Reported {
    pub fn new(make: &Make<'_>, labels: Arc<Labels>) -> prometheus::Result<Self> {
        Ok(Self {
            labels,
            tokens: make.amount(names::REPORTED_TOKENS, &["type", "model", "service"])?,
            operations: make.amount(names::REPORTED_OPERATIONS, &["model", "service"])?,
            seconds: make.amount(names::REPORTED_SECONDS, &["model", "service"])?,
            dropped: make.counter(names::METRICS_DROPPED, &["reason"])?,
            last: Mutex::default(),
        })
    }

    pub fn observe(&self, body: &[u8]) {
        let Ok(request) = ExportMetricsServiceRequest::decode(body) else {
            self.drop_points("malformed", 1);
            return;
        };
        for group in &request.resource_metrics {
            let attributes = group.resource.as_ref().map_or(&[][..], |r| &r.attributes);
            let service = text(attributes, &["service.name"]);
            for metric in group.scope_metrics.iter().flat_map(|scope| &scope.metrics) {
                self.observe_metric(metric, service);
            }
        }
    }

    fn observe_metric(&self, metric: &Metric, service: Option<&str>) {
        let is_tokens = metric.name == "gen_ai.client.token.usage";
        let is_duration = metric.name == "gen_ai.client.operation.duration"
            || metric.name == "gen_ai.client.inference.duration";
        let Some(Data::Histogram(histogram)) = &metric.data else {
            return self.drop_points("not_genai_client", points(metric));
        };
        if !is_tokens && !is_duration {
            return self.drop_points("not_genai_client", histogram.data_points.len());
        }
        let cumulative =
            histogram.aggregation_temporality == AggregationTemporality::Cumulative as i32;
        for point in &histogram.data_points {
            let Some((count, sum)) = self.increase(&metric.name, service, point, cumulative) else {
                self.drop_points("too_many_series", 1);
                continue;
            };
            let model = text(
                &point.attributes,
                &["gen_ai.request.model", "gen_ai.response.model"],
            );
            let model = self.labels.value("model", model);
            let service = self.labels.value("service", service);
            let whose = [model.as_ref(), service.as_ref()];
            if is_tokens {
                let kind = match text(&point.attributes, &["gen_ai.token.type"]) {
                    Some("input") => "input",
                    Some("output" | "completion") => "output",
                    _ => "unknown",
                };
                self.tokens
                    .with_label_values(&[kind, whose[0], whose[1]])
                    .inc_by(sum);
            } else {
                self.operations
                    .with_label_values(&whose)
                    .inc_by(count as f64);
                self.seconds.with_label_values(&whose).inc_by(sum);
            }
        }
    }

    /// What a point adds; `None` if its series has no place in memory.
    fn increase(
        &self,
        name: &str,
        service: Option<&str>,
        point: &HistogramDataPoint,
        cumulative: bool,
    ) -> Option<(u64, f64)> {
        let sum = point
            .sum
            .filter(|sum| sum.is_finite() && *sum >= 0.0)
            .unwrap_or(0.0);
        if !cumulative {
            return Some((point.count, sum));
        }
        let mut pairs: Vec<String> = point
            .attributes
            .iter()
            .map(|pair| format!("{}={:?}", pair.key, pair.value))
            .collect();
        pairs.sort_unstable();
        // A start of its own makes a restarted app a series of its own.
        let start = point.start_time_unix_nano;
        let key = format!("{name} {service:?} {start} {}", pairs.join(","));
        let mut last = self.last.lock().unwrap_or_else(PoisonError::into_inner);
        if last.len() >= MAX_SERIES && !last.contains_key(&key) {
            return None;
        }
        let (count, before) = last.insert(key, (point.count, sum)).unwrap_or((0, 0.0));
        // Less than before: the series began anew.
        let is_reset = point.count < count || sum < before;
        Some(if is_reset {
            (point.count, sum)
        } else {
            (point.count - count, sum - before)
        })
    }

    fn drop_points(&self, reason: &str, points: usize) {
        self.dropped
            .with_label_values(&[reason])
            .inc_by(points as u64);
    }
}

fn points(metric: &Metric) -> usize {
    match &metric.data {
        Some(Data::Gauge(gauge)) => gauge.data_points.len(),
        Some(Data::Sum(sum)) => sum.data_points.len(),
        Some(Data::Histogram(histogram)) => histogram.data_points.len(),
        Some(Data::ExponentialHistogram(histogram)) => histogram.data_points.len(),
        Some(Data::Summary(summary)) => summary.data_points.len(),
        None => 0,
    }
}

fn text<'a>(attributes: &'a [KeyValue], keys: &[&str]) -> Option<&'a str> {
    keys.iter().find_map(|key| {
        let found = attributes.iter().find(|pair| pair.key == *key)?;
        match found.value.as_ref()?.value.as_ref()? {
            Value::StringValue(text) => Some(text.as_str()),
            _ => None,
        }
    })
}
