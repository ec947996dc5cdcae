//! One entry on disk, pure.
//!
//! | bytes | what |
//! |---|---|
//! | 0..4 | mark, by which a reader finds frames again behind damage |
//! | 4..8 | length of the body |
//! | 8..12 | CRC-32C of bytes 4..8, 12..24 and the body |
//! | 12 | signal: 1 traces, 2 logs, 3 metrics |
//! | 13..16 | zero |
//! | 16..24 | time of receipt, Unix ns |
//! | 24.. | body |

use crate::otlp::Signal;

/// Size of a frame's header.
pub(super) const HEADER_LEN: usize = 24;

/// First bytes of each frame: not UTF-8, and no protobuf tag that OTLP uses.
pub(super) const MARK: [u8; 4] = [0xF5, b'S', b'L', 0xFE];

/// What a frame says of its body.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Header {
    pub(super) signal: Signal,
    pub(super) received_at: i64,
    pub(super) body_len: u32,
    crc: u32,
}

impl Header {
    /// The header for `body`; `None` if it is too long for a frame.
    pub(super) fn new(signal: Signal, received_at: i64, body: &[u8]) -> Option<Self> {
        let mut header = Header {
            signal,
            received_at,
            body_len: u32::try_from(body.len()).ok()?,
            crc: 0,
        };
        header.crc = header.checksum(body);
        Some(header)
    }

    /// Its bytes on disk.
    pub(super) fn encode(&self) -> [u8; HEADER_LEN] {
        let mut out = [0; HEADER_LEN];
        let (mark, rest) = out.split_at_mut(4);
        mark.copy_from_slice(&MARK);
        let (length, rest) = rest.split_at_mut(4);
        length.copy_from_slice(&self.body_len.to_le_bytes());
        let (crc, rest) = rest.split_at_mut(4);
        crc.copy_from_slice(&self.crc.to_le_bytes());
        rest.copy_from_slice(&self.fields());
        out
    }

    /// Reads a header; `None` if these bytes are none.
    pub(super) fn parse(bytes: &[u8]) -> Option<Self> {
        let (mark, rest) = bytes.split_first_chunk::<4>()?;
        let (body_len, rest) = rest.split_first_chunk::<4>()?;
        let (crc, rest) = rest.split_first_chunk::<4>()?;
        let (&[signal, zeros @ ..], rest) = rest.split_first_chunk::<4>()?;
        let (received_at, _) = rest.split_first_chunk::<8>()?;
        if *mark != MARK || zeros != [0; 3] {
            return None;
        }
        let signal = match signal {
            1 => Signal::Traces,
            2 => Signal::Logs,
            3 => Signal::Metrics,
            _ => return None,
        };
        Some(Header {
            signal,
            received_at: i64::from_le_bytes(*received_at),
            body_len: u32::from_le_bytes(*body_len),
            crc: u32::from_le_bytes(*crc),
        })
    }

    /// True if `body` is the one that this header was made for.
    pub(super) fn matches(&self, body: &[u8]) -> bool {
        self.checksum(body) == self.crc
    }

    /// Header and body together.
    pub(super) fn frame_len(&self) -> u64 {
        HEADER_LEN as u64 + u64::from(self.body_len)
    }

    fn fields(&self) -> [u8; 12] {
        let mut out = [0; 12];
        out[0] = match self.signal {
            Signal::Traces => 1,
            Signal::Logs => 2,
            Signal::Metrics => 3,
        };
        let (_, time) = out.split_at_mut(4);
        time.copy_from_slice(&self.received_at.to_le_bytes());
        out
    }

    fn checksum(&self, body: &[u8]) -> u32 {
        let crc = crc32c::crc32c(&self.body_len.to_le_bytes());
        let crc = crc32c::crc32c_append(crc, &self.fields());
        crc32c::crc32c_append(crc, body)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn any_flipped_bit_is_noticed() {
        let body = b"abc";
        let header = Header::new(Signal::Logs, -7, body).unwrap();
        let mut frame = header.encode().to_vec();
        frame.extend_from_slice(body);
        let whole = |frame: &[u8]| {
            Header::parse(frame).filter(|h| h.body_len == 3 && h.matches(&frame[HEADER_LEN..]))
        };
        assert_eq!(whole(&frame), Some(header));
        for bit in 0..frame.len() * 8 {
            let mut flipped = frame.clone();
            flipped[bit / 8] ^= 1 << (bit % 8);
            assert_eq!(whole(&flipped), None, "bit {bit}");
        }
    }
}
