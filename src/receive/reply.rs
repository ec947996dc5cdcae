//! The only table from outcome to gRPC and HTTP status.

use std::time::Duration;

use axum::{body::Body, response::Response};
use bytes::Bytes;
use http::{HeaderValue, StatusCode, header};
use opentelemetry_proto::tonic::collector::trace::v1::{
    ExportTracePartialSuccess, ExportTraceServiceResponse,
};
use prost::Message;
use tonic::{Code, Status};
use tonic_types::{ErrorDetails, StatusExt};

use crate::otlp::Signal;

/// What became of a request.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Outcome {
    /// All of it is on disk, or it was empty.
    Accepted,
    /// All but some items is on disk. Not to be sent again.
    Partial {
        /// How many items can't be used.
        rejected: u64,
        /// Why.
        message: String,
    },
    /// Nothing was taken; the same request may be, later.
    Refused {
        /// When to try again.
        retry_after: Duration,
        /// Why.
        message: String,
    },
    /// Nothing was taken, nor will be.
    Rejected(Rejection, String),
}

/// Why a request never will be taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Rejection {
    /// Can't be read.
    Malformed,
    /// Beyond the limit.
    TooLarge,
    /// A content type or encoding that we don't know.
    Unsupported,
    /// Not a POST.
    Method,
    /// No such service.
    NotFound,
}

/// How an HTTP request was encoded; the answer is encoded the same.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Encoding {
    /// `application/x-protobuf`
    Protobuf,
    /// `application/json`
    Json,
    /// Not known: plain text.
    Text,
}

impl Outcome {
    /// Refused for a moment.
    pub(super) fn busy(message: impl Into<String>) -> Self {
        Outcome::Refused {
            retry_after: Duration::from_secs(1),
            message: message.into(),
        }
    }

    /// Label value.
    pub(super) fn label(&self) -> &'static str {
        match self {
            Outcome::Accepted => "accepted",
            Outcome::Partial { .. } => "partial",
            Outcome::Refused { .. } => "refused",
            Outcome::Rejected(..) => "rejected",
        }
    }

    fn codes(&self) -> (StatusCode, Code) {
        match self {
            Outcome::Accepted | Outcome::Partial { .. } => (StatusCode::OK, Code::Ok),
            Outcome::Refused { .. } => (StatusCode::SERVICE_UNAVAILABLE, Code::Unavailable),
            Outcome::Rejected(why, _) => match why {
                Rejection::Malformed => (StatusCode::BAD_REQUEST, Code::InvalidArgument),
                Rejection::TooLarge => (StatusCode::PAYLOAD_TOO_LARGE, Code::ResourceExhausted),
                Rejection::Unsupported => (StatusCode::UNSUPPORTED_MEDIA_TYPE, Code::Unimplemented),
                Rejection::Method => (StatusCode::METHOD_NOT_ALLOWED, Code::Unimplemented),
                Rejection::NotFound => (StatusCode::NOT_FOUND, Code::Unimplemented),
            },
        }
    }

    /// `Export*ServiceResponse`: the three have the same field numbers.
    fn message(rejected: u64, message: &str) -> Bytes {
        let response = ExportTraceServiceResponse {
            partial_success: Some(ExportTracePartialSuccess {
                rejected_spans: i64::try_from(rejected).unwrap_or(i64::MAX),
                error_message: message.to_owned(),
            }),
        };
        response.encode_to_vec().into()
    }

    /// For gRPC: the response message, or the status.
    pub(super) fn into_grpc(self) -> Result<Bytes, Status> {
        let (_, code) = self.codes();
        match self {
            Outcome::Accepted => Ok(Bytes::new()),
            Outcome::Partial { rejected, message } => Ok(Self::message(rejected, &message)),
            Outcome::Refused {
                retry_after,
                message,
            } => {
                let details = ErrorDetails::with_retry_info(Some(retry_after));
                Err(Status::with_error_details(code, message, details))
            }
            Outcome::Rejected(_, message) => Err(Status::new(code, message)),
        }
    }

    /// For HTTP.
    pub(super) fn into_http(self, signal: Option<Signal>, encoding: Encoding) -> Response {
        let (status, code) = self.codes();
        let body = match (&self, encoding) {
            (Outcome::Accepted, Encoding::Json) => Bytes::from_static(b"{}"),
            (Outcome::Accepted, _) => Bytes::new(),
            (Outcome::Partial { rejected, message }, Encoding::Json) => {
                let rejected_key = match signal {
                    Some(Signal::Logs) => "rejectedLogRecords",
                    Some(Signal::Metrics) => "rejectedDataPoints",
                    Some(Signal::Traces) | None => "rejectedSpans",
                };
                // 64-bit numbers are strings in protobuf's JSON.
                serde_json::json!({
                    "partialSuccess": { rejected_key: rejected.to_string(), "errorMessage": message }
                })
                .to_string()
                .into()
            }
            (Outcome::Partial { rejected, message }, _) => Self::message(*rejected, message),
            (Outcome::Refused { message, .. } | Outcome::Rejected(_, message), encoding) => {
                error_body(code, message, encoding)
            }
        };
        let content_type = HeaderValue::from_static(match encoding {
            Encoding::Protobuf => "application/x-protobuf",
            Encoding::Json => "application/json",
            Encoding::Text => "text/plain; charset=utf-8",
        });
        let mut response = Response::new(Body::from(body));
        *response.status_mut() = status;
        let headers = response.headers_mut();
        headers.insert(header::CONTENT_TYPE, content_type);
        if let Outcome::Refused { retry_after, .. } = self {
            // Whole ones only.
            let seconds = retry_after.as_secs_f64().ceil() as u64;
            headers.insert(header::RETRY_AFTER, HeaderValue::from(seconds));
        }
        if status == StatusCode::METHOD_NOT_ALLOWED {
            headers.insert(header::ALLOW, HeaderValue::from_static("POST"));
        }
        response
    }
}

/// `google.rpc.Status` in the request's encoding.
fn error_body(code: Code, message: &str, encoding: Encoding) -> Bytes {
    match encoding {
        Encoding::Protobuf => tonic_types::Status {
            code: code as i32,
            message: message.to_owned(),
            details: Vec::new(),
        }
        .encode_to_vec()
        .into(),
        Encoding::Json => serde_json::json!({ "code": code as i32, "message": message })
            .to_string()
            .into(),
        Encoding::Text => format!("{message}\n").into(),
    }
}
