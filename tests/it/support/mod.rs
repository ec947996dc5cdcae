//! Real parts for the tests.

pub mod cap;
pub mod grpc;
pub mod http2;
pub mod load;
pub mod monitoring;
pub mod postgres;
pub mod process;
pub mod proxy;
pub mod rows;
pub mod spans;
