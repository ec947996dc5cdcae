//! Records to metrics.
//!
//! Only counted calls feed tokens and cost, as only counted rows are summed in SQL. Counters can't
//! go back: a call whose verdict changes later is counted in `spanledger_recounted_calls_total`.
//! User, session and request ids are never labels; every label value has a budget.

mod calls;
mod reported;
mod stages;

#[cfg(test)]
mod tests;

use std::sync::Arc;

use prometheus::{CounterVec, HistogramOpts, HistogramVec, IntCounterVec, Opts, Registry};
use serde::{Deserialize, Serialize};

use super::{
    labels::Labels,
    names::{self, Metric},
};
use crate::record::{Amendment, Change, Record};

/// Settings of the metrics.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Config {
    /// Different values that one label may have; what comes later is shown as `__other__`.
    pub max_label_values: usize,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            max_label_values: 200,
        }
    }
}

/// The metrics that records become.
#[derive(Debug)]
pub struct Prometheus {
    calls: calls::Calls,
    stages: stages::Stages,
    reported: reported::Reported,
    recounted: IntCounterVec,
}

impl Prometheus {
    /// Registers all of them.
    pub fn new(config: &Config, registry: &Registry) -> prometheus::Result<Self> {
        let make = Make { registry };
        let folded = make.counter(names::LABELS_FOLDED, &["label"])?;
        let labels = Arc::new(Labels::new(config.max_label_values, folded));
        Ok(Self {
            calls: calls::Calls::new(&make, Arc::clone(&labels))?,
            stages: stages::Stages::new(&make, Arc::clone(&labels))?,
            reported: reported::Reported::new(&make, labels)?,
            recounted: make.counter(names::RECOUNTED, &["to"])?,
        })
    }

    /// Takes new records, mapped, priced and counted.
    pub fn observe(&self, records: &[Record]) {
        for record in records {
            match record {
                Record::LlmCall(call) => self.calls.observe(call),
                Record::SttEvent(event) => self.calls.observe_speech(event),
                _ => {}
            }
            self.stages.observe(record);
        }
    }

    /// Notes the calls whose verdict changed after they were observed.
    pub fn recounted(&self, amendments: &[Amendment]) {
        for amendment in amendments {
            if let Change::Counted(verdict) = amendment.change {
                let to = if verdict.is_yes() {
                    "counted"
                } else {
                    "not_counted"
                };
                self.recounted.with_label_values(&[to]).inc();
            }
        }
    }

    /// Takes an `ExportMetricsServiceRequest` of an app that reports metrics of its own.
    pub fn reported(&self, body: &[u8]) {
        self.reported.observe(body);
    }
}

/// Makes and registers metrics.
struct Make<'a> {
    registry: &'a Registry,
}

impl Make<'_> {
    fn counter(&self, (name, help): Metric, labels: &[&str]) -> prometheus::Result<IntCounterVec> {
        let made = IntCounterVec::new(Opts::new(name, help), labels)?;
        self.registry.register(Box::new(made.clone()))?;
        Ok(made)
    }

    /// A counter of something that has fractions.
    fn amount(&self, (name, help): Metric, labels: &[&str]) -> prometheus::Result<CounterVec> {
        let made = CounterVec::new(Opts::new(name, help), labels)?;
        self.registry.register(Box::new(made.clone()))?;
        Ok(made)
    }

    fn histogram(
        &self,
        (name, help): Metric,
        labels: &[&str],
        buckets: Vec<f64>,
    ) -> prometheus::Result<HistogramVec> {
        let made = HistogramVec::new(HistogramOpts::new(name, help).buckets(buckets), labels)?;
        self.registry.register(Box::new(made.clone()))?;
        Ok(made)
    }
}

/// The conventions' buckets for durations, and two more: agents take longer than 82 seconds.
fn seconds() -> Vec<f64> {
    (0..16).map(|n| 0.01 * f64::from(1 << n)).collect()
}

/// The conventions' buckets for tokens.
fn token_sizes() -> Vec<f64> {
    (0..14).map(|n| f64::from(4u32.pow(n))).collect()
}

/// From 0 to 1.
fn ratios() -> Vec<f64> {
    (1..=20).map(|n| f64::from(n) / 20.0).collect()
}
