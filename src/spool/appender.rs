//! The writer's handle.

use std::sync::Arc;

use bytes::Bytes;
use tokio::sync::{Semaphore, mpsc, oneshot};

use super::{
    Error, Position,
    frame::Header,
    state::{Reserved, State},
    writer::Job,
};
use crate::otlp::Signal;

/// Bytes that may wait for the writer; further appends wait for those.
const QUEUE_BYTES: usize = 32 << 20;
/// What the waiting bytes are counted in.
const UNIT_BYTES: u64 = 1024;
const QUEUE_UNITS: u32 = (QUEUE_BYTES as u64 / UNIT_BYTES) as u32;

/// Appends entries; cheap to clone.
#[derive(Debug, Clone)]
pub struct Appender {
    state: Arc<State>,
    jobs: mpsc::Sender<Job>,
    queue: Arc<Semaphore>,
    entry_max_bytes: u64,
}

impl Appender {
    pub(super) fn new(state: Arc<State>, jobs: mpsc::Sender<Job>, entry_max_bytes: u64) -> Self {
        Self {
            state,
            jobs,
            queue: Arc::new(Semaphore::new(QUEUE_UNITS as usize)),
            entry_max_bytes,
        }
    }

    /// Appends one request with `spans` spans in it, received at `received_at` (Unix ns). `Ok` once
    /// it is on disk, with the position just past it.
    pub async fn append(
        &self,
        signal: Signal,
        received_at: i64,
        body: Bytes,
        spans: u64,
    ) -> Result<Position, Error> {
        let too_large = || Error::TooLarge {
            bytes: body.len() as u64,
            max_bytes: self.entry_max_bytes,
        };
        let header = Header::new(signal, received_at, &body).ok_or_else(too_large)?;
        let bytes = header.frame_len();
        let space = self.reserve(bytes)?;
        let units = u32::try_from(bytes.div_ceil(UNIT_BYTES)).unwrap_or(u32::MAX);
        let queued = Arc::clone(&self.queue)
            .acquire_many_owned(units.min(QUEUE_UNITS))
            .await
            .map_err(|_| self.state.end_error())?;
        let (answer, answered) = oneshot::channel();
        let job = Job::Append {
            header,
            body,
            spans,
            space,
            _queued: queued,
            answer,
        };
        if self.jobs.send(job).await.is_err() {
            return Err(self.state.end_error());
        }
        answered
            .await
            .unwrap_or_else(|_| Err(self.state.end_error()))
    }

    /// Whether a request would be taken as one entry, now.
    pub fn admits(&self, bytes: u64) -> Result<(), Error> {
        self.reserve(bytes).map(drop)
    }

    fn reserve(&self, bytes: u64) -> Result<Reserved, Error> {
        if bytes > self.entry_max_bytes {
            return Err(Error::TooLarge {
                bytes,
                max_bytes: self.entry_max_bytes,
            });
        }
        self.state.space.reserve(bytes).inspect_err(|full| {
            self.state.metrics.refused.inc();
            self.state.note_full(Some(full));
        })
    }

    /// True if the newest append found no room, in the last ten seconds.
    pub fn is_full(&self) -> bool {
        self.state.is_full()
    }

    /// True while appends can succeed: the writer runs and the newest append found room.
    pub fn is_writable(&self) -> bool {
        !self.state.is_ended() && !self.is_full()
    }
}
