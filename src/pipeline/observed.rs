//! Deliver to the metrics registry.

use super::{
    lane::{Deliver, Undelivered},
    refine::{Refined, Refiner},
};
use crate::{sink::prometheus::Prometheus, spool::Position};

/// The registry as a sink. It can't fail, so metrics flow while the store is down.
pub struct Observed {
    metrics: Prometheus,
    from: Position,
}

impl Observed {
    /// Observes what lies after `from`, the spool's end at the start: what lies before it was
    /// observed by the process that received it.
    pub fn new(metrics: Prometheus, from: Position) -> Self {
        Self { metrics, from }
    }
}

impl Deliver for Observed {
    const LANE: &'static str = "prometheus";

    async fn resume(&mut self, _: &mut Refiner) -> Result<Option<Position>, Undelivered> {
        Ok(Some(self.from))
    }

    async fn deliver(&mut self, refined: &Refined, _: Position) -> Result<(), Undelivered> {
        self.metrics.observe(&refined.records);
        self.metrics.recounted(&refined.amendments);
        for body in &refined.metrics {
            self.metrics.reported(body);
        }
        Ok(())
    }
}
