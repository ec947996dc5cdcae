//! Protobuf's wire format: tags, varints, bounded skipping.
//! Source: protobuf.dev/programming-guides/encoding.

use super::Malformed;

/// Groups inside groups beyond this are refused (prost's recursion limit is 100, too).
const MAX_GROUP_DEPTH: u32 = 100;

/// One field's raw value.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Wire<'a> {
    /// Wire type 0.
    Varint(u64),
    /// Wire type 1.
    Fixed64(u64),
    /// Wire type 2.
    Bytes(&'a [u8]),
    /// Wire type 5.
    Fixed32(u32),
}

impl<'a> Wire<'a> {
    /// The bytes of a length-delimited field.
    pub fn bytes(self) -> Option<&'a [u8]> {
        match self {
            Wire::Bytes(b) => Some(b),
            _ => None,
        }
    }
}

/// Brings bytes into the processor's cache. Who walks fields goes from one length to the next, and
/// waits for memory at each; these reads need nothing of one another, and wait together.
pub fn fetch(bytes: &[u8]) {
    let (lines, _) = bytes.as_chunks::<64>();
    let all = lines.iter().fold(0, |all, [first, ..]| all ^ first);
    std::hint::black_box(all);
}

/// The fields of one message, in order. Ends after the first error.
#[derive(Debug, Clone)]
pub struct Fields<'a> {
    buf: &'a [u8],
    /// At the end once anything failed.
    pos: usize,
}

impl<'a> Fields<'a> {
    /// Reads `buf` as a message.
    #[inline]
    pub fn new(buf: &'a [u8]) -> Self {
        Self::from(buf, 0)
    }

    /// Reads `buf` from `pos` on, where a field begins.
    #[inline]
    pub(super) fn from(buf: &'a [u8], pos: usize) -> Self {
        Self { buf, pos }
    }

    /// Bytes read so far: between two fields, where the next one begins.
    pub fn position(&self) -> usize {
        self.pos
    }

    #[cold]
    fn fail(&mut self, what: &'static str) -> Malformed {
        let at = std::mem::replace(&mut self.pos, self.buf.len());
        Malformed { what, at }
    }

    /// Nearly all varints of a request (tags, lengths, small numbers) are one byte or two.
    #[inline]
    fn varint(&mut self) -> Result<u64, Malformed> {
        match self.buf.get(self.pos..) {
            Some(&[byte, ..]) if byte < 0x80 => {
                self.pos += 1;
                Ok(u64::from(byte))
            }
            Some(&[low, high, ..]) if high < 0x80 => {
                self.pos += 2;
                Ok(u64::from(low & 0x7f) | u64::from(high) << 7)
            }
            _ => self.long_varint(),
        }
    }

    #[inline(never)]
    fn long_varint(&mut self) -> Result<u64, Malformed> {
        let mut value = 0u64;
        for shift in 0..10u32 {
            let Some(&byte) = self.buf.get(self.pos) else {
                return Err(self.fail("a varint is cut off"));
            };
            self.pos += 1;
            if shift == 9 && byte > 1 {
                return Err(self.fail("a varint is longer than 64 bits"));
            }
            value |= u64::from(byte & 0x7f) << (7 * shift);
            if byte < 0x80 {
                return Ok(value);
            }
        }
        Err(self.fail("a varint is longer than ten bytes"))
    }

    #[inline]
    fn take(&mut self, len: usize) -> Result<&'a [u8], Malformed> {
        let end = self.pos.checked_add(len);
        match end.and_then(|end| self.buf.get(self.pos..end)) {
            Some(bytes) => {
                self.pos += len;
                Ok(bytes)
            }
            None => Err(self.fail("a field is longer than its message")),
        }
    }

    #[inline]
    fn fixed<const N: usize>(&mut self) -> Result<[u8; N], Malformed> {
        let bytes = self.take(N)?;
        bytes
            .try_into()
            .map_err(|_| self.fail("a fixed field is cut off"))
    }

    #[inline]
    fn tag(&mut self) -> Result<(u32, u32), Malformed> {
        let tag = self.varint()?;
        let Ok(tag) = u32::try_from(tag) else {
            return Err(self.fail("a field number is too large"));
        };
        if tag >> 3 == 0 {
            return Err(self.fail("a field number is zero"));
        }
        Ok((tag >> 3, tag & 7))
    }

    /// Skips a (long deprecated) group without recursion.
    #[cold]
    fn skip_group(&mut self, number: u32) -> Result<(), Malformed> {
        let mut open = vec![number];
        while let Some(&innermost) = open.last() {
            match self.tag()? {
                (_, 0) => drop(self.varint()?),
                (_, 1) => drop(self.take(8)?),
                (_, 2) => {
                    let len = self.varint()?;
                    self.take(usize::try_from(len).unwrap_or(usize::MAX))?;
                }
                (n, 3) if open.len() < MAX_GROUP_DEPTH as usize => open.push(n),
                (n, 4) if n == innermost => drop(open.pop()),
                (_, 5) => drop(self.take(4)?),
                _ => return Err(self.fail("a group does not end where it should")),
            }
        }
        Ok(())
    }

    /// Most fields have a short tag and a body that isn't long: text, ids, attributes.
    #[inline]
    fn short(&mut self) -> Option<(u32, Wire<'a>)> {
        let tag = *self.buf.get(self.pos)?;
        // Wire type 2; number 0 is for the other way to refuse.
        if tag & 0x87 != 2 || tag < 8 {
            return None;
        }
        let body = self.tagged(tag)?;
        Some((u32::from(tag >> 3), Wire::Bytes(body)))
    }

    /// The body of the next field, if it has this tag, of one byte and wire type 2, and isn't long.
    #[inline]
    pub(super) fn tagged(&mut self, tag: u8) -> Option<&'a [u8]> {
        let (body, after) = match *self.buf.get(self.pos..)? {
            [first, len @ ..0x80, ref rest @ ..] if first == tag => {
                rest.split_at_checked(usize::from(len))?
            }
            [first, low, high @ ..0x80, ref rest @ ..] if first == tag => {
                rest.split_at_checked(usize::from(low & 0x7f) | usize::from(high) << 7)?
            }
            _ => return None,
        };
        self.pos = self.buf.len() - after.len();
        Some(body)
    }

    #[inline(never)]
    fn field(&mut self) -> Result<Option<(u32, Wire<'a>)>, Malformed> {
        while self.pos < self.buf.len() {
            let (number, kind) = self.tag()?;
            let value = match kind {
                0 => Wire::Varint(self.varint()?),
                1 => Wire::Fixed64(u64::from_le_bytes(self.fixed()?)),
                2 => {
                    let len = self.varint()?;
                    Wire::Bytes(self.take(usize::try_from(len).unwrap_or(usize::MAX))?)
                }
                3 => {
                    self.skip_group(number)?;
                    continue;
                }
                5 => Wire::Fixed32(u32::from_le_bytes(self.fixed()?)),
                _ => return Err(self.fail("an unknown wire type")),
            };
            return Ok(Some((number, value)));
        }
        Ok(None)
    }
}

impl<'a> Iterator for Fields<'a> {
    type Item = Result<(u32, Wire<'a>), Malformed>;

    #[inline]
    fn next(&mut self) -> Option<Self::Item> {
        if let Some(field) = self.short() {
            return Some(Ok(field));
        }
        if self.pos == self.buf.len() {
            return None;
        }
        self.field().transpose()
    }
}
