//! Which traces the memory let go, so that the store is asked about those and no others.

use std::{collections::VecDeque, hash::BuildHasher};

use rustc_hash::FxHashMap;

use crate::record::TraceId;

/// Traces that are known by name, at most: 5 MB. Of older ones only the time is kept.
const MOST: usize = 100_000;

/// Traces that were forgotten, by a hash of their id: two with the same one cost a question.
#[derive(Debug, Default)]
pub(super) struct Forgotten {
    /// The number of a trace's last entry in the queue.
    last: FxHashMap<u64, u64>,
    /// (hash, start of the newest span in Unix ns), oldest first.
    queue: VecDeque<(u64, i64)>,
    /// Entries that have left the queue.
    gone: u64,
}

impl Forgotten {
    /// Adds a trace whose newest span started at `newest`. What has to go for it comes back as the
    /// time (Unix ns) up to which spans may be of traces that are not known here any more.
    pub fn add(&mut self, trace: TraceId, newest: i64) -> Option<i64> {
        let hash = hash(trace);
        self.last.insert(hash, self.gone + self.queue.len() as u64);
        self.queue.push_back((hash, newest));
        if self.queue.len() <= MOST {
            return None;
        }
        let (hash, newest) = self.queue.pop_front()?;
        if self.last.get(&hash) == Some(&self.gone) {
            self.last.remove(&hash);
        }
        self.gone += 1;
        Some(newest)
    }

    /// Whether the trace was forgotten.
    pub fn has(&self, trace: TraceId) -> bool {
        self.last.contains_key(&hash(trace))
    }
}

fn hash(trace: TraceId) -> u64 {
    rustc_hash::FxBuildHasher.hash_one(trace)
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
        // Forgotten twice: its first entry must not take the second one's place.
        assert_eq!(forgotten.add(trace(0), 5), None);
        for number in 0..MOST as u64 - 1 {
            assert_eq!(forgotten.add(trace(number), 10 + number as i64), None);
        }
        assert_eq!(forgotten.add(trace(MOST as u64), 0), Some(5));
        assert!(forgotten.has(trace(0)));
        assert_eq!(forgotten.add(trace(MOST as u64 + 1), 0), Some(10));
        assert!(!forgotten.has(trace(0)) && forgotten.has(trace(1)));
        assert_eq!(forgotten.queue.len(), MOST);
        assert_eq!(forgotten.last.len(), MOST);
    }
}
