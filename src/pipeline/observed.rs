//! The metrics, and how far in the spool they have seen.
//!
//! The rows lane shows each batch to the metrics before it delivers it, so a span is mapped once.
//! While the store refuses, [`Lookahead`] goes on where the lane stopped, with a memory of its
//! own, so that metrics flow while the store is down. Whoever holds the lock works; what one has
//! shown, the other passes over.

use std::sync::Arc;

use tokio::sync::{Mutex, MutexGuard, watch};
use tokio_util::sync::CancellationToken;

use super::{
    Config, Metrics, Refined, Refiner,
    lane::{at_length, fill},
};
use crate::{
    count::Counted,
    sink::prometheus::Prometheus,
    spool::{self, Entry, Position, Spool},
};

/// Label value of what the metrics say of their lane.
pub(super) const LANE: &str = "prometheus";

/// The metrics as a sink. It can't fail.
#[derive(Clone)]
pub struct Observed(Arc<Mutex<Seen>>);

pub(super) struct Seen {
    sink: Prometheus,
    upto: Position,
}

impl Observed {
    /// Observes what lies after `from`, the spool's end at the start: what lies before it was
    /// observed by the process that received it.
    pub fn new(sink: Prometheus, from: Position) -> Self {
        Self(Arc::new(Mutex::new(Seen { sink, upto: from })))
    }

    pub(super) async fn lock(&self) -> MutexGuard<'_, Seen> {
        self.0.lock().await
    }
}

impl Seen {
    /// How many of these entries the metrics have seen.
    pub fn seen_of(&self, entries: &[Entry]) -> usize {
        entries.partition_point(|entry| entry.position <= self.upto)
    }

    /// Takes what came of looking at traces again: rows that were held back until now, and changes
    /// to rows that were observed before.
    pub fn recounted(&mut self, counted: &Counted) {
        self.sink.observe(&counted.records);
        self.sink.recounted(&counted.amendments);
    }

    /// Takes a part of a batch, none of which was seen.
    pub fn observe(&mut self, refined: &Refined, metrics: &Metrics) {
        self.sink.observe(&refined.records);
        self.sink.recounted(&refined.amendments);
        for body in &refined.metrics {
            self.sink.reported(body);
        }
        metrics.delivered(LANE, refined.spans);
    }

    /// A batch is seen, up to `position`.
    pub fn passed(&mut self, position: Position) {
        self.upto = position;
    }
}

/// Goes on with the metrics while the rows lane is stuck.
pub struct Lookahead {
    spool: Arc<Spool>,
    observed: Observed,
    refiner: Refiner,
    config: Config,
    metrics: Metrics,
    stuck: watch::Receiver<bool>,
}

impl Lookahead {
    /// `stuck` says whether the rows lane is.
    pub fn new(
        spool: Arc<Spool>,
        observed: Observed,
        refiner: Refiner,
        config: Config,
        metrics: Metrics,
        stuck: watch::Receiver<bool>,
    ) -> Self {
        Self {
            spool,
            observed,
            refiner,
            config,
            metrics,
            stuck,
        }
    }

    /// Runs until `drain`.
    pub async fn run(mut self, drain: CancellationToken) -> Result<(), spool::Error> {
        loop {
            let mut stuck = self.stuck.clone();
            tokio::select! {
                () = drain.cancelled() => return Ok(()),
                // The lane is gone: there is nothing to stand in for.
                told = stuck.wait_for(|stuck| *stuck) => if told.is_err() { return Ok(()) },
            }
            tokio::select! {
                () = drain.cancelled() => return Ok(()),
                ended = self.stand_in() => ended?,
            }
        }
    }

    async fn stand_in(&mut self) -> Result<(), spool::Error> {
        let from = self.observed.lock().await.upto;
        let mut reader = self.spool.reader(Some(from));
        let mut stuck = self.stuck.clone();
        loop {
            let first = tokio::select! {
                _ = stuck.wait_for(|stuck| !*stuck) => return Ok(()),
                first = reader.next() => first?,
            };
            let mut seen = self.observed.lock().await;
            if !*self.stuck.borrow() || first.position <= seen.upto {
                return Ok(());
            }
            let entries = fill(first, &mut reader, &self.config)?;
            let Some(position) = entries.last().map(|entry| entry.position) else {
                continue;
            };
            at_length(|| {
                self.refiner
                    .refine(&entries, |refined| seen.observe(&refined, &self.metrics));
                seen.passed(position);
            });
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::record::Record;

    /// Scenario: looking at a trace again, together with what another process stored of it, lets the
    /// row of its request go.
    /// Guarantees: the metrics count it, as its row in the store says.
    #[test]
    fn a_request_that_was_held_back_is_counted() {
        let registry = prometheus::Registry::new();
        let sink = Prometheus::new(&Default::default(), &registry).unwrap();
        let mut seen = Seen {
            sink,
            upto: Position::from_parts(1, 0),
        };
        let requests = || {
            let all = registry.gather();
            let family = all.iter().find(|f| f.name() == "genai_requests_total");
            let metrics = family.into_iter().flat_map(|family| family.get_metric());
            metrics.map(|m| m.get_counter().get_value()).sum::<f64>()
        };
        assert_eq!(requests(), 0.0);
        seen.recounted(&Counted {
            records: vec![Record::PipelineRequest(Box::default())],
            ..Counted::default()
        });
        assert_eq!(requests(), 1.0);
    }
}
