//! Connections: accepting, limits, shutting down. HTTP/1.1 and HTTP/2 without TLS on any port.

use std::{pin::pin, time::Duration};

use axum::Router;
use hyper::{
    body::Incoming,
    service::{Service as _, service_fn},
};
use hyper_util::{
    rt::{TokioExecutor, TokioIo, TokioTimer},
    server::conn::auto::Builder,
    service::TowerToHyperService,
};
use tokio::{
    net::{TcpListener, TcpStream},
    task::JoinSet,
    time::{sleep, timeout},
};
use tokio_util::sync::CancellationToken;

use super::patience::{HEAD_TIMEOUT, Patient, Requests};

/// Headers of a request altogether.
const MAX_HEADER_BYTES: u32 = 32 << 10;
/// HTTP/1.1 reads headers and body chunks through this.
const HTTP1_BUFFER_BYTES: usize = 40 << 10;
const MAX_STREAMS: u32 = 128;
/// What a peer may send before it is read: of one stream, of one connection.
const STREAM_WINDOW_BYTES: u32 = 256 << 10;
const CONNECTION_WINDOW_BYTES: u32 = 512 << 10;
/// Answers that a peer has not read yet, of one connection.
const SEND_BUFFER_BYTES: usize = 64 << 10;
/// Streams that a peer opened and reset before they were looked at (CVE-2023-44487); beyond it the
/// connection is closed.
const MAX_RESETS_BY_PEER: usize = 20;
/// Streams that we reset for the peer's mistakes (CVE-2025-8671); beyond it, too.
const MAX_RESETS_BY_US: usize = 128;
/// HTTP/2 peers that are gone are noticed by these.
const PING_INTERVAL: Duration = Duration::from_secs(30);
const PING_TIMEOUT: Duration = Duration::from_secs(20);
/// After a failed accept: file descriptors run out, and come back with no event to wait for.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

/// What connections may take.
#[derive(Debug, Clone, Copy)]
pub struct Limits {
    /// How many are open; further ones wait.
    pub max_connections: usize,
    /// Within it a peer must read some of what it is sent.
    pub read_timeout: Duration,
}

/// Serves until `stop`; then accepts no more, lets requests under way be answered, and returns.
pub async fn serve(listener: TcpListener, router: Router, limits: Limits, stop: CancellationToken) {
    let mut builder = Builder::new(TokioExecutor::new());
    builder
        .http1()
        // `Patient` has a clock for it, which tells a slow head from a connection at rest.
        .header_read_timeout(None)
        .max_buf_size(HTTP1_BUFFER_BYTES);
    builder
        .http2()
        .timer(TokioTimer::new())
        .max_header_list_size(MAX_HEADER_BYTES)
        .max_concurrent_streams(MAX_STREAMS)
        .initial_stream_window_size(STREAM_WINDOW_BYTES)
        .initial_connection_window_size(CONNECTION_WINDOW_BYTES)
        .max_send_buf_size(SEND_BUFFER_BYTES)
        .max_pending_accept_reset_streams(MAX_RESETS_BY_PEER)
        .max_local_error_reset_streams(MAX_RESETS_BY_US)
        .keep_alive_interval(PING_INTERVAL)
        .keep_alive_timeout(PING_TIMEOUT);
    let mut connections = JoinSet::new();
    let mut is_starved = false;
    loop {
        tokio::select! {
            () = stop.cancelled() => break,
            Some(ended) = connections.join_next() => note(ended),
            accepted = listener.accept(), if connections.len() < limits.max_connections => match accepted {
                Ok((stream, _)) => {
                    is_starved = false;
                    let (builder, router, stop) = (builder.clone(), router.clone(), stop.clone());
                    let read_timeout = limits.read_timeout;
                    connections.spawn(connection(builder, stream, router, read_timeout, stop));
                }
                Err(error) => {
                    if !std::mem::replace(&mut is_starved, true) {
                        tracing::warn!(%error, "could not accept connections; trying again until it can");
                    }
                    sleep(ACCEPT_PAUSE).await;
                }
            },
        }
    }
    drop(listener);
    while let Some(ended) = connections.join_next().await {
        note(ended);
    }
}

fn note(ended: Result<(), tokio::task::JoinError>) {
    if let Err(error) = ended {
        tracing::error!(%error, "a connection's task ended early");
    }
}

async fn connection(
    builder: Builder<TokioExecutor>,
    stream: TcpStream,
    router: Router,
    read_timeout: Duration,
    stop: CancellationToken,
) {
    // Without it, small answers wait for the peer's delayed ACK: 40 ms.
    if let Err(error) = stream.set_nodelay(true) {
        tracing::debug!(%error, "could not set TCP_NODELAY");
    }
    // Nothing else is made before it: a silent connection costs next to nothing.
    tokio::select! {
        () = stop.cancelled() => return,
        first = timeout(HEAD_TIMEOUT, stream.readable()) => if !matches!(first, Ok(Ok(()))) {
            return;
        },
    }
    let (requests, router) = (Requests::default(), TowerToHyperService::new(router));
    let patient = Patient::new(stream, requests.clone(), read_timeout);
    let service = service_fn(move |request: hyper::Request<Incoming>| {
        let (under_way, answered) = (requests.begin(), router.call(request));
        async move {
            let answer = answered.await;
            drop(under_way);
            answer
        }
    });
    let mut serving = pin!(builder.serve_connection(TokioIo::new(patient), service));
    let served = tokio::select! {
        served = serving.as_mut() => served,
        () = stop.cancelled() => {
            serving.as_mut().graceful_shutdown();
            serving.await
        }
    };
    if let Err(error) = served {
        // The peer's doing: cut connections, headers too slow or too large.
        tracing::debug!(error, "a connection broke");
    }
}
