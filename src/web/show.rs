//! Numbers and times as people read them. What is unknown says so.

/// What stands for NULL.
const UNKNOWN: &str = "unknown";

/// Thousands apart.
pub(super) fn count(n: &i64) -> String {
    let digits = n.unsigned_abs().to_string();
    let mut text = String::new();
    for (place, digit) in digits.chars().enumerate() {
        if place > 0 && (digits.len() - place).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    if *n < 0 { format!("−{text}") } else { text }
}

pub(super) fn tokens(n: &Option<i64>) -> String {
    n.as_ref().map_or(UNKNOWN.into(), count)
}

/// Dollars with as many digits as the amount needs.
pub(super) fn usd(amount: &Option<f64>) -> String {
    match amount {
        None => UNKNOWN.into(),
        Some(usd) if *usd == 0.0 => "$0".into(),
        Some(usd) if *usd >= 100.0 => format!("${usd:.2}"),
        Some(usd) if *usd >= 0.01 => format!("${usd:.4}"),
        Some(usd) if *usd < 0.000_001 => "under $0.000001".into(),
        Some(usd) => format!("${usd:.6}"),
    }
}

pub(super) fn duration(ms: &f64) -> String {
    match ms {
        ms if *ms >= 10_000.0 => format!("{:.0} s", ms / 1e3),
        ms if *ms >= 1_000.0 => format!("{:.1} s", ms / 1e3),
        ms => format!("{ms:.0} ms"),
    }
}

pub(super) fn latency(ms: &Option<f64>) -> String {
    ms.as_ref().map_or(UNKNOWN.into(), duration)
}

/// A number of any unit, with three digits after the point where it is small.
pub(super) fn number(n: &Option<f64>) -> String {
    match n {
        None => UNKNOWN.into(),
        Some(n) if n.fract() == 0.0 || n.abs() >= 1_000.0 => count(&(n.round() as i64)),
        Some(n) => format!("{n:.3}"),
    }
}

pub(super) fn text(text: &Option<String>) -> &str {
    text.as_deref().unwrap_or(UNKNOWN)
}

/// `2026-11-20T12:34:56.…Z` as `20 12:34:56`: a day's page needs no year.
pub(super) fn clock(rfc3339: &str) -> &str {
    rfc3339.get(11..19).unwrap_or(rfc3339)
}

/// Share of a whole, in steps of a class name: `w0` to `w20`.
pub(super) fn share(part: &Option<f64>, whole: &f64) -> u8 {
    let part = part.unwrap_or(0.0);
    if *whole > 0.0 && part > 0.0 {
        (part / whole * 20.0).ceil().clamp(1.0, 20.0) as u8
    } else {
        0
    }
}

/// The same for a count.
pub(super) fn part(n: &i64, whole: &f64) -> u8 {
    share(&Some(*n as f64), whole)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn unknown_is_never_zero() {
        assert_eq!(
            (usd(&None), tokens(&None), latency(&None)),
            ("unknown".into(), "unknown".into(), "unknown".into())
        );
        assert_eq!(
            (usd(&Some(0.0)), tokens(&Some(0))),
            ("$0".into(), "0".into())
        );
    }

    #[test]
    fn numbers_read_well() {
        assert_eq!(count(&1_234_567), "1,234,567");
        assert_eq!(count(&999), "999");
        assert_eq!(usd(&Some(0.000_027)), "$0.000027");
        assert_eq!(usd(&Some(1234.5)), "$1234.50");
        assert_eq!(duration(&2_500.0), "2.5 s");
        assert_eq!(clock("2026-11-20T12:34:56.000000Z"), "12:34:56");
        assert_eq!(
            (
                share(&Some(0.001), &1.0),
                share(&None, &1.0),
                share(&Some(1.0), &1.0)
            ),
            (1, 0, 20)
        );
    }
}
