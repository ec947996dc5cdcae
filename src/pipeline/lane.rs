//! The loop of a lane: read, refine, hand over for delivery.
//!
//! While batches are on their way to the store, the next one is refined. They are committed in
//! their order, but the store may take the rows of one while it makes the other durable.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use tokio::{sync::watch, task::JoinSet};
use tokio_util::sync::CancellationToken;
use tracing::Instrument;

use super::{
    Books, Config, Metrics, Observed, Refiner, Rows,
    deliver::{Delivery, Landed, Parcel, Pause, Told},
    observed::Seen,
    recount::Recount,
    refine::{Part, Work},
    rows,
};
use crate::{
    spool::{self, Entry, Position, Reader, Spool},
    store::{Batch, Turn},
};

/// Batches on their way at once.
const IN_FLIGHT: usize = 2;
/// How often the store is asked whether others write to it.
const ASK_SHARED: Duration = Duration::from_secs(10);

/// Why a delivery failed. The lane tries again for as long as it runs.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub struct Undelivered(pub String);

/// The rows' way through the spool.
pub struct Lane {
    spool: Arc<Spool>,
    observed: Observed,
    refiner: Refiner,
    config: Config,
    metrics: Metrics,
    books: Books,
    delivery: Delivery,
    /// The batches that are on their way, at most [`IN_FLIGHT`].
    in_flight: JoinSet<Result<Landed, Told>>,
    /// When the next one may be stored.
    turn: Turn,
    recount: Recount,
    /// The next batch. What looking again brought and could not be written yet is in it; its memory
    /// is that of one that has landed.
    next: Batch,
    /// Whether others write to the store, and when that was asked.
    shared: Option<(bool, Instant)>,
}

/// Why the loop ended before the tail.
enum Stop {
    Told,
    Spool(spool::Error),
}

impl From<Told> for Stop {
    fn from(Told: Told) -> Self {
        Stop::Told
    }
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
        Self {
            spool,
            observed,
            refiner,
            config,
            delivery: Delivery::new(rows, metrics.clone(), books.clone()),
            metrics,
            books,
            in_flight: JoinSet::new(),
            turn: Turn::default(),
            recount: Recount::default(),
            next: Batch::default(),
            shared: None,
        }
    }

    /// Whether the lane is stuck.
    pub fn stuck(&self) -> watch::Receiver<bool> {
        self.delivery.stuck.subscribe()
    }

    /// How far the lane has delivered.
    pub fn passed(&self) -> watch::Receiver<Option<Position>> {
        self.delivery.passed.subscribe()
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
        let mut reader = self.start(drain).await?;
        loop {
            let ask = self.shared.map(|(_, asked)| asked + ASK_SHARED);
            let due = self.recount.due().into_iter().chain(ask).min();
            let entries = tokio::select! {
                biased;
                () = sleep_until(due) => {
                    self.landed().await?;
                    self.look_again().await;
                    continue;
                }
                Some(landed) = self.in_flight.join_next() => {
                    self.take_in(joined(landed)?).await;
                    continue;
                }
                entries = read(&mut reader, &self.config, drain) => match entries? {
                    Some(entries) => entries,
                    None => break,
                },
            };
            // What the metrics have seen already (before this start, or while the store was down)
            // is a batch apart.
            let mut rest = entries.as_slice();
            while !rest.is_empty() {
                let taken = self.take(rest, drain).await?;
                rest = rest.get(taken..).unwrap_or_default();
            }
        }
        self.landed().await
    }

    /// Refines entries, and sends them on their way once there is room. Takes as many as the metrics
    /// have all seen, or none of them, and as the memory has room for; says how many.
    async fn take(&mut self, entries: &[Entry], drain: &CancellationToken) -> Result<usize, Stop> {
        let is_shared = self.is_shared().await;
        if is_shared {
            // What the store is asked must include what was stored last.
            self.landed().await?;
        }
        let observed = self.observed.clone();
        let mut observed = observed.lock().await;
        let seen = observed.seen_of(entries);
        let (old, new) = entries.split_at(seen);
        let (entries, is_old) = if old.is_empty() {
            (new, false)
        } else {
            (old, true)
        };
        let span = tracing::info_span!("batch", lane = rows::LANE, entries = entries.len());
        let next = std::mem::take(&mut self.next);
        let work = at_length(|| self.refiner.take_up(entries, next, is_shared));
        let seen = (!is_old).then_some(&mut *observed);
        let refined = self.refine(work, seen);
        let Work {
            sorted, mut bundle, ..
        } = refined.instrument(span.clone()).await;
        let taken = sorted.entries.len();
        let page = self.books.page(sorted.entries, &sorted.counts);
        let Some(position) = sorted.entries.last().map(|last| last.position) else {
            return Ok(0);
        };
        if !is_old {
            observed.passed(position);
        }
        // Whoever goes on while the store is down must not wait for what waits for the store.
        drop(observed);
        let is_forgotten = bundle.is_forgotten;
        bundle.batch.checkpoint = Some(self.delivery.rows.checkpoint(position));
        self.land(IN_FLIGHT - 1).await?;
        let (ended, next) = Turn::next();
        let parcel = Parcel {
            bundle,
            page,
            position,
            turn: std::mem::replace(&mut self.turn, next),
            ended,
        };
        let delivery = self.delivery.clone().deliver(parcel, drain.clone());
        self.in_flight.spawn(delivery.instrument(span));
        if is_forgotten {
            self.landed().await?;
        }
        Ok(taken)
    }

    /// Refines a batch; the metrics see it, unless they have.
    async fn refine<'a>(&mut self, mut work: Work<'a>, mut seen: Option<&mut Seen>) -> Work<'a> {
        let mut took = Duration::ZERO;
        loop {
            let started = Instant::now();
            let strangers = at_length(|| {
                self.refiner.go_on(&mut work, |refined| {
                    if let Some(seen) = &mut seen {
                        seen.observe(refined, &self.metrics);
                    }
                })
            });
            took += started.elapsed();
            match strangers {
                Some(strangers) => self.ask_store(strangers).await,
                None => break,
            }
        }
        let entries = work.sorted.entries.len();
        self.metrics
            .refined(rows::LANE, &work.bundle, entries, took);
        work
    }

    /// Waits until every batch on its way has arrived.
    async fn landed(&mut self) -> Result<(), Stop> {
        self.land(0).await
    }

    /// Waits until at most so many batches are on their way.
    async fn land(&mut self, most: usize) -> Result<(), Stop> {
        while self.in_flight.len() > most
            && let Some(landed) = self.in_flight.join_next().await
        {
            self.take_in(joined(landed)?).await;
        }
        Ok(())
    }

    /// Lets traces of a delivered batch wait for what other processes store of them.
    async fn take_in(&mut self, landed: Landed) {
        let Landed { open, mut batch } = landed;
        if self.next.is_empty() {
            batch.clear();
            self.next = batch;
        }
        if self.is_shared().await {
            self.recount.wait(open, Instant::now());
        }
    }

    /// Recalls what the store knows of these traces and the memory doesn't. Where the store
    /// does not answer, the traces are judged by what is known and looked at again later.
    async fn ask_store(&mut self, strangers: Vec<Part>) {
        if strangers.is_empty() {
            return;
        }
        match self.delivery.rows.stored(&strangers).await {
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
        let stored = match self.delivery.rows.stored(&parts).await {
            Ok(stored) => stored,
            Err(error) => {
                tracing::warn!(%error, "the store can't be asked about traces again; later");
                self.recount.wait(parts, Instant::now());
                return;
            }
        };
        let counted = self.refiner.counter().reconcile(stored);
        self.observed.lock().await.recounted(&counted);
        self.next.amendments.extend(counted.amendments);
        self.next.rows.add(counted.records, &counted.links);
        match self.delivery.rows.put_right(&self.next, &parts).await {
            Ok(()) => self.next.clear(),
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
                let is_shared = self.delivery.rows.is_shared().await.unwrap_or(was_shared);
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

    /// A reader from the store's checkpoint on. Segments before it are let go, so a checkpoint that
    /// is not this folder's is told to nobody.
    async fn start(&mut self, drain: &CancellationToken) -> Result<Reader, Stop> {
        let from = self.resume(drain).await?;
        let from = self.spool.known(from);
        if from.is_some() {
            self.delivery.passed.send_replace(from);
        }
        Ok(self.spool.reader(from))
    }

    async fn resume(&mut self, drain: &CancellationToken) -> Result<Option<Position>, Stop> {
        let mut pause = Pause::default();
        loop {
            match self.delivery.rows.resume(&mut self.refiner).await {
                Ok(from) => {
                    self.delivery.stuck.send_replace(false);
                    return Ok(from);
                }
                Err(error) => self.delivery.back_off(&error, &mut pause, drain).await?,
            }
        }
    }
}

/// What a delivery brought; it goes on panicking here if it did there.
fn joined(landed: Result<Result<Landed, Told>, tokio::task::JoinError>) -> Result<Landed, Stop> {
    match landed {
        Ok(delivered) => Ok(delivered?),
        Err(error) => match error.try_into_panic() {
            Ok(panic) => std::panic::resume_unwind(panic),
            // Only the lane's own end cancels a delivery.
            Err(_) => Err(Stop::Told),
        },
    }
}

/// Works for milliseconds. Whoever waits behind this task on its thread, like the delivery that it
/// just sent on its way, is taken over by another.
pub(super) fn at_length<T>(work: impl FnOnce() -> T) -> T {
    tokio::task::block_in_place(work)
}

/// The next batch; `None` at the tail once draining.
async fn read(
    reader: &mut Reader,
    config: &Config,
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
    fill(first, reader, config).map(Some).map_err(Stop::Spool)
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

#[cfg(test)]
mod tests {
    use prometheus::Registry;

    use super::*;
    use crate::{otlp::Signal, price::Table, sink::prometheus::Prometheus, store};

    async fn store_in(folder: &std::path::Path, registry: &Registry) -> Arc<store::Store> {
        let url = format!("sqlite://{}", folder.join("rows.db").display()).into();
        let config = store::Config {
            url,
            ..Default::default()
        };
        let store = store::Store::new(config, registry).unwrap();
        store.connect().await.unwrap();
        Arc::new(store)
    }

    fn lane(spool: &Arc<Spool>, rows: Rows, registry: &Registry) -> Lane {
        let observer = Prometheus::new(&Default::default(), registry).unwrap();
        let prices = Arc::new(Table::shipped());
        Lane::new(
            Arc::clone(spool),
            rows,
            Observed::new(observer, spool.end()),
            Refiner::new(&Default::default(), &Default::default(), prices),
            Config::default(),
            Metrics::new(registry).unwrap(),
            Books::new(Arc::clone(spool), registry).unwrap(),
        )
    }

    /// Scenario: the spool's folder was put back from an old copy; before the store answers with
    /// its newer checkpoint, entries are appended, at last past it.
    /// Guarantees: no segment is let go of for that checkpoint; every entry is read.
    #[tokio::test]
    async fn a_checkpoint_of_another_life_trims_and_skips_nothing() {
        let folder = tempfile::tempdir().unwrap();
        let registry = Registry::new();
        let config = spool::Config {
            segment_max_bytes: 100,
            ..Default::default()
        };
        let spool = Spool::open(&folder.path().join("spool"), &config, &registry);
        let spool = Arc::new(spool.unwrap());
        let store = store_in(folder.path(), &registry).await;
        let rows = Rows::new(Arc::clone(&store), spool.id());
        let stale = Batch {
            checkpoint: Some(rows.checkpoint(Position::from_parts(4, 20))),
            ..Default::default()
        };
        store.commit(&stale).await.unwrap();
        let append = || async {
            let appender = spool.appender();
            let appended = appender.append(Signal::Traces, 5, vec![7; 80].into(), 1);
            appended.await.unwrap()
        };
        while append().await.to_parts().0 < 6 {}
        let mut lane = lane(&spool, rows, &registry);
        let passed = lane.passed();
        let Ok(mut reader) = lane.start(&CancellationToken::new()).await else {
            panic!("the lane did not start");
        };
        if let Some(up_to) = *passed.borrow() {
            spool.trim(up_to);
        }
        // The writer trims before it takes the second.
        append().await;
        append().await;
        let mut read = Vec::new();
        while let Some(entry) = reader.try_next().unwrap() {
            read.push(entry.position.to_parts().0);
        }
        assert_eq!(read, (1..=8).collect::<Vec<_>>(), "an entry a segment");
        spool.close().await;
    }
}
