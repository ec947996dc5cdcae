//! Spool to sinks, running.
//!
//! The lane reads entries from the spool, maps, joins content, prices and counts them, shows them
//! to the metrics, packs their rows and delivers those to the store. A batch is sorted by trace and
//! goes through these stations a few traces at a time, so that each finds in the processor's cache
//! what the last one left.
//! What can't be delivered is tried again until it can: the lane never skips. It resumes where the
//! store's checkpoint says. While it is stuck, the lookahead goes on with the metrics alone. Metrics
//! start at the spool's end as of the start: what lies before it was observed by the process that
//! received it.
//!
//! | file | what |
//! |---|---|
//! | `sorted` | the spans of a batch, by trace |
//! | `refine` | entries to counted records, and these to rows: the stations in a row, pure |
//! | `lane` | the loop: read, refine, hand over |
//! | `deliver` | deliver, back off, say how far it is |
//! | `rows` | deliver to the store, with the checkpoint in the same transaction |
//! | `recount` | traces that several processes store in parts |
//! | `books` | spans that came in, and what became of each |
//! | `observed` | the metrics: how far they have seen, and who goes on while the store is down |

mod books;
mod deliver;
mod lane;
mod metrics;
mod observed;
mod recount;
mod refine;
mod rows;
mod sorted;

use serde::{Deserialize, Serialize};

pub use books::Books;
pub use lane::{Lane, Undelivered};
pub use metrics::Metrics;
pub use observed::{Lookahead, Observed};
pub use refine::{Refined, Refiner};
pub use rows::Rows;
pub use sorted::Sorted;

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
            batch_bytes: 2 << 20,
            batch_entries: 2_000,
        }
    }
}
