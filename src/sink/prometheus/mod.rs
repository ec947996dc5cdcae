//! Records to Prometheus metrics.
//!
//! | file | what |
//! |---|---|
//! | `family` | a metric of the table, with a bound on its series |
//! | `calls` | model calls: duration, tokens, cost |
//! | `stages` | requests and what they are made of |
//! | `failures` | what failed, by what the error means; who sends at all |
//! | `anomaly` | what takes longer, or more tokens, than is usual for it |
//! | `progress` | how many requests are in progress |
//! | `reported` | the metrics that apps export themselves |
//!
//! Counters and the ledger agree because both take the same counted, priced records. What is not
//! known feeds nothing: no zero stands for it.

mod anomaly;
mod calls;
mod failures;
mod family;
mod progress;
mod reported;
mod stages;
#[cfg(test)]
mod tests;

use std::time::Instant;

use prometheus::{Error, Registry};
use serde::{Deserialize, Serialize};

use self::{
    anomaly::Anomalies,
    calls::{Calls, Names},
    failures::Failures,
    family::{IntCounters, Maker},
    progress::Progress,
    reported::Reported,
    stages::Stages,
};
use super::{
    labels::{Label, Labels},
    names,
};
use crate::record::{Amendment, Change, Counted, Record};

/// Settings of the metrics.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Config {
    /// Values that a label takes before further ones become `__other__`. First come, first
    /// served, for each label.
    pub max_label_values: usize,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            max_label_values: 150,
        }
    }
}

/// The metrics, and what they remember to stay few.
#[derive(Debug)]
pub struct Prometheus {
    labels: Labels,
    calls: Calls,
    stages: Stages,
    failures: Failures,
    anomalies: Anomalies,
    progress: Progress,
    reported: Reported,
    recounted: IntCounters<1>,
}

impl Prometheus {
    /// Registers the metrics of [`names::ALL`], but for the advice that `scale` makes of them.
    pub fn new(config: &Config, registry: &Registry) -> Result<Self, Error> {
        let name = names::LABELS_FOLDED;
        let folded = prometheus::IntCounterVec::new(
            prometheus::Opts::new(name.name, name.help),
            &name.labels,
        )?;
        registry.register(Box::new(folded.clone()))?;
        let maker = Maker {
            registry,
            folded: folded.with_label_values(&["combination"]),
        };
        Ok(Self {
            labels: Labels::new(config.max_label_values, &folded),
            calls: Calls::new(&maker)?,
            stages: Stages::new(&maker)?,
            failures: Failures::new(&maker)?,
            anomalies: Anomalies::new(registry)?,
            progress: Progress::new(registry)?,
            reported: Reported::new(&maker)?,
            recounted: maker
                .int_counters(&names::RECOUNTED)?
                .start_at_zero([["counted"], ["not_counted"]]),
        })
    }

    /// Counts new records. Each record must be given once.
    pub fn observe(&mut self, records: &[Record]) {
        let now = Instant::now();
        let Self {
            labels,
            calls,
            stages,
            failures,
            anomalies,
            progress,
            ..
        } = self;
        for record in records {
            let service = record.header().service_name.as_deref();
            let service = labels.value(Label::Service, service);
            failures.record(record, service);
            match record {
                Record::LlmCall(call) => match call.counted {
                    Counted::No(why) => calls.not_counted(why),
                    Counted::Yes => {
                        let (provider, model) = (call.provider.as_deref(), call.model.as_deref());
                        let names = Names::of(provider, model, service, labels);
                        calls.call(call, names, labels);
                        stages.call(call);
                        anomalies.call(call, names.model, now);
                    }
                },
                // What feeds nothing spends no budget.
                Record::SttEvent(event) if event.cost.is_none() && !event.billed => {}
                Record::SttEvent(event) => {
                    let (provider, model) = (event.provider.as_deref(), event.model.as_deref());
                    let names = Names::of(provider, model, service, labels);
                    calls.speech(event, names);
                    stages.speech(event, names);
                }
                Record::Retrieval(retrieval) => stages.retrieval(retrieval),
                Record::CacheLookup(lookup) => stages.cache_lookup(lookup, labels),
                Record::JsonParse(parse) => stages.json_parse(parse),
                Record::PipelineRequest(request) => {
                    let pipeline = labels.value(Label::Pipeline, request.pipeline.as_deref());
                    stages.request(request, pipeline, labels);
                    anomalies.request(request, pipeline, now);
                    progress.request(&request.header);
                }
            }
        }
    }

    /// Counts the calls whose counting changed after [`Self::observe`] had them: counters can't
    /// be taken back, so how far they are off is a metric, too.
    pub fn recounted(&mut self, amendments: &[Amendment]) {
        for amendment in amendments {
            if let Change::Counted(counted) = amendment.change {
                let to = match counted {
                    Counted::Yes => "counted",
                    Counted::No(_) => "not_counted",
                };
                self.recounted.with([to]).inc();
            }
        }
    }

    /// Takes an `ExportMetricsServiceRequest` as it was received: what an app's own
    /// instrumentation says about its model calls.
    pub fn reported(&mut self, body: &[u8]) {
        self.reported.take(body, Instant::now(), &mut self.labels);
    }
}
