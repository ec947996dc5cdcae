//! THE DOCTOR'S ROUND: is everything that a request needs well? Told by the spans themselves (when
//! did a stage last succeed, how much of it fails), by probes of the settings, and by a canary: a
//! span that goes the whole way.
//!
//! | file | what |
//! |---|---|
//! | `report` | what `/health` answers |
//! | `stages` | what the spans say of embedding, vector search and model calls |
//! | `probe` | URLs that are asked |
//! | `canary` | receive → spool → map → store → metric |

mod canary;
mod probe;
mod report;
mod stages;
#[cfg(test)]
mod tests;

use std::{
    collections::BTreeMap,
    net::SocketAddr,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant},
};

use prometheus::Registry;
use serde::{Deserialize, Serialize};
use tokio_util::sync::CancellationToken;

use self::{canary::Canary, probe::Prober, stages::Stages};
pub use self::{
    probe::Probe,
    report::{Check, Report, Status},
};
use crate::store::Store;

/// How often the stages are looked at.
const STAGES_EVERY: Duration = Duration::from_secs(10);

/// Settings of health checks.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Config {
    /// Seconds between two canaries, each of which leaves a row in `cache_lookups`; 0 for none.
    pub canary_seconds: u64,
    /// Seconds between two rounds of probes.
    pub probe_seconds: u64,
    /// What is asked.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub probes: Vec<Probe>,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            canary_seconds: 0,
            probe_seconds: 30,
            probes: Vec::new(),
        }
    }
}

/// What is known; cheap to clone.
#[derive(Debug, Clone, Default)]
pub struct Health(Arc<Mutex<BTreeMap<String, Check>>>);

impl Health {
    /// What is known now, by name.
    pub fn checks(&self) -> BTreeMap<String, Check> {
        self.known().clone()
    }

    fn known(&self) -> MutexGuard<'_, BTreeMap<String, Check>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn learn(&self, name: &str, check: Check) {
        self.known().insert(name.to_owned(), check);
    }
}

/// The round, ready to run.
#[derive(Debug)]
pub struct Round {
    health: Health,
    stages: Stages,
    prober: Option<Prober>,
    probe_every: Duration,
    canary: Option<Canary>,
    canary_every: Duration,
}

impl Round {
    /// Ready to run. `receiver` is our own OTLP/HTTP listener.
    pub fn new(
        config: &Config,
        health: Health,
        receiver: SocketAddr,
        registry: &Registry,
        store: Arc<Store>,
    ) -> Result<Self, prometheus::Error> {
        let canary = match config.canary_seconds {
            0 => None,
            _ => Some(Canary::new(receiver, registry, store)?),
        };
        let prober = match &config.probes[..] {
            [] => None,
            probes => Some(Prober::new(probes.to_vec(), registry)?),
        };
        Ok(Self {
            health,
            stages: Stages::new(registry.clone(), Instant::now()),
            prober,
            probe_every: Duration::from_secs(config.probe_seconds.max(1)),
            canary,
            canary_every: Duration::from_secs(config.canary_seconds.max(1)),
        })
    }

    /// Runs until `ended`.
    pub async fn run(self, ended: CancellationToken) {
        let Self {
            health,
            mut stages,
            prober,
            probe_every,
            canary,
            canary_every,
        } = self;
        let looking = async {
            let mut looks = tokio::time::interval(STAGES_EVERY);
            loop {
                looks.tick().await;
                for (name, check) in stages.look(Instant::now(), chrono::Utc::now()) {
                    health.learn(name, check);
                }
            }
        };
        let probing = async {
            let Some(prober) = prober else {
                return std::future::pending().await;
            };
            let mut rounds = interval(probe_every);
            loop {
                rounds.tick().await;
                for (name, check) in prober.ask().await {
                    health.learn(&name, check);
                }
            }
        };
        let sending = async {
            let Some(mut canary) = canary else {
                return std::future::pending().await;
            };
            let mut flights = interval(canary_every);
            loop {
                flights.tick().await;
                health.learn("canary", canary.fly().await);
            }
        };
        tokio::select! {
            () = ended.cancelled() => {}
            () = looking => {}
            () = probing => {}
            () = sending => {}
        }
    }
}

fn interval(every: Duration) -> tokio::time::Interval {
    let mut interval = tokio::time::interval(every);
    interval.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    interval
}
