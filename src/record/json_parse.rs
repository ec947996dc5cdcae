//! A parse of a model's JSON answer.

use std::sync::Arc;

use smol_str::SmolStr;

use super::{Context, Header};

/// A row of `json_parses`.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct JsonParse {
    /// Ids, times, service.
    pub header: Header,
    /// Whether it parsed in the end.
    pub success: bool,
    /// Whether it had to be repaired.
    pub repaired: Option<bool>,
    /// Whether a fallback answer was used.
    pub fallback: Option<bool>,
    /// Error class.
    pub error_type: Option<SmolStr>,
    /// Who and where.
    pub context: Arc<Context>,
}
