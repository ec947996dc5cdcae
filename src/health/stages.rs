//! What the spans say of the dependencies that they went to.

use std::time::{Duration, Instant};

use chrono::{DateTime, Utc};
use prometheus::Registry;

use super::report::{Check, Status};
use crate::alert::{
    Levels,
    history::{History, Of},
};

const WINDOW: Duration = Duration::from_secs(600);

/// (check, stage)
const STAGES: [(&str, &str); 5] = [
    ("embedding_model", "embedding"),
    ("vector_store", "vector_search"),
    ("reranker", "rerank"),
    ("llm_provider", "llm"),
    ("speech_to_text", "stt"),
];

#[derive(Debug)]
pub(super) struct Stages {
    registry: Registry,
    history: History,
    levels: Levels,
}

impl Stages {
    pub fn new(registry: Registry, started: Instant) -> Self {
        Self {
            registry,
            history: History::new(started, WINDOW * 2).only(&[
                Of::StageTimes,
                Of::StageErrors,
                Of::StageSuccess,
                Of::Gpu,
            ]),
            levels: Levels::shipped(),
        }
    }

    pub fn look(&mut self, now: Instant, clock: DateTime<Utc>) -> Vec<(&'static str, Check)> {
        self.history.note(now, &self.registry.gather());
        let grown = |of| self.history.growth(of, now, WINDOW, Duration::ZERO);
        let (done, failed) = (grown(Of::StageTimes), grown(Of::StageErrors));
        let last = self.history.newest(Of::StageSuccess);
        let stages = STAGES.into_iter().map(|(check, stage)| {
            let done = done.get(stage).map_or(0.0, |total| total.count);
            let failed = failed.get(stage).map_or(0.0, |total| total.sum);
            let last = last.and_then(|last| last.get(stage)).map(|total| total.sum);
            let last = last.and_then(|at| DateTime::from_timestamp_millis((at * 1e3) as i64));
            (check, self.judge(done, failed, last, clock))
        });
        stages.chain([("gpu", self.gpu())]).collect()
    }

    /// How busy; nobody says what a GPU failed at.
    fn gpu(&self) -> Check {
        let gpus = self.history.newest(Of::Gpu);
        let busiest = gpus.and_then(|gpus| gpus.values().map(|gpu| gpu.sum).reduce(f64::max));
        match busiest {
            None => Check::new(Status::Unknown, "no GPU reports over OTLP"),
            Some(ratio) => {
                let detail = format!("reports; the busiest is {:.0}% busy", ratio * 100.0);
                Check::new(Status::Healthy, detail)
            }
        }
    }

    fn judge(
        &self,
        done: f64,
        failed: f64,
        last: Option<DateTime<Utc>>,
        clock: DateTime<Utc>,
    ) -> Check {
        // A failure without a duration is one, too.
        let done = done.max(failed);
        if done == 0.0 {
            let mut check = Check::new(Status::Unknown, "no span of it in the last 10 minutes");
            check = check.succeeded_at(last);
            return check;
        }
        let rate = failed / done;
        let level = |level| self.levels.get("error_ratio", level);
        let is_recent = last.is_some_and(|last| clock - last < chrono::Duration::seconds(600));
        let status = match rate {
            _ if !is_recent => Status::Unhealthy,
            rate if rate > level("critical") => Status::Unhealthy,
            rate if rate > level("warning") => Status::Degraded,
            _ => Status::Healthy,
        };
        let detail = format!("{failed:.0} of {done:.0} failed in the last 10 minutes");
        let mut check = Check::new(status, detail).succeeded_at(last);
        check.error_rate = Some(rate);
        check
    }
}
