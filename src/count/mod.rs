//! STATION 5: each call once.
//!
//! However many spans describe one model call, its tokens and cost are counted from exactly one:
//!
//! - A **rollup** (agent, chain, SDK wrapper) over any call is a wrapper. Only a rollup that has
//!   usage and no call below it stands for a call itself (a hosted agent, a sampled trace).
//! - A **call directly over a call** (no tool, retrieval or rollup between) is the same call seen
//!   twice, unless their usage shows that it is one more call. The span that says more stands for
//!   it; when both say the same, the inner one, which is nearest to the provider.
//! - A **retrieval over a retrieval** of the same kind is one search; the outer one stands for it
//!   unless only the inner one knows the hits.
//! - A **call made by a tool** is a call of its own.
//! - A **call shown in another trace as well** (same answer's id, same moment) counts in one.
//!
//! Spans of one process end child first, so the rule can nearly always be applied before a row is
//! written. When an ancestor or a child comes late, the rule runs again over what is known of the
//! trace and the difference leaves as [`Amendment`]s. Everything is held in bounded memory
//! ([`Config::max_spans`]). What memory lost or never had (a restart, a late span, another replica's
//! part of the trace) is asked of the store: [`Counter::strangers`], [`Counter::reconcile`].
//!
//! | file | what |
//! |---|---|
//! | `rule` | the rule, a pure function over one trace |
//! | `family` | what is known of a trace: nodes, ancestors |
//! | `forgotten` | which traces had to go |
//! | `nodes` | the spans of a trace, by id and by place |
//! | `answers` | one call shown in several traces |
//! | `judge` | what the rule changes in rows that leave, and in those that have left |
//! | `counter` | batches in, records and amendments out; memory bounds |

mod answers;
mod counter;
mod family;
mod forgotten;
mod judge;
mod nodes;
mod rule;

#[cfg(test)]
mod tests;

use serde::{Deserialize, Serialize};

pub use counter::Counter;

use crate::record::{Amendment, Link, Record, TraceId};

/// Settings of counting.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Config {
    /// Spans of open traces that are remembered (about 200 bytes each). The traces that were
    /// quiet longest are forgotten first; what arrives for them later is counted by what it says
    /// alone.
    pub max_spans: usize,
}

impl Default for Config {
    fn default() -> Self {
        Self { max_spans: 100_000 }
    }
}

/// What counting makes of a batch of spans.
#[derive(Debug, Default)]
pub struct Counted {
    /// New rows, with verdicts, inherited context and the sums of requests filled in.
    pub records: Vec<Record>,
    /// Spans that no row of a call, a search or a request tells of.
    pub links: Vec<Link>,
    /// Changes to rows of earlier batches.
    pub amendments: Vec<Amendment>,
    /// Spans that had been seen before and were left out.
    pub duplicates: u64,
    /// Traces with a span whose parent is not known, or whose request's sums changed, and within
    /// which bounds their spans started (Unix ns): where several processes share a store, another
    /// may store the rest of them.
    pub open: Vec<(TraceId, i64, i64)>,
    /// True if traces of the newest batches are forgotten already: memory is too small for them.
    pub is_forgotten: bool,
}
