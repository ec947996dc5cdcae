//! Money in the form of the type numeric.

use std::fmt::Write as _;

/// Base-10,000 digits of a double: it has 17 decimal ones at the most.
const MOST_DIGITS: usize = 6;

/// Adds a field: its length, ndigits, weight, sign, dscale, then base-10,000 digits. The decimal is
/// the shortest one that reads back as the same double. It must be finite.
pub(super) fn write(out: &mut Vec<u8>, usd: f64) {
    let (decimal, exponent) = shortest(usd.abs());
    let mut digits = [0; MOST_DIGITS];
    // The last digit holds what is left of it at the decimal's end.
    let open = exponent.rem_euclid(4).unsigned_abs();
    let mut rest = decimal;
    let (mut unit, mut scale) = (10u64.pow(4 - open), 10u64.pow(open));
    let mut count = 0;
    while rest > 0
        && let Some(digit) = digits.get_mut(count)
    {
        *digit = (rest % unit * scale) as i16;
        rest /= unit;
        (unit, scale) = (10_000, 1);
        count += 1;
    }
    let ndigits = count as i16;
    let (weight, dscale) = match ndigits {
        0 => (0, 0),
        _ => (
            exponent.div_euclid(4) as i16 + ndigits - 1,
            -exponent.min(0) as i16,
        ),
    };
    let sign = if ndigits > 0 && usd < 0.0 { 0x4000 } else { 0 };
    out.extend_from_slice(&(8 + 2 * i32::from(ndigits)).to_be_bytes());
    let digits = digits.iter().take(count).rev();
    for short in [ndigits, weight, sign, dscale].iter().chain(digits) {
        out.extend_from_slice(&short.to_be_bytes());
    }
}

/// The shortest decimal of a number that isn't negative, without zeros at its end, and the power of
/// ten that it is to be multiplied by.
fn shortest(number: f64) -> (u64, i32) {
    let mut buffer = zmij::Buffer::new();
    let text = buffer.format_finite(number);
    let (mut decimal, mut exponent, mut is_part) = (0u64, 0i32, false);
    for (at, byte) in text.bytes().enumerate() {
        match byte {
            b'.' => is_part = true,
            b'e' => {
                let said: Option<i32> = text.get(at + 1..).and_then(|said| said.parse().ok());
                exponent += said.unwrap_or_default();
                break;
            }
            // At most 17 digits, and 19 fit.
            digit => {
                decimal = decimal
                    .wrapping_mul(10)
                    .wrapping_add(u64::from(digit.wrapping_sub(b'0')));
                exponent -= i32::from(is_part);
            }
        }
    }
    while decimal > 0 && decimal.is_multiple_of(10) {
        decimal /= 10;
        exponent += 1;
    }
    (decimal, exponent)
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
