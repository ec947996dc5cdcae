//! Deliver to the store, with the checkpoint in the same transaction.

use std::{sync::Arc, time::Duration};

use super::{
    lane::Undelivered,
    refine::{Part, Refiner},
};
use crate::{
    record::{MappedSpan, TraceId},
    spool::Position,
    store::{self, Batch, Checkpoint, Committed, Store, Turn, Wanted},
};

/// How far back the counter's memory is filled from the store at the start. Spans of one request
/// rarely lie further apart.
const WARM: Duration = Duration::from_secs(15 * 60);
const WARM_SPANS: usize = 50_000;

/// Spans of one trace are looked for this far around those that are known.
const REACH: Duration = Duration::from_secs(24 * 60 * 60);

/// The store as a sink.
#[derive(Debug)]
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
        self.store
            .announce(&self.spool_id)
            .await
            .map_err(undelivered)?;
        let now = chrono::Utc::now().timestamp_nanos_opt().unwrap_or(i64::MAX);
        let since = now.saturating_sub(i64::try_from(WARM.as_nanos()).unwrap_or(i64::MAX));
        let stored = self
            .store
            .stored_spans(Wanted::Since(since, WARM_SPANS))
            .await
            .map_err(undelivered)?;
        let oldest = stored.iter().map(|span| span.started_at).min();
        let is_cut = stored.len() >= WARM_SPANS;
        refiner.counter().warm(stored);
        let blind = oldest.filter(|_| is_cut).unwrap_or(since);
        refiner.counter().is_blind_until(blind);
        self.store
            .checkpoint(&self.spool_id, LANE)
            .await
            .map_err(undelivered)
    }

    /// What is stored of some traces.
    pub(super) async fn stored(&self, parts: &[Part]) -> Result<Vec<MappedSpan>, Undelivered> {
        let ids: Vec<TraceId> = parts.iter().map(|(id, ..)| *id).collect();
        let from = parts.iter().map(|(_, from, _)| *from).min();
        let to = parts.iter().map(|(.., to)| *to).max();
        let reach = i64::try_from(REACH.as_nanos()).unwrap_or(i64::MAX);
        let wanted = Wanted::Traces(
            &ids,
            from.unwrap_or_default().saturating_sub(reach),
            to.unwrap_or_default().saturating_add(reach),
        );
        self.store.stored_spans(wanted).await.map_err(undelivered)
    }

    /// Whether another process writes to the store, too; then content that waits for a call of its
    /// rows is joined.
    pub(super) async fn is_shared(&self) -> Result<bool, Undelivered> {
        let shared = self.store.is_shared(&self.spool_id).await;
        if let Ok(true) = shared {
            self.store.claim_content().await.map_err(undelivered)?;
        }
        shared.map_err(undelivered)
    }

    /// Writes what looking again brought, then sums the requests of these traces anew: no process
    /// alone knows what lies below them.
    pub(super) async fn put_right(&self, late: &Batch, parts: &[Part]) -> Result<(), Undelivered> {
        self.store.commit(late).await.map_err(undelivered)?;
        let traces: Vec<TraceId> = parts.iter().map(|(id, ..)| *id).collect();
        self.store.sum_requests(&traces).await.map_err(undelivered)
    }

    /// What says that everything up to `position` is stored.
    pub(super) fn checkpoint(&self, position: Position) -> Checkpoint {
        Checkpoint {
            spool_id: self.spool_id.clone(),
            lane: LANE,
            position,
        }
    }

    /// Delivers a batch, whole or not at all, after what comes before it.
    pub(super) async fn deliver(
        &self,
        batch: &Batch,
        turn: &mut Turn,
    ) -> Result<Committed, Undelivered> {
        self.connected().await?;
        let committed = self.store.commit_in_turn(batch, turn).await;
        committed.map_err(undelivered)
    }
}

fn undelivered(error: store::Error) -> Undelivered {
    Undelivered(error.to_string())
}
