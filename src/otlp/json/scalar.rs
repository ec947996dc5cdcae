//! Single values as senders spell them, in strings or as numbers; `None` if it is not one.

/// Any spelling of a 64-bit integer; unsigned ones keep their bits.
pub(super) fn integer(text: &str) -> Option<i64> {
    let text = text.trim();
    text.parse()
        .ok()
        .or_else(|| text.parse::<u64>().ok().map(|n| n as i64))
        .or_else(|| text.parse().ok().and_then(whole))
}

/// 1e3 is a whole number, too.
fn whole(f: f64) -> Option<i64> {
    // The bounds are -2^63 and 2^64.
    let is_whole = f.fract() == 0.0
        && (-9_223_372_036_854_775_808.0..18_446_744_073_709_551_616.0).contains(&f);
    is_whole.then_some(if f < 0.0 { f as i64 } else { f as u64 as i64 })
}

/// A number, "NaN", "Infinity" or "-Infinity"; a number beyond all doubles is none.
pub(super) fn double(text: &str) -> Option<f64> {
    let is_beyond = |n: &f64| n.is_infinite() && text.bytes().any(|byte| byte.is_ascii_digit());
    text.trim().parse().ok().filter(|n| !is_beyond(n))
}

/// "true" or "false" in any case, or a number: 0 is false.
pub(super) fn flag(text: &str) -> Option<bool> {
    match text.trim() {
        word if word.eq_ignore_ascii_case("true") => Some(true),
        word if word.eq_ignore_ascii_case("false") => Some(false),
        number => integer(number).map(|n| n != 0),
    }
}

/// Hex, as OTLP says, or base64, as proto3 JSON would have it; the length tells which. The bytes
/// are at the begin of the array; `None` if it is neither.
pub(super) fn id(text: &str, len: usize) -> Option<[u8; 16]> {
    let text = text.trim().as_bytes();
    let mut id = [0; 16];
    if text.len() == len * 2 {
        let mut all = 0;
        for (byte, pair) in id.iter_mut().zip(text.as_chunks().0) {
            let [high, low] = pair.map(|digit| DIGITS[usize::from(digit)]);
            *byte = high << 4 | low;
            all |= high | low;
        }
        if all < 16 {
            return Some(id);
        }
    }
    let bytes = base64(text)?;
    (bytes.len() == len).then(|| {
        id[..len].copy_from_slice(&bytes);
        id
    })
}

/// The value of every hex digit, 255 for what is none.
const DIGITS: [u8; 256] = {
    let mut digits = [0xff; 256];
    let mut value = 0;
    while value < 16 {
        digits[b"0123456789abcdef"[value] as usize] = value as u8;
        digits[b"0123456789ABCDEF"[value] as usize] = value as u8;
        value += 1;
    }
    digits
};

/// Standard or URL-safe alphabet, with or without padding.
pub(super) fn base64(text: &[u8]) -> Option<Vec<u8>> {
    let padding = text.iter().rev().take_while(|byte| **byte == b'=').count();
    let text = &text[..text.len() - padding];
    let mut out = Vec::with_capacity(text.len() * 3 / 4);
    let (mut bits, mut held) = (0u32, 0u32);
    for byte in text {
        let six = match byte {
            b'A'..=b'Z' => byte - b'A',
            b'a'..=b'z' => byte - b'a' + 26,
            b'0'..=b'9' => byte - b'0' + 52,
            b'+' | b'-' => 62,
            b'/' | b'_' => 63,
            _ => return None,
        };
        bits = bits << 6 | u32::from(six);
        held += 6;
        if held >= 8 {
            held -= 8;
            out.push((bits >> held) as u8);
            bits &= (1 << held) - 1;
        }
    }
    Some(out)
}
