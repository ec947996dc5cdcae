//! Whether pipelines and models take longer, or more tokens, than is usual for them.
//!
//! Learnt anew with each start: nothing is shown of a name before 130 values are known.

mod score;

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, PoisonError},
    time::{Duration, Instant},
};

use prometheus::{
    Error, GaugeVec, Opts, Registry,
    core::{Collector, Desc},
    proto::MetricFamily,
};

use self::score::Watch;
use super::calls::seconds;
use crate::{
    record::{Header, LlmCall, PipelineRequest},
    sink::{labels::OTHER, names},
};

/// A name without a new value is shown this long: an alert must not outlive its traffic.
const SHOWN_FOR: Duration = Duration::from_secs(15 * 60);

/// What is watched; the metric label `signal`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Signal {
    /// Seconds, by pipeline.
    RequestDuration,
    /// Seconds, by model.
    CallDuration,
    /// Input and output together, by model.
    CallTokens,
}

impl Signal {
    fn as_str(self) -> &'static str {
        match self {
            Signal::RequestDuration => "request_duration",
            Signal::CallDuration => "call_duration",
            Signal::CallTokens => "call_tokens",
        }
    }

    /// What is less counts as this much: below a millisecond, or a token, no difference matters.
    fn least(self) -> f64 {
        match self {
            Signal::RequestDuration | Signal::CallDuration => 1e-3,
            Signal::CallTokens => 1.0,
        }
    }
}

/// By signal and name. As many as the labels' budgets allow.
type Watched = BTreeMap<(Signal, &'static str), (Watch, Instant)>;

/// Takes records.
#[derive(Debug)]
pub(super) struct Anomalies(Arc<Mutex<Watched>>);

impl Anomalies {
    pub fn new(registry: &Registry) -> Result<Self, Error> {
        let name = names::ANOMALY;
        let watched = Arc::new(Mutex::new(Watched::new()));
        registry.register(Box::new(Shown {
            watched: Arc::clone(&watched),
            gauges: GaugeVec::new(Opts::new(name.name, name.help), &name.labels)?,
        }))?;
        Ok(Self(watched))
    }

    /// Takes a request of a pipeline.
    pub fn request(&self, request: &PipelineRequest, pipeline: &'static str, now: Instant) {
        if let Some(seconds) = seconds(&request.header) {
            let signal = Signal::RequestDuration;
            self.take(signal, pipeline, seconds, &request.header, now);
        }
    }

    /// Takes a counted call of a model.
    pub fn call(&self, call: &LlmCall, model: &'static str, now: Instant) {
        if let Some(seconds) = seconds(&call.header) {
            self.take(Signal::CallDuration, model, seconds, &call.header, now);
        }
        let known = [call.usage.prompt, call.usage.completion];
        let known = known.into_iter().flatten().filter(|tokens| *tokens >= 0);
        if let Some(tokens) = known.reduce(i64::saturating_add) {
            self.take(Signal::CallTokens, model, tokens as f64, &call.header, now);
        }
    }

    fn take(&self, signal: Signal, name: &'static str, value: f64, header: &Header, now: Instant) {
        // It stands for many names, whose values have nothing in common.
        if name == OTHER {
            return;
        }
        let mut watched = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let (watch, last) = watched
            .entry((signal, name))
            .or_insert_with(|| (Watch::default(), now));
        watch.take(value.max(signal.least()), header.received_at);
        *last = now;
    }
}

/// What may be shown at a time: (values of the labels, score).
fn shown(watched: &mut Watched, now: Instant) -> impl Iterator<Item = ([&str; 2], f64)> {
    watched
        .iter_mut()
        .filter(move |(_, (_, last))| now.saturating_duration_since(*last) < SHOWN_FOR)
        .filter_map(|((signal, name), (watch, _))| Some(([signal.as_str(), *name], watch.score()?)))
}

struct Shown {
    watched: Arc<Mutex<Watched>>,
    gauges: GaugeVec,
}

impl Collector for Shown {
    fn desc(&self) -> Vec<&Desc> {
        self.gauges.desc()
    }

    fn collect(&self) -> Vec<MetricFamily> {
        let mut watched = self.watched.lock().unwrap_or_else(PoisonError::into_inner);
        self.gauges.reset();
        for (values, score) in shown(&mut watched, Instant::now()) {
            self.gauges.with_label_values(&values).set(score);
        }
        self.gauges.collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_has_no_traffic_is_not_shown_and_not_forgotten() {
        let anomalies = Anomalies::new(&Registry::new()).unwrap();
        let take = |name, now| {
            let signal = Signal::CallDuration;
            anomalies.take(signal, name, 0.0, &Header::default(), now);
        };
        let names_at = |now| -> Vec<String> {
            let mut watched = anomalies.0.lock().unwrap();
            let names = shown(&mut watched, now).map(|([_, name], _)| name.to_owned());
            names.collect()
        };
        let start = Instant::now();
        for _ in 0..130 {
            take("idle", start);
            take("busy", start);
        }
        assert_eq!(names_at(start), ["busy", "idle"]);
        let later = start + SHOWN_FOR;
        take("busy", later);
        assert_eq!(names_at(later), ["busy"]);
        take("idle", later);
        assert_eq!(names_at(later), ["busy", "idle"]);
    }
}
