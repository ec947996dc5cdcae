//! What was last said of each series, to tell what is new.
//!
//! A cumulative series is remembered with its start time: two processes that say the same of
//! themselves are then two series, and a restart counts from zero. A point that comes twice (an
//! export was tried again) counts once.

use std::{
    collections::HashMap,
    hash::{BuildHasher, RandomState},
    time::{Duration, Instant},
};

use opentelemetry_proto::tonic::{
    common::v1::KeyValue, metrics::v1::AggregationTemporality as Temporality,
};
use prost::Message;

use crate::sink::prometheus::calls::amount;

/// Series remembered.
const MAX_SERIES: usize = 10_000;
/// A series that was silent for so long makes room for others.
const SILENCE: Duration = Duration::from_secs(3600);
/// Room is made at most this often.
const CLEARING: Duration = Duration::from_secs(60);

/// One data point of any kind, as far as it is used.
pub(super) struct Point<'a> {
    pub attributes: &'a [KeyValue],
    pub start: u64,
    pub time: u64,
    pub sum: Option<f64>,
    pub count: u64,
    pub empty: bool,
}

#[derive(Debug, Clone, Copy)]
struct Last {
    start: u64,
    time: u64,
    sum: f64,
    count: u64,
    seen: Instant,
}

/// What was last said of each series.
#[derive(Debug, Default)]
pub(super) struct Memory {
    series: HashMap<u64, Last>,
    hasher: RandomState,
    cleared: Option<Instant>,
}

impl Memory {
    /// Identity of a series: the order of attributes doesn't matter.
    pub fn key(&self, metric: &str, resource: &[KeyValue], point: &[KeyValue]) -> u64 {
        let sorted = |attributes: &[KeyValue]| {
            let mut all: Vec<_> = attributes.iter().map(Message::encode_to_vec).collect();
            all.sort_unstable();
            all
        };
        self.hasher
            .hash_one((metric, sorted(resource), sorted(point)))
    }

    /// What a point adds to what is known; `None` if that can't be said.
    pub fn new_part(
        &mut self,
        key: u64,
        temporality: Temporality,
        point: &Point<'_>,
        now: Instant,
    ) -> Option<(f64, u64)> {
        let (sum, count) = (point.sum.and_then(amount)?, point.count);
        amount(count as f64)?;
        let key = match temporality {
            Temporality::Unspecified => return None,
            Temporality::Delta => key,
            Temporality::Cumulative => self.hasher.hash_one((key, point.start)),
        };
        let last = self.series.get(&key).copied();
        let (part, is_new) = match (temporality, last) {
            (_, None) => ((sum, count), true),
            (Temporality::Delta, Some(last)) => {
                let twice = point.time != 0 && (point.start, point.time) == (last.start, last.time);
                (if twice { (0.0, 0) } else { (sum, count) }, !twice)
            }
            // Late or again.
            (_, Some(last)) if point.time != 0 && point.time <= last.time => ((0.0, 0), false),
            // Reset: it counts from zero.
            (_, Some(last)) if sum < last.sum || count < last.count => ((sum, count), true),
            (_, Some(last)) => ((sum - last.sum, count - last.count), true),
        };
        if last.is_none() && !self.has_room(now) {
            // A delta needs no memory, except to be recognised if it comes twice.
            return (temporality == Temporality::Delta).then_some(part);
        }
        if is_new {
            let last = Last {
                start: point.start,
                time: point.time,
                sum,
                count,
                seen: now,
            };
            self.series.insert(key, last);
        } else if let Some(last) = self.series.get_mut(&key) {
            last.seen = now;
        }
        Some(part)
    }

    fn has_room(&mut self, now: Instant) -> bool {
        let due = self
            .cleared
            .is_none_or(|then| now.duration_since(then) >= CLEARING);
        if self.series.len() >= MAX_SERIES && due {
            self.cleared = Some(now);
            self.series
                .retain(|_, last| now.duration_since(last.seen) < SILENCE);
        }
        self.series.len() < MAX_SERIES
    }

    #[cfg(test)]
    pub fn len(&self) -> usize {
        self.series.len()
    }
}
