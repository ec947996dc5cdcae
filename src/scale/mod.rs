//! More or fewer instances of the app? Load over what is planned for, by signal, as metrics that an
//! autoscaler takes, and told to a webhook when the advice changes.
//!
//! | signal | load | more instances help |
//! |---|---|---|
//! | `in_flight` | requests in progress, from the times of their spans | yes |
//! | `gpu` | the busiest GPU that reports over OTLP | yes |
//! | `queue_age` | how far the ledger lags behind | yes, of Spanledger itself |
//! | `error_rate` | share of requests that fail, over its critical level | no: it only keeps from taking any away |

#[cfg(test)]
mod tests;

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use chrono::{SecondsFormat, Utc};
use prometheus::{GaugeVec, Opts, Registry};
use secrecy::{ExposeSecret, SecretString};
use serde::{Deserialize, Serialize};
use serde_json::json;
use tokio_util::sync::CancellationToken;

use crate::{
    alert::{
        Levels,
        history::{History, Of},
    },
    sink::names,
};

const EVERY: Duration = Duration::from_secs(10);
/// The share of failing requests is of this long.
const WINDOW: Duration = Duration::from_secs(300);
/// For how long the load must be too high, or low, before the advice changes.
const UP_AFTER: Duration = Duration::from_secs(60);
const DOWN_AFTER: Duration = Duration::from_secs(600);
/// Below this part of what is planned for, fewer will do.
const LOW: f64 = 0.5;
const PATIENCE: Duration = Duration::from_secs(10);

/// What the signals are made of.
const SIGNALS: &[Of] = &[
    Of::InProgress,
    Of::Gpu,
    Of::SpoolAge,
    Of::RequestsEnded,
    Of::RequestsFailed,
];

/// Settings: what is planned for.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Config {
    /// Requests in progress.
    pub in_flight: f64,
    /// Share of a GPU's time, 0 to 1.
    pub gpu: f64,
    /// Seconds that spans may wait for the store.
    pub queue_age_seconds: f64,
    /// Told when the advice changes. May hold a key: prefer the environment.
    #[serde(skip_serializing)]
    pub webhook: Option<SecretString>,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            in_flight: 100.0,
            gpu: 0.8,
            queue_age_seconds: 30.0,
            webhook: None,
        }
    }
}

/// What is advised.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Advice {
    /// More instances.
    Up,
    /// As many as there are.
    Hold,
    /// Fewer.
    Down,
}

/// One signal.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Reason {
    /// Its name.
    pub signal: &'static str,
    /// What it is.
    pub value: f64,
    /// What is planned for.
    pub target: f64,
    /// The one over the other: 2 is twice as much as planned for.
    pub load: f64,
}

/// Makes advice of loads over time.
#[derive(Debug)]
struct Advisor {
    advice: Advice,
    /// What the loads have asked for, and since when.
    asked: (Advice, Instant),
}

impl Advisor {
    fn new(now: Instant) -> Self {
        Self {
            advice: Advice::Hold,
            asked: (Advice::Hold, now),
        }
    }

    /// The new advice, if it changes.
    fn hear(&mut self, reasons: &[Reason], now: Instant) -> Option<Advice> {
        let errors = reasons.iter().find(|r| r.signal == "error_rate");
        let is_failing = errors.is_some_and(|errors| errors.load > 1.0);
        let load = load(reasons);
        let asked = match load {
            Some(load) if load > 1.0 => Advice::Up,
            Some(load) if load < LOW && !is_failing => Advice::Down,
            _ => Advice::Hold,
        };
        if asked != self.asked.0 {
            self.asked = (asked, now);
        }
        let held = now.duration_since(self.asked.1);
        let is_due = match asked {
            Advice::Up => held >= UP_AFTER,
            Advice::Down => held >= DOWN_AFTER,
            Advice::Hold => true,
        };
        (is_due && asked != self.advice).then(|| {
            self.advice = asked;
            asked
        })
    }
}

/// The highest load that more instances would help.
fn load(reasons: &[Reason]) -> Option<f64> {
    let scaling = reasons
        .iter()
        .filter(|reason| reason.signal != "error_rate");
    scaling.map(|reason| reason.load).reduce(f64::max)
}

/// Advises, until told to end.
#[derive(Debug)]
pub struct Scaler {
    config: Config,
    levels: Levels,
    registry: Registry,
    shown: GaugeVec,
}

impl Scaler {
    /// Ready to run.
    pub fn new(config: Config, registry: &Registry) -> Result<Self, prometheus::Error> {
        let name = names::SCALE;
        let shown = GaugeVec::new(Opts::new(name.name, name.help), &name.labels)?;
        registry.register(Box::new(shown.clone()))?;
        Ok(Self {
            config,
            levels: Levels::shipped(),
            registry: registry.clone(),
            shown,
        })
    }

    /// Runs until `ended`.
    pub async fn run(self, ended: CancellationToken) {
        let start = Instant::now();
        let mut history = History::new(start, 2 * WINDOW).only(SIGNALS);
        let mut advisor = Advisor::new(start);
        let mut looks = tokio::time::interval(EVERY);
        looks.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        loop {
            tokio::select! {
                () = ended.cancelled() => return,
                _ = looks.tick() => {}
            }
            let now = Instant::now();
            history.note(now, &self.registry.gather());
            let reasons = self.reasons(&history, now);
            self.show(&reasons);
            if let Some(advice) = advisor.hear(&reasons, now) {
                tracing::info!(
                    ?advice,
                    load = load(&reasons),
                    "advice on the number of instances"
                );
                self.tell(advice, &reasons).await;
            }
        }
    }

    /// Signals of which something is known.
    fn reasons(&self, history: &History, now: Instant) -> Vec<Reason> {
        let gauge = |of| {
            let values = history.newest(of)?.values().map(|total| total.sum);
            values.reduce(f64::max)
        };
        let grown = |of| {
            let grown = history.growth(of, now, WINDOW, Duration::ZERO);
            grown.values().map(|total| total.sum).sum::<f64>()
        };
        let requests = grown(Of::RequestsEnded);
        let enough = self.levels.get("events_in_window", "floor");
        let errors = (requests >= enough).then(|| grown(Of::RequestsFailed) / requests);
        let signals = [
            ("in_flight", gauge(Of::InProgress), self.config.in_flight),
            ("gpu", gauge(Of::Gpu), self.config.gpu),
            (
                "queue_age",
                gauge(Of::SpoolAge),
                self.config.queue_age_seconds,
            ),
            (
                "error_rate",
                errors,
                self.levels.get("error_ratio", "critical"),
            ),
        ];
        let known = signals.into_iter().filter_map(|(signal, value, target)| {
            let value = value?;
            Some(Reason {
                signal,
                value,
                target,
                load: value / target.max(f64::MIN_POSITIVE),
            })
        });
        known.collect()
    }

    fn show(&self, reasons: &[Reason]) {
        self.shown.reset();
        for reason in reasons {
            self.shown
                .with_label_values(&[reason.signal])
                .set(reason.load);
        }
        if let Some(load) = load(reasons) {
            self.shown.with_label_values(&["all"]).set(load);
        }
    }

    async fn tell(&self, advice: Advice, reasons: &[Reason]) {
        let Some(url) = self.config.webhook.clone() else {
            return;
        };
        let message = json!({
            "recommendation": advice,
            "load": load(reasons),
            "reasons": reasons,
            "timestamp": Utc::now().to_rfc3339_opts(SecondsFormat::Millis, true),
        });
        let config = ureq::Agent::config_builder()
            .timeout_global(Some(PATIENCE))
            .build();
        let agent: Arc<ureq::Agent> = Arc::new(config.into());
        let sent = tokio::task::spawn_blocking(move || {
            let post = agent.post(url.expose_secret());
            // Some of its errors quote the URL.
            let sent = post
                .header("content-type", "application/json")
                .send(message.to_string());
            sent.is_ok()
        });
        if !sent.await.unwrap_or(false) {
            tracing::warn!(
                ?advice,
                "the scaling webhook did not take the advice; it is told again when it changes"
            );
        }
    }
}
