//! Where a row's numbers came from, so that each can explain itself.

/// Which dialect and which attribute gave each number. Stored as JSON under `spanledger.origin`
/// in the row's `metadata`.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Origin {
    /// The dialect that won.
    pub dialect: &'static str,
    /// (column, attribute key, what was done to the value or ""), for every number of the row.
    pub numbers: Vec<(&'static str, &'static str, &'static str)>,
}
