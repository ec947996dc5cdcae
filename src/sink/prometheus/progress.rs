//! How many requests were in progress, from the times of those that have ended.
//!
//! A span is seen when it has ended and was exported, so the newest seconds are not known yet: the
//! gauge is the mean of the minute before them. A request that runs longer than that is seen too
//! late to be in it.

use std::{
    sync::{Arc, Mutex, PoisonError},
    time::{SystemTime, UNIX_EPOCH},
};

use prometheus::{
    Error, Gauge, Opts, Registry,
    core::{Collector, Desc},
    proto::MetricFamily,
};

use crate::{record::Header, sink::names};

/// Seconds that are remembered.
const SLOTS: i64 = 256;
/// Seconds that exporters take to bring what has ended.
const SETTLING: i64 = 15;
/// Seconds that the mean is of.
const WINDOW: i64 = 60;

/// Seconds of work in each second of the clock.
#[derive(Debug)]
struct Ring {
    work: Vec<f64>,
    /// The newest second that has a slot.
    newest: i64,
}

impl Ring {
    fn new() -> Self {
        Self {
            work: vec![0.0; SLOTS as usize],
            newest: 0,
        }
    }

    fn advance(&mut self, now: i64) {
        let from = (self.newest + 1).max(now - SLOTS + 1);
        for second in from..=now {
            if let Some(slot) = self.slot(second) {
                *slot = 0.0;
            }
        }
        self.newest = self.newest.max(now);
    }

    fn slot(&mut self, second: i64) -> Option<&mut f64> {
        self.work.get_mut(second.rem_euclid(SLOTS) as usize)
    }

    /// Work from `start` to `end`, Unix seconds; what is too old or in the future is left out.
    fn add(&mut self, start: f64, end: f64, now: i64) {
        self.advance(now);
        let first = (start.floor() as i64).max(self.newest - SLOTS + 1);
        let last = (end.floor() as i64).min(self.newest);
        for second in first..=last {
            let from = start.max(second as f64);
            let upto = end.min((second + 1) as f64);
            if let Some(slot) = self.slot(second) {
                *slot += (upto - from).max(0.0);
            }
        }
    }

    fn mean(&mut self, now: i64) -> f64 {
        self.advance(now);
        let upto = now - SETTLING;
        let seconds = (upto - WINDOW..upto).filter_map(|second| self.slot(second).map(|s| *s));
        seconds.sum::<f64>() / WINDOW as f64
    }
}

/// Takes requests.
#[derive(Debug)]
pub(super) struct Progress(Arc<Mutex<Ring>>);

impl Progress {
    pub fn new(registry: &Registry) -> Result<Self, Error> {
        let name = names::IN_PROGRESS;
        let ring = Arc::new(Mutex::new(Ring::new()));
        registry.register(Box::new(Shown {
            ring: Arc::clone(&ring),
            gauge: Gauge::with_opts(Opts::new(name.name, name.help))?,
        }))?;
        Ok(Self(ring))
    }

    pub fn request(&self, header: &Header) {
        let Some(end) = header.completed_at else {
            return;
        };
        let seconds = |ns: i64| ns as f64 / 1e9;
        let mut ring = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        ring.add(seconds(header.started_at), seconds(end), now());
    }
}

/// Computed when asked for.
struct Shown {
    ring: Arc<Mutex<Ring>>,
    gauge: Gauge,
}

impl Collector for Shown {
    fn desc(&self) -> Vec<&Desc> {
        self.gauge.desc()
    }

    fn collect(&self) -> Vec<MetricFamily> {
        let mut ring = self.ring.lock().unwrap_or_else(PoisonError::into_inner);
        self.gauge.set(ring.mean(now()));
        self.gauge.collect()
    }
}

fn now() -> i64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH);
    since.map_or(0, |since| since.as_secs() as i64)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_overlaps_adds_up_and_what_is_over_is_gone() {
        let mut ring = Ring::new();
        let now = 1_000_000;
        for _ in 0..10 {
            ring.add((now - 100) as f64, (now - 5) as f64, now);
        }
        assert!((ring.mean(now) - 10.0).abs() < 1e-9);
        // A hundred a second, each of 20 ms: two at a time.
        for second in now - 75..now - 15 {
            for n in 0..100 {
                let start = second as f64 + f64::from(n) * 0.01;
                ring.add(start, start + 0.02, now);
            }
        }
        assert!((ring.mean(now) - 12.0).abs() < 0.01, "{}", ring.mean(now));
        // 40 seconds of ten and 30 of two in a minute.
        assert!((ring.mean(now + 30) - 460.0 / 60.0).abs() < 0.01);
        assert_eq!(ring.mean(now + 1_000), 0.0);
        ring.add(0.0, 5.0, now + 1_000);
        ring.add(9e9, 9e9 + 5.0, now + 1_000);
        assert_eq!(ring.mean(now + 1_000), 0.0, "too old, and not yet");
    }
}
