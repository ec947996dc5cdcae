//! Sums, bounds, hostile text, temporality.

mod anomalies;
mod exported;
mod failures;
mod generated;
mod hostile;

use prometheus::{Registry, proto::MetricFamily};

use super::{Config, Prometheus};

fn sink() -> (Prometheus, Registry) {
    let registry = Registry::new();
    (
        Prometheus::new(&Config::default(), &registry).unwrap(),
        registry,
    )
}

fn family(registry: &Registry, name: &str) -> Option<MetricFamily> {
    registry
        .gather()
        .into_iter()
        .find(|family| family.name() == name)
}

/// Sum of a metric's series that have these label values: counters' values, histograms' sums.
fn total(registry: &Registry, name: &str, labels: &[(&str, &str)]) -> f64 {
    fold(registry, name, labels, |sum, _| sum)
}

/// The same, of histograms' counts.
fn count(registry: &Registry, name: &str, labels: &[(&str, &str)]) -> u64 {
    fold(registry, name, labels, |_, count| count as f64) as u64
}

fn fold(
    registry: &Registry,
    name: &str,
    labels: &[(&str, &str)],
    value: impl Fn(f64, u64) -> f64,
) -> f64 {
    let Some(family) = family(registry, name) else {
        return 0.0;
    };
    let wanted = |metric: &&prometheus::proto::Metric| {
        labels.iter().all(|(name, value)| {
            metric
                .get_label()
                .iter()
                .any(|l| l.name() == *name && l.value() == *value)
        })
    };
    let is_histogram = family.get_field_type() == prometheus::proto::MetricType::HISTOGRAM;
    let number = |metric: &prometheus::proto::Metric| match is_histogram {
        true => {
            let histogram = metric.get_histogram();
            value(histogram.get_sample_sum(), histogram.get_sample_count())
        }
        false => metric.get_counter().get_value(),
    };
    family.get_metric().iter().filter(wanted).map(number).sum()
}
