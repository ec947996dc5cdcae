//! STATION 1: bytes in, durable answer out.
//!
//! Promise: a success is answered once the request is on disk. What can't be taken now is refused
//! with a status that asks the sender to try again; what never will fit or parse is rejected with
//! one that doesn't. It never waits for a database. The received bytes are kept as they are; only
//! JSON is turned into protobuf, once.
//!
//! The contract of an answer (OTLP specification, "OTLP/gRPC response" and "OTLP/HTTP response"):
//!
//! | outcome | gRPC | HTTP |
//! |---|---|---|
//! | accepted | OK | 200 |
//! | partial: some spans can't be used, the others are stored | OK, `partial_success` | 200, `partial_success` |
//! | refused: try again | UNAVAILABLE, `RetryInfo` | 503, `Retry-After` |
//! | rejected: malformed | INVALID_ARGUMENT | 400 |
//! | rejected: too large | RESOURCE_EXHAUSTED without `RetryInfo` | 413 |
//! | rejected: encoding, method, path | UNIMPLEMENTED | 415, 405, 404 |
//!
//! | file | what |
//! |---|---|
//! | `grpc` `http` | the two protocols |
//! | `serve` | connections: accepting, limits, shutting down |
//! | `patience` | how long a connection may keep us waiting |
//! | `body` | content types; a body read within limits |
//! | `unpack` | decompression, bounded while it runs |
//! | `inflight` | the limit on bytes of requests under way |
//! | `intake` | check, append, wait for durable: the one function both protocols call |
//! | `check` | what is wrong with a payload, pure |
//! | `reply` | the only table from outcome to status |
//! | `metrics` | `spanledger_receive_*` |

mod body;
mod check;
mod grpc;
mod http;
mod inflight;
mod intake;
mod metrics;
mod patience;
mod reply;
pub mod serve;
mod unpack;

#[cfg(test)]
mod tests;

use std::{net::SocketAddr, sync::Arc, time::Duration};

use serde::{Deserialize, Serialize};
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;

use crate::spool;
use inflight::Inflight;
use intake::Intake;
use metrics::Metrics;

/// Where to listen, and how much to take.
#[derive(Deserialize, Serialize, Clone, Debug)]
#[serde(default, deny_unknown_fields)]
pub struct Config {
    /// OTLP over gRPC.
    pub grpc_addr: SocketAddr,
    /// OTLP over HTTP.
    pub http_addr: SocketAddr,
    /// Largest request, before and after decompression. A larger one is rejected for good.
    pub max_body_bytes: usize,
    /// Bytes of all requests under way, both forms of the compressed and of JSON ones, and some for
    /// each request itself. What is beyond is refused, and the sender asked to try again; what is
    /// larger than all of it is rejected for good.
    pub max_inflight_bytes: usize,
    /// How long a sender may take for the body of a request, and to read some of its answer.
    pub body_timeout_seconds: u64,
    /// Open connections a listener; further ones wait to be accepted.
    pub max_connections: usize,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            grpc_addr: SocketAddr::from(([127, 0, 0, 1], 4317)),
            http_addr: SocketAddr::from(([127, 0, 0, 1], 4318)),
            max_body_bytes: 64 << 20,
            max_inflight_bytes: 66 << 20,
            body_timeout_seconds: 30,
            max_connections: 1024,
        }
    }
}

/// Why the receivers could not listen.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// An address can't be bound.
    #[error("listen for {protocol} on {addr}")]
    Bind {
        /// "OTLP/gRPC" or "OTLP/HTTP".
        protocol: &'static str,
        /// The address.
        addr: SocketAddr,
        /// Why.
        #[source]
        source: std::io::Error,
    },
    /// The metrics could not be registered.
    #[error("register the receivers' metrics")]
    Metrics(#[from] prometheus::Error),
}

/// What both protocols share.
#[derive(Debug, Clone)]
struct Shared {
    intake: Arc<Intake>,
    inflight: Inflight,
    max_body_bytes: usize,
    body_timeout: Duration,
    grpc_addr: SocketAddr,
    http_addr: SocketAddr,
}

impl Shared {
    fn limits(&self) -> body::Limits<'_> {
        body::Limits {
            max_bytes: self.max_body_bytes,
            timeout: self.body_timeout,
            inflight: &self.inflight,
        }
    }
}

/// Both listeners, bound.
#[derive(Debug)]
pub struct Receivers {
    grpc: TcpListener,
    http: TcpListener,
    shared: Shared,
    max_connections: usize,
}

/// Binds both listeners; port 0 takes any free one. Clients can connect from then on, and are
/// answered once [`Receivers::run`] runs.
pub async fn bind(
    config: &Config,
    appender: spool::Appender,
    registry: &prometheus::Registry,
) -> Result<Receivers, Error> {
    let (grpc, grpc_addr) = listen("OTLP/gRPC", config.grpc_addr).await?;
    let (http, http_addr) = listen("OTLP/HTTP", config.http_addr).await?;
    let metrics = Metrics::register(registry)?;
    let inflight = Inflight::new(config.max_inflight_bytes, metrics.inflight_bytes.clone());
    Ok(Receivers {
        grpc,
        http,
        shared: Shared {
            intake: Arc::new(Intake::new(appender, metrics)),
            inflight,
            max_body_bytes: config.max_body_bytes,
            body_timeout: Duration::from_secs(config.body_timeout_seconds),
            grpc_addr,
            http_addr,
        },
        max_connections: config.max_connections,
    })
}

async fn listen(
    protocol: &'static str,
    addr: SocketAddr,
) -> Result<(TcpListener, SocketAddr), Error> {
    let failed = |source| Error::Bind {
        protocol,
        addr,
        source,
    };
    let listener = TcpListener::bind(addr).await.map_err(failed)?;
    let bound = listener.local_addr().map_err(failed)?;
    Ok((listener, bound))
}

impl Receivers {
    /// Where OTLP/gRPC is listened for.
    pub fn grpc_addr(&self) -> SocketAddr {
        self.shared.grpc_addr
    }

    /// Where OTLP/HTTP is listened for.
    pub fn http_addr(&self) -> SocketAddr {
        self.shared.http_addr
    }

    /// Serves until told to stop, then accepts no more and finishes answering.
    pub async fn run(self, stop: CancellationToken) -> Result<(), Error> {
        let limits = serve::Limits {
            max_connections: self.max_connections,
            read_timeout: self.shared.body_timeout,
        };
        let grpc = grpc::router(self.shared.clone());
        let http = http::router(self.shared);
        tokio::join!(
            serve::serve(self.grpc, grpc, limits, stop.clone()),
            serve::serve(self.http, http, limits, stop),
        );
        Ok(())
    }
}
