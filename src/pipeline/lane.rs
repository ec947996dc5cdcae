//! The loop of a lane: read, refine, deliver, back off.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use tokio::sync::watch;
use tokio_util::sync::CancellationToken;
use tracing::Instrument;

use super::{Books, Config, Metrics, Observed, Refined, Refiner, Rows, recount::Recount, rows};
use crate::{
    record::Record,
    spool::{self, Entry, Position, Reader, Spool},
    store::Committed,
};

const FIRST_PAUSE: Duration = Duration::from_millis(100);
const LONGEST_PAUSE: Duration = Duration::from_secs(10);
/// How often the store is asked whether others write to it.
const ASK_SHARED: Duration = Duration::from_secs(10);

/// Why a delivery failed. The lane tries again for as long as it runs.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub struct Undelivered(pub String);

/// The rows' way through the spool.
pub struct Lane {
    spool: Arc<Spool>,
    rows: Rows,
    observed: Observed,
    refiner: Refiner,
    config: Config,
    metrics: Metrics,
    books: Books,
    recount: Recount,
    /// What looking again brought and could not be written yet.
    late: Refined,
    /// Whether others write to the store, and when that was asked.
    shared: Option<(bool, Instant)>,
    /// Told when the lane is past a position.
    passed: watch::Sender<Option<Position>>,
    /// Told whether a delivery failed and is being tried again.
    stuck: watch::Sender<bool>,
}

/// Why the loop ended before the tail.
enum Stop {
    Told,
    Spool(spool::Error),
}

impl Lane {
    /// A lane that has not started.
    pub fn new(
        spool: Arc<Spool>,
        rows: Rows,
        observed: Observed,
        refiner: Refiner,
        config: Config,
        metrics: Metrics,
        books: Books,
    ) -> Self {
        let (passed, stuck) = (watch::Sender::new(None), watch::Sender::new(false));
        Self {
            spool,
            rows,
            observed,
            refiner,
            config,
            metrics,
            books,
            recount: Recount::default(),
            late: Refined::default(),
            shared: None,
            passed,
            stuck,
        }
    }

    /// Whether the lane is stuck.
    pub fn stuck(&self) -> watch::Receiver<bool> {
        self.stuck.subscribe()
    }

    /// How far the lane has delivered.
    pub fn passed(&self) -> watch::Receiver<Option<Position>> {
        self.passed.subscribe()
    }

    /// Runs. After `drain` it goes on to the spool's tail and ends; a delivery that fails after
    /// `drain` ends it, too, and so does `now`. What is left stays in the spool for the next start.
    pub async fn run(
        mut self,
        drain: CancellationToken,
        now: CancellationToken,
    ) -> Result<(), spool::Error> {
        tokio::select! {
            () = now.cancelled() => Ok(()),
            ended = self.work(&drain) => match ended {
                Ok(()) | Err(Stop::Told) => Ok(()),
                Err(Stop::Spool(error)) => Err(error),
            },
        }
    }

    async fn work(&mut self, drain: &CancellationToken) -> Result<(), Stop> {
        let from = self.resume(drain).await?;
        if from.is_some() {
            self.passed.send_replace(from);
        }
        let mut reader = self.spool.reader(from);
        loop {
            let ask = self.shared.map(|(_, asked)| asked + ASK_SHARED);
            let due = self.recount.due().into_iter().chain(ask).min();
            let entries = tokio::select! {
                biased;
                () = sleep_until(due) => {
                    self.look_again().await;
                    continue;
                }
                entries = self.read(&mut reader, drain) => match entries? {
                    Some(entries) => entries,
                    None => break,
                },
            };
            // What the metrics have seen already (before this start, or while the store was down)
            // is a batch apart.
            let seen = self.observed.lock().await.seen_of(&entries);
            let (old, new) = entries.split_at(seen);
            for part in [old, new] {
                self.take(part, drain).await?;
            }
        }
        Ok(())
    }

    async fn take(&mut self, entries: &[Entry], drain: &CancellationToken) -> Result<(), Stop> {
        let Some(position) = entries.last().map(|entry| entry.position) else {
            return Ok(());
        };
        let span = tracing::info_span!("batch", lane = rows::LANE, entries = entries.len());
        let refined = {
            let observed = self.observed.clone();
            let mut observed = observed.lock().await;
            let started = Instant::now();
            span.in_scope(|| self.refiner.map(entries));
            let mapped = started.elapsed();
            self.ask_store().instrument(span.clone()).await;
            let started = Instant::now();
            let mut refined = span.in_scope(|| self.refiner.count(entries));
            let took = mapped + started.elapsed();
            self.metrics
                .refined(rows::LANE, &refined, entries.len(), took);
            if observed.seen_of(entries) == 0 {
                observed.observe(&refined, position, &self.metrics);
            }
            let late = std::mem::take(&mut self.late);
            refined.amendments.splice(0..0, late.amendments);
            refined.records.splice(0..0, late.records);
            refined.links.splice(0..0, late.links);
            refined
        };
        let committed = self
            .deliver(&refined, position, drain)
            .instrument(span)
            .await?;
        self.metrics.delivered(rows::LANE, refined.spans);
        self.books.delivered(entries, &refined);
        self.passed.send_replace(Some(position));
        if self.is_shared().await {
            let now = Instant::now();
            if committed.duplicates > 0 {
                // Somebody stored a row first, and what it says is not what was judged here.
                let headers = refined.records.iter().map(Record::header);
                let parts = headers.map(|h| (h.trace_id, h.started_at, h.started_at));
                self.recount.wait(parts, now);
            }
            self.recount.wait(refined.open, now);
        }
        Ok(())
    }

    /// Recalls what the store knows of the mapped traces and the memory doesn't. Where the store
    /// does not answer, the traces are judged by what is known and looked at again later.
    async fn ask_store(&mut self) {
        let is_shared = self.is_shared().await;
        let strangers = self.refiner.strangers(is_shared);
        if strangers.is_empty() {
            return;
        }
        match self.rows.stored(&strangers).await {
            Ok(stored) => self.refiner.counter().warm(stored),
            Err(error) => {
                tracing::debug!(%error, "the store can't be asked about traces; later");
                self.recount.wait(strangers, Instant::now());
            }
        }
    }

    /// Judges traces again together with what is stored of them by now.
    async fn look_again(&mut self) {
        self.is_shared().await;
        let parts = self.recount.take(Instant::now());
        if parts.is_empty() {
            return;
        }
        let stored = match self.rows.stored(&parts).await {
            Ok(stored) => stored,
            Err(error) => {
                tracing::warn!(%error, "the store can't be asked about traces again; later");
                self.recount.wait(parts, Instant::now());
                return;
            }
        };
        let counted = self.refiner.counter().reconcile(stored);
        self.observed.lock().await.recounted(&counted.amendments);
        self.late.amendments.extend(counted.amendments);
        self.late.records.extend(counted.records);
        self.late.links.extend(counted.links);
        match self.rows.put_right(&self.late, &parts).await {
            Ok(()) => self.late = Refined::default(),
            Err(error) => tracing::warn!(
                %error,
                "can't put the counting of stored calls right; the next batch will"
            ),
        }
    }

    async fn is_shared(&mut self) -> bool {
        match self.shared {
            Some((is_shared, asked)) if asked.elapsed() < ASK_SHARED => is_shared,
            _ => {
                let was_shared = self.shared.is_some_and(|(was, _)| was);
                let is_shared = self.rows.is_shared().await.unwrap_or(was_shared);
                self.shared = Some((is_shared, Instant::now()));
                if is_shared && !was_shared {
                    // Somebody may have begun since the memory's traces were judged.
                    let all = self.refiner.counter().traces();
                    self.recount.wait(all, Instant::now());
                }
                is_shared
            }
        }
    }

    async fn resume(&mut self, drain: &CancellationToken) -> Result<Option<Position>, Stop> {
        let mut pause = FIRST_PAUSE;
        loop {
            match self.rows.resume(&mut self.refiner).await {
                Ok(from) => {
                    self.stuck.send_replace(false);
                    return Ok(from);
                }
                Err(error) => self.back_off(&error, &mut pause, drain).await?,
            }
        }
    }

    async fn deliver(
        &mut self,
        refined: &Refined,
        position: Position,
        drain: &CancellationToken,
    ) -> Result<Committed, Stop> {
        let mut pause = FIRST_PAUSE;
        loop {
            match self.rows.deliver(refined, position).await {
                Ok(committed) => {
                    if self.stuck.send_replace(false) {
                        tracing::info!(lane = rows::LANE, "delivers again");
                    }
                    return Ok(committed);
                }
                Err(error) => self.back_off(&error, &mut pause, drain).await?,
            }
        }
    }

    /// Says once what is wrong, then waits, longer each time.
    async fn back_off(
        &self,
        error: &Undelivered,
        pause: &mut Duration,
        drain: &CancellationToken,
    ) -> Result<(), Stop> {
        self.metrics.failed(rows::LANE);
        self.stuck.send_replace(true);
        if *pause == FIRST_PAUSE {
            tracing::warn!(lane = rows::LANE, %error, "can't deliver; the spool keeps everything until it can");
        }
        tokio::select! {
            () = drain.cancelled() => return Err(Stop::Told),
            () = tokio::time::sleep(*pause) => {}
        }
        *pause = (*pause * 2).min(LONGEST_PAUSE);
        Ok(())
    }

    /// The next batch; `None` at the tail once draining.
    async fn read(
        &self,
        reader: &mut Reader,
        drain: &CancellationToken,
    ) -> Result<Option<Vec<Entry>>, Stop> {
        let first = tokio::select! {
            biased;
            entry = reader.next() => entry.map_err(Stop::Spool)?,
            () = drain.cancelled() => match reader.try_next().map_err(Stop::Spool)? {
                Some(entry) => entry,
                None => return Ok(None),
            },
        };
        let entries = fill(first, reader, &self.config).map_err(Stop::Spool)?;
        Ok(Some(entries))
    }
}

/// For ever, if there is no such moment.
async fn sleep_until(moment: Option<Instant>) {
    match moment {
        Some(moment) => tokio::time::sleep_until(moment.into()).await,
        None => std::future::pending().await,
    }
}

/// A batch from `first` on, as large as the settings allow, without waiting.
pub(super) fn fill(
    first: Entry,
    reader: &mut Reader,
    config: &Config,
) -> Result<Vec<Entry>, spool::Error> {
    let mut bytes = first.body.len();
    let mut entries = vec![first];
    while bytes < config.batch_bytes && entries.len() < config.batch_entries {
        let Some(entry) = reader.try_next()? else {
            break;
        };
        bytes += entry.body.len();
        entries.push(entry);
    }
    Ok(entries)
}
