//! Times made sane.
//!
//! A start that is missing, before the year 2000 (seconds or milliseconds where nanoseconds
//! belong) or more than a day after the request was received is no time: the request's own stands
//! in. Old spans are kept as they are: an import brings years of them. An end that is missing is
//! unknown; one before the start is the start; where the start was replaced, the end follows by
//! the same duration.

/// A day, ns.
const DAY: i64 = 86_400_000_000_000;
/// 2000-01-01T00:00:00Z, ns.
const OLDEST: i64 = 946_684_800_000_000_000;
/// A span that lasts longer than this has a wrong end.
const LONGEST: i64 = 366 * DAY;

/// Start and end of a span, Unix ns; the start always stands.
pub fn sane(start: u64, end: u64, received_at: i64) -> (i64, Option<i64>) {
    let latest = received_at.saturating_add(DAY);
    let good = |time: u64| {
        i64::try_from(time)
            .ok()
            .filter(|t| (OLDEST..=latest).contains(t))
    };
    let duration = i64::try_from(end.saturating_sub(start))
        .ok()
        .filter(|d| *d <= LONGEST);
    let sane_start = good(start).unwrap_or(received_at);
    if end == 0 {
        return (sane_start, None);
    }
    let sane_end = match (good(start), good(end)) {
        (Some(start), Some(end)) => end.max(start),
        (Some(start), None) => start,
        (None, _) => sane_start.saturating_add(duration.unwrap_or(0)),
    };
    (sane_start, Some(sane_end))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nonsense_becomes_the_time_of_receipt() {
        let now = 1_700_000_000_000_000_000;
        let at = now as u64;
        assert_eq!(sane(at - 5, at, now), (now - 5, Some(now)));
        assert_eq!(sane(0, 0, now), (now, None));
        assert_eq!(sane(at, at - 9, now), (now, Some(now)));
        assert_eq!(
            sane(1_700_000_000, 1_700_000_007, now),
            (now, Some(now + 7)),
            "seconds as ns"
        );
        assert_eq!(sane(u64::MAX, u64::MAX, now), (now, Some(now)));
        assert_eq!(
            sane(at + 2 * DAY as u64, at + 2 * DAY as u64 + 3, now),
            (now, Some(now + 3))
        );
        assert_eq!(sane(at, u64::MAX, now), (now, Some(now)));
        let old = OLDEST as u64 + 1;
        assert_eq!(
            sane(old, old + 1, now),
            (OLDEST + 1, Some(OLDEST + 2)),
            "imports are kept"
        );
    }
}
