//! A look into a response or embedding cache.

use std::sync::Arc;

use smol_str::SmolStr;

use super::{Context, Header};

/// A row of `cache_lookups`.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct CacheLookup {
    /// Ids, times, service.
    pub header: Header,
    /// Which cache: embedding, prompt, ….
    pub cache: SmolStr,
    /// Hash of the key, never the key.
    pub key_hash: Option<SmolStr>,
    /// Whether it was there.
    pub hit: bool,
    /// Who and where.
    pub context: Arc<Context>,
}
