//! Check, append, wait for durable: the one function both protocols call.

use std::{
    sync::atomic::{AtomicBool, AtomicU64, Ordering},
    time::{Duration, SystemTime},
};

use bytes::Bytes;
use tracing::Instrument;

use super::{
    check::{Checked, check},
    metrics::{Metrics, Transport},
    reply::{Outcome, Rejection},
};
use crate::{
    otlp::{self, Malformed, Signal},
    spool,
};

/// About what the quickest store takes out of the spool in a second.
const DRAINED_IN_A_SECOND: u64 = 64 << 20;
const SHORTEST_DELAY: Duration = Duration::from_millis(100);
const LONGEST_DELAY: Duration = Duration::from_secs(5);

/// A request beyond this goes into the spool in parts.
const LARGE_BYTES: usize = 2 << 20;
/// Size of a part.
const PART_BYTES: usize = 1 << 20;

/// The way into the spool.
#[derive(Debug)]
pub(super) struct Intake {
    appender: spool::Appender,
    pub(super) metrics: Metrics,
    /// The newest answer was a refusal; so each change is logged once.
    refusing: AtomicBool,
    /// Requests so far: the next one's id.
    requests: AtomicU64,
}

impl Intake {
    pub(super) fn new(appender: spool::Appender, metrics: Metrics) -> Self {
        Self {
            appender,
            metrics,
            refusing: AtomicBool::new(false),
            requests: AtomicU64::new(1),
        }
    }

    /// Takes one request, as protobuf. Whatever is logged meanwhile carries its id.
    pub(super) async fn take(&self, transport: Transport, signal: Signal, body: Bytes) -> Outcome {
        let request_id = self.requests.fetch_add(1, Ordering::Relaxed);
        let span = tracing::info_span!(
            "request",
            request_id,
            transport = transport.as_str(),
            signal = signal.as_str(),
            bytes = body.len()
        );
        self.check_and_append(transport, signal, body)
            .instrument(span)
            .await
    }

    async fn check_and_append(&self, transport: Transport, signal: Signal, body: Bytes) -> Outcome {
        let bytes = body.len();
        // What there is no room for is not looked at: that is when there is least time for it.
        if let Err(full) = self.appender.admits(bytes as u64) {
            return self.refuse(&full);
        }
        let checked = match check(signal, &body) {
            Ok(_) if body.len() > LARGE_BYTES => match check_parts(signal, &body).await {
                Ok(checked) => checked,
                Err(outcome) => return outcome,
            },
            Ok(checked) => checked,
            Err(malformed) => return unreadable(signal, &malformed),
        };
        if checked.usable > 0 {
            let received_at = unix_ns(SystemTime::now());
            let spans = match signal {
                Signal::Traces => checked.usable + checked.rejected,
                Signal::Logs | Signal::Metrics => 0,
            };
            let appended = match body.len() > LARGE_BYTES {
                true => self.append_parts(signal, received_at, &body).await,
                false => self.append(signal, received_at, body, spans).await,
            };
            if let Err(outcome) = appended {
                return outcome;
            }
            if self.refusing.swap(false, Ordering::Relaxed) {
                tracing::info!("requests are accepted again");
            }
        }
        self.metrics.taken(transport, signal, bytes, &checked);
        tracing::debug!(
            usable = checked.usable,
            rejected = checked.rejected,
            "taken"
        );
        match checked.first {
            Some(first) => Outcome::Partial {
                rejected: checked.rejected,
                message: format!(
                    "{} of {} can't be used and must not be sent again; the first: {}",
                    checked.rejected,
                    checked.rejected + checked.usable,
                    first.what
                ),
            },
            None => Outcome::Accepted,
        }
    }

    async fn append(
        &self,
        signal: Signal,
        received_at: i64,
        body: Bytes,
        spans: u64,
    ) -> Result<(), Outcome> {
        let appended = self.appender.append(signal, received_at, body, spans);
        appended
            .await
            .map(drop)
            .map_err(|error| self.refuse(&error))
    }

    /// In parts, so that who reads the spool never holds all of a large request, nor all that it is
    /// mapped to. Should one not be taken after others were, all come again, and each counts once.
    async fn append_parts(
        &self,
        signal: Signal,
        received_at: i64,
        body: &Bytes,
    ) -> Result<(), Outcome> {
        for part in otlp::cut::parts(body, PART_BYTES) {
            let part = part.map_err(|malformed| uncut(&malformed))?;
            let spans = match signal {
                Signal::Traces => otlp::span::count(&part),
                Signal::Logs | Signal::Metrics => 0,
            };
            self.append(signal, received_at, part.into(), spans).await?;
        }
        Ok(())
    }

    fn refuse(&self, error: &spool::Error) -> Outcome {
        let message = format!("could not {error}");
        if !error.is_retryable() {
            return Outcome::Rejected(Rejection::TooLarge, message);
        }
        if !self.refusing.swap(true, Ordering::Relaxed) {
            tracing::warn!("requests are refused for now: {message}");
        }
        Outcome::Refused {
            retry_after: retry_after(error),
            message,
        }
    }
}

fn unreadable(signal: Signal, malformed: &Malformed) -> Outcome {
    let message = format!(
        "could not read the {} request: {malformed}",
        signal.as_str()
    );
    tracing::debug!("{message}");
    Outcome::Rejected(Rejection::Malformed, message)
}

fn uncut(malformed: &Malformed) -> Outcome {
    let message = format!("could not take a request this large: {malformed}");
    Outcome::Rejected(Rejection::TooLarge, message)
}

/// What the parts are found to be, which is how they are read later; and that the request can be cut,
/// before a part of it is taken. Others have their turn after each.
async fn check_parts(signal: Signal, body: &[u8]) -> Result<Checked, Outcome> {
    let mut checked = Checked::default();
    for part in otlp::cut::parts(body, PART_BYTES) {
        let part = part.map_err(|malformed| uncut(&malformed))?;
        checked.add(check(signal, &part).map_err(|malformed| unreadable(signal, &malformed))?);
        tokio::task::yield_now().await;
    }
    Ok(checked)
}

/// When to ask again. A full spool: after a quarter of what the quickest store takes to empty it,
/// since no store must wait for senders that wait for it. Whatever else is wrong takes somebody to
/// mend it.
fn retry_after(error: &spool::Error) -> Duration {
    let spool::Error::Full { max_bytes } = error else {
        return LONGEST_DELAY;
    };
    let emptied_in = Duration::from_millis(max_bytes / (DRAINED_IN_A_SECOND / 1000));
    (emptied_in / 4).clamp(SHORTEST_DELAY, LONGEST_DELAY)
}

fn unix_ns(time: SystemTime) -> i64 {
    let since = time
        .duration_since(SystemTime::UNIX_EPOCH)
        .unwrap_or_default();
    i64::try_from(since.as_nanos()).unwrap_or(i64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_small_spool_is_asked_again_soon_a_broken_one_is_not() {
        for (mib, ms) in [(1, 100), (64, 250), (512, 2_000), (4096, 5_000)] {
            let full = spool::Error::Full {
                max_bytes: mib << 20,
            };
            assert_eq!(retry_after(&full), Duration::from_millis(ms));
        }
        for other in [spool::Error::Closed, spool::Error::DiskFull] {
            assert_eq!(retry_after(&other), LONGEST_DELAY);
        }
    }
}
