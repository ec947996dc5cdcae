//! Traces of which another process may store a part, to be judged again together.
//!
//! Two processes that store the parts of one trace at the same moment can't see one another's
//! rows. One of them has a span whose parent it does not know; it asks the store again a little
//! later, and later still for parts that come from a spool that lagged.

use std::{
    collections::VecDeque,
    time::{Duration, Instant},
};

use super::refine::Part;

/// When a trace is looked at again: after it came, then after each look.
const AFTER: [Duration; 4] = [
    Duration::from_secs(10),
    Duration::from_secs(20),
    Duration::from_secs(60),
    Duration::from_secs(20 * 60),
];
/// Traces that wait; the oldest are let go beyond them.
const MOST: usize = 100_000;
/// Traces of one look.
const AT_ONCE: usize = 500;

/// The traces that wait, a queue for each time.
#[derive(Debug, Default)]
pub(super) struct Recount {
    waiting: [VecDeque<(Instant, Part)>; AFTER.len()],
}

impl Recount {
    /// Lets traces wait for their first look.
    pub fn wait(&mut self, parts: impl IntoIterator<Item = Part>, now: Instant) {
        self.enqueue(0, parts, now);
    }

    fn enqueue(&mut self, queue: usize, parts: impl IntoIterator<Item = Part>, now: Instant) {
        let (Some(waiting), Some(after)) = (self.waiting.get_mut(queue), AFTER.get(queue)) else {
            return;
        };
        waiting.extend(parts.into_iter().map(|part| (now + *after, part)));
        let too_many = waiting.len().saturating_sub(MOST);
        waiting.drain(..too_many);
    }

    /// When the next trace is due.
    pub fn due(&self) -> Option<Instant> {
        self.waiting
            .iter()
            .filter_map(|waiting| waiting.front().map(|(due, _)| *due))
            .min()
    }

    /// The traces that are due; they wait for their next look, if there is one.
    pub fn take(&mut self, now: Instant) -> Vec<Part> {
        let mut taken = Vec::new();
        for queue in 0..AFTER.len() {
            let mut these = Vec::new();
            while let Some(waiting) = self.waiting.get_mut(queue)
                && taken.len() + these.len() < AT_ONCE
                && let Some((_, part)) = waiting.pop_front_if(|(due, _)| *due <= now)
            {
                these.push(part);
            }
            self.enqueue(queue + 1, these.iter().copied(), now);
            taken.append(&mut these);
        }
        taken
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::record::TraceId;

    #[test]
    fn a_trace_is_looked_at_again_and_again_and_then_let_go() {
        let start = Instant::now();
        let mut recount = Recount::default();
        assert_eq!(recount.due(), None);
        recount.wait([(TraceId([1; 16]), 5, 9)], start);
        assert!(recount.take(start).is_empty(), "not at once");
        for after in AFTER {
            let due = recount.due().unwrap();
            assert!(due >= start + after);
            assert_eq!(recount.take(due).len(), 1);
        }
        assert_eq!(recount.due(), None);
    }

    #[test]
    fn the_oldest_are_let_go_beyond_the_bound() {
        let start = Instant::now();
        let mut recount = Recount::default();
        let part = |n: usize| (TraceId((n as u128).to_be_bytes()), 0, 0);
        recount.wait((0..MOST + 7).map(part), start);
        assert_eq!(recount.waiting[0].len(), MOST);
        assert_eq!(recount.waiting[0].front().unwrap().1, part(7));
    }
}
