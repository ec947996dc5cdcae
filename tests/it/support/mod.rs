//! Real parts for the tests.

pub mod monitoring;
pub mod postgres;
pub mod process;
pub mod rows;
pub mod spans;
