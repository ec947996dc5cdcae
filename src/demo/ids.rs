//! Trace and span ids from a seed, in the order in which spans start.

use std::sync::atomic::{AtomicU64, Ordering};

use opentelemetry::trace::{SpanId, TraceId};
use opentelemetry_sdk::trace::IdGenerator;

use super::dice::Dice;

/// Ids from a seed.
#[derive(Debug)]
pub(super) struct SeededIds {
    seed: u64,
    next: AtomicU64,
}

impl SeededIds {
    pub(super) fn new(seed: u64, service: &str) -> Self {
        SeededIds {
            seed: Dice::new(seed, service).roll(),
            next: AtomicU64::new(1),
        }
    }

    fn roll(&self) -> u64 {
        let number = self.next.fetch_add(1, Ordering::Relaxed);
        // Zero is no valid id.
        Dice::new(self.seed.wrapping_add(number), "").roll().max(1)
    }
}

impl IdGenerator for SeededIds {
    fn new_trace_id(&self) -> TraceId {
        TraceId::from(u128::from(self.roll()) << 64 | u128::from(self.roll()))
    }

    fn new_span_id(&self) -> SpanId {
        SpanId::from(self.roll())
    }
}
