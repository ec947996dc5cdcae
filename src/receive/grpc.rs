//! The three gRPC services. Framing and compression are tonic's; the codec hands on the message's
//! bytes as they are.

use std::{
    future::Future,
    pin::Pin,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
};

use axum::{Router, body::Body, extract::State, response::Response, routing::any};
use bytes::{Buf, BufMut, Bytes};
use http::{Request, header};
use tonic::{
    Code, Status,
    codec::{Codec, CompressionEncoding, DecodeBuf, Decoder, EncodeBuf, Encoder},
    server::{Grpc, UnaryService},
};

use super::{
    Shared,
    inflight::{Held, Inflight, Metered, status},
    metrics::Transport,
    reply::{Encoding, Outcome, Rejection},
};
use crate::otlp::Signal;

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
    let reached = Arc::new(AtomicBool::new(false));
    let service = Export {
        shared: shared.clone(),
        signal,
        reached: Arc::clone(&reached),
    };
    let request = request.map(|body| Metered::new(body, &shared.inflight, shared.body_timeout));
    let response = Grpc::new(RawCodec(shared.inflight))
        .accept_compressed(CompressionEncoding::Gzip)
        .accept_compressed(CompressionEncoding::Zstd)
        .send_compressed(CompressionEncoding::Gzip)
        .max_decoding_message_size(shared.max_body_bytes)
        .unary(service, request)
        .await
        .map(Body::new);
    if reached.load(Ordering::Relaxed) {
        return response;
    }
    // tonic could not read the request. To OTLP its OUT_OF_RANGE (too large) asks for another try,
    // and INTERNAL (broken compression or framing) blames us: both are final and the sender's.
    let Some(status) = response.extensions().get::<Status>() else {
        return response;
    };
    let (code, label) = match status.code() {
        Code::OutOfRange => (Code::ResourceExhausted, "rejected"),
        Code::Internal => (Code::InvalidArgument, "rejected"),
        code @ (Code::ResourceExhausted | Code::Unimplemented) => (code, "rejected"),
        code => (code, "refused"),
    };
    shared
        .intake
        .metrics
        .request(Transport::Grpc, signal, label);
    if code == status.code() {
        return response;
    }
    Status::new(code, status.message()).into_http()
}

struct Export {
    shared: Shared,
    signal: Signal,
    reached: Arc<AtomicBool>,
}

impl UnaryService<Received> for Export {
    type Response = Bytes;
    type Future = Pin<Box<dyn Future<Output = Result<tonic::Response<Bytes>, Status>> + Send>>;

    fn call(&mut self, request: tonic::Request<Received>) -> Self::Future {
        self.reached.store(true, Ordering::Relaxed);
        let (intake, signal) = (Arc::clone(&self.shared.intake), self.signal);
        Box::pin(async move {
            let Received { body, _held } = request.into_inner();
            let outcome = intake.take(Transport::Grpc, signal, body).await;
            intake
                .metrics
                .request(Transport::Grpc, signal, outcome.label());
            outcome.into_grpc()
        })
    }
}

/// A message's bytes, and the room they take.
struct Received {
    body: Bytes,
    _held: Held,
}

/// Bytes in, bytes out.
struct RawCodec(Inflight);

struct RawEncoder;

struct RawDecoder(Inflight);

impl Codec for RawCodec {
    type Encode = Bytes;
    type Decode = Received;
    type Encoder = RawEncoder;
    type Decoder = RawDecoder;

    fn encoder(&mut self) -> RawEncoder {
        RawEncoder
    }

    fn decoder(&mut self) -> RawDecoder {
        RawDecoder(self.0.clone())
    }
}

impl Encoder for RawEncoder {
    type Item = Bytes;
    type Error = Status;

    fn encode(&mut self, item: Bytes, dst: &mut EncodeBuf<'_>) -> Result<(), Status> {
        dst.put(item);
        Ok(())
    }
}

impl Decoder for RawDecoder {
    type Item = Received;
    type Error = Status;

    fn decode(&mut self, src: &mut DecodeBuf<'_>) -> Result<Option<Received>, Status> {
        let mut held = self.0.hold();
        held.grow(src.remaining()).map_err(status)?;
        Ok(Some(Received {
            body: src.copy_to_bytes(src.remaining()),
            _held: held,
        }))
    }
}
