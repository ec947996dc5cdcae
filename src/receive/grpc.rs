//! The three gRPC services, one message in and one out, on plain HTTP/2
//! (github.com/grpc/grpc/blob/master/doc/PROTOCOL-HTTP2.md). The message's bytes are handed on as
//! they are, and counted while they come in and unpack, which a codec behind a framework can't.

use axum::{Router, body::Body, extract::State, response::Response, routing::any};
use bytes::{BufMut, Bytes, BytesMut};
use http::{HeaderMap, HeaderValue, Request, header};
use http_body_util::{BodyExt, Full};
use tonic::Status;

use super::{
    Shared,
    body::{self, Incoming, Limits},
    inflight::Held,
    metrics::Transport,
    reply::{Encoding, Outcome, Rejection},
    unpack::{Coding, Gathered, too_large, unpack},
};
use crate::otlp::Signal;

/// Before each message: whether it is compressed, and its length (big-endian).
const PREFIX_BYTES: usize = 5;

/// The services on their paths; a hint for what is meant for another port.
pub(super) fn router(shared: Shared) -> Router {
    let mut router = Router::new();
    for signal in Signal::ALL {
        let export = move |State(shared): State<Shared>, request: Request<Body>| async move {
            export(shared, signal, request).await
        };
        router = router.route(path(signal), any(export));
    }
    router.fallback(elsewhere).with_state(shared)
}

fn path(signal: Signal) -> &'static str {
    match signal {
        Signal::Traces => "/opentelemetry.proto.collector.trace.v1.TraceService/Export",
        Signal::Logs => "/opentelemetry.proto.collector.logs.v1.LogsService/Export",
        Signal::Metrics => "/opentelemetry.proto.collector.metrics.v1.MetricsService/Export",
    }
}

/// True if the sender speaks gRPC.
pub(super) fn is_grpc<B>(request: &Request<B>) -> bool {
    request
        .headers()
        .get(header::CONTENT_TYPE)
        .is_some_and(|value| value.as_bytes().starts_with(b"application/grpc"))
}

async fn elsewhere(State(shared): State<Shared>, request: Request<Body>) -> Response {
    if is_grpc(&request) {
        return Status::unimplemented(
            "unknown gRPC method; this port takes Export of OTLP's trace, logs and metrics services",
        )
        .into_http();
    }
    let hint = format!(
        "this port speaks OTLP over gRPC; OTLP over HTTP is on {}",
        shared.http_addr
    );
    Outcome::Rejected(Rejection::NotFound, hint).into_http(None, Encoding::Text)
}

async fn export(shared: Shared, signal: Signal, request: Request<Body>) -> Response {
    if !is_grpc(&request) {
        return elsewhere(State(shared), request).await;
    }
    let coding = body::coding(request.headers(), "grpc-encoding");
    // Headers take room, too: they go before the body is waited for.
    let body = request.into_body();
    let outcome = match coding {
        Ok(coding) => take(&shared, signal, coding, body).await,
        Err(outcome) => outcome,
    };
    let metrics = &shared.intake.metrics;
    metrics.request(Transport::Grpc, signal, outcome.label());
    let is_unsupported = matches!(outcome, Outcome::Rejected(Rejection::Unsupported, _));
    let mut response = match outcome.into_grpc() {
        Ok(message) => success(&message),
        Err(status) => status.into_http(),
    };
    if is_unsupported {
        let codings = HeaderValue::from_static("identity,gzip,zstd");
        let headers = response.headers_mut();
        headers.insert("grpc-accept-encoding", codings);
    }
    response
}

async fn take(shared: &Shared, signal: Signal, coding: Coding, body: Body) -> Outcome {
    let limits = shared.limits();
    match message(coding, body, &limits).await {
        // The room is held until the answer.
        Ok((message, _held)) => shared.intake.take(Transport::Grpc, signal, message).await,
        Err(outcome) => outcome,
    }
}

/// The one message of a request.
async fn message(
    coding: Coding,
    body: Body,
    limits: &Limits<'_>,
) -> Result<(Bytes, Held), Outcome> {
    let mut held = Some(limits.inflight.begin()?);
    let on_the_wire = Limits {
        max_bytes: limits.max_bytes.saturating_add(PREFIX_BYTES),
        ..*limits
    };
    let mut incoming = Incoming::new(body, &on_the_wire);
    let mut prefix = Vec::with_capacity(PREFIX_BYTES);
    let mut message: Option<Message> = None;
    while let Some(mut data) = incoming.next().await? {
        let more = (PREFIX_BYTES - prefix.len()).min(data.len());
        prefix.extend_from_slice(&data.split_to(more));
        if let &[flag, a, b, c, d] = &prefix[..]
            && let Some(held) = held.take()
        {
            let length = u32::from_be_bytes([a, b, c, d]);
            message = Some(Message::begin(flag, coding, length, held, limits)?);
        }
        if let Some(message) = &mut message
            && !data.is_empty()
        {
            message.add(data)?;
        }
    }
    match message {
        Some(Message {
            coding,
            missing: 0,
            gathered,
        }) => {
            let (packed, held) = gathered.finish();
            unpack(coding, packed, held, limits).await
        }
        _ => Err(malformed("its message is cut off")),
    }
}

/// A message that is coming in.
struct Message {
    coding: Coding,
    /// Bytes.
    missing: usize,
    gathered: Gathered,
}

impl Message {
    fn begin(
        flag: u8,
        coding: Coding,
        length: u32,
        held: Held,
        limits: &Limits<'_>,
    ) -> Result<Self, Outcome> {
        let length = usize::try_from(length).unwrap_or(usize::MAX);
        if length > limits.max_bytes {
            return Err(too_large(limits.max_bytes));
        }
        held.could_hold(length)?;
        let coding = match (flag, coding) {
            (0, _) => Coding::Identity,
            (1, Coding::Gzip | Coding::Zstd) => coding,
            _ => return Err(malformed("its compressed flag has no meaning here")),
        };
        Ok(Self {
            coding,
            missing: length,
            gathered: Gathered::new(limits.max_bytes, Some(length), held),
        })
    }

    fn add(&mut self, data: Bytes) -> Result<(), Outcome> {
        let missing = self.missing.checked_sub(data.len());
        self.missing = missing.ok_or_else(|| malformed("there is more than one message in it"))?;
        self.gathered.add(data)
    }
}

fn malformed(what: &str) -> Outcome {
    let message = format!("could not read the gRPC request: {what}");
    Outcome::Rejected(Rejection::Malformed, message)
}

/// OK, with a message.
fn success(message: &[u8]) -> Response {
    let mut framed = BytesMut::with_capacity(PREFIX_BYTES + message.len());
    framed.put_u8(0);
    framed.put_u32(u32::try_from(message.len()).unwrap_or(u32::MAX));
    framed.put_slice(message);
    let mut trailers = HeaderMap::new();
    trailers.insert("grpc-status", HeaderValue::from_static("0"));
    let body = Full::new(framed.freeze()).with_trailers(std::future::ready(Some(Ok(trailers))));
    let mut response = Response::new(Body::new(body));
    let grpc = HeaderValue::from_static("application/grpc");
    response.headers_mut().insert(header::CONTENT_TYPE, grpc);
    response
}
