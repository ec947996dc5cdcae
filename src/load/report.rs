//! What a run did, and how far it is.

use std::time::Duration;

use serde::Serialize;

use super::latency::Latencies;

/// How far a run is.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct Progress {
    /// Spans acked.
    pub acked: u64,
    /// Tries that failed and were followed by another.
    pub retries: u64,
    /// Since the start.
    pub elapsed: Duration,
}

/// What a run did.
#[derive(Debug, Clone, Default, Serialize)]
pub struct Report {
    /// What all its trace ids begin with.
    pub run: String,
    /// The seed that makes the same ids and bodies again.
    pub seed: u64,
    /// Spans handed to a connection.
    pub sent: u64,
    /// Spans that the server said it has.
    pub acked: u64,
    /// Spans that it said it will never take.
    pub rejected: u64,
    /// Spans without an answer: given up, or the run was stopped.
    pub unanswered: u64,
    /// Tries that failed and were followed by another.
    pub retries: u64,
    /// Why the newest of them failed, or what was rejected.
    pub last_failure: Option<String>,
    /// From the first send to the last answer.
    pub seconds: f64,
    /// Acked spans a second.
    pub spans_per_second: f64,
    /// Times from the first try (at a rate: from when it was due) to the ack.
    pub ack_ms: AckMs,
    /// CPU of this process, user and system.
    pub cpu_seconds: Option<f64>,
}

/// Times to the ack of exports, ms; `None` if there was none.
#[derive(Debug, Clone, Copy, Default, Serialize)]
pub struct AckMs {
    /// Half took no longer.
    pub p50: Option<f64>,
    /// Nine of ten took no longer.
    pub p90: Option<f64>,
    /// 99 of 100 took no longer.
    pub p99: Option<f64>,
    /// The longest.
    pub max: Option<f64>,
}

impl AckMs {
    pub(super) fn of(latencies: &Latencies) -> Self {
        Self {
            p50: latencies.quantile_ms(0.5),
            p90: latencies.quantile_ms(0.9),
            p99: latencies.quantile_ms(0.99),
            max: latencies.max_ms(),
        }
    }
}

impl Report {
    /// True if every span that was sent was acked.
    pub fn is_all_acked(&self) -> bool {
        self.acked == self.sent
    }
}

/// User and system time of this process, seconds; `None` where there is no `/proc`.
pub(super) fn cpu_seconds() -> Option<f64> {
    let stat = std::fs::read_to_string("/proc/self/stat").ok()?;
    let fields = stat.rsplit(')').next()?.split_whitespace();
    let ticks = fields.skip(11).take(2).map(str::parse::<u64>);
    let ticks: u64 = ticks.collect::<Result<Vec<_>, _>>().ok()?.iter().sum();
    // Linux counts in hundredths, whatever the kernel's own clock.
    Some(ticks as f64 / 100.0)
}
