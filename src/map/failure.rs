//! How a span ended: status, error class, severity.
//!
//! A span failed if its status says so, if `error.type` stands on it, or if it recorded an
//! exception and didn't end with an explicit OK. `timeout` and `cancelled` are said by the span's
//! own error code (`error.type`, or the HTTP status); an exception alone says what the client
//! raised, not how the call ended (the provider may have answered and billed), so it is an
//! `error` whose `error_type` names the timeout.

use serde_json::{Map, Value as Json};

use super::{events::Events, fields, fields::Field, limits, read::Reading};
use crate::{
    otlp::{SpanView, value::text},
    record::{Severity, Status},
};

/// OTLP status codes.
const STATUS_OK: u64 = 1;
const STATUS_ERROR: u64 = 2;

/// How a span ended.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Ending {
    /// Status.
    pub status: Status,
    /// Error class.
    pub error_type: Option<String>,
    /// Error text.
    pub message: Option<String>,
    /// How bad.
    pub severity: Option<Severity>,
    /// Details.
    pub context: Option<Json>,
}

/// What an error's class or text says about its severity; the first line that matches. A token
/// limit passes with a shorter input, a rate limit or timeout with time; a provider that is down
/// or a key that is refused needs someone now.
const SEVERITIES: &[(Severity, &[&str])] = &[
    (
        Severity::Warning,
        &[
            "context_length",
            "context length",
            "context window",
            "token limit",
            "token_limit",
            "too many tokens",
            "max_tokens",
            "input is too long",
            "prompt is too long",
        ],
    ),
    (
        Severity::Error,
        &[
            "ratelimit",
            "rate_limit",
            "rate limit",
            "too many requests",
            "resource_exhausted",
            "throttl",
            "timeout",
            "timed out",
            "deadline",
            "json",
            "parse",
            "decode",
        ],
    ),
    (
        Severity::Critical,
        &[
            "authenticat",
            "unauthorized",
            "permission",
            "forbidden",
            "api key",
            "api_key",
            "insufficient_quota",
            "internalserver",
            "internal server",
            "server_error",
            "serviceunavailable",
            "service unavailable",
            "unavailable",
            "overloaded",
            "bad gateway",
            "badgateway",
            "apiconnection",
            "connection",
            "apierror",
            "api_error",
        ],
    ),
];

/// Severity of an error.
pub fn severity(error_type: Option<&str>, message: Option<&str>, http: Option<i64>) -> Severity {
    let kind = error_type.unwrap_or_default().to_ascii_lowercase();
    let said = message.unwrap_or_default().to_ascii_lowercase();
    let matching = |words: &&[&str]| words.iter().any(|w| kind.contains(w) || said.contains(w));
    if let Some((severity, _)) = SEVERITIES.iter().find(|(_, words)| matching(words)) {
        return *severity;
    }
    match kind.parse().ok().or(http) {
        Some(401 | 402 | 403 | 500..=503 | 505..=599) => Severity::Critical,
        _ => Severity::Error,
    }
}

/// How a span ended.
pub fn ending(
    span: &SpanView<'_>,
    reading: Option<&Reading<'_, '_>>,
    events: &Events<'_>,
) -> Ending {
    let code = reading
        .and_then(|r| r.name(Field::ErrorType))
        .filter(|code| !is_none(code));
    let level = reading.and_then(|r| r.text(Field::Level));
    let failed = span.status_code == STATUS_ERROR
        || level.is_some_and(|level| level.eq_ignore_ascii_case("error"))
        || (span.status_code != STATUS_OK && (code.is_some() || events.exception.is_some()));
    if !failed {
        let status = if span.end_unix_ns == 0 {
            Status::Pending
        } else {
            Status::Success
        };
        return Ending {
            status,
            ..Ending::default()
        };
    }
    failed_with(span, reading, events, code)
}

/// The end of a span that failed, whatever its status says.
pub fn failed(
    span: &SpanView<'_>,
    reading: Option<&Reading<'_, '_>>,
    events: &Events<'_>,
) -> Ending {
    failed_with(span, reading, events, None)
}

fn failed_with(
    span: &SpanView<'_>,
    reading: Option<&Reading<'_, '_>>,
    events: &Events<'_>,
    code: Option<String>,
) -> Ending {
    let http = reading.and_then(|r| r.count(Field::HttpStatus));
    let exception = exception(events);
    let status_text = Some(text(span.status_message).into_owned()).filter(|m| !m.trim().is_empty());
    let message = status_text
        .or_else(|| exception.message.clone())
        .or_else(|| {
            reading
                .and_then(|r| r.text(Field::ErrorMessage))
                .map(|m| m.into_owned())
        })
        .map(|message| limits::content(&message, limits::DETAIL_BYTES));
    let status = status(code.as_deref(), exception.class.as_deref(), http);
    let http = http.filter(|http| *http >= 400);
    let error_type = code
        .or(exception.class)
        .or_else(|| http.map(|http| http.to_string()))
        .or_else(|| told_by(message.as_deref()?));
    Ending {
        status,
        severity: Some(severity(error_type.as_deref(), message.as_deref(), http)),
        error_type,
        message,
        context: exception.context,
    }
}

/// The code in a message of the OpenAI and Anthropic SDKs: `Error code: 429 - {…}`.
fn told_by(message: &str) -> Option<String> {
    let (_, after) = message.split_once("rror code: ")?;
    let code = after.split(|c: char| !c.is_ascii_digit()).next()?;
    (code.len() == 3).then(|| code.to_owned())
}

fn is_none(code: &str) -> bool {
    code.eq_ignore_ascii_case("none") || code == "200"
}

fn status(code: Option<&str>, exception: Option<&str>, http: Option<i64>) -> Status {
    let code = code.unwrap_or_default().to_ascii_lowercase();
    let exception = exception.unwrap_or_default().to_ascii_lowercase();
    if code.contains("cancel") || exception.contains("cancel") {
        return Status::Cancelled;
    }
    let says_timeout = code.contains("timeout") || code.contains("deadline");
    match (says_timeout, code.parse().ok().or(http)) {
        (true, _) | (_, Some(408 | 504)) => Status::Timeout,
        _ => Status::Error,
    }
}

#[derive(Default)]
struct Exception {
    class: Option<String>,
    message: Option<String>,
    context: Option<Json>,
}

fn exception(events: &Events<'_>) -> Exception {
    let mut found = Exception::default();
    let Some(event) = events.exception else {
        return found;
    };
    let mut context = Map::new();
    for (key, value) in event.attributes().take(64) {
        let Some(words) = fields::scalar(value) else {
            continue;
        };
        match key {
            b"exception.type" => found.class = Some(limits::name(&words, limits::NAME_BYTES)),
            b"exception.message" => found.message = Some(words.clone().into_owned()),
            b"exception.stacktrace" => {}
            _ => continue,
        }
        let kept = limits::content(&words, limits::DETAIL_BYTES);
        context.insert(text(key).into_owned(), Json::String(kept));
    }
    found.context = (!context.is_empty()).then_some(Json::Object(context));
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn severities_follow_the_table() {
        for (kind, message, want) in [
            ("openai.RateLimitError", "", Severity::Error),
            ("429", "", Severity::Error),
            (
                "openai.APITimeoutError",
                "Request timed out.",
                Severity::Error,
            ),
            ("JSONDecodeError", "", Severity::Error),
            (
                "openai.BadRequestError",
                "maximum context length is 128000",
                Severity::Warning,
            ),
            ("openai.AuthenticationError", "", Severity::Critical),
            ("500", "", Severity::Critical),
            ("openai.InternalServerError", "", Severity::Critical),
            ("ValueError", "", Severity::Error),
        ] {
            assert_eq!(
                severity(Some(kind), Some(message), None),
                want,
                "{kind} {message}"
            );
        }
    }

    #[test]
    fn the_code_says_how_a_call_ended() {
        assert_eq!(status(Some("timeout"), None, None), Status::Timeout);
        assert_eq!(
            status(Some("DEADLINE_EXCEEDED"), None, None),
            Status::Timeout
        );
        assert_eq!(status(None, None, Some(504)), Status::Timeout);
        assert_eq!(
            status(None, Some("asyncio.CancelledError"), None),
            Status::Cancelled
        );
        assert_eq!(
            status(None, Some("openai.APITimeoutError"), None),
            Status::Error
        );
    }
}
