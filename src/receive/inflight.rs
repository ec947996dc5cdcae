//! The limit on bytes of requests under way.

use std::sync::Arc;

use prometheus::IntGauge;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use super::{reply::Outcome, unpack::too_large};

/// What bytes are counted in, so that the count fits a semaphore.
const UNIT_BYTES: usize = 1024;
/// What a request takes beside its body: its stream, its task, its answer.
const REQUEST_BYTES: usize = 8 << 10;

/// Hands out room for requests; cheap to clone.
#[derive(Debug, Clone)]
pub(super) struct Inflight {
    units: Arc<Semaphore>,
    max_bytes: usize,
    gauge: IntGauge,
    turns: Arc<Semaphore>,
}

impl Inflight {
    pub(super) fn new(max_bytes: usize, gauge: IntGauge) -> Self {
        let units = (max_bytes / UNIT_BYTES).clamp(1, u32::MAX as usize);
        Self {
            units: Arc::new(Semaphore::new(units)),
            max_bytes: units * UNIT_BYTES,
            gauge,
            turns: Arc::new(Semaphore::new(1)),
        }
    }

    /// Waits until none of the others unpacks a large body.
    pub(super) async fn turn(&self) -> Option<OwnedSemaphorePermit> {
        Arc::clone(&self.turns).acquire_owned().await.ok()
    }

    /// Room for a request without a body yet, or the word that there is none now.
    pub(super) fn begin(&self) -> Result<Held, Outcome> {
        let mut held = Held {
            inflight: self.clone(),
            permit: None,
            bytes: 0,
        };
        held.grow(REQUEST_BYTES)?;
        Ok(held)
    }
}

/// Room that a request takes, given back on drop.
#[derive(Debug)]
pub(super) struct Held {
    inflight: Inflight,
    permit: Option<OwnedSemaphorePermit>,
    bytes: usize,
}

impl Held {
    /// Takes room for `bytes` more, or says that there is none now. What could not be had alone
    /// either never will be.
    pub(super) fn grow(&mut self, bytes: usize) -> Result<(), Outcome> {
        let held = self.permit.as_ref().map_or(0, |p| p.num_permits());
        let total = self.bytes.saturating_add(bytes);
        if total > self.inflight.max_bytes {
            return Err(too_large(self.inflight.max_bytes));
        }
        let more = total.div_ceil(UNIT_BYTES).saturating_sub(held);
        if more > 0 {
            let permit = u32::try_from(more)
                .ok()
                .and_then(|more| {
                    Arc::clone(&self.inflight.units)
                        .try_acquire_many_owned(more)
                        .ok()
                })
                .ok_or_else(|| {
                    Outcome::busy("too many bytes of requests are under way; try again")
                })?;
            match &mut self.permit {
                Some(held) => held.merge(permit),
                none => *none = Some(permit),
            }
        }
        self.bytes = total;
        self.inflight.gauge.add(bytes as i64);
        Ok(())
    }

    /// A body of this size could be held if there were nothing else: asking for it again is of use.
    pub(super) fn could_hold(&self, body_bytes: usize) -> Result<(), Outcome> {
        match body_bytes.saturating_add(REQUEST_BYTES) > self.inflight.max_bytes {
            true => Err(too_large(self.inflight.max_bytes)),
            false => Ok(()),
        }
    }

    /// Gives back all but the room of a request with a body of `body_bytes`.
    pub(super) fn shrink(&mut self, body_bytes: usize) {
        let kept = REQUEST_BYTES.saturating_add(body_bytes).min(self.bytes);
        let units = kept.div_ceil(UNIT_BYTES);
        if let Some(held) = &mut self.permit {
            drop(held.split(held.num_permits().saturating_sub(units)));
        }
        self.inflight.gauge.sub((self.bytes - kept) as i64);
        self.bytes = kept;
    }
}

impl Drop for Held {
    fn drop(&mut self) {
        self.inflight.gauge.sub(self.bytes as i64);
    }
}
