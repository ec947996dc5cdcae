//! Deliver to the store, with the checkpoint in the same transaction.

use std::{sync::Arc, time::Duration};

use super::{
    lane::Undelivered,
    refine::{Refined, Refiner},
};
use crate::{
    spool::Position,
    store::{self, Batch, Checkpoint, Store},
};

/// How far back the counter's memory is filled from the store at the start. Spans of one request
/// rarely lie further apart.
const WARM: Duration = Duration::from_secs(15 * 60);
const WARM_SPANS: usize = 50_000;

/// The store as a sink.
pub struct Rows {
    store: Arc<Store>,
    spool_id: String,
}

impl Rows {
    /// Rows of the spool `spool_id` go to `store`.
    pub fn new(store: Arc<Store>, spool_id: &str) -> Self {
        Self {
            store,
            spool_id: spool_id.to_owned(),
        }
    }

    async fn connected(&self) -> Result<(), Undelivered> {
        if !self.store.is_connected() {
            self.store.connect().await.map_err(undelivered)?;
            tracing::info!("store connected");
        }
        Ok(())
    }
}

/// The lane's name: label value, and key of its checkpoint.
pub(super) const LANE: &str = "rows";

impl Rows {
    /// Gets ready and says where to resume: `None` for the oldest entry. Warms the counter.
    pub(super) async fn resume(
        &self,
        refiner: &mut Refiner,
    ) -> Result<Option<Position>, Undelivered> {
        self.connected().await?;
        let now = chrono::Utc::now().timestamp_nanos_opt().unwrap_or(i64::MAX);
        let since = now.saturating_sub(i64::try_from(WARM.as_nanos()).unwrap_or(i64::MAX));
        let stored = self
            .store
            .recent_spans(since, WARM_SPANS)
            .await
            .map_err(undelivered)?;
        refiner.counter().warm(stored);
        self.store
            .checkpoint(&self.spool_id, LANE)
            .await
            .map_err(undelivered)
    }

    /// Delivers everything up to `position`, whole or not at all.
    pub(super) async fn deliver(
        &self,
        refined: &Refined,
        position: Position,
    ) -> Result<(), Undelivered> {
        self.connected().await?;
        let batch = Batch {
            records: &refined.records,
            links: &refined.links,
            contents: &refined.contents,
            amendments: &refined.amendments,
            checkpoint: Some(Checkpoint {
                spool_id: self.spool_id.clone(),
                lane: LANE,
                position,
            }),
        };
        self.store.commit(&batch).await.map_err(undelivered)?;
        Ok(())
    }
}

fn undelivered(error: store::Error) -> Undelivered {
    Undelivered(error.to_string())
}
