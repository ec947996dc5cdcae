//! Tests of the station as a whole.

mod captures;
mod dialects;
mod hostile;
mod spans;
