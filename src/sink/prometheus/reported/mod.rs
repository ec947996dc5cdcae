//! The metrics that apps export themselves, shown under names of their own: spans report the same
//! calls, so the two must never be added.

mod gpu;
mod memory;

use std::time::Instant;

use opentelemetry_proto::tonic::{
    collector::metrics::v1::ExportMetricsServiceRequest,
    common::v1::{KeyValue, any_value::Value},
    metrics::v1::{AggregationTemporality as Temporality, Metric, metric::Data, number_data_point},
};
use prometheus::Error;
use prost::Message;

use self::{
    gpu::Gpus,
    memory::{Memory, Point},
};
use super::family::{Counters, IntCounters, Maker};
use crate::sink::{
    labels::{Label, Labels},
    names,
};

#[derive(Debug)]
pub(super) struct Reported {
    tokens: Counters<3>,
    operations: IntCounters<2>,
    seconds: Counters<2>,
    dropped: IntCounters<1>,
    memory: Memory,
    gpus: Gpus,
}

const NO_VALUE: u32 = 1;

impl Reported {
    pub fn new(maker: &Maker<'_>) -> Result<Self, Error> {
        Ok(Self {
            tokens: maker.counters(&names::REPORTED_TOKENS)?,
            operations: maker.int_counters(&names::REPORTED_OPERATIONS)?,
            seconds: maker.counters(&names::REPORTED_SECONDS)?,
            dropped: maker
                .int_counters(&names::METRICS_DROPPED)?
                .start_at_zero([["not_genai"], ["unsupported"]]),
            memory: Memory::default(),
            gpus: Gpus::new(maker.registry)?,
        })
    }

    pub fn take(&mut self, body: &[u8], now: Instant, labels: &mut Labels) {
        let Ok(request) = ExportMetricsServiceRequest::decode(body) else {
            self.dropped.with(["unsupported"]).inc();
            return;
        };
        for of_resource in &request.resource_metrics {
            let resource = of_resource
                .resource
                .as_ref()
                .map_or(&[][..], |r| &r.attributes);
            let service = labels.value(Label::Service, text(resource, "service.name"));
            let of_resource_metrics = of_resource.scope_metrics.iter();
            for metric in of_resource_metrics.flat_map(|scope| &scope.metrics) {
                self.metric(metric, resource, service, now, labels);
            }
        }
    }

    fn metric(
        &mut self,
        metric: &Metric,
        resource: &[KeyValue],
        service: &'static str,
        now: Instant,
        labels: &mut Labels,
    ) {
        let tokens = match metric.name.as_str() {
            "gen_ai.client.token.usage" => true,
            "gen_ai.client.operation.duration" => false,
            name if gpu::whole(name).is_some() => {
                self.gpu(metric, resource, service, now);
                return;
            }
            name => {
                let why = if name.starts_with("gen_ai.") {
                    "unsupported"
                } else {
                    "not_genai"
                };
                self.dropped.with([why]).inc_by(len(metric));
                return;
            }
        };
        let Some((temporality, points)) = points(metric, tokens) else {
            self.dropped.with(["unsupported"]).inc_by(len(metric));
            return;
        };
        let unit = if !tokens && metric.unit == "ms" {
            1e-3
        } else {
            1.0
        };
        for point in points.iter().filter(|point| !point.empty) {
            let key = self.memory.key(&metric.name, resource, point.attributes);
            let Some((sum, count)) = self.memory.new_part(key, temporality, point, now) else {
                self.dropped.with(["unsupported"]).inc();
                continue;
            };
            let model = text(point.attributes, "gen_ai.request.model")
                .or_else(|| text(point.attributes, "gen_ai.response.model"));
            let model = labels.value(Label::Model, model);
            if tokens {
                let kind = token_type(text(point.attributes, "gen_ai.token.type"));
                self.tokens.with([kind, model, service]).inc_by(sum);
            } else {
                self.operations.with([model, service]).inc_by(count);
                self.seconds.with([model, service]).inc_by(sum * unit);
            }
        }
    }
}

impl Reported {
    fn gpu(&mut self, metric: &Metric, resource: &[KeyValue], service: &'static str, now: Instant) {
        let (Some(whole), Some(Data::Gauge(all))) = (gpu::whole(&metric.name), &metric.data) else {
            self.dropped.with(["unsupported"]).inc_by(len(metric));
            return;
        };
        for point in &all.data_points {
            let value = match point.value {
                Some(number_data_point::Value::AsDouble(number)) => number,
                Some(number_data_point::Value::AsInt(number)) => number as f64,
                None => f64::NAN,
            };
            let of_point = gpu::IDS.iter().find_map(|key| text(&point.attributes, key));
            let id = of_point.or_else(|| gpu::IDS.iter().find_map(|key| text(resource, key)));
            let is_taken = value.is_finite()
                && self
                    .gpus
                    .take(service, id.unwrap_or("0"), value / whole, now);
            if !is_taken {
                self.dropped.with(["unsupported"]).inc();
            }
        }
    }
}

#[cfg(test)]
impl Reported {
    pub fn remembered(&self) -> usize {
        self.memory.len()
    }
}

/// The points of a metric that can be shown, and their temporality.
fn points(metric: &Metric, tokens: bool) -> Option<(Temporality, Vec<Point<'_>>)> {
    // All kinds name these fields alike.
    macro_rules! point {
        ($p:ident, $sum:expr, $count:expr) => {
            Point {
                attributes: &$p.attributes,
                start: $p.start_time_unix_nano,
                time: $p.time_unix_nano,
                sum: $sum,
                count: $count,
                empty: $p.flags & NO_VALUE != 0,
            }
        };
    }
    Some(match metric.data.as_ref()? {
        Data::Histogram(all) => {
            let points = all.data_points.iter().map(|p| point!(p, p.sum, p.count));
            (all.aggregation_temporality(), points.collect())
        }
        Data::ExponentialHistogram(all) => {
            let points = all.data_points.iter().map(|p| point!(p, p.sum, p.count));
            (all.aggregation_temporality(), points.collect())
        }
        Data::Sum(all) if tokens && all.is_monotonic => {
            let value = |value: Option<number_data_point::Value>| {
                value.map(|value| match value {
                    number_data_point::Value::AsDouble(number) => number,
                    number_data_point::Value::AsInt(number) => number as f64,
                })
            };
            let points = all.data_points.iter().map(|p| point!(p, value(p.value), 0));
            (all.aggregation_temporality(), points.collect())
        }
        Data::Sum(_) | Data::Gauge(_) | Data::Summary(_) => return None,
    })
}

/// Data points of a metric; one for a metric without data.
fn len(metric: &Metric) -> u64 {
    let points = match &metric.data {
        None => 1,
        Some(Data::Gauge(all)) => all.data_points.len(),
        Some(Data::Sum(all)) => all.data_points.len(),
        Some(Data::Histogram(all)) => all.data_points.len(),
        Some(Data::ExponentialHistogram(all)) => all.data_points.len(),
        Some(Data::Summary(all)) => all.data_points.len(),
    };
    points as u64
}

fn token_type(said: Option<&str>) -> &'static str {
    match said {
        Some("input" | "prompt") => "input",
        Some("output" | "completion") => "output",
        Some(_) => "other",
        None => "unknown",
    }
}

fn text<'a>(attributes: &'a [KeyValue], key: &str) -> Option<&'a str> {
    match attributes
        .iter()
        .find(|a| a.key == key)?
        .value
        .as_ref()?
        .value
        .as_ref()?
    {
        Value::StringValue(text) => Some(text),
        _ => None,
    }
}
