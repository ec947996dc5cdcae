//! Where an entry lies.

/// A place in the spool, just past an entry. Opaque but for its order; the two numbers exist for
/// whoever must store it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Position {
    pub(super) segment: u64,
    pub(super) offset: u64,
}

impl Position {
    /// (segment, offset), to be stored.
    pub fn to_parts(self) -> (u64, u64) {
        (self.segment, self.offset)
    }

    /// What [`Position::to_parts`] gave.
    pub fn from_parts(segment: u64, offset: u64) -> Self {
        Self { segment, offset }
    }
}
