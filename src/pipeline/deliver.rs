//! The lane's second half: a refined batch goes to the store, again and again until it is there.

use std::{sync::Arc, time::Duration};

use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

use super::{
    Metrics, Rows, books,
    lane::Undelivered,
    refine::{Bundle, Part},
    rows,
};
use crate::{
    spool::Position,
    store::{Batch, Ended, Turn},
};

const FIRST_PAUSE: Duration = Duration::from_millis(100);
const LONGEST_PAUSE: Duration = Duration::from_secs(10);

/// The lane was told to end before this was delivered; the spool keeps it.
#[derive(Debug)]
pub(super) struct Told;

/// A batch on its way.
#[derive(Debug)]
pub(super) struct Parcel {
    pub bundle: Bundle,
    pub page: books::Page,
    pub position: Position,
    /// When it may be stored.
    pub turn: Turn,
    /// Lets the next one.
    pub ended: Ended,
}

/// What is left of a batch that has arrived.
#[derive(Debug)]
pub(super) struct Landed {
    /// Traces that another process may store in part.
    pub open: Vec<Part>,
    /// What was written.
    pub batch: Batch,
}

/// Brings batches to the store, and says how far it is.
#[derive(Debug, Clone)]
pub(super) struct Delivery {
    pub rows: Arc<Rows>,
    metrics: Metrics,
    books: books::Books,
    /// Told when the lane is past a position.
    pub passed: watch::Sender<Option<Position>>,
    /// Told whether a delivery failed and is being tried again.
    pub stuck: watch::Sender<bool>,
}

impl Delivery {
    pub fn new(rows: Rows, metrics: Metrics, books: books::Books) -> Self {
        Self {
            rows: Arc::new(rows),
            metrics,
            books,
            passed: watch::Sender::new(None),
            stuck: watch::Sender::new(false),
        }
    }

    /// Delivers a batch, however often it takes.
    pub async fn deliver(self, parcel: Parcel, drain: CancellationToken) -> Result<Landed, Told> {
        let Parcel {
            bundle,
            page,
            position,
            mut turn,
            ended,
        } = parcel;
        let mut pause = Pause::default();
        let committed = loop {
            match self.rows.deliver(&bundle.batch, &mut turn).await {
                Ok(committed) => break committed,
                // What is wrong is told, and waited out, by the one whose turn it is.
                Err(_) if !turn.has_come() => turn.come().await.map_err(|_| Told)?,
                Err(error) => self.back_off(&error, &mut pause, &drain).await?,
            }
        };
        if self.stuck.send_replace(false) {
            tracing::info!(lane = rows::LANE, "delivers again");
        }
        self.metrics.delivered(rows::LANE, bundle.spans);
        self.books.delivered(&page, &bundle);
        self.passed.send_replace(Some(position));
        ended.tell();
        let Bundle {
            mut open, batch, ..
        } = bundle;
        if committed.duplicates > 0 {
            // Somebody stored a row first, and what it says is not what was judged here.
            let rows = batch.rows.starts().iter();
            open.extend(rows.map(|&(trace_id, started_at)| (trace_id, started_at, started_at)));
        }
        Ok(Landed { open, batch })
    }

    /// Says once what is wrong, then waits, longer each time.
    pub async fn back_off(
        &self,
        error: &Undelivered,
        pause: &mut Pause,
        drain: &CancellationToken,
    ) -> Result<(), Told> {
        self.metrics.failed(rows::LANE);
        self.stuck.send_replace(true);
        if pause.0 == FIRST_PAUSE {
            tracing::warn!(lane = rows::LANE, %error, "can't deliver; the spool keeps everything until it can");
        }
        tokio::select! {
            () = drain.cancelled() => return Err(Told),
            () = tokio::time::sleep(pause.0) => {}
        }
        pause.0 = (pause.0 * 2).min(LONGEST_PAUSE);
        Ok(())
    }
}

/// How long to wait before the next try.
#[derive(Debug)]
pub(super) struct Pause(Duration);

impl Default for Pause {
    fn default() -> Self {
        Self(FIRST_PAUSE)
    }
}
