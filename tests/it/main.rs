//! One binary for all integration tests; modules in path order.

mod alerts;
mod architecture;
mod captures;
mod commands;
mod counting;
mod crash;
mod demo;
mod refusals;
mod sdk_python;
mod store;
mod support;
