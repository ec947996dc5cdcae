//! Bodies in memory: gathered piece by piece, then decompressed. Both are counted while they grow,
//! so whatever a few bytes unpack to, no more is ever there than the limits allow.

use std::{
    cell::Cell,
    io::{self, BufRead, Read},
};

use bytes::Bytes;
use flate2::bufread::MultiGzDecoder;
use tokio::time::timeout;

use super::{
    body::Limits,
    inflight::Held,
    reply::{Outcome, Rejection},
};

/// Largest zstd window: what RFC 9659 has receivers of a content encoding support.
const ZSTD_WINDOW_LOG: u32 = 23;
/// What grows takes at least this much.
const FIRST_BYTES: usize = 4096;
/// What unpacks to more waits for its turn: one at a time, off the threads that serve others.
const SMALL_BYTES: usize = 1 << 20;
/// So much may be packed without unpacking to as much; what is larger waits for its turn, too, since
/// it takes time even if nothing comes of it.
const SPARE_BYTES: usize = 256 << 10;
/// Unpacked at once.
const STEP_BYTES: usize = 32 << 10;
/// Given to the decoder at once.
const PACKED_STEP_BYTES: usize = 4 << 10;

/// How a body is compressed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Coding {
    /// Not at all.
    Identity,
    /// Any number of gzip members.
    Gzip,
    /// RFC 8878.
    Zstd,
}

impl Coding {
    /// By its name in Content-Encoding or grpc-encoding: one coding, not a list of them.
    pub(super) fn named(name: &[u8]) -> Option<Self> {
        match name.trim_ascii().to_ascii_lowercase().as_slice() {
            b"" | b"identity" => Some(Coding::Identity),
            b"gzip" | b"x-gzip" => Some(Coding::Gzip),
            b"zstd" => Some(Coding::Zstd),
            _ => None,
        }
    }
}

/// A body that is coming in, and the room it takes.
pub(super) struct Gathered {
    /// A body that came in one piece is kept as it is.
    whole: Option<Bytes>,
    pieces: Vec<u8>,
    max_bytes: usize,
    announced: Option<usize>,
    held: Held,
}

impl Gathered {
    /// Nothing yet, and at most what was announced; `max_bytes` if nothing was, or more.
    pub(super) fn new(max_bytes: usize, announced: Option<usize>, held: Held) -> Self {
        Self {
            whole: None,
            pieces: Vec::new(),
            max_bytes: announced.map_or(max_bytes, |bytes| bytes.min(max_bytes)),
            announced: announced.filter(|bytes| *bytes <= max_bytes),
            held,
        }
    }

    /// Takes the next piece.
    pub(super) fn add(&mut self, data: Bytes) -> Result<(), Outcome> {
        if self.whole.is_none() && self.pieces.is_empty() {
            self.held.grow(data.len())?;
            self.whole = Some(data);
            return Ok(());
        }
        if let Some(first) = self.whole.take() {
            self.extend(&first)?;
        }
        self.extend(&data)
    }

    fn extend(&mut self, data: &[u8]) -> Result<(), Outcome> {
        let used = self.pieces.len();
        // Who has sent an eighth of what it announced is taken at its word: the rest is copied once.
        let announced = self.announced.filter(|bytes| used >= bytes / 8);
        let (max_bytes, held) = (self.max_bytes, &mut self.held);
        extend(&mut self.pieces, data, announced, max_bytes, held)
    }

    /// All of it, and its room.
    pub(super) fn finish(self) -> (Bytes, Held) {
        let bytes = self.whole.unwrap_or_else(|| self.pieces.into());
        (bytes, self.held)
    }
}

/// What is taken up is counted, used or not: it is doubled as it runs out, if there is no word of
/// how much it will be.
fn extend(
    buffer: &mut Vec<u8>,
    bytes: &[u8],
    whole: Option<usize>,
    max_bytes: usize,
    held: &mut Held,
) -> Result<(), Outcome> {
    let (used, room) = (buffer.len(), buffer.capacity());
    let needed = used.saturating_add(bytes.len());
    if needed > max_bytes {
        return Err(too_large(max_bytes));
    }
    if needed > room {
        let doubled = room.saturating_mul(2).max(FIRST_BYTES);
        let wanted = whole.unwrap_or(doubled).min(max_bytes).max(needed);
        held.grow(wanted - room)?;
        buffer.reserve_exact(wanted - used);
    }
    buffer.extend_from_slice(bytes);
    Ok(())
}

/// Undoes a coding.
pub(super) async fn unpack(
    coding: Coding,
    packed: Bytes,
    mut held: Held,
    limits: &Limits<'_>,
) -> Result<(Bytes, Held), Outcome> {
    let max_bytes = limits.max_bytes;
    // Empty is an empty request, whatever it says of its coding.
    if coding == Coding::Identity || packed.is_empty() {
        return Ok((packed, held));
    }
    let small = max_bytes.min(SMALL_BYTES);
    if packed.len() <= SPARE_BYTES {
        match unpack_to(coding, &packed, small, &mut held) {
            Err(Outcome::Rejected(Rejection::TooLarge, _)) if small < max_bytes => {}
            unpacked => return unpacked.map(|unpacked| (unpacked, held)),
        }
        held.shrink(packed.len());
    }
    let busy = || Outcome::busy("too many large requests are being decompressed; try again");
    let turn = timeout(limits.timeout, limits.inflight.turn());
    let turn = turn.await.ok().flatten().ok_or_else(busy)?;
    let unpacking = move || {
        let _turn = turn;
        let unpacked = unpack_to(coding, &packed, max_bytes, &mut held)?;
        Ok((unpacked, held))
    };
    let unpacked = tokio::task::spawn_blocking(unpacking).await;
    unpacked.unwrap_or_else(|_| Err(busy()))
}

fn unpack_to(
    coding: Coding,
    packed: &[u8],
    max_bytes: usize,
    held: &mut Held,
) -> Result<Bytes, Outcome> {
    let came = Cell::new(0);
    let packed = Packed {
        rest: packed,
        taken: 0,
        came: &came,
    };
    match coding {
        Coding::Identity => read_all(packed, max_bytes, held, &came),
        Coding::Gzip => read_all(MultiGzDecoder::new(packed), max_bytes, held, &came),
        Coding::Zstd => {
            let mut decoder =
                zstd::stream::read::Decoder::with_buffer(packed).map_err(unreadable)?;
            decoder
                .window_log_max(ZSTD_WINDOW_LOG)
                .map_err(unreadable)?;
            read_all(decoder, max_bytes, held, &came)
        }
    }
}

fn read_all(
    mut from: impl Read,
    max_bytes: usize,
    held: &mut Held,
    came: &Cell<usize>,
) -> Result<Bytes, Outcome> {
    let mut step = vec![0; STEP_BYTES];
    let mut unpacked = Vec::new();
    loop {
        match from.read(&mut step) {
            Ok(0) => return Ok(unpacked.into()),
            Ok(count) => extend(&mut unpacked, &step[..count], None, max_bytes, held)?,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(unreadable(error)),
        }
        came.set(unpacked.len());
    }
}

/// A packed body, for as long as something comes of it: millions of empty blocks would keep a
/// decoder busy for minutes, and no limit on what comes out of it would see that.
struct Packed<'a> {
    rest: &'a [u8],
    taken: usize,
    /// Bytes that came out of it so far.
    came: &'a Cell<usize>,
}

impl BufRead for Packed<'_> {
    fn fill_buf(&mut self) -> io::Result<&[u8]> {
        if self.taken > self.came.get().saturating_add(SPARE_BYTES) {
            return Err(io::Error::other("it is larger than what it unpacks to"));
        }
        Ok(&self.rest[..self.rest.len().min(PACKED_STEP_BYTES)])
    }

    fn consume(&mut self, bytes: usize) {
        self.rest = self.rest.get(bytes..).unwrap_or_default();
        self.taken += bytes;
    }
}

impl Read for Packed<'_> {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        let count = self.fill_buf()?.read(into)?;
        self.consume(count);
        Ok(count)
    }
}

/// The rejection of a body beyond the limit.
pub(super) fn too_large(max_bytes: usize) -> Outcome {
    let message = format!(
        "the request is larger than {max_bytes} bytes, the limit with or without compression"
    );
    Outcome::Rejected(Rejection::TooLarge, message)
}

fn unreadable(error: io::Error) -> Outcome {
    let message = format!("could not decompress the request: {error}");
    Outcome::Rejected(Rejection::Malformed, message)
}
