//! One binary for all integration tests; modules in path order.

mod alerts;
mod architecture;
mod boards;
mod books;
mod captures;
mod commands;
mod counting;
mod crash;
#[path = "../../dashboards/source/mod.rs"]
mod dashboards;
mod demo;
mod deploy;
mod faults;
mod fuzz;
mod health;
mod history;
mod hostile;
mod load;
mod refusals;
mod sdk_python;
mod store;
mod support;
