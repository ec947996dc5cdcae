//! One suite, both stores.

mod contract;
