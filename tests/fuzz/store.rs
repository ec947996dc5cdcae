//! Of the store, only how a record becomes a row.

#[path = "../../src/store/tables/mod.rs"]
#[allow(dead_code, unused_imports, reason = "the stores use the rest")]
mod tables;

pub use tables::row;
