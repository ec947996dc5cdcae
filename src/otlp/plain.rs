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

/// True if all bytes are as they should be, looked at a word at a time: `odd` is 0 then, and
/// `is_good` says it of a byte alone. Nothing is decided between the words of a block, so that text
/// of any length takes the same few turns.
#[inline]
fn all(bytes: &[u8], odd: impl Fn(u64) -> u64, is_good: impl Fn(u8) -> bool) -> bool {
    if bytes.len() < 8 {
        return bytes.iter().fold(true, |all, byte| all & is_good(*byte));
    }
    let (words, _) = bytes.as_chunks::<8>();
    let (blocks, words) = words.as_chunks::<4>();
    let is_odd = |words: &[[u8; 8]]| {
        let odd = words.iter().map(|word| odd(u64::from_ne_bytes(*word)));
        odd.fold(0, std::ops::BitOr::bitor) != 0
    };
    // What is left of the last word is looked at with what stands before it.
    let end = bytes.last_chunk().map_or(&[][..], std::slice::from_ref);
    !blocks.iter().any(|block| is_odd(block)) && !is_odd(words) && !is_odd(end)
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
