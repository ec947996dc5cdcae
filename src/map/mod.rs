//! STATION 3: attributes to records.
//!
//! Pure: a payload's bytes in, mapped spans and call contents out; no clock, no I/O. Nothing that
//! comes from outside makes it fail: a span with invalid ids is counted and passed over, a value
//! that can't be read is absent, and everything is bounded (see `limits`).
//!
//! ```text
//! attributes ─► lookup ─► read ─► classify ─► call, speech, retrieval, parse, request ─► MappedSpan
//! events     ─► events ────────────────────────▲
//! log events ─► join ─► CallContent
//! ```
//!
//! | file | what |
//! |---|---|
//! | `dialect` | how each family of SDKs spells things: tables |
//! | `fields` | the slots that a dialect fills, and their parsers |
//! | `lookup` | the one pass over the attributes, by all dialects' tables merged |
//! | `read` | what it finds: one value a field |
//! | `classify` | which kind of work a span is, and its role |
//! | `call` `speech` `retrieval` `parse` `request` | fields to one kind of record each |
//! | `names` | provider and models of a call |
//! | `accounting` | tokens made inclusive |
//! | `usage` | usage objects of every API to tokens |
//! | `literal` | JSON, and Python's `repr` of it |
//! | `scan` | JSON of the usual shapes, read in place |
//! | `answer` | the provider's raw answer, where it is exported whole |
//! | `messages` `transcript` | message lists of any shape to prompt, system prompt, answer |
//! | `events` `join` | span events; log events joined to their calls |
//! | `metadata` | what no column takes |
//! | `failure` | status, error class |
//! | `context` | which attribute feeds which context column |
//! | `normal` | one spelling for providers, models, finish reasons, databases |
//! | `times` `limits` | times made sane; how much of a text is kept |

#![deny(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing)]

mod accounting;
mod answer;
mod call;
mod classify;
mod context;
mod dialect;
mod events;
mod failure;
mod fields;
mod join;
mod limits;
mod literal;
mod lookup;
mod mapper;
mod messages;
mod metadata;
mod names;
mod normal;
mod parse;
mod read;
mod request;
mod retrieval;
mod scan;
mod speech;
mod subject;
mod times;
mod transcript;
mod usage;

#[cfg(test)]
mod tests;

pub use dialect::Words;
pub use mapper::{Config, Error, Group, Mapped, Mapper};
