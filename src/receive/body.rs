//! Content types; a body read within limits.

use std::{
    io::{self, Write},
    time::Duration,
};

use axum::body::Body;
use bytes::Bytes;
use flate2::{Compression, write::GzEncoder};
use http::{HeaderMap, HeaderValue, header};
use http_body::Body as _;
use http_body_util::BodyExt;
use tokio::time::{Instant, timeout_at};

use super::{
    inflight::{Held, Inflight},
    reply::{Encoding, Outcome, Rejection},
    unpack::{Coding, Gathered, too_large, unpack},
};

/// The request's encoding by its Content-Type, parameters aside.
pub(super) fn encoding(headers: &HeaderMap) -> Result<Encoding, Outcome> {
    let given = headers
        .get(header::CONTENT_TYPE)
        .map_or(&[][..], HeaderValue::as_bytes);
    let media_type = given.split(|byte| *byte == b';').next().unwrap_or_default();
    let media_type = media_type.trim_ascii();
    if media_type.eq_ignore_ascii_case(b"application/x-protobuf")
        || media_type.eq_ignore_ascii_case(b"application/protobuf")
    {
        Ok(Encoding::Protobuf)
    } else if media_type.eq_ignore_ascii_case(b"application/json") {
        Ok(Encoding::Json)
    } else {
        let hint = "unsupported Content-Type; use application/x-protobuf or application/json";
        Err(Outcome::Rejected(Rejection::Unsupported, hint.into()))
    }
}

/// The one coding that a header names.
pub(super) fn coding(headers: &HeaderMap, name: &'static str) -> Result<Coding, Outcome> {
    let mut given = headers.get_all(name).iter();
    let first = given.next().map_or(&b""[..], HeaderValue::as_bytes);
    match (Coding::named(first), given.next()) {
        (Some(coding), None) => Ok(coding),
        _ => {
            let hint = format!("unsupported {name}; use one of gzip, zstd, identity");
            Err(Outcome::Rejected(Rejection::Unsupported, hint))
        }
    }
}

/// What a body may take.
pub(super) struct Limits<'a> {
    pub(super) max_bytes: usize,
    pub(super) timeout: Duration,
    pub(super) inflight: &'a Inflight,
}

/// Reads the whole body and undoes its Content-Encoding.
pub(super) async fn read(
    coding: Coding,
    body: Body,
    limits: &Limits<'_>,
) -> Result<(Bytes, Held), Outcome> {
    let mut incoming = Incoming::new(body, limits);
    match incoming.gather(limits).await {
        Ok((packed, held)) => unpack(coding, packed, held, limits).await,
        Err(outcome) => {
            // Many clients read no answer before they have sent all.
            incoming.discard().await;
            Err(outcome)
        }
    }
}

/// A body as it comes in, with a limit on its size and its time.
pub(super) struct Incoming {
    body: Body,
    deadline: Instant,
    timeout: Duration,
    max_bytes: usize,
    received: usize,
    is_over: bool,
}

impl Incoming {
    pub(super) fn new(body: Body, limits: &Limits<'_>) -> Self {
        Self {
            body,
            deadline: Instant::now() + limits.timeout,
            timeout: limits.timeout,
            max_bytes: limits.max_bytes,
            received: 0,
            is_over: false,
        }
    }

    async fn gather(&mut self, limits: &Limits<'_>) -> Result<(Bytes, Held), Outcome> {
        let announced = self.body.size_hint().exact();
        let announced = announced.and_then(|bytes| usize::try_from(bytes).ok());
        let held = limits.inflight.begin()?;
        if let Some(bytes) = announced {
            held.could_hold(bytes.min(limits.max_bytes))?;
        }
        let mut gathered = Gathered::new(limits.max_bytes, announced, held);
        while let Some(data) = self.next().await? {
            gathered.add(data)?;
        }
        Ok(gathered.finish())
    }

    /// The next piece; `None` at the end.
    pub(super) async fn next(&mut self) -> Result<Option<Bytes>, Outcome> {
        loop {
            let frame = timeout_at(self.deadline, self.body.frame()).await;
            let over = match frame {
                Ok(Some(Ok(frame))) => match frame.into_data() {
                    Ok(data) if data.is_empty() => continue,
                    Ok(data) => {
                        self.received = self.received.saturating_add(data.len());
                        return match self.received > self.max_bytes {
                            true => Err(too_large(self.max_bytes)),
                            false => Ok(Some(data)),
                        };
                    }
                    Err(_) => continue,
                },
                Ok(Some(Err(error))) => {
                    let message = format!("the request's body broke off: {error}");
                    Err(Outcome::Rejected(Rejection::Malformed, message))
                }
                Ok(None) => Ok(None),
                // It may be the network's fault: try again.
                Err(_) => Err(Outcome::busy(format!(
                    "the request did not arrive within {} s",
                    self.timeout.as_secs()
                ))),
            };
            self.is_over = true;
            return over;
        }
    }

    /// Reads on to the end and keeps nothing, as far as the limits go.
    async fn discard(mut self) {
        let mut left = self.max_bytes;
        while !self.is_over
            && let Ok(Some(Ok(frame))) = timeout_at(self.deadline, self.body.frame()).await
        {
            match left.checked_sub(frame.data_ref().map_or(0, Bytes::len)) {
                Some(rest) => left = rest,
                None => break,
            }
        }
    }
}

/// True if the sender reads gzip.
pub(super) fn accepts_gzip(headers: &HeaderMap) -> bool {
    headers
        .get_all(header::ACCEPT_ENCODING)
        .iter()
        .filter_map(|value| value.to_str().ok())
        .flat_map(|value| value.split(','))
        .any(|coding| {
            let mut parts = coding.split(';').map(str::trim);
            let is_gzip = parts
                .next()
                .is_some_and(|name| name.eq_ignore_ascii_case("gzip"));
            let is_refused = parts
                .any(|part| part.strip_prefix("q=").and_then(|q| q.parse().ok()) == Some(0.0_f32));
            is_gzip && !is_refused
        })
}

/// Compresses an answer.
pub(super) fn gzip(body: &[u8]) -> io::Result<Vec<u8>> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::fast());
    encoder.write_all(body)?;
    encoder.finish()
}
