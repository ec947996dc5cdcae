//! Text that needs no cleaning, told at a glance.
//!
//! Nearly all names, ids and numbers of a span, and most prompts, are ASCII without a NUL. The
//! standard library's check for UTF-8 goes through short text byte by byte, and NUL is another search:
//! both together were a fifteenth of what mapping a span cost.

/// `bytes` as text, if they are ASCII without a NUL.
#[inline]
pub(super) fn plain(bytes: &[u8]) -> Option<&str> {
    #[allow(unsafe_code, reason = "the safe way would look at every byte again")]
    // SAFETY: ASCII is UTF-8.
    is_plain(bytes).then(|| unsafe { std::str::from_utf8_unchecked(bytes) })
}

/// True if all bytes are between 1 and 127.
#[inline]
fn is_plain(bytes: &[u8]) -> bool {
    // A subtraction borrows from a byte only if it is 0, or comes after one that is.
    let odd = |word: u64| (word.wrapping_sub(ONES) | word) & TOPS;
    all(bytes, odd, |byte| (1..0x80).contains(&byte))
}

/// True if there is a NUL, which no store takes.
#[inline]
pub fn has_nul(text: &[u8]) -> bool {
    // "Bit Twiddling Hacks", S. E. Anderson: "Determine if a word has a zero byte".
    let odd = |word: u64| word.wrapping_sub(ONES) & !word & TOPS;
    !all(text, odd, |byte| byte != 0)
}

const ONES: u64 = u64::from_ne_bytes([1; 8]);
const TOPS: u64 = ONES << 7;

/// True if all bytes are as they should be: `is_good` says it of one, and `odd` is 0 for eight that
/// are. Nothing is decided within a block, so that the compiler looks at many bytes at once.
#[inline]
fn all(bytes: &[u8], odd: impl Fn(u64) -> u64, is_good: impl Fn(u8) -> bool) -> bool {
    if bytes.len() < 8 {
        return bytes.iter().fold(true, |all, byte| all & is_good(*byte));
    }
    let (blocks, rest) = bytes.as_chunks::<32>();
    let is_odd = |word: &[u8; 8]| odd(u64::from_ne_bytes(*word)) != 0;
    let all = |block: &[u8; 32]| block.iter().fold(true, |all, byte| all & is_good(*byte));
    // What is left of the last word is looked at with what stands before it.
    blocks.iter().all(all)
        && !rest.as_chunks().0.iter().any(is_odd)
        && !bytes.last_chunk().is_some_and(is_odd)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_ascii_without_nul_is_plain() {
        for length in 0..200 {
            for fill in [1, b'a', 0x7f] {
                let mut bytes = vec![fill; length];
                assert_eq!(plain(&bytes), std::str::from_utf8(&bytes).ok());
                assert!(!has_nul(&bytes) && !has_nul(&vec![0x80; length]));
                for at in 0..length {
                    for byte in [0, 0x80, 0xc3, 0xff] {
                        bytes[at] = byte;
                        assert_eq!(plain(&bytes), None, "{byte} at {at} of {length}");
                        assert_eq!(has_nul(&bytes), byte == 0, "{byte} at {at} of {length}");
                    }
                    bytes[at] = fill;
                }
            }
        }
    }
}
