//! OTLP over HTTP: `/v1/traces`, `/v1/logs`, `/v1/metrics`, protobuf and JSON.

use axum::{
    Router,
    body::{Body, to_bytes},
    extract::State,
    response::Response,
    routing::any,
};
use bytes::Bytes;
use http::{HeaderValue, Method, Request, header};
use tonic::Status;

use super::{
    Shared, body, grpc,
    inflight::Held,
    metrics::Transport,
    reply::{Encoding, Outcome, Rejection},
};
use crate::otlp::{self, Signal};

/// From this size on, JSON is read on a thread of its own: up to it, in about a millisecond.
const LARGE_JSON_BYTES: usize = 1 << 20;
/// `1,` in a list becomes a tag and eight bytes.
const JSON_MAY_GROW: usize = 5;
/// Answers are far smaller.
const MAX_ANSWER_BYTES: usize = 1 << 20;

/// The three paths, with and without a trailing slash; a hint for anything else.
pub(super) fn router(shared: Shared) -> Router {
    let mut router = Router::new();
    for signal in Signal::ALL {
        let export = move |State(shared): State<Shared>, request: Request<Body>| async move {
            export(shared, signal, request).await
        };
        let path = format!("/v1/{}", signal.as_str());
        router = router
            .route(&path, any(export))
            .route(&format!("{path}/"), any(export));
    }
    router.fallback(elsewhere).with_state(shared)
}

async fn elsewhere(State(shared): State<Shared>, request: Request<Body>) -> Response {
    let grpc_addr = shared.grpc_addr;
    if grpc::is_grpc(&request) {
        let hint = format!("this port speaks OTLP over HTTP; OTLP over gRPC is on {grpc_addr}");
        return Status::unimplemented(hint).into_http();
    }
    let hint = format!(
        "no such path; use /v1/traces, /v1/logs or /v1/metrics (OTLP over gRPC is on {grpc_addr})"
    );
    Outcome::Rejected(Rejection::NotFound, hint).into_http(None, Encoding::Text)
}

async fn export(shared: Shared, signal: Signal, request: Request<Body>) -> Response {
    let accepts_gzip = body::accepts_gzip(request.headers());
    let (encoding, outcome) = if request.method() == Method::POST {
        match body::encoding(request.headers()) {
            Ok(encoding) => (encoding, take(&shared, signal, encoding, request).await),
            Err(outcome) => (Encoding::Text, outcome),
        }
    } else {
        let hint = "OTLP is sent by POST".to_owned();
        (Encoding::Text, Outcome::Rejected(Rejection::Method, hint))
    };
    let metrics = &shared.intake.metrics;
    metrics.request(Transport::Http, signal, outcome.label());
    let response = outcome.into_http(Some(signal), encoding);
    if accepts_gzip {
        return compressed(response).await;
    }
    response
}

async fn take(
    shared: &Shared,
    signal: Signal,
    encoding: Encoding,
    request: Request<Body>,
) -> Outcome {
    let coding = match body::coding(request.headers(), "content-encoding") {
        Ok(coding) => coding,
        Err(outcome) => return outcome,
    };
    // Headers take room, too: they go before the body is waited for.
    let request_body = request.into_body();
    let (payload, held) = match body::read(coding, request_body, &shared.limits()).await {
        Ok(read) => read,
        Err(outcome) => return outcome,
    };
    let (payload, _held) = match encoding {
        Encoding::Json => match protobuf(signal, payload, held, shared.max_body_bytes).await {
            Ok(read) => read,
            Err(outcome) => return outcome,
        },
        Encoding::Protobuf | Encoding::Text => (payload, held),
    };
    shared.intake.take(Transport::Http, signal, payload).await
}

/// The same request as protobuf, and the room it takes. Room for both is taken before; where short
/// numbers make it the larger of the two, for all that it may become.
async fn protobuf(
    signal: Signal,
    json: Bytes,
    mut held: Held,
    max_bytes: usize,
) -> Result<(Bytes, Held), Outcome> {
    let len = json.len();
    held.grow(len)?;
    let (mut read, mut held) = transcode(signal, json.clone(), len, held).await?;
    if let Err(otlp::json::Error::TooLarge(_)) = read {
        let most = len.saturating_mul(JSON_MAY_GROW).min(max_bytes.max(len));
        held.grow(most - len)?;
        (read, held) = transcode(signal, json, most, held).await?;
    }
    match read {
        Ok(read) => Ok((read.into(), held)),
        Err(error) => {
            let message = format!(
                "could not read the JSON {} request: {error}",
                signal.as_str()
            );
            let rejection = match error {
                otlp::json::Error::TooLarge(_) => Rejection::TooLarge,
                _ => Rejection::Malformed,
            };
            Err(Outcome::Rejected(rejection, message))
        }
    }
}

/// A large one goes to another thread, and its room with it: that goes on when the client is gone.
async fn transcode(
    signal: Signal,
    json: Bytes,
    max_bytes: usize,
    held: Held,
) -> Result<(Result<Vec<u8>, otlp::json::Error>, Held), Outcome> {
    let is_large = json.len() > LARGE_JSON_BYTES;
    let read = move || (otlp::json::to_protobuf(signal, &json, max_bytes), held);
    if !is_large {
        return Ok(read());
    }
    tokio::task::spawn_blocking(read)
        .await
        .map_err(|_| Outcome::busy("the request could not be read now; try again"))
}

async fn compressed(response: Response) -> Response {
    let (mut parts, body) = response.into_parts();
    let plain = to_bytes(body, MAX_ANSWER_BYTES).await.unwrap_or_default();
    match body::gzip(&plain) {
        Ok(gzip) if !plain.is_empty() => {
            let gzip_name = HeaderValue::from_static("gzip");
            parts.headers.insert(header::CONTENT_ENCODING, gzip_name);
            Response::from_parts(parts, Body::from(gzip))
        }
        _ => Response::from_parts(parts, Body::from(plain)),
    }
}
