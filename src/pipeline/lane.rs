//! The loop of a lane: read, refine, deliver, back off.

use std::{sync::Arc, time::Duration};

use tokio_util::sync::CancellationToken;
use tracing::Instrument;

use super::{Config, Metrics, Refined, Refiner};
use crate::spool::{self, Entry, Position, Reader, Spool};

const FIRST_PAUSE: Duration = Duration::from_millis(100);
const LONGEST_PAUSE: Duration = Duration::from_secs(10);

/// A sink, as its lane sees it.
pub trait Deliver: Send {
    /// Its name: label value, and key of its checkpoint.
    const LANE: &'static str;

    /// Gets ready and says where to resume: `None` for the oldest entry. May warm the refiner.
    fn resume(
        &mut self,
        refiner: &mut Refiner,
    ) -> impl Future<Output = Result<Option<Position>, Undelivered>> + Send;

    /// Delivers everything up to `position`, whole or not at all.
    fn deliver(
        &mut self,
        refined: &Refined,
        position: Position,
    ) -> impl Future<Output = Result<(), Undelivered>> + Send;
}

/// Why a delivery failed. The lane tries again for as long as it runs.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub struct Undelivered(pub String);

/// One sink's way through the spool.
pub struct Lane<D> {
    spool: Arc<Spool>,
    sink: D,
    refiner: Refiner,
    config: Config,
    metrics: Metrics,
    /// Told when the lane is past a position.
    passed: tokio::sync::watch::Sender<Option<Position>>,
}

/// Why the loop ended before the tail.
enum Stop {
    Told,
    Spool(spool::Error),
}

impl<D: Deliver> Lane<D> {
    /// A lane that has not started.
    pub fn new(
        spool: Arc<Spool>,
        sink: D,
        refiner: Refiner,
        config: Config,
        metrics: Metrics,
    ) -> Self {
        let (passed, _) = tokio::sync::watch::channel(None);
        Self {
            spool,
            sink,
            refiner,
            config,
            metrics,
            passed,
        }
    }

    /// How far the lane has delivered.
    pub fn passed(&self) -> tokio::sync::watch::Receiver<Option<Position>> {
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
        while let Some(entries) = self.read(&mut reader, drain).await? {
            let Some(position) = entries.last().map(|entry| entry.position) else {
                continue;
            };
            let started = std::time::Instant::now();
            let span = tracing::info_span!("batch", lane = D::LANE, entries = entries.len());
            let refined = span.in_scope(|| self.refiner.refine(&entries));
            self.metrics
                .refined(D::LANE, &refined, entries.len(), started.elapsed());
            drop(entries);
            self.deliver(&refined, position, drain)
                .instrument(span)
                .await?;
            self.metrics.delivered(D::LANE, refined.spans);
            self.passed.send_replace(Some(position));
        }
        Ok(())
    }

    async fn resume(&mut self, drain: &CancellationToken) -> Result<Option<Position>, Stop> {
        let mut pause = FIRST_PAUSE;
        loop {
            match self.sink.resume(&mut self.refiner).await {
                Ok(from) => return Ok(from),
                Err(error) => self.back_off(&error, &mut pause, drain).await?,
            }
        }
    }

    async fn deliver(
        &mut self,
        refined: &Refined,
        position: Position,
        drain: &CancellationToken,
    ) -> Result<(), Stop> {
        let mut pause = FIRST_PAUSE;
        loop {
            match self.sink.deliver(refined, position).await {
                Ok(()) => {
                    if pause > FIRST_PAUSE {
                        tracing::info!(lane = D::LANE, "delivers again");
                    }
                    return Ok(());
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
        self.metrics.failed(D::LANE);
        if *pause == FIRST_PAUSE {
            tracing::warn!(lane = D::LANE, %error, "can't deliver; the spool keeps everything until it can");
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
        let mut bytes = first.body.len();
        let mut entries = vec![first];
        while bytes < self.config.batch_bytes && entries.len() < self.config.batch_entries {
            let Some(entry) = reader.try_next().map_err(Stop::Spool)? else {
                break;
            };
            bytes += entry.body.len();
            entries.push(entry);
        }
        Ok(Some(entries))
    }
}
