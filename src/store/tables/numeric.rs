//! Money in the form of the type numeric.

use std::fmt::Write as _;

/// Adds a field: its length, ndigits, weight, sign, dscale, then base-10,000 digits. The decimal is
/// the shortest one that reads back as the same double. It must be finite.
pub(super) fn write(out: &mut Vec<u8>, usd: f64) {
    let mut buffer = zmij::Buffer::new();
    let text = buffer.format_finite(usd.abs());
    let (mantissa, exponent) = text.split_once('e').unwrap_or((text, "0"));
    let (whole, part) = mantissa.split_once('.').unwrap_or((mantissa, ""));
    let exponent: i16 = exponent.parse().unwrap_or_default();
    let units = whole.len();
    // The digits are those of 0.ddd · 10^point.
    let zeros = |text: &str| text.bytes().take_while(|digit| *digit == b'0').count();
    let before = match zeros(whole) {
        some if some < whole.len() => some,
        all => all + zeros(part),
    };
    let part = part.trim_end_matches('0');
    let whole = if part.is_empty() {
        whole.trim_end_matches('0')
    } else {
        whole
    };
    let point = units as i16 + exponent - before as i16;
    let digits = whole.bytes().chain(part.bytes()).skip(before);
    let count = (whole.len() + part.len()).saturating_sub(before) as i16;

    // The length and the four fields before the digits are known after them.
    let header = out.len();
    out.extend_from_slice(&[0; 12]);
    let lead = (-point).rem_euclid(4);
    let mut four = 0;
    for (at, digit) in (lead..).zip(digits) {
        four = four * 10 + i16::from(digit - b'0');
        if at % 4 == 3 {
            out.extend_from_slice(&four.to_be_bytes());
            four = 0;
        }
    }
    let open = (lead + count) % 4;
    if count > 0 && open > 0 {
        let four = (open..4).fold(four, |four, _| four * 10);
        out.extend_from_slice(&four.to_be_bytes());
    }
    let groups = ((out.len() - header) / 2 - 6) as i16;
    let (weight, sign): (i16, u16) = match groups {
        0 => (0, 0),
        _ if usd < 0.0 => ((point - 1).div_euclid(4), 0x4000),
        _ => ((point - 1).div_euclid(4), 0),
    };
    let scale = if groups == 0 {
        0
    } else {
        (count - point).max(0)
    };
    let fields = [0, 8 + 2 * groups, groups, weight, sign as i16, scale];
    if let Some(slot) = out.get_mut(header..header + 12) {
        for (slot, field) in slot.chunks_exact_mut(2).zip(fields) {
            slot.copy_from_slice(&field.to_be_bytes());
        }
    }
}

/// The double that [`write()`] wrote.
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
