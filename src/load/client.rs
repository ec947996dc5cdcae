//! One connection and one request at a time over it. HTTP/1.1 for OTLP/HTTP, HTTP/2 for gRPC, both
//! without TLS: the service listens without it.

use std::time::Duration;

use bytes::Bytes;
use http::{HeaderMap, Request, StatusCode, header};
use http_body_util::{BodyExt, Full};
use hyper::client::conn::{http1, http2};
use hyper_util::rt::{TokioExecutor, TokioIo};
use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceResponse;
use prost::Message;
use tokio::{net::TcpStream, task::JoinHandle, time::timeout};
use tonic::{Code, Status};

use super::{
    Endpoint, Protocol,
    retry::{Answer, of_grpc, of_http},
};

/// A server that takes longer has not taken it: then it is sent again.
const ANSWER_TIMEOUT: Duration = Duration::from_secs(30);
const GRPC_PATH: &str = "/opentelemetry.proto.collector.trace.v1.TraceService/Export";

/// Sends to one endpoint; connects when there is something to send.
#[derive(Debug)]
pub struct Client {
    endpoint: Endpoint,
    protocol: Protocol,
    gzip: bool,
    connection: Option<Connection>,
}

#[derive(Debug)]
struct Connection {
    sender: Sender,
    /// Drives the connection; ended with it.
    driver: JoinHandle<()>,
}

#[derive(Debug)]
enum Sender {
    Http1(http1::SendRequest<Full<Bytes>>),
    Http2(http2::SendRequest<Full<Bytes>>),
}

impl Drop for Connection {
    fn drop(&mut self) {
        self.driver.abort();
    }
}

/// An answer, read to its end.
struct Read {
    status: StatusCode,
    headers: HeaderMap,
    trailers: Option<HeaderMap>,
    body: Bytes,
}

impl Client {
    /// A client that has not connected.
    pub fn new(endpoint: Endpoint, protocol: Protocol, gzip: bool) -> Self {
        Self {
            endpoint,
            protocol,
            gzip,
            connection: None,
        }
    }

    /// Sends a body as [`super::body::Template::body`] makes it. A connection that fails is an
    /// answer, too: nobody knows whether the request was taken, so it is sent again.
    pub async fn export(&mut self, body: Bytes) -> Answer {
        let answered = timeout(ANSWER_TIMEOUT, self.exchange(body)).await;
        let why = match answered {
            Ok(Ok(read)) => return self.meaning(&read),
            Ok(Err(why)) => why,
            Err(_) => format!("no answer within {} s", ANSWER_TIMEOUT.as_secs()),
        };
        self.connection = None;
        Answer::Retry { after: None, why }
    }

    async fn exchange(&mut self, body: Bytes) -> Result<Read, String> {
        let request = self.request(body).map_err(|error| error.to_string())?;
        let connection = match &mut self.connection {
            Some(connection) => connection,
            none => none.insert(connect(&self.endpoint, self.protocol).await?),
        };
        let broke = |error: hyper::Error| format!("the connection broke: {error}");
        let response = match &mut connection.sender {
            Sender::Http1(sender) => {
                sender.ready().await.map_err(broke)?;
                sender.send_request(request).await.map_err(broke)?
            }
            Sender::Http2(sender) => {
                sender.ready().await.map_err(broke)?;
                sender.send_request(request).await.map_err(broke)?
            }
        };
        let (parts, body) = response.into_parts();
        let collected = body.collect().await.map_err(broke)?;
        Ok(Read {
            status: parts.status,
            headers: parts.headers,
            trailers: collected.trailers().cloned(),
            body: collected.to_bytes(),
        })
    }

    fn request(&self, body: Bytes) -> Result<Request<Full<Bytes>>, http::Error> {
        let authority = &self.endpoint.authority;
        let request = match self.protocol {
            Protocol::Grpc => Request::post(format!("http://{authority}{GRPC_PATH}"))
                .header(header::CONTENT_TYPE, "application/grpc")
                .header(header::TE, "trailers"),
            protocol => Request::post("/v1/traces")
                .header(header::HOST, authority)
                .header(header::CONTENT_TYPE, protocol.content_type()),
        };
        let encoding = match self.protocol {
            Protocol::Grpc => "grpc-encoding",
            _ => "content-encoding",
        };
        let request = match self.gzip {
            true => request.header(encoding, "gzip"),
            false => request,
        };
        request.body(Full::new(body))
    }

    fn meaning(&self, read: &Read) -> Answer {
        if self.protocol == Protocol::Grpc {
            let trailers = read.trailers.as_ref().unwrap_or(&read.headers);
            let status = Status::from_header_map(trailers).unwrap_or_else(|| {
                // Something between that does not speak gRPC.
                let code = match read.status.as_u16() {
                    200 | 429 | 502 | 503 | 504 => Code::Unavailable,
                    _ => Code::Unknown,
                };
                Status::new(code, format!("no gRPC status; HTTP {}", read.status))
            });
            if status.code() != Code::Ok {
                return of_grpc(&status);
            }
        } else if read.status != StatusCode::OK {
            return of_http(read.status, &read.headers, &read.body);
        }
        match self.partial(&read.body) {
            Ok(None) => Answer::Accepted,
            Ok(Some((rejected, message))) => Answer::Partial { rejected, message },
            // It said OK: what it took is taken.
            Err(why) => {
                tracing::warn!("an answer can't be read, and is taken as a plain success: {why}");
                Answer::Accepted
            }
        }
    }

    /// What was rejected: (spans, why).
    fn partial(&self, body: &Bytes) -> Result<Option<(u64, String)>, String> {
        let (rejected, message) = match self.protocol {
            Protocol::HttpJson => {
                let json: serde_json::Value =
                    serde_json::from_slice(body).map_err(|error| error.to_string())?;
                let partial = &json["partialSuccess"];
                let rejected = &partial["rejectedSpans"];
                let rejected = match rejected.as_str() {
                    Some(text) => text.parse().map_err(|_| format!("{rejected} spans"))?,
                    None => rejected.as_u64().unwrap_or(0),
                };
                let message = partial["errorMessage"].as_str().unwrap_or_default();
                (rejected, message.to_owned())
            }
            protocol => {
                let frame = match protocol {
                    Protocol::Grpc => body.get(5..).unwrap_or_default(),
                    _ => body,
                };
                let response =
                    ExportTraceServiceResponse::decode(frame).map_err(|error| error.to_string())?;
                let partial = response.partial_success.unwrap_or_default();
                let rejected = u64::try_from(partial.rejected_spans).unwrap_or(0);
                (rejected, partial.error_message)
            }
        };
        Ok((rejected > 0).then_some((rejected, message)))
    }
}

async fn connect(endpoint: &Endpoint, protocol: Protocol) -> Result<Connection, String> {
    let failed = |error: &dyn std::fmt::Display| {
        format!("could not connect to {}: {error}", endpoint.authority)
    };
    let stream = TcpStream::connect(&*endpoint.authority)
        .await
        .map_err(|error| failed(&error))?;
    stream.set_nodelay(true).map_err(|error| failed(&error))?;
    let stream = TokioIo::new(stream);
    // The driver's error is the request's, too.
    Ok(match protocol {
        Protocol::Grpc => {
            let executor = TokioExecutor::new();
            let (sender, driver) = http2::Builder::new(executor)
                .handshake(stream)
                .await
                .map_err(|error| failed(&error))?;
            Connection {
                sender: Sender::Http2(sender),
                driver: tokio::spawn(async move { drop(driver.await) }),
            }
        }
        _ => {
            let (sender, driver) = http1::handshake(stream)
                .await
                .map_err(|error| failed(&error))?;
            Connection {
                sender: Sender::Http1(sender),
                driver: tokio::spawn(async move { drop(driver.await) }),
            }
        }
    })
}
