//! The rooms that a hostile byte passes on its way to a row, built alone: what fuzzing needs, and
//! a tenth of the dependencies. That this compiles shows that they know nothing of the others.

extern crate self as spanledger;

#[path = "../../src/record/mod.rs"]
pub mod record;

#[path = "../../src/otlp/mod.rs"]
pub mod otlp;

#[path = "../../src/spool/mod.rs"]
pub mod spool;

#[path = "../../src/map/mod.rs"]
pub mod map;

#[path = "../../src/price/mod.rs"]
pub mod price;

#[path = "../../src/count/mod.rs"]
pub mod count;

pub mod pipeline;

pub mod store;

pub mod targets;
