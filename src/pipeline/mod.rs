//! Spool to sinks, running: one lane a sink, so that a dead sink holds back only itself.
//!
//! A lane reads entries from the spool, maps, joins content, prices, counts and delivers. What
//! can't be delivered is tried again until it can: a lane never skips. The rows lane resumes where
//! the store's checkpoint says; the metrics lane starts at the spool's end as of the start, because
//! what lies before it was observed by the process that received it.
//!
//! | file | what |
//! |---|---|
//! | `refine` | entries to counted records: the stations in a row, pure |
//! | `lane` | the loop: read, refine, deliver, back off |
//! | `rows` | deliver to the store, with the checkpoint in the same transaction |
//! | `observed` | deliver to the metrics registry |

mod lane;
mod metrics;
mod observed;
mod refine;
mod rows;

use serde::{Deserialize, Serialize};

pub use lane::{Deliver, Lane, Undelivered};
pub use metrics::Metrics;
pub use observed::Observed;
pub use refine::{Refined, Refiner};
pub use rows::Rows;

/// How much a lane takes at once.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Config {
    /// Spool bytes in one batch; a single larger request is a batch of its own.
    pub batch_bytes: usize,
    /// Requests in one batch.
    pub batch_entries: usize,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            batch_bytes: 1 << 20,
            batch_entries: 2_000,
        }
    }
}
