//! STATION 2: the durable log.
//!
//! Promise: an append that returned `Ok` is on disk. What was acked is handed to every reader, in
//! order, until every consumer is past it; what can't be taken is refused with an error that says
//! whether trying again helps.
//!
//! ```text
//! appenders ─► bounded queue ─► writer thread: write all that wait, one fdatasync, answer all
//!                                   │ durable position
//! readers  ◄────────────────────────┘ segments, read in place
//! ```
//!
//! The folder: `lock` (one process a folder), `id` (a random name, under which consumers keep
//! their checkpoints; a new one if all segments were removed), and segments
//! `00000000000000000001.log` and up. A segment starts with 16 bytes (`SPANLSEG`, version 1, zero),
//! then frames (see `frame`). Integers are little-endian.
//!
//! Invariants:
//! - Segment numbers only grow, and a process never appends to a segment that an earlier one
//!   wrote entries to: a [`Position`] never names two different entries.
//! - Bytes past the durable position are never handed out. After a failed write they are cut off;
//!   after a failed fsync nobody knows what is on disk, so the writer stops for good.
//! - The size limit refuses, it never drops. The active segment is never deleted: once all in it is
//!   consumed it is sealed first. An entry takes at most a quarter of the limit, so a spool that was
//!   consumed always has room.
//! - A torn tail is cut when the folder is opened. Damage further up is skipped and counted; the
//!   entries behind it are found again by their marks.
//!
//! | file | what |
//! |---|---|
//! | `frame` | one entry on disk, pure |
//! | `segment` | one file: the active one being written, any being read |
//! | `writer` | the thread: group commit, rotation, deleting |
//! | `appender` | its handle |
//! | `reader` | entries from a position on; waits at the tail |
//! | `recovery` | opening a folder, after a crash too |
//! | `state` | what the handles share: segments, space, durable position |
//! | `age` | how old the oldest entry is that some consumer still needs |
//! | `disk` `lock` `error` `metrics` | the file system seam, the folder's lock, errors, metrics |

mod age;
mod appender;
mod disk;
mod error;
mod frame;
mod lock;
mod metrics;
mod position;
mod reader;
mod recovery;
mod segment;
mod state;
mod writer;

#[cfg(test)]
mod tests;

use std::{
    path::Path,
    sync::{Arc, Mutex, PoisonError},
    thread::JoinHandle,
    time::Duration,
};

use serde::{Deserialize, Serialize};
use tokio::sync::mpsc;

pub use appender::Appender;
pub use error::Error;
pub use position::Position;
pub use reader::{Entry, Reader, salvage};
pub use state::Appended;

use disk::{Disk, RealDisk};
use state::State;
use writer::{Job, Writer};

/// How large the spool may get.
#[derive(Deserialize, Serialize, Clone, Debug)]
#[serde(default, deny_unknown_fields)]
pub struct Config {
    /// Size at which a segment file is sealed and the next one begun. At most a quarter of
    /// `max_bytes` is used.
    pub segment_max_bytes: u64,
    /// Size of all segments together. What does not fit is refused, and the sender asked to try
    /// again. One request may take at most a quarter of it.
    pub max_bytes: u64,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            segment_max_bytes: 64 << 20,
            max_bytes: 4 << 30,
        }
    }
}

/// Makes the folder that the spool's is to stand in, durably.
pub fn make_folder(path: &Path) -> std::io::Result<()> {
    disk::make_folder(&RealDisk, path)
}

/// An open spool folder and its writer thread.
#[derive(Debug)]
pub struct Spool {
    state: Arc<State>,
    id: String,
    /// No checkpoint of an earlier process lies past it.
    end_at_open: Position,
    appender: Appender,
    jobs: mpsc::Sender<Job>,
    thread: Mutex<Option<JoinHandle<()>>>,
}

impl Spool {
    /// Creates the folder if need be, locks it, brings it in order and starts the writer.
    pub fn open(
        dir: &Path,
        config: &Config,
        registry: &prometheus::Registry,
    ) -> Result<Spool, Error> {
        Self::open_on(Arc::new(RealDisk), dir, config, registry)
    }

    fn open_on(
        disk: Arc<dyn Disk>,
        dir: &Path,
        config: &Config,
        registry: &prometheus::Registry,
    ) -> Result<Spool, Error> {
        let segment_limit = config.segment_max_bytes.min(config.max_bytes / 4);
        disk::make_folder(&*disk, dir).map_err(Error::io("create the spool folder", dir))?;
        let lock = lock::take(dir)?;
        let segments = recovery::segments(dir)?;
        if segments.is_empty() {
            recovery::forget_id(&*disk, dir)?;
        }
        let recovered = recovery::recover(&*disk, dir, &segments)?;
        let id = recovery::id(&*disk, dir)?;
        let state = State::new(dir, config.max_bytes, &recovered);
        let end_at_open = state.durable();
        metrics::register(&state, registry)?;
        state.metrics.torn_bytes(recovered.torn_bytes);
        let (jobs, queue) = mpsc::channel(writer::QUEUE_JOBS);
        let writer = Writer::new(
            disk,
            Arc::clone(&state),
            recovered.active,
            segment_limit,
            queue,
        );
        let thread = std::thread::Builder::new()
            .name("spool-writer".into())
            .spawn(move || {
                writer.run();
                drop(lock);
            })
            .map_err(Error::io("start the spool writer for", dir))?;
        Ok(Spool {
            appender: Appender::new(Arc::clone(&state), jobs.clone(), config.max_bytes / 4),
            end_at_open,
            state,
            id,
            jobs,
            thread: Mutex::new(Some(thread)),
        })
    }

    /// The folder's random name: consumers keep their checkpoints under it.
    pub fn id(&self) -> &str {
        &self.id
    }

    /// A handle that appends.
    pub fn appender(&self) -> Appender {
        self.appender.clone()
    }

    /// A checkpoint that a consumer stored, unless it lies past the end as of open: then the folder
    /// is older than the checkpoint (reading again is harmless, skipping is not). The end as of now
    /// says nothing, since entries are appended before the store answers. Only for checkpoints of
    /// earlier processes: what this one appended lies past that end, too.
    pub fn known(&self, checkpoint: Option<Position>) -> Option<Position> {
        let end = self.end_at_open;
        checkpoint.filter(|checkpoint| {
            let is_known = *checkpoint <= end;
            if !is_known {
                tracing::error!(?checkpoint, ?end, spool = %self.state.dir.display(),
                    "the checkpoint lies past the end of the spool; reading all of it again");
            }
            is_known
        })
    }

    /// Entries from `from` on; from the oldest kept one if `None`. A stored checkpoint must have
    /// passed [`Spool::known`].
    pub fn reader(&self, from: Option<Position>) -> Reader {
        Reader::new(
            Arc::clone(&self.state),
            from.unwrap_or(Position::from_parts(0, 0)),
        )
    }

    /// What this process has appended so far; no reader has seen more.
    pub fn appended(&self) -> Appended {
        self.state.appended()
    }

    /// Just past the last durable entry.
    pub fn end(&self) -> Position {
        self.state.durable()
    }

    /// Every consumer is past `up_to`: whole segments before it may go. Takes effect soon.
    pub fn trim(&self, up_to: Position) {
        // A full queue means that appends are under way; the next trim covers this one.
        let _ = self.jobs.try_send(Job::Trim(up_to));
    }

    /// Size of all segments.
    pub fn bytes(&self) -> u64 {
        self.state.space.used()
    }

    /// Age of the oldest entry that some consumer is not past yet; zero if there is none.
    pub fn oldest_age(&self) -> Duration {
        self.state.oldest_age()
    }

    /// Waits for the writer's end: `Ok` after [`Spool::close`], the reason if it broke.
    pub async fn ended(&self) -> Result<(), Error> {
        self.state.until_ended().await;
        match self.state.end_error() {
            Error::Closed => Ok(()),
            broken => Err(broken),
        }
    }

    /// Commits what waits, then ends the writer and gives the folder up. Appends and, at the tail,
    /// reads fail from then on.
    pub async fn close(&self) {
        let _ = self.jobs.send(Job::Close).await;
        self.state.until_ended().await;
        let thread = self
            .thread
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .take();
        if thread.is_some_and(|thread| thread.join().is_err()) {
            tracing::error!("the spool writer panicked");
        }
    }
}
