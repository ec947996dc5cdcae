//! One suite, both stores.

mod contract;
mod failures;
mod fixture;
mod history;
mod late;
mod parity;
mod partitions;
mod retention;
