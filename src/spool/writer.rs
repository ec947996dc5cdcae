//! The thread: group commit, rotation, deleting.

use std::{
    io::{self, IoSlice},
    sync::Arc,
    time::Instant,
};

use bytes::Bytes;
use tokio::sync::{OwnedSemaphorePermit, mpsc, oneshot};

use super::{
    Error, Position,
    disk::Disk,
    frame::{self, Header},
    segment::{self, Active, Fault},
    state::{Reserved, State},
};

/// Jobs that may wait; their bytes are bounded by the appender.
pub(super) const QUEUE_JOBS: usize = 1024;
/// Where a group commit stops taking more.
const BATCH_BYTES: u64 = 16 << 20;

/// What the writer is asked to do.
pub(super) enum Job {
    /// Make an entry durable, then answer.
    Append {
        header: Header,
        body: Bytes,
        spans: u64,
        space: Reserved,
        /// Held until the entry is written: bounds what waits.
        _queued: OwnedSemaphorePermit,
        answer: oneshot::Sender<Result<Position, Error>>,
    },
    /// Every consumer is past this.
    Trim(Position),
    /// Do what is queued, then end.
    Close,
}

/// An append in a batch.
struct Append {
    header: Header,
    encoded: [u8; frame::HEADER_LEN],
    body: Bytes,
    spans: u64,
    space: Reserved,
    _queued: OwnedSemaphorePermit,
    answer: oneshot::Sender<Result<Position, Error>>,
}

/// The writer must not go on; the reason is in the state.
struct Stopped;

impl Stopped {
    fn because(reason: String, state: &State) -> Self {
        state.note_broken(reason);
        Self
    }
}

/// Owns the active segment.
pub(super) struct Writer {
    disk: Arc<dyn Disk>,
    state: Arc<State>,
    active: Active,
    segment_limit: u64,
    jobs: mpsc::Receiver<Job>,
    /// What consumers are past, as far as it was said.
    trimmed: Option<Position>,
}

impl Writer {
    pub(super) fn new(
        disk: Arc<dyn Disk>,
        state: Arc<State>,
        active: Active,
        segment_limit: u64,
        jobs: mpsc::Receiver<Job>,
    ) -> Self {
        Self {
            disk,
            state,
            active,
            segment_limit,
            jobs,
            trimmed: None,
        }
    }

    /// Until told to close, or broken.
    pub(super) fn run(mut self) {
        let mut batch = Vec::new();
        while let Some(job) = self.jobs.blocking_recv() {
            let mut trim = false;
            let mut bytes = 0;
            let mut next = Some(job);
            while let Some(job) = next {
                match job {
                    Job::Append {
                        header,
                        body,
                        spans,
                        space,
                        _queued,
                        answer,
                    } => {
                        bytes += header.frame_len();
                        batch.push(Append {
                            header,
                            encoded: header.encode(),
                            body,
                            spans,
                            space,
                            _queued,
                            answer,
                        });
                    }
                    Job::Trim(up_to) => {
                        trim = true;
                        self.trimmed = self.trimmed.max(Some(up_to));
                    }
                    Job::Close => self.jobs.close(),
                }
                next = (bytes < BATCH_BYTES)
                    .then(|| self.jobs.try_recv().ok())
                    .flatten();
            }
            let mut done = self.commit(&mut batch);
            if trim && done.is_ok() {
                done = self.trim();
            }
            if done.is_err() {
                break;
            }
        }
        // Dropping self ends the state, then drops what waits: its senders read the reason there.
    }

    /// Writes the batch, segment by segment, and answers all of it.
    fn commit(&mut self, batch: &mut Vec<Append>) -> Result<(), Stopped> {
        let mut rest = batch.drain(..).peekable();
        while let Some(first) = rest.peek() {
            let mut end = self.active.len;
            let is_over = end + first.header.frame_len() > self.segment_limit;
            if self.active.is_sealed() || (is_over && !self.active.is_empty()) {
                match self.active.rotate(&*self.disk, &self.state) {
                    Ok(()) => end = self.active.len,
                    Err(Fault::Full) => {
                        rest.for_each(|append| append.refuse(&self.state, Error::DiskFull));
                        return Ok(());
                    }
                    Err(Fault::NoFiles) => {
                        rest.for_each(|append| append.refuse(&self.state, Error::OutOfFiles));
                        return Ok(());
                    }
                    Err(Fault::Broken(reason)) => {
                        return Err(Stopped::because(reason, &self.state));
                    }
                }
            }
            let mut group = Vec::new();
            while let Some(append) = rest.next_if(|append| {
                group.is_empty() || end + append.header.frame_len() <= self.segment_limit
            }) {
                end += append.header.frame_len();
                group.push(append);
            }
            let started = Instant::now();
            let mut slices = Vec::with_capacity(group.len() * 2);
            for append in &group {
                slices.push(IoSlice::new(&append.encoded));
                slices.push(IoSlice::new(&append.body));
            }
            let start = self.active.len;
            match self.active.append(&mut slices) {
                Ok(()) => {
                    self.state
                        .metrics
                        .commit
                        .observe(started.elapsed().as_secs_f64());
                    answer(&self.state, self.active.number, start, group);
                }
                Err(Fault::Full | Fault::NoFiles) => {
                    for append in group.into_iter().chain(rest) {
                        append.refuse(&self.state, Error::DiskFull);
                    }
                    // What is consumed goes right away: nobody trims while nothing comes in.
                    return self.trim();
                }
                // The group is dropped after the reason is noted: its senders read it.
                Err(Fault::Broken(reason)) => return Err(Stopped::because(reason, &self.state)),
            }
        }
        Ok(())
    }

    /// Deletes the segments that every consumer is past; seals the active one for that if all in it
    /// is consumed and it is worth it.
    fn trim(&mut self) -> Result<(), Stopped> {
        let Some(trimmed) = self.trimmed else {
            return Ok(());
        };
        let consumed = trimmed >= Position::from_parts(self.active.number, self.active.len);
        let worth_it = self.active.len >= self.segment_limit / 16 || self.state.is_full();
        if consumed && worth_it && !self.active.is_empty() {
            match self.active.rotate(&*self.disk, &self.state) {
                Ok(()) | Err(Fault::Full | Fault::NoFiles) => {}
                Err(Fault::Broken(reason)) => return Err(Stopped::because(reason, &self.state)),
            }
        }
        for (number, len) in self.state.forget(trimmed) {
            let path = segment::path(&self.state.dir, number);
            match self.disk.remove(&path) {
                Err(error) if error.kind() != io::ErrorKind::NotFound => {
                    tracing::warn!(segment = %path.display(), %error,
                        "could not delete a consumed spool segment; it goes at a later start");
                }
                // One that somebody else deleted takes no room either.
                _ => {
                    self.state.space.give_back(len);
                    self.state.note_full(None);
                }
            }
        }
        Ok(())
    }
}

impl Drop for Writer {
    fn drop(&mut self) {
        self.state.end();
    }
}

impl Active {
    /// Seals this segment and begins the next one.
    fn rotate(&mut self, disk: &dyn Disk, state: &State) -> Result<(), Fault> {
        *self = Active::create(disk, &state.dir, self.number + 1)?;
        state.space.take(self.len);
        state.advance(Position::from_parts(self.number, self.len), [], 0);
        Ok(())
    }
}

impl Append {
    fn refuse(self, state: &State, why: Error) {
        state.metrics.refused.inc();
        state.note_full(Some(&why));
        drop(self.space);
        let _ = self.answer.send(Err(why));
    }
}

/// The group is on disk from `start` on: publish, then answer.
fn answer(state: &State, segment: u64, start: u64, group: Vec<Append>) {
    let mut end = Position::from_parts(segment, start);
    let mut entries = Vec::with_capacity(group.len());
    let mut answers = Vec::with_capacity(group.len());
    let spans = group.iter().map(|append| append.spans).sum();
    for append in group {
        let start = end;
        end.offset += append.header.frame_len();
        entries.push((start..end, append.header.received_at));
        append.space.keep();
        state
            .metrics
            .appended(append.header.signal, append.body.len());
        answers.push((append.answer, end));
    }
    state.advance(end, entries, spans);
    state.note_full(None);
    for (answer, position) in answers {
        // A sender that went away is stored all the same.
        let _ = answer.send(Ok(position));
    }
}
