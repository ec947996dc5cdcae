//! OTLP's rules: what an answer means, and when to send again.
//!
//! Specification: "OTLP/gRPC response", "OTLP/HTTP response", "OTLP/HTTP throttling".

use std::time::Duration;

use http::{HeaderMap, StatusCode, header};
use tonic::{Code, Status};
use tonic_types::StatusExt;

use super::ids::mix;

/// Without a delay that the server asks for: the first one, doubled from try to try.
const FIRST_DELAY: Duration = Duration::from_millis(100);
const LONGEST_DELAY: Duration = Duration::from_secs(5);

/// What became of a request.
#[derive(Debug, Clone, PartialEq)]
pub enum Answer {
    /// All of it was taken.
    Accepted,
    /// Some spans were not taken, and must not be sent again.
    Partial {
        /// How many.
        rejected: u64,
        /// Why.
        message: String,
    },
    /// Not taken now: send it again.
    Retry {
        /// When the server said, not before that.
        after: Option<Duration>,
        /// Why.
        why: String,
    },
    /// Not taken, and never will be.
    Rejected {
        /// Why.
        why: String,
    },
}

/// A gRPC status that is not OK.
pub fn of_grpc(status: &Status) -> Answer {
    let told = status.get_details_retry_info();
    let after = told.and_then(|info| info.retry_delay);
    let why = format!("{:?}: {}", status.code(), status.message());
    let again = match status.code() {
        Code::Cancelled
        | Code::DeadlineExceeded
        | Code::Aborted
        | Code::OutOfRange
        | Code::Unavailable
        | Code::DataLoss => true,
        // Only the delay tells an overloaded server from a request that never fits.
        Code::ResourceExhausted => after.is_some(),
        _ => false,
    };
    match again {
        true => Answer::Retry { after, why },
        false => Answer::Rejected { why },
    }
}

/// An HTTP status that is not 200.
pub fn of_http(status: StatusCode, headers: &HeaderMap, body: &[u8]) -> Answer {
    let text: String = String::from_utf8_lossy(body).chars().take(200).collect();
    let why = format!("{status}: {}", text.trim());
    match status.as_u16() {
        429 | 502 | 503 | 504 => Answer::Retry {
            after: retry_after(headers, chrono::Utc::now()),
            why,
        },
        _ => Answer::Rejected { why },
    }
}

/// `Retry-After`: seconds, or a date.
fn retry_after(headers: &HeaderMap, now: chrono::DateTime<chrono::Utc>) -> Option<Duration> {
    let text = headers.get(header::RETRY_AFTER)?.to_str().ok()?.trim();
    if let Ok(seconds) = text.parse() {
        return Some(Duration::from_secs(seconds));
    }
    let at = chrono::DateTime::parse_from_rfc2822(text).ok()?;
    Some((at.to_utc() - now).to_std().unwrap_or_default())
}

/// How long to wait before try `tries` + 1, when `tries` have failed. `random` spreads those who
/// wait: from half of the delay to all of it. A delay that the server asks for is kept whole.
pub fn delay(tries: u32, after: Option<Duration>, random: u64) -> Duration {
    let spread = |whole: Duration| whole.mul_f64((mix(random) >> 11) as f64 / (1u64 << 53) as f64);
    match after {
        Some(after) => after + spread(after / 10),
        None => {
            let doubled = 1u32 << tries.saturating_sub(1).min(16);
            let whole = FIRST_DELAY.saturating_mul(doubled).min(LONGEST_DELAY);
            whole / 2 + spread(whole / 2)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tonic_types::ErrorDetails;

    #[test]
    fn grpc_statuses_mean_what_the_specification_says() {
        let second = Duration::from_secs(1);
        let told = |code| {
            let details = ErrorDetails::with_retry_info(Some(second));
            of_grpc(&Status::with_error_details(code, "no", details))
        };
        for code in (0..17).map(Code::from_i32).filter(|code| *code != Code::Ok) {
            let is_again = matches!(of_grpc(&Status::new(code, "no")), Answer::Retry { .. });
            let listed = [1, 4, 10, 11, 14, 15].contains(&(code as i32));
            assert_eq!(is_again, listed, "{code:?}");
        }
        for code in [Code::Unavailable, Code::ResourceExhausted] {
            let Answer::Retry { after, .. } = told(code) else {
                panic!("{code:?} with a delay is tried again");
            };
            assert_eq!(after, Some(second));
        }
        assert!(matches!(
            told(Code::InvalidArgument),
            Answer::Rejected { .. }
        ));
    }

    #[test]
    fn http_statuses_mean_what_the_specification_says() {
        for status in (201..600).filter_map(|n| StatusCode::from_u16(n).ok()) {
            let answer = of_http(status, &HeaderMap::new(), b"");
            let listed = [429, 502, 503, 504].contains(&status.as_u16());
            assert_eq!(matches!(answer, Answer::Retry { .. }), listed, "{status}");
        }
        let now = "2026-11-21T10:00:00Z".parse().unwrap();
        for (text, seconds) in [
            ("7", Some(7)),
            ("Sat, 21 Nov 2026 10:02:00 GMT", Some(120)),
            ("Sat, 21 Nov 2026 09:00:00 GMT", Some(0)),
            ("soon", None),
        ] {
            let headers = HeaderMap::from_iter([(header::RETRY_AFTER, text.parse().unwrap())]);
            let expected = seconds.map(Duration::from_secs);
            assert_eq!(retry_after(&headers, now), expected, "{text}");
        }
    }

    #[test]
    fn delays_grow_to_a_bound_and_a_told_one_is_kept() {
        for random in 0..1000 {
            let mut least = Duration::ZERO;
            for tries in 1..40 {
                let waits = delay(tries, None, random);
                assert!(
                    waits <= LONGEST_DELAY && waits >= least / 2,
                    "{tries}: {waits:?}"
                );
                least = least.max(waits);
            }
            let told = Duration::from_secs(5);
            let waits = delay(9, Some(told), random);
            assert!(waits >= told && waits <= told.mul_f64(1.1));
        }
        assert_ne!(delay(3, None, 1), delay(3, None, 2));
    }
}
