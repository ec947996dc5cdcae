//! Money in the form of the type numeric.

use std::{fmt::Write as _, io::Write as _};

/// Digits of a double without an exponent: 309 before the point, or 326 in all below one.
const LONGEST_DECIMAL: usize = 400;

/// Adds a field: its length, ndigits, weight, sign, dscale, then base-10,000 digits. The decimal is the shortest
/// one that reads back as the same double.
pub(super) fn write(out: &mut Vec<u8>, usd: f64) {
    let mut text = [0; LONGEST_DECIMAL];
    let mut rest = text.as_mut_slice();
    // It fits, so it can't fail.
    let _ = write!(rest, "{}", usd.abs());
    let length = LONGEST_DECIMAL - rest.len();
    let text = text.get(..length).unwrap_or_default();
    let point = memchr::memchr(b'.', text).unwrap_or(length);
    let (whole, part) = text.split_at_checked(point).unwrap_or((text, &[]));
    let part = part.get(1..).unwrap_or_default();
    let lead = (4 - whole.len() % 4) % 4;
    let trail = (4 - part.len() % 4) % 4;
    let decimal = std::iter::repeat_n(&b'0', lead)
        .chain(whole)
        .chain(part)
        .chain(std::iter::repeat_n(&b'0', trail));

    // The length and the four fields before the digits are known after them.
    let header = out.len();
    out.extend_from_slice(&[0; 12]);
    let first = out.len();
    let mut weight = (whole.len() + lead) as i16 / 4 - 1;
    let mut digit = 0;
    for (i, byte) in decimal.enumerate() {
        digit = digit * 10 + i16::from(byte - b'0');
        if i % 4 < 3 {
            continue;
        }
        if digit == 0 && out.len() == first {
            weight -= 1;
        } else {
            out.extend_from_slice(&digit.to_be_bytes());
        }
        digit = 0;
    }
    while out.len() > first && out.ends_with(&[0, 0]) {
        out.truncate(out.len() - 2);
    }
    let digits = (out.len() - first) / 2;
    let (weight, sign): (i16, u16) = match digits {
        0 => (0, 0),
        _ if usd < 0.0 => (weight, 0x4000),
        _ => (weight, 0),
    };
    let length = (8 + 2 * digits) as u16;
    let part = part.len() as u16;
    let fields = [0, length, digits as u16, weight as u16, sign, part];
    if let Some(slot) = out.get_mut(header..first) {
        for (slot, field) in slot.chunks_exact_mut(2).zip(fields) {
            slot.copy_from_slice(&field.to_be_bytes());
        }
    }
}

/// The double that [`write`] wrote.
pub(super) fn read(bytes: &[u8]) -> Option<f64> {
    let mut shorts = bytes
        .as_chunks()
        .0
        .iter()
        .map(|two| i16::from_be_bytes(*two));
    let (digits, weight, sign) = (shorts.next()?, shorts.next()?, shorts.next()?);
    let digits = usize::try_from(digits).ok()?;
    let mut text = if sign == 0 { "0" } else { "-0" }.to_owned();
    for digit in shorts.skip(1).take(digits) {
        // Nothing can fail that is written to a string.
        let _ = write!(text, "{digit:04}");
    }
    let exponent = 4 * (i64::from(weight) + 1 - i64::try_from(digits).ok()?);
    let _ = write!(text, "e{exponent}");
    text.parse().ok()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn shorts(usd: f64) -> Vec<i16> {
        let mut out = Vec::new();
        write(&mut out, usd);
        assert_eq!(out[..4], (out.len() as u32 - 4).to_be_bytes());
        out[4..]
            .chunks(2)
            .map(|pair| i16::from_be_bytes([pair[0], pair[1]]))
            .collect()
    }

    #[test]
    fn money_in_numerics_own_form() {
        assert_eq!(shorts(0.0), [0, 0, 0, 0]);
        assert_eq!(shorts(1.5), [2, 0, 0, 1, 1, 5000]);
        assert_eq!(shorts(0.00021), [2, -1, 0, 5, 2, 1000]);
        assert_eq!(shorts(12345.0), [2, 1, 0, 0, 1, 2345]);
        assert_eq!(shorts(-0.5), [1, -1, 0x4000, 1, 5000]);
        assert_eq!(shorts(1e-7), [1, -2, 0, 7, 10]);
        assert_eq!(shorts(20_000.000_000_1)[..4], [4, 1, 0, 7]);
        assert_eq!(shorts(f64::MAX)[..4], [5, 77, 0, 0]);
        assert_eq!(shorts(f64::from_bits(1)), [1, -81, 0, 324, 5]);
    }

    proptest! {
        #![proptest_config(crate::property_tests(256))]

        #[test]
        fn money_is_read_back(usd in proptest::num::f64::NORMAL | proptest::num::f64::SUBNORMAL) {
            for usd in [usd, usd.abs() % 1e3, 0.0] {
                let mut out = Vec::new();
                write(&mut out, usd);
                prop_assert_eq!(read(&out[4..]), Some(usd));
            }
        }
    }
}
