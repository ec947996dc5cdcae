//! Which traces the memory let go, so that the store is asked about those and no others.

use std::hash::BuildHasher;

use crate::record::{IdHasher, IdMap, TraceId};

/// Traces of one generation. Those of the one that is being filled and of the one before are known by
/// name: 200,000 traces at most, 4 MB. Of older ones only the time is kept.
const GENERATION: usize = 100_000;

/// Traces that were forgotten, by a hash of their id: two with the same one cost a question.
#[derive(Debug, Default)]
pub(super) struct Forgotten {
    /// Whether a trace is of the newer generation.
    traces: IdMap<u64, bool>,
    hasher: IdHasher,
    /// Traces of the newer generation; one that was forgotten twice is two.
    added: usize,
    /// Start of the newest span of the newer generation, Unix ns.
    newer: Option<i64>,
    /// The same of the older one.
    older: Option<i64>,
}

impl Forgotten {
    /// Adds a trace whose newest span started at `newest`. What has to go for it comes back as the
    /// time (Unix ns) up to which spans may be of traces that are not known here any more.
    pub fn add(&mut self, trace: TraceId, newest: i64) -> Option<i64> {
        let hash = self.hasher.hash_one(trace);
        self.traces.insert(hash, true);
        self.added += 1;
        self.newer = self.newer.max(Some(newest));
        if self.added < GENERATION {
            return None;
        }
        self.added = 0;
        // One after the other would be two more places in memory for each trace.
        self.traces.retain(|_, is_newer| std::mem::take(is_newer));
        std::mem::replace(&mut self.older, self.newer.take())
    }

    /// Whether the trace was forgotten.
    pub fn has(&self, trace: TraceId) -> bool {
        self.traces.contains_key(&self.hasher.hash_one(trace))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn trace(number: u64) -> TraceId {
        let mut id = [1; 16];
        id[8..].copy_from_slice(&number.to_be_bytes());
        TraceId::from_wire(&id).expect("an id")
    }

    #[test]
    fn the_oldest_leave_their_time_behind() {
        let mut forgotten = Forgotten::default();
        let all = 3 * GENERATION as u64;
        let told: Vec<(u64, i64)> = (1..=all)
            .filter_map(|number| {
                // Forgotten twice: what it was before must not go for what it is now.
                let first = if number == all { 1 } else { number };
                let time = forgotten.add(trace(first), number as i64)?;
                Some((number, time))
            })
            .collect();
        // At the end of a generation the one before goes.
        let [first, second] = [GENERATION as u64, 2 * GENERATION as u64];
        assert_eq!(told, [(second, first as i64), (all, second as i64)]);
        for number in [1, second + 1, all - 1] {
            assert!(forgotten.has(trace(number)), "{number}");
        }
        for number in [2, first, first + 1, second] {
            assert!(!forgotten.has(trace(number)), "{number}");
        }
    }
}
