//! The loop of a lane: read, refine, deliver, back off.

use std::{sync::Arc, time::Duration};

use tokio::sync::watch;
use tokio_util::sync::CancellationToken;
use tracing::Instrument;

use super::{Config, Metrics, Observed, Refined, Refiner, Rows, rows};
use crate::spool::{self, Entry, Position, Reader, Spool};

const FIRST_PAUSE: Duration = Duration::from_millis(100);
const LONGEST_PAUSE: Duration = Duration::from_secs(10);

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
    ) -> Self {
        let (passed, stuck) = (watch::Sender::new(None), watch::Sender::new(false));
        Self {
            spool,
            rows,
            observed,
            refiner,
            config,
            metrics,
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
        while let Some(entries) = self.read(&mut reader, drain).await? {
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
            let mut observed = self.observed.lock().await;
            let started = std::time::Instant::now();
            let refined = span.in_scope(|| self.refiner.refine(entries));
            self.metrics
                .refined(rows::LANE, &refined, entries.len(), started.elapsed());
            if observed.seen_of(entries) == 0 {
                observed.observe(&refined, position, &self.metrics);
            }
            refined
        };
        self.deliver(&refined, position, drain)
            .instrument(span)
            .await?;
        self.metrics.delivered(rows::LANE, refined.spans);
        self.passed.send_replace(Some(position));
        Ok(())
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
    ) -> Result<(), Stop> {
        let mut pause = FIRST_PAUSE;
        loop {
            match self.rows.deliver(refined, position).await {
                Ok(()) => {
                    if self.stuck.send_replace(false) {
                        tracing::info!(lane = rows::LANE, "delivers again");
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
