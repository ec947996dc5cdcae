//! Protobuf, appended in one pass. A length stands before what it measures, and is known after it:
//! it gets room for a guess, and what follows moves over where the guess was wrong.

use super::read::Text;

/// Where a length will stand, and the room that was left for it.
pub(super) struct Open {
    at: usize,
    room: usize,
}

/// A message without its end.
pub(super) struct Writer {
    pub(super) out: Vec<u8>,
}

impl Writer {
    pub(super) fn varint(&mut self, number: u32, n: u64) {
        self.tag(number, 0, n);
    }

    pub(super) fn fixed64(&mut self, number: u32, bytes: [u8; 8]) {
        push_varint(&mut self.out, u64::from(number << 3 | 1));
        self.out.extend_from_slice(&bytes);
    }

    pub(super) fn bytes(&mut self, number: u32, bytes: &[u8]) {
        self.tag(number, 2, bytes.len() as u64);
        self.out.extend_from_slice(bytes);
    }

    #[inline]
    pub(super) fn text(&mut self, number: u32, text: Text<'_>) {
        match text.plain() {
            Some(plain) => self.bytes(number, plain.as_bytes()),
            None => {
                let open = self.open(number, text.most_bytes());
                text.write(&mut self.out);
                self.close(open);
            }
        }
    }

    /// Begins a field of about `guess` bytes.
    #[inline]
    pub(super) fn open(&mut self, number: u32, guess: usize) -> Open {
        self.tag(number, 2, guess as u64);
        let room = width(guess);
        let at = self.out.len() - room;
        Open { at, room }
    }

    /// Ends it.
    #[inline]
    pub(super) fn close(&mut self, open: Open) {
        let len = self.out.len() - open.at - open.room;
        match self.out.get_mut(open.at) {
            // Most messages are attributes.
            Some(byte) if len < 0x80 && open.room == 1 => *byte = len as u8,
            _ => self.close_long(open, len),
        }
    }

    #[inline(never)]
    fn close_long(&mut self, open: Open, mut len: usize) {
        let (end, room) = (self.out.len(), width(len));
        if room > open.room {
            self.out.resize(end + room - open.room, 0);
        }
        if room != open.room {
            self.out
                .copy_within(open.at + open.room..end, open.at + room);
            self.out.truncate(open.at + room + len);
        }
        for byte in self.out.iter_mut().skip(open.at).take(room) {
            let is_last = len < 0x80;
            *byte = len as u8 & 0x7f | u8::from(!is_last) << 7;
            len >>= 7;
        }
    }

    /// A tag and the varint after it: nearly always a byte each.
    #[inline]
    fn tag(&mut self, number: u32, wire: u32, n: u64) {
        let tag = number << 3 | wire;
        if tag < 0x80 && n < 0x80 {
            return self.out.extend_from_slice(&[tag as u8, n as u8]);
        }
        push_varint(&mut self.out, u64::from(tag));
        push_varint(&mut self.out, n);
    }
}

/// Bytes of a varint.
fn width(n: usize) -> usize {
    let bits = usize::BITS - (n | 1).leading_zeros();
    bits.div_ceil(7) as usize
}

#[inline]
fn push_varint(out: &mut Vec<u8>, mut n: u64) {
    while n >= 0x80 {
        out.push(n as u8 | 0x80);
        n >>= 7;
    }
    out.push(n as u8);
}
