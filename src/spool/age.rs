//! How old the oldest entry is that some consumer still needs, without an index: marks a second or
//! more apart, thinned out when there are many.

use std::{collections::VecDeque, ops::Range};

use super::Position;

const STEP_NS: i64 = 1_000_000_000;
const MAX_MARKS: usize = 4096;

/// Receipt times at positions, both growing.
#[derive(Debug, Default)]
pub(super) struct Ages {
    /// (start of an entry, when it was received)
    marks: VecDeque<(Position, i64)>,
    /// End of the newest entry.
    end: Option<Position>,
    consumed: Option<Position>,
}

impl Ages {
    /// An entry became durable.
    pub(super) fn note(&mut self, entry: Range<Position>, received_at: i64) {
        self.end = self.end.max(Some(entry.end));
        if let Some((_, last)) = self.marks.back()
            && received_at.saturating_sub(*last) < STEP_NS
        {
            return;
        }
        if self.marks.len() >= MAX_MARKS {
            let mut index = 0;
            self.marks.retain(|_| {
                index += 1;
                index % 2 == 1
            });
        }
        self.marks.push_back((entry.start, received_at));
    }

    /// Every consumer is past `up_to`.
    pub(super) fn consume(&mut self, up_to: Position) {
        self.consumed = self.consumed.max(Some(up_to));
        while self.marks.get(1).is_some_and(|(start, _)| *start <= up_to) {
            self.marks.pop_front();
        }
        if self.consumed >= self.end {
            self.marks.clear();
        }
    }

    /// Receipt time (at most a step or a thinned step too early) of the oldest entry still needed.
    pub(super) fn oldest(&self) -> Option<i64> {
        self.marks.front().map(|(_, received_at)| *received_at)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn consumed_entries_have_no_age() {
        let at = |offset| Position::from_parts(1, offset);
        let mut ages = Ages::default();
        for second in 0..10_000 {
            ages.note(at(second)..at(second + 1), second as i64 * STEP_NS);
        }
        assert!(ages.marks.len() <= MAX_MARKS);
        assert_eq!(ages.oldest(), Some(0));
        ages.consume(at(9_000));
        let oldest = ages.oldest().unwrap() / STEP_NS;
        assert!((8_990..=9_000).contains(&oldest), "{oldest}");
        ages.consume(at(10_000));
        assert_eq!(ages.oldest(), None);
        ages.note(at(10_001)..at(10_050), 77 * STEP_NS);
        assert_eq!(ages.oldest(), Some(77 * STEP_NS));
    }
}
