//! How a span ended: status, error class.
//!
//! A span failed if its status says so, if `error.type` stands on it, or if it recorded an
//! exception and didn't end with an explicit OK. `timeout` and `cancelled` are said by the span's
//! own error code (`error.type`, or the HTTP status); an exception alone says what the client
//! raised, not how the call ended (the provider may have answered and billed), so it is an
//! `error` whose `error_type` names the timeout.

use serde_json::{Map, Value as Json};
use smol_str::{SmolStr, ToSmolStr};

use super::{events::Events, fields, fields::Field, limits, read::Reading};
use crate::{
    otlp::{SpanView, value::text},
    record::{ErrorClass, Status},
};

/// OTLP status codes.
const STATUS_OK: i32 = 1;
const STATUS_ERROR: i32 = 2;

/// How a span ended.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Ending {
    /// Status.
    pub status: Status,
    /// Error class.
    pub error_type: Option<SmolStr>,
    /// Error text.
    pub message: Option<String>,
    /// What the error means, and how bad it is.
    pub class: Option<ErrorClass>,
    /// Details.
    pub context: Option<Json>,
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
    code: Option<SmolStr>,
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
        .or_else(|| http.map(|http| http.to_smolstr()))
        .or_else(|| told_by(message.as_deref()?));
    Ending {
        status,
        class: Some(class(
            status,
            error_type.as_deref(),
            message.as_deref(),
            http,
        )),
        error_type,
        message,
        context: exception.context,
    }
}

/// A call that was cancelled is no failure, whatever its client wrote into the message.
fn class(status: Status, kind: Option<&str>, said: Option<&str>, http: Option<i64>) -> ErrorClass {
    match status {
        Status::Cancelled => ErrorClass::Cancelled,
        _ => ErrorClass::of(kind, said, http),
    }
}

/// The code in a message of the OpenAI and Anthropic SDKs: `Error code: 429 - {…}`.
fn told_by(message: &str) -> Option<SmolStr> {
    let (_, after) = message.split_once("rror code: ")?;
    let code = after.split(|c: char| !c.is_ascii_digit()).next()?;
    (code.len() == 3).then(|| code.into())
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
    class: Option<SmolStr>,
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
            b"exception.type" => {
                found.class = Some(limits::name(&words, limits::NAME_BYTES).into())
            }
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
