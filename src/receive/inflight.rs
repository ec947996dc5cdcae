//! The limit on bytes of requests under way.

use std::{
    pin::Pin,
    sync::Arc,
    task::{Context, Poll, ready},
    time::Duration,
};

use axum::body::Body;
use bytes::Bytes;
use http_body::{Frame, SizeHint};
use prometheus::IntGauge;
use tokio::{
    sync::{OwnedSemaphorePermit, Semaphore},
    time::{Sleep, sleep},
};
use tonic::Status;

use super::reply::Outcome;

/// What bytes are counted in, so that the count fits a semaphore.
const UNIT_BYTES: usize = 1024;

/// Hands out room for bodies; cheap to clone.
#[derive(Debug, Clone)]
pub(super) struct Inflight {
    units: Arc<Semaphore>,
    gauge: IntGauge,
}

impl Inflight {
    pub(super) fn new(max_bytes: usize, gauge: IntGauge) -> Self {
        let units = (max_bytes / UNIT_BYTES).clamp(1, u32::MAX as usize);
        Self {
            units: Arc::new(Semaphore::new(units)),
            gauge,
        }
    }

    /// Room for nothing yet.
    pub(super) fn hold(&self) -> Held {
        Held {
            inflight: self.clone(),
            permit: None,
            bytes: 0,
        }
    }
}

/// Room that a body takes, given back on drop.
#[derive(Debug)]
pub(super) struct Held {
    inflight: Inflight,
    permit: Option<OwnedSemaphorePermit>,
    bytes: usize,
}

impl Held {
    /// Takes room for `bytes` more, or says that there is none now.
    pub(super) fn grow(&mut self, bytes: usize) -> Result<(), Outcome> {
        let held = self.permit.as_ref().map_or(0, |p| p.num_permits());
        let total = self.bytes.saturating_add(bytes);
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
}

impl Drop for Held {
    fn drop(&mut self) {
        self.inflight.gauge.sub(self.bytes as i64);
    }
}

/// A gRPC request's body, counted as it comes in, and with a deadline.
pub(super) struct Metered {
    body: Body,
    held: Held,
    timeout: Duration,
    deadline: Pin<Box<Sleep>>,
}

impl Metered {
    pub(super) fn new(body: Body, inflight: &Inflight, timeout: Duration) -> Self {
        Self {
            body,
            held: inflight.hold(),
            timeout,
            deadline: Box::pin(sleep(timeout)),
        }
    }
}

/// The refusal of a sender that is too slow. It may be the network's fault: try again.
pub(super) fn too_slow(timeout: Duration) -> Outcome {
    Outcome::busy(format!(
        "the request did not arrive within {} s",
        timeout.as_secs()
    ))
}

impl http_body::Body for Metered {
    type Data = Bytes;
    type Error = tonic::codegen::StdError;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Self::Error>>> {
        if self.deadline.as_mut().poll(cx).is_ready() {
            return Poll::Ready(Some(Err(Box::new(status(too_slow(self.timeout))))));
        }
        let frame = match ready!(Pin::new(&mut self.body).poll_frame(cx)) {
            Some(Ok(frame)) => frame,
            Some(Err(error)) => return Poll::Ready(Some(Err(error.into()))),
            None => return Poll::Ready(None),
        };
        let bytes = frame.data_ref().map_or(0, Bytes::len);
        Poll::Ready(Some(match self.held.grow(bytes) {
            Ok(()) => Ok(frame),
            Err(outcome) => Err(Box::new(status(outcome))),
        }))
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

/// The status of a refusal.
pub(super) fn status(outcome: Outcome) -> Status {
    match outcome.into_grpc() {
        Err(status) => status,
        Ok(_) => Status::unknown(""),
    }
}
