//! A load that keeps books, and the check of the store against them.
//!
//! [`run()`] sends requests of five spans over OTLP as fast as acks come, or at a rate, and notes
//! what was sent and what was acked. [`verify()`] reads those notes and the store, and says what was
//! lost, doubled or never sent. The sender shares the machine with the server under test, so
//! bodies are encoded once and written over.
//!
//! | file | what |
//! |---|---|
//! | `ids` | trace and span ids as functions of the seed and a number, and back |
//! | `spans` | the spans of one request, and what the store should hold for each |
//! | `body` | bodies, encoded once |
//! | `client` | one connection, one request at a time |
//! | `retry` | what an answer means, and when to send again |
//! | `run` | connections, rate, end |
//! | `report` | what a run did |
//! | `latency` | times of acks in bounded memory |
//! | `ledger` | the notes: their file, written and read |
//! | `verify` | notes against the store |

mod body;
mod client;
mod ids;
mod latency;
mod ledger;
mod report;
mod retry;
mod run;
mod spans;
mod verify;

#[cfg(test)]
mod tests;

use std::path::PathBuf;

pub use body::Template;
pub use ids::{RunId, SPANS, Trace};
pub use ledger::{Notes, RunNotes, Writer};
pub use report::{AckMs, Progress, Report};
pub use run::{Amount, Plan, run};
pub use spans::{EXPECTED, Expected, ROWS, Tokens, export_of, request_spans};
pub use verify::{Found, Verdict, verify};

/// How spans are sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Protocol {
    /// OTLP/gRPC
    Grpc,
    /// OTLP/HTTP with protobuf
    HttpProtobuf,
    /// OTLP/HTTP with JSON
    HttpJson,
}

impl Protocol {
    /// All of them.
    pub const ALL: [Protocol; 3] = [Self::Grpc, Self::HttpProtobuf, Self::HttpJson];

    /// As `OTEL_EXPORTER_OTLP_PROTOCOL` has it.
    pub fn as_str(self) -> &'static str {
        match self {
            Protocol::Grpc => "grpc",
            Protocol::HttpProtobuf => "http/protobuf",
            Protocol::HttpJson => "http/json",
        }
    }

    fn content_type(self) -> &'static str {
        match self {
            Protocol::Grpc => "application/grpc",
            Protocol::HttpProtobuf => "application/x-protobuf",
            Protocol::HttpJson => "application/json",
        }
    }
}

/// Where to send.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Endpoint {
    /// Host and port.
    authority: String,
}

impl Endpoint {
    /// From `HOST:PORT` or `http://HOST:PORT`. An error: what is wrong with it.
    pub fn parse(text: &str) -> Result<Self, Error> {
        let wrong = |why| Error::Endpoint {
            endpoint: text.to_owned(),
            why,
        };
        if text.starts_with("https://") {
            return Err(wrong("TLS is not supported: send to the service itself"));
        }
        let authority = text.strip_prefix("http://").unwrap_or(text);
        let authority = authority.trim_end_matches('/');
        let parsed: Result<http::uri::Authority, _> = authority.parse();
        match parsed {
            Ok(parsed) if parsed.port_u16().is_some() && !authority.contains('@') => Ok(Self {
                authority: authority.to_owned(),
            }),
            _ => Err(wrong("it is not HOST:PORT or http://HOST:PORT")),
        }
    }
}

/// Why a load could not run or be checked. Messages fit after "could not".
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// No place to send to.
    #[error("send to {endpoint:?}: {why}")]
    Endpoint {
        /// As given.
        endpoint: String,
        /// What is wrong.
        why: &'static str,
    },
    /// The ledger's file.
    #[error("{action} the ledger {}", path.display())]
    Ledger {
        /// What was tried.
        action: &'static str,
        /// The file.
        path: PathBuf,
        /// Why it failed.
        #[source]
        source: std::io::Error,
    },
    /// A line of the ledger is not one that `load` writes.
    #[error("read line {line} of the ledger {}: {why}", path.display())]
    Line {
        /// The file.
        path: PathBuf,
        /// From 1.
        line: u64,
        /// What is wrong.
        why: String,
    },
    /// A body can't be compressed or framed.
    #[error("make a request")]
    Body(#[source] std::io::Error),
    /// The store can't be asked.
    #[error("ask the store")]
    Store(#[from] sqlx::Error),
}
