//! What `/health` answers.

use std::collections::BTreeMap;

use chrono::{DateTime, SecondsFormat, Utc};
use serde::Serialize;

/// How well something is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Status {
    /// Nothing was seen of it.
    Unknown,
    /// Well.
    Healthy,
    /// It goes on, but not as it should.
    Degraded,
    /// It does not go on.
    Unhealthy,
}

/// One thing that was looked at.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Check {
    /// How well it is.
    pub status: Status,
    /// Why, for people.
    pub detail: String,
    /// When it last succeeded, RFC 3339.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub last_success: Option<String>,
    /// Seconds since then.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub last_success_age_seconds: Option<f64>,
    /// Share that failed in the last 10 minutes.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub error_rate: Option<f64>,
    /// Milliseconds that an answer took.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub latency_ms: Option<f64>,
}

impl Check {
    /// With nothing but a status and its reason.
    pub fn new(status: Status, detail: impl Into<String>) -> Self {
        Self {
            status,
            detail: detail.into(),
            last_success: None,
            last_success_age_seconds: None,
            error_rate: None,
            latency_ms: None,
        }
    }

    /// It last succeeded then.
    #[must_use]
    pub fn succeeded_at(mut self, at: Option<DateTime<Utc>>) -> Self {
        self.last_success = at.map(|at| at.to_rfc3339_opts(SecondsFormat::Millis, true));
        self
    }
}

/// The whole answer.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Report {
    /// The worst of the checks, of those of which something is known.
    pub status: Status,
    /// By name.
    pub checks: BTreeMap<String, Check>,
    /// When it was asked, RFC 3339.
    pub timestamp: String,
}

impl Report {
    /// Of these checks, at `now`.
    pub fn new(mut checks: BTreeMap<String, Check>, now: DateTime<Utc>) -> Self {
        for check in checks.values_mut() {
            let at = check.last_success.as_deref();
            let at = at.and_then(|at| DateTime::parse_from_rfc3339(at).ok());
            let age = at.map(|at| (now - at.to_utc()).as_seconds_f64().max(0.0));
            check.last_success_age_seconds = age;
        }
        let worst = checks.values().map(|check| check.status).max();
        Self {
            status: worst.unwrap_or(Status::Unknown).max(Status::Healthy),
            checks,
            timestamp: now.to_rfc3339_opts(SecondsFormat::Millis, true),
        }
    }
}
