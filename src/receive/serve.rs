//! Connections: accepting, limits, shutting down. HTTP/1.1 and HTTP/2 without TLS on either port.

use std::{pin::pin, time::Duration};

use axum::Router;
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

/// A connection that sends nothing at first is closed.
const FIRST_BYTE_TIMEOUT: Duration = Duration::from_secs(60);
/// Time for a request's headers. In HTTP/1.1 an idle connection counts, too.
const HEADER_TIMEOUT: Duration = Duration::from_secs(30);
/// Headers of a request altogether.
const MAX_HEADER_BYTES: u32 = 32 << 10;
/// HTTP/1.1 reads headers and body chunks through this.
const HTTP1_BUFFER_BYTES: usize = 64 << 10;
const MAX_STREAMS: u32 = 128;
/// HTTP/2 peers that are gone are noticed by these.
const PING_INTERVAL: Duration = Duration::from_secs(30);
const PING_TIMEOUT: Duration = Duration::from_secs(20);
/// After a failed accept: file descriptors run out, and come back with no event to wait for.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

/// Serves until `stop`; then accepts no more, lets requests under way be answered, and returns.
pub(super) async fn serve(
    listener: TcpListener,
    router: Router,
    max_connections: usize,
    stop: CancellationToken,
) {
    let mut builder = Builder::new(TokioExecutor::new());
    builder
        .http1()
        .timer(TokioTimer::new())
        .header_read_timeout(HEADER_TIMEOUT)
        .max_buf_size(HTTP1_BUFFER_BYTES);
    builder
        .http2()
        .timer(TokioTimer::new())
        .max_header_list_size(MAX_HEADER_BYTES)
        .max_concurrent_streams(MAX_STREAMS)
        .keep_alive_interval(PING_INTERVAL)
        .keep_alive_timeout(PING_TIMEOUT);
    let mut connections = JoinSet::new();
    let mut is_starved = false;
    loop {
        tokio::select! {
            () = stop.cancelled() => break,
            Some(ended) = connections.join_next() => note(ended),
            accepted = listener.accept(), if connections.len() < max_connections => match accepted {
                Ok((stream, _)) => {
                    is_starved = false;
                    let (builder, router, stop) = (builder.clone(), router.clone(), stop.clone());
                    connections.spawn(connection(builder, stream, router, stop));
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
    stop: CancellationToken,
) {
    // Without it, small answers wait for the peer's delayed ACK: 40 ms.
    if let Err(error) = stream.set_nodelay(true) {
        tracing::debug!(%error, "could not set TCP_NODELAY");
    }
    tokio::select! {
        () = stop.cancelled() => return,
        first = timeout(FIRST_BYTE_TIMEOUT, stream.readable()) => if !matches!(first, Ok(Ok(()))) {
            return;
        },
    }
    let service = TowerToHyperService::new(router);
    let mut serving = pin!(builder.serve_connection(TokioIo::new(stream), service));
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
