//! What the handles share: segments, space, the durable position.

use std::{
    collections::BTreeMap,
    ops::Range,
    path::{Path, PathBuf},
    sync::{
        Arc, Mutex, MutexGuard, OnceLock, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
    time::{Duration, Instant, SystemTime},
};

use tokio::sync::watch;

use super::{Error, Position, age::Ages, metrics::Metrics, recovery::Recovered, segment};

/// How long a full spool is called full without another attempt.
const FULL_HOLDS: Duration = Duration::from_secs(10);

/// Shared by the writer, the appenders and the readers of one folder.
#[derive(Debug)]
pub(super) struct State {
    pub(super) dir: PathBuf,
    pub(super) space: Arc<Space>,
    pub(super) metrics: Metrics,
    log: Mutex<Log>,
    tail: watch::Sender<Tail>,
    broken: OnceLock<String>,
    /// When an append last found no room, if none has succeeded since.
    full: Mutex<Option<Instant>>,
}

#[derive(Debug)]
struct Log {
    /// Number of a kept segment, and where its durable bytes end.
    segments: BTreeMap<u64, u64>,
    ages: Ages,
    appended: Appended,
}

/// What this process has appended.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Appended {
    /// Spans in it, the ones included that can't be read.
    pub spans: u64,
    /// Just past the newest entry; `None` before the first.
    pub end: Option<Position>,
}

#[derive(Debug, Clone, Copy)]
struct Tail {
    durable: Position,
    ended: bool,
}

/// Where a reader goes on.
pub(super) enum Next {
    /// In its segment, up to this offset.
    Here(u64),
    /// In another segment, up to this offset.
    There(u64, u64),
    /// Nowhere yet.
    Tail,
}

impl State {
    pub(super) fn new(dir: &Path, max_bytes: u64, recovered: &Recovered) -> Arc<Self> {
        let mut log = Log {
            segments: BTreeMap::new(),
            ages: Ages::default(),
            appended: Appended::default(),
        };
        let active = &recovered.active;
        let mut used = 0;
        for sealed in &recovered.sealed {
            used += sealed.len;
            log.segments.insert(sealed.number, sealed.len);
            if let Some(received_at) = sealed.first_received_at {
                let start = Position::from_parts(sealed.number, segment::HEADER_LEN);
                let end = Position::from_parts(sealed.number, sealed.len);
                log.ages.note(start..end, received_at);
            }
        }
        if log.segments.insert(active.number, active.len).is_none() {
            used += active.len;
        }
        let (tail, _) = watch::channel(Tail {
            durable: Position::from_parts(active.number, active.len),
            ended: false,
        });
        Arc::new(State {
            dir: dir.to_owned(),
            space: Arc::new(Space {
                max_bytes,
                used: AtomicU64::new(used),
            }),
            metrics: Metrics::new(),
            log: Mutex::new(log),
            tail,
            broken: OnceLock::new(),
            full: Mutex::new(None),
        })
    }

    fn log(&self) -> MutexGuard<'_, Log> {
        self.log.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn durable(&self) -> Position {
        self.tail.borrow().durable
    }

    /// Entries, given by place and time of receipt, are on disk up to `durable`; so many spans are
    /// in them.
    pub(super) fn advance(
        &self,
        durable: Position,
        entries: impl IntoIterator<Item = (Range<Position>, i64)>,
        spans: u64,
    ) {
        let mut log = self.log();
        log.segments.insert(durable.segment, durable.offset);
        log.appended.spans += spans;
        for (entry, received_at) in entries {
            log.appended.end = Some(entry.end);
            log.ages.note(entry, received_at);
        }
        drop(log);
        self.tail.send_modify(|tail| tail.durable = durable);
    }

    pub(super) fn next(&self, at: Position) -> Next {
        let log = self.log();
        if let Some(&end) = log.segments.get(&at.segment)
            && end > at.offset
        {
            return Next::Here(end);
        }
        match log.segments.range(at.segment.saturating_add(1)..).next() {
            Some((&number, &end)) => Next::There(number, end),
            None => Next::Tail,
        }
    }

    pub(super) fn appended(&self) -> Appended {
        self.log().appended
    }

    pub(super) fn has_segment(&self, number: u64) -> bool {
        self.log().segments.contains_key(&number)
    }

    /// Takes the sealed segments that lie before `up_to` off the list: (number, size) each.
    pub(super) fn forget(&self, up_to: Position) -> Vec<(u64, u64)> {
        let durable = self.durable();
        let mut log = self.log();
        log.ages.consume(up_to);
        let gone = log
            .segments
            .iter()
            .map(|(&number, &end)| (number, end))
            .take_while(|&(number, end)| {
                number < durable.segment && Position::from_parts(number, end) <= up_to
            })
            .collect::<Vec<_>>();
        for (number, _) in &gone {
            log.segments.remove(number);
        }
        gone
    }

    pub(super) fn oldest_age(&self) -> Duration {
        let Some(received_at) = self.log().ages.oldest() else {
            return Duration::ZERO;
        };
        let now = SystemTime::now()
            .duration_since(SystemTime::UNIX_EPOCH)
            .unwrap_or_default();
        now.saturating_sub(Duration::from_nanos(received_at.max(0) as u64))
    }

    /// Notes whether appends find room; says so in the log when it changes.
    pub(super) fn note_full(&self, why: Option<&Error>) {
        let now = why.map(|_| Instant::now());
        let before = std::mem::replace(&mut *self.full_since(), now);
        match (before, why) {
            (None, Some(why)) => {
                tracing::warn!(spool = %self.dir.display(), "could not {why}; senders are asked to try again");
            }
            (Some(_), None) => {
                tracing::info!(spool = %self.dir.display(), "the spool has room again");
            }
            _ => {}
        }
    }

    /// True if an append found no room, and lately: who sends nothing because of it must learn
    /// that it may have changed.
    pub(super) fn is_full(&self) -> bool {
        self.full_since()
            .is_some_and(|at| at.elapsed() < FULL_HOLDS)
    }

    fn full_since(&self) -> MutexGuard<'_, Option<Instant>> {
        self.full.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn note_broken(&self, reason: String) {
        tracing::error!(spool = %self.dir.display(), "the spool's writer stopped: {reason}");
        let _ = self.broken.set(reason);
    }

    /// The writer is gone.
    pub(super) fn end(&self) {
        self.tail.send_modify(|tail| tail.ended = true);
    }

    pub(super) fn is_ended(&self) -> bool {
        self.tail.borrow().ended
    }

    pub(super) fn end_error(&self) -> Error {
        match self.broken.get() {
            Some(reason) => Error::Broken {
                reason: reason.clone(),
            },
            None => Error::Closed,
        }
    }

    pub(super) async fn until_ended(&self) {
        // The sender lives as long as `self`, so this can't fail.
        let _ = self.tail.subscribe().wait_for(|tail| tail.ended).await;
    }

    /// Waits until something is durable past `at`, or the writer is gone.
    pub(super) async fn until_past(&self, at: Position) {
        let past = |tail: &Tail| tail.ended || tail.durable > at;
        let _ = self.tail.subscribe().wait_for(past).await;
    }
}

/// The size limit.
#[derive(Debug)]
pub(super) struct Space {
    pub(super) max_bytes: u64,
    used: AtomicU64,
}

impl Space {
    pub(super) fn used(&self) -> u64 {
        self.used.load(Ordering::Relaxed)
    }

    /// Room for an entry, given back on drop unless it is kept.
    pub(super) fn reserve(self: &Arc<Self>, bytes: u64) -> Result<Reserved, Error> {
        let fits = |used: u64| {
            used.checked_add(bytes)
                .filter(|total| *total <= self.max_bytes)
        };
        match self
            .used
            .fetch_update(Ordering::Relaxed, Ordering::Relaxed, fits)
        {
            Ok(_) => Ok(Reserved {
                space: Arc::clone(self),
                bytes,
            }),
            Err(_) => Err(Error::Full {
                max_bytes: self.max_bytes,
            }),
        }
    }

    /// A segment's own header; never refused.
    pub(super) fn take(&self, bytes: u64) {
        self.used.fetch_add(bytes, Ordering::Relaxed);
    }

    pub(super) fn give_back(&self, bytes: u64) {
        self.used.fetch_sub(bytes, Ordering::Relaxed);
    }
}

/// Room that is spoken for.
#[derive(Debug)]
pub(super) struct Reserved {
    space: Arc<Space>,
    bytes: u64,
}

impl Reserved {
    /// The entry is on disk: the room stays taken until its segment goes.
    pub(super) fn keep(mut self) {
        self.bytes = 0;
    }
}

impl Drop for Reserved {
    fn drop(&mut self) {
        self.space.give_back(self.bytes);
    }
}
