//! One binary for all integration tests; modules in path order.

mod architecture;
mod books;
mod captures;
mod commands;
mod counting;
mod crash;
mod demo;
mod faults;
mod load;
mod refusals;
mod sdk_python;
mod store;
mod support;
