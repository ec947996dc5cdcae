//! URLs of the settings that are asked: Ollama, Chroma, anything that answers HTTP.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use prometheus::{IntGaugeVec, Opts, Registry};
use serde::{Deserialize, Serialize};

use super::report::{Check, Status};

const PATIENCE: Duration = Duration::from_secs(5);

/// What is asked.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Probe {
    /// Name of the check, and label value of `spanledger_probe_up`.
    pub name: String,
    /// Asked with GET.
    pub url: String,
}

/// Asks.
#[derive(Debug)]
pub(super) struct Prober {
    probes: Vec<Probe>,
    agent: Arc<ureq::Agent>,
    up: IntGaugeVec,
}

impl Prober {
    pub fn new(probes: Vec<Probe>, registry: &Registry) -> Result<Self, prometheus::Error> {
        let config = ureq::Agent::config_builder()
            .timeout_global(Some(PATIENCE))
            .http_status_as_error(false)
            .build();
        let opts = Opts::new(
            "spanledger_probe_up",
            "1 if the URL of a health probe answered with anything but a server error.",
        );
        let up = IntGaugeVec::new(opts, &["probe"])?;
        registry.register(Box::new(up.clone()))?;
        Ok(Self {
            probes,
            agent: Arc::new(config.into()),
            up,
        })
    }

    /// Asks all, at the same time.
    pub async fn ask(&self) -> Vec<(String, Check)> {
        let asked = self.probes.iter().map(|probe| {
            let (agent, url) = (Arc::clone(&self.agent), probe.url.clone());
            let answer = tokio::task::spawn_blocking(move || get(&agent, &url));
            (probe.name.clone(), answer)
        });
        let mut checks = Vec::new();
        for (name, answer) in asked.collect::<Vec<_>>() {
            let check = answer
                .await
                .unwrap_or_else(|error| Check::new(Status::Unhealthy, error.to_string()));
            let is_up = check.status != Status::Unhealthy;
            self.up.with_label_values(&[&name]).set(i64::from(is_up));
            checks.push((name, check));
        }
        checks
    }
}

fn get(agent: &ureq::Agent, url: &str) -> Check {
    let started = Instant::now();
    match agent.get(url).call() {
        Ok(answer) => {
            let code = answer.status().as_u16();
            let status = match code {
                500.. => Status::Unhealthy,
                400.. => Status::Degraded,
                _ => Status::Healthy,
            };
            let mut check = Check::new(status, format!("answers {code}"));
            check.latency_ms = Some(started.elapsed().as_secs_f64() * 1e3);
            check.succeeded_at((status == Status::Healthy).then(chrono::Utc::now))
        }
        // A URL may hold a key, and some errors quote it.
        Err(ureq::Error::Timeout(_)) => Check::new(Status::Unhealthy, "no answer in 5 seconds"),
        Err(ureq::Error::Io(error)) => Check::new(Status::Unhealthy, error.kind().to_string()),
        Err(ureq::Error::HostNotFound) => Check::new(Status::Unhealthy, "unknown host"),
        Err(_) => Check::new(Status::Unhealthy, "no answer in HTTP; is the URL right?"),
    }
}
