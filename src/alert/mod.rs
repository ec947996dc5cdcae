//! HOUSE ALARM: the alerts of `config/rules` for those who run no Prometheus, told to Slack. Off
//! unless a webhook is configured.
//!
//! | file | what |
//! |---|---|
//! | `levels` | what values are compared with |
//! | `history` | what the metrics were |
//! | `view` | the numbers that alerts look at |
//! | `rules` | the alerts |
//! | `judge` | who is told what, and when |
//! | `slack` | a notice as Slack reads it |
//!
//! Numbers of the last day come from the rows, all others from the service's own metrics, so
//! alerts go on while the store is down. After a restart what was told before is told anew if it
//! goes on, and what lies before the restart is known to the daily numbers alone.

pub mod history;
mod judge;
mod levels;
mod rules;
mod slack;
#[cfg(test)]
mod tests;
mod view;

use std::{
    path::PathBuf,
    sync::Arc,
    time::{Duration, Instant},
};

use prometheus::{IntCounterVec, IntGauge, Opts, Registry};
use secrecy::SecretString;
use serde::{Deserialize, Serialize};
use tokio_util::sync::CancellationToken;

pub use levels::{Changes, Levels, Unknown};

use self::{
    history::History,
    judge::{Judge, Notice},
    slack::Slack,
    view::View,
};
use crate::{
    query::{day, examples},
    store::Store,
};

/// Daily numbers are asked of the store this often.
const DAY_EVERY: Duration = Duration::from_secs(300);

/// The longest window is a day and the hour after it.
const HISTORY: Duration = Duration::from_secs(25 * 3600);
/// How long the store may take to answer.
const PATIENCE: Duration = Duration::from_secs(10);

/// Settings of the service's own alerts.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Config {
    /// Slack's webhook. A secret: prefer the environment or `slack_url_file`.
    #[serde(skip_serializing)]
    pub slack_url: Option<SecretString>,
    /// A file whose first line is the webhook.
    pub slack_url_file: Option<PathBuf>,
    /// Where people reach our pages, for the links in messages; our own address if not set.
    pub link: Option<String>,
    /// Seconds between two looks.
    pub every_seconds: u64,
    /// Levels that differ from the shipped ones.
    #[serde(skip_serializing_if = "Changes::is_empty")]
    pub levels: Changes,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            slack_url: None,
            slack_url_file: None,
            link: None,
            every_seconds: 30,
            levels: Changes::new(),
        }
    }
}

/// Why the alerts can't be made ready.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// Settings name a level that there is not.
    #[error(transparent)]
    Level(#[from] Unknown),
    /// Metrics could not be registered.
    #[error(transparent)]
    Metrics(#[from] prometheus::Error),
}

/// The alerts, ready to run.
#[derive(Debug)]
pub struct Alarm {
    slack: Arc<Slack>,
    levels: Levels,
    link: String,
    every: Duration,
    registry: Registry,
    store: Arc<Store>,
    messages: IntCounterVec,
    firing: IntGauge,
}

impl Alarm {
    /// Ready to run; `None` without a webhook. `own` is the address of our pages.
    pub fn new(
        config: &Config,
        webhook: Option<SecretString>,
        own: String,
        registry: &Registry,
        store: Arc<Store>,
    ) -> Result<Option<Self>, Error> {
        let levels = Levels::new(&config.levels)?;
        let Some(url) = webhook else {
            return Ok(None);
        };
        let messages = IntCounterVec::new(
            Opts::new(
                "spanledger_alert_messages_total",
                "Messages about alerts: sent, or failed and tried again.",
            ),
            &["outcome"],
        )?;
        let firing = IntGauge::new(
            "spanledger_alerts_firing",
            "Alerts that were told and are not over.",
        )?;
        registry.register(Box::new(messages.clone()))?;
        registry.register(Box::new(firing.clone()))?;
        for outcome in ["sent", "failed"] {
            messages.with_label_values(&[outcome]);
        }
        let link = config.link.clone().unwrap_or(own);
        Ok(Some(Self {
            slack: Arc::new(Slack::new(url)),
            levels,
            link: link.trim_end_matches('/').to_owned(),
            every: Duration::from_secs(config.every_seconds.max(1)),
            registry: registry.clone(),
            store,
            messages,
            firing,
        }))
    }

    /// Looks and tells, until `ended`.
    pub async fn run(self, ended: CancellationToken) {
        let mut history = History::new(Instant::now(), HISTORY);
        let mut judge = Judge::default();
        let mut looks = tokio::time::interval(self.every);
        looks.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        let mut day = None;
        let mut asked: Option<Instant> = None;
        loop {
            tokio::select! {
                () = ended.cancelled() => return,
                _ = looks.tick() => {}
            }
            let now = Instant::now();
            if asked.is_none_or(|asked| now.duration_since(asked) >= DAY_EVERY) {
                // What can't be asked now is not over.
                (day, asked) = (self.day().await.or(day), Some(now));
            }
            history.note(now, &self.registry.gather());
            let view = View {
                history: &history,
                levels: &self.levels,
                day,
                now,
            };
            for notice in judge.look(&view) {
                if self.tell(&notice).await {
                    judge.told(&notice, now);
                }
            }
            self.firing
                .set(judge.firing().try_into().unwrap_or(i64::MAX));
        }
    }

    async fn day(&self) -> Option<day::Day> {
        let pool = self.store.pool()?;
        let day = tokio::time::timeout(PATIENCE, day::day(&pool, chrono::Utc::now())).await;
        match day {
            Ok(Ok(day)) => Some(day),
            Ok(Err(error)) => {
                tracing::warn!(%error, "daily alerts: the rows can't be summed");
                None
            }
            Err(_) => {
                tracing::warn!("daily alerts: the rows take too long to sum");
                None
            }
        }
    }

    /// A message is not kept waiting by a slow store.
    async fn examples(&self, alert: &str) -> Vec<examples::Example> {
        let Some(pool) = self.store.pool() else {
            return Vec::new();
        };
        let asked = examples::of_alert(&pool, alert, chrono::Utc::now());
        match tokio::time::timeout(PATIENCE, asked).await {
            Ok(Ok(examples)) => examples,
            Ok(Err(error)) => {
                tracing::warn!(%error, "a message goes without example traces");
                Vec::new()
            }
            Err(_) => Vec::new(),
        }
    }

    async fn tell(&self, notice: &Notice) -> bool {
        let examples = self.examples(notice.key.alert).await;
        let message = slack::message(notice, &examples, &self.link);
        let slack = Arc::clone(&self.slack);
        let sent = tokio::task::spawn_blocking(move || slack.send(&message)).await;
        let outcome = match sent {
            Ok(Ok(())) => "sent",
            Ok(Err(error)) => {
                tracing::warn!(alert = notice.key.alert, %error, "an alert could not be told; trying again");
                "failed"
            }
            Err(error) => {
                tracing::error!(alert = notice.key.alert, %error, "an alert could not be told");
                "failed"
            }
        };
        self.messages.with_label_values(&[outcome]).inc();
        outcome == "sent"
    }
}
