//! One export over gRPC, with a message of any bytes.

use std::time::Duration;

use bytes::Bytes;
use http_body_util::{BodyExt, Full};
use hyper::{Request, client::conn::http2};
use hyper_util::rt::{TokioExecutor, TokioIo};
use tonic::Status;
use tonic_types::StatusExt;

/// What became of it.
#[derive(Debug)]
pub struct Answer {
    pub status: Status,
    /// When to try again, if it is told.
    pub retry_after: Option<Duration>,
}

/// A message as it goes over the wire: the compressed flag, its length, its bytes.
pub fn framed(is_compressed: bool, message: &[u8]) -> Vec<u8> {
    let length = u32::try_from(message.len()).unwrap().to_be_bytes();
    [&[u8::from(is_compressed)], &length[..], message].concat()
}

/// Sends a body to the trace service on a connection of its own.
pub fn export(address: &str, encoding: &str, body: Vec<u8>) -> Answer {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap();
    runtime.block_on(async {
        let stream = tokio::net::TcpStream::connect(address).await.unwrap();
        let executor = TokioExecutor::new();
        let (mut sender, connection) = http2::Builder::new(executor)
            .handshake(TokioIo::new(stream))
            .await
            .unwrap();
        tokio::spawn(connection);
        let path = "/opentelemetry.proto.collector.trace.v1.TraceService/Export";
        let request = Request::post(format!("http://{address}{path}"))
            .header("content-type", "application/grpc")
            .header("grpc-encoding", encoding)
            .body(Full::new(Bytes::from(body)))
            .unwrap();
        let (head, body) = sender.send_request(request).await.unwrap().into_parts();
        let status = match Status::from_header_map(&head.headers) {
            Some(status) => status,
            None => {
                let trailers = body.collect().await.unwrap().trailers().cloned();
                Status::from_header_map(&trailers.unwrap()).unwrap()
            }
        };
        let retry = status.get_details_retry_info();
        Answer {
            retry_after: retry.and_then(|retry| retry.retry_delay),
            status,
        }
    })
}
