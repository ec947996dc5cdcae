//! What is fuzzed, one file a target: each is a function from bytes to nothing that panics when a
//! promise is broken. libFuzzer runs them (`tests/fuzz/run`), and so does `cargo test --test it
//! fuzz`, over every kept input and some thousand mutations of them.
//!
//! | file | what |
//! |---|---|
//! | `otlp_wire` | the borrowed reader against prost: what prost accepts is read alike |
//! | `otlp_json` | OTLP/JSON to protobuf: no text breaks it, every spelling of a request is that request |
//! | `map` | requests through mapper, prices and counter: rows within their bounds, over every dialect |
//! | `spool_reader` | damaged segments, in memory: what was not hit is handed out |
//! | `spool_folder` | the same as files: the folder opens, also a second time, and takes more |
//! | `prices` | price tables and other people's price files: no cost that is none |
//! | `draw` `request` `json` `segments` | bytes to choices, choices to requests or segments, requests to JSON |
//! | `mutate` | inputs to inputs, without looking at what they cover |

mod draw;
mod json;
mod request;
mod segments;

pub mod map;
pub mod mutate;
pub mod otlp_json;
pub mod otlp_wire;
pub mod prices;
pub mod spool_folder;
pub mod spool_reader;
