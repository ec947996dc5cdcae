//! Of the pipeline, only how a batch is sorted.

#[path = "../../src/pipeline/sorted.rs"]
mod sorted;

pub use sorted::Sorted;
