//! STATION 7: where mapped batches go. Rows go to the store (see `pipeline::Rows`); metrics go to
//! the registry.
//!
//! | file | what |
//! |---|---|
//! | `names` | every metric that rows become, in one table |
//! | `prometheus` | records to metrics; metrics that apps report themselves |
//! | `labels` | label values within a budget |

mod labels;
mod names;
pub mod prometheus;
