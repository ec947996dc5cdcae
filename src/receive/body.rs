//! Content types; a body read and decompressed within limits.

use std::{
    io::{self, Write},
    time::Duration,
};

use axum::body::Body;
use bytes::Bytes;
use flate2::{Compression, write::GzEncoder, write::MultiGzDecoder};
use http::{HeaderMap, HeaderValue, header};
use http_body::Body as _;
use http_body_util::BodyExt;
use tokio::time::{Instant, timeout_at};

use super::{
    inflight::{Held, Inflight, too_slow},
    reply::{Encoding, Outcome, Rejection},
};

/// Largest zstd window: what RFC 9659 has receivers of a content encoding support.
const ZSTD_WINDOW_LOG: u32 = 23;

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

/// What a body may take.
pub(super) struct Limits<'a> {
    pub(super) max_bytes: usize,
    pub(super) timeout: Duration,
    pub(super) inflight: &'a Inflight,
}

/// Reads the whole body and undoes its Content-Encoding, chunk by chunk; no more than the limit is
/// ever in memory, compressed or not.
pub(super) async fn read(
    headers: &HeaderMap,
    mut body: Body,
    limits: &Limits<'_>,
) -> Result<(Bytes, Held), Outcome> {
    let deadline = Instant::now() + limits.timeout;
    let told = usize::try_from(body.size_hint().lower()).unwrap_or(0);
    let mut decoder = Decoder::new(headers, Sink::new(limits, told))?;
    let mut wire_bytes = 0;
    loop {
        let frame = match timeout_at(deadline, body.frame()).await {
            Err(_) => return Err(too_slow(limits.timeout)),
            Ok(None) => return decoder.finish(wire_bytes == 0),
            Ok(Some(Err(error))) => {
                let message = format!("the request's body broke off: {error}");
                return Err(Outcome::Rejected(Rejection::Malformed, message));
            }
            Ok(Some(Ok(frame))) => frame,
        };
        let Ok(data) = frame.into_data() else {
            continue;
        };
        wire_bytes += data.len();
        let written = if wire_bytes > limits.max_bytes {
            Err(too_large(limits.max_bytes))
        } else {
            decoder.write(data)
        };
        if let Err(outcome) = written {
            // Many clients read no answer before they have sent all.
            discard(body, limits.max_bytes, deadline).await;
            return Err(outcome);
        }
    }
}

async fn discard(mut body: Body, max_bytes: usize, deadline: Instant) {
    let mut left = max_bytes;
    while let Ok(Some(Ok(frame))) = timeout_at(deadline, body.frame()).await {
        match left.checked_sub(frame.data_ref().map_or(0, Bytes::len)) {
            Some(rest) => left = rest,
            None => break,
        }
    }
}

fn too_large(max_bytes: usize) -> Outcome {
    let message = format!(
        "the request is larger than {max_bytes} bytes, the limit with or without compression"
    );
    Outcome::Rejected(Rejection::TooLarge, message)
}

/// Undoes one Content-Encoding.
enum Decoder {
    Identity(Sink),
    Gzip(Box<MultiGzDecoder<Sink>>),
    Zstd(Box<zstd::stream::write::Decoder<'static, Sink>>),
}

impl Decoder {
    fn new(headers: &HeaderMap, sink: Sink) -> Result<Self, Outcome> {
        let mut given = headers.get_all(header::CONTENT_ENCODING).iter();
        let name = given.next().map_or(&b""[..], HeaderValue::as_bytes);
        let name = name.trim_ascii().to_ascii_lowercase();
        match (name.as_slice(), given.next()) {
            (b"" | b"identity", None) => Ok(Decoder::Identity(sink)),
            (b"gzip" | b"x-gzip", None) => Ok(Decoder::Gzip(Box::new(MultiGzDecoder::new(sink)))),
            (b"zstd", None) => {
                let mut operation = zstd::stream::raw::Decoder::new().map_err(unzipped)?;
                let window = zstd::zstd_safe::DParameter::WindowLogMax(ZSTD_WINDOW_LOG);
                operation.set_parameter(window).map_err(unzipped)?;
                let writer = zstd::stream::zio::Writer::new(sink, operation);
                let decoder = zstd::stream::write::Decoder::with_writer(writer);
                Ok(Decoder::Zstd(Box::new(decoder)))
            }
            _ => {
                let hint = "unsupported Content-Encoding; use one of gzip, zstd, identity";
                Err(Outcome::Rejected(Rejection::Unsupported, hint.into()))
            }
        }
    }

    fn sink(&mut self) -> &mut Sink {
        match self {
            Decoder::Identity(sink) => sink,
            Decoder::Gzip(decoder) => decoder.get_mut(),
            Decoder::Zstd(decoder) => decoder.get_mut(),
        }
    }

    fn write(&mut self, data: Bytes) -> Result<(), Outcome> {
        let written = match self {
            Decoder::Identity(sink) => sink.add(data),
            Decoder::Gzip(decoder) => decoder.write_all(&data),
            Decoder::Zstd(decoder) => decoder.write_all(&data),
        };
        self.outcome(written)
    }

    fn finish(mut self, is_empty: bool) -> Result<(Bytes, Held), Outcome> {
        let finished = match &mut self {
            // An empty body is an empty request, whatever it says of its encoding.
            _ if is_empty => Ok(()),
            Decoder::Identity(_) => Ok(()),
            Decoder::Gzip(decoder) => decoder.try_finish(),
            Decoder::Zstd(decoder) => decoder.do_finish(),
        };
        self.outcome(finished)?;
        Ok(self.sink().take())
    }

    fn outcome(&mut self, result: io::Result<()>) -> Result<(), Outcome> {
        result.map_err(|error| match self.sink().stopped.take() {
            Some(outcome) => outcome,
            None => unzipped(error),
        })
    }
}

/// Where the bytes end up: bounded by the limits.
struct Sink {
    /// A body that came in one piece is kept as it is.
    whole: Option<Bytes>,
    pieces: Vec<u8>,
    held: Held,
    inflight: Inflight,
    max_bytes: usize,
    /// The Content-Length; 0 if there is none.
    told: usize,
    /// Why no more is taken.
    stopped: Option<Outcome>,
}

impl Sink {
    fn new(limits: &Limits<'_>, told: usize) -> Self {
        Sink {
            whole: None,
            pieces: Vec::new(),
            held: limits.inflight.hold(),
            inflight: limits.inflight.clone(),
            max_bytes: limits.max_bytes,
            told,
            stopped: None,
        }
    }

    fn reserve(&mut self, bytes: usize) -> io::Result<()> {
        let have = self.whole.as_ref().map_or(0, Bytes::len) + self.pieces.len();
        let room = if have.saturating_add(bytes) > self.max_bytes {
            Err(too_large(self.max_bytes))
        } else {
            self.held.grow(bytes)
        };
        room.map_err(|outcome| {
            self.stopped = Some(outcome);
            io::ErrorKind::FileTooLarge.into()
        })
    }

    fn add(&mut self, data: Bytes) -> io::Result<()> {
        self.reserve(data.len())?;
        if self.whole.is_none() && self.pieces.is_empty() {
            self.whole = Some(data);
            return Ok(());
        }
        if let Some(first) = self.whole.take() {
            self.append(&first);
        }
        self.append(&data);
        Ok(())
    }

    /// Room is doubled as bytes come in, since a length is quickly told; but not beyond that length.
    fn append(&mut self, bytes: &[u8]) {
        let (len, room) = (self.pieces.len() + bytes.len(), self.pieces.capacity());
        if (room + 1..=self.told).contains(&len) {
            let room = (2 * room).clamp(len, self.told);
            self.pieces.reserve_exact(room - self.pieces.len());
        }
        self.pieces.extend_from_slice(bytes);
    }

    fn take(&mut self) -> (Bytes, Held) {
        let pieces = std::mem::take(&mut self.pieces);
        let bytes = self.whole.take().unwrap_or_else(|| pieces.into());
        (
            bytes,
            std::mem::replace(&mut self.held, self.inflight.hold()),
        )
    }
}

impl Write for Sink {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.reserve(bytes.len())?;
        self.append(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
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

fn unzipped(error: io::Error) -> Outcome {
    let message = format!("could not decompress the request: {error}");
    Outcome::Rejected(Rejection::Malformed, message)
}
