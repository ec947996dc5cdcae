//! Of the store, only how a record becomes a row.

#[path = "../../src/store/tables/mod.rs"]
mod tables;

pub use tables::row;
