//! Tests of the station as a whole.

mod captures;
mod cost;
mod dialects;
mod documented;
mod history;
mod hostile;
mod payload;
mod shapes;
mod spans;
