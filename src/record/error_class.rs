//! Classes of errors: the one table of what an error means, how bad it is, and whether anybody
//! should hear of it.
//!
//! A token limit passes with a shorter input, a rate limit or timeout with time; a provider that
//! is down, a key that is refused or an account that is empty needs someone now.

use super::{Severity, llm_call::words};

words!(
    /// What went wrong; the metric label `class`.
    #[allow(missing_docs, reason = "the variants are the label's words; CLASSES explains them")]
    ErrorClass {
        TokenLimit = "token_limit",
        ContentFilter = "content_filter",
        Quota = "quota",
        RateLimit = "rate_limit",
        Timeout = "timeout",
        ParseFailure = "parse_failure",
        Cancelled = "cancelled",
        Auth = "auth",
        ProviderApi = "provider_api",
        BadRequest = "bad_request",
        #[default]
        Other = "other",
    }
);

/// A line of the table.
struct Line {
    class: ErrorClass,
    severity: Severity,
    /// False for what people do on purpose.
    alerts: bool,
    /// Lower-case parts of an error's type or message that tell the class.
    words: &'static [&'static str],
    /// HTTP statuses that tell it where no word does.
    http: &'static [i64],
}

/// The first line that matches tells the class. Words come before HTTP statuses, since a 400 may
/// be a token limit and a 429 an empty account.
const CLASSES: &[Line] = &[
    Line {
        class: ErrorClass::TokenLimit,
        severity: Severity::Warning,
        alerts: true,
        words: &[
            "context_length",
            "context length",
            "context window",
            "token limit",
            "token_limit",
            "too many tokens",
            "max_tokens",
            "input is too long",
            "prompt is too long",
            "request_too_large",
        ],
        http: &[413],
    },
    Line {
        class: ErrorClass::ContentFilter,
        severity: Severity::Warning,
        alerts: true,
        words: &[
            "content_filter",
            "content filter",
            "contentfilter",
            "content_policy",
            "content policy",
            "blocked by safety",
            "responsible ai",
        ],
        http: &[],
    },
    Line {
        class: ErrorClass::Quota,
        severity: Severity::Critical,
        alerts: true,
        words: &["insufficient_quota", "credit balance is too low"],
        http: &[402],
    },
    Line {
        class: ErrorClass::RateLimit,
        severity: Severity::Error,
        alerts: true,
        words: &[
            "ratelimit",
            "rate_limit",
            "rate limit",
            "too many requests",
            "resource_exhausted",
            "throttl",
        ],
        http: &[429],
    },
    Line {
        class: ErrorClass::Timeout,
        severity: Severity::Error,
        alerts: true,
        words: &["timeout", "timed out", "deadline"],
        http: &[408, 504],
    },
    Line {
        class: ErrorClass::Cancelled,
        severity: Severity::Warning,
        alerts: false,
        words: &["cancel"],
        http: &[499],
    },
    Line {
        class: ErrorClass::ParseFailure,
        severity: Severity::Error,
        alerts: true,
        words: &["json", "parse", "decode"],
        http: &[],
    },
    Line {
        class: ErrorClass::Auth,
        severity: Severity::Critical,
        alerts: true,
        words: &[
            "authenticat",
            "unauthorized",
            "permission",
            "forbidden",
            "api key",
            "api_key",
        ],
        http: &[401, 403],
    },
    Line {
        class: ErrorClass::ProviderApi,
        severity: Severity::Critical,
        alerts: true,
        words: &[
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
        http: &[500, 501, 502, 503, 505, 507, 520, 521, 522, 523, 524, 529],
    },
    Line {
        class: ErrorClass::BadRequest,
        severity: Severity::Error,
        alerts: true,
        words: &[
            "badrequest",
            "bad request",
            "invalid_request",
            "invalidrequest",
        ],
        http: &[400, 404, 405, 409, 415, 422],
    },
    Line {
        class: ErrorClass::Other,
        severity: Severity::Error,
        alerts: true,
        words: &[],
        http: &[],
    },
];

impl ErrorClass {
    /// All of them, in the table's order.
    pub fn all() -> impl Iterator<Item = ErrorClass> {
        CLASSES.iter().map(|line| line.class)
    }

    /// The class of an error by its type, its message and the HTTP status that came with it.
    pub fn of(error_type: Option<&str>, message: Option<&str>, http: Option<i64>) -> Self {
        let kind = error_type.unwrap_or_default().to_ascii_lowercase();
        let said = message.unwrap_or_default().to_ascii_lowercase();
        let told = |word: &&str| kind.contains(word) || said.contains(word);
        let by_words = CLASSES.iter().find(|line| line.words.iter().any(told));
        let code = kind.parse().ok().or(http);
        let by_code = || {
            let code = code?;
            let known = CLASSES.iter().find(|line| line.http.contains(&code));
            // Codes that nobody has listed yet are still the provider's fault.
            known.map(|line| line.class).or_else(|| {
                (500..600)
                    .contains(&code)
                    .then_some(ErrorClass::ProviderApi)
            })
        };
        by_words
            .map(|line| line.class)
            .or_else(by_code)
            .unwrap_or_default()
    }

    /// How bad an error of this class is.
    pub fn severity(self) -> Severity {
        self.line().map_or(Severity::Error, |line| line.severity)
    }

    /// Whether anybody should hear of errors of this class.
    pub fn alerts(self) -> bool {
        self.line().is_none_or(|line| line.alerts)
    }

    fn line(self) -> Option<&'static Line> {
        CLASSES.iter().find(|line| line.class == self)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn errors_fall_into_the_tables_classes() {
        use ErrorClass as C;
        for (kind, message, want, severity) in [
            ("openai.RateLimitError", "", C::RateLimit, Severity::Error),
            ("429", "", C::RateLimit, Severity::Error),
            (
                "429",
                "code: insufficient_quota",
                C::Quota,
                Severity::Critical,
            ),
            (
                "openai.APITimeoutError",
                "Request timed out.",
                C::Timeout,
                Severity::Error,
            ),
            ("504", "", C::Timeout, Severity::Error),
            ("JSONDecodeError", "", C::ParseFailure, Severity::Error),
            (
                "openai.BadRequestError",
                "maximum context length is 128000",
                C::TokenLimit,
                Severity::Warning,
            ),
            (
                "openai.BadRequestError",
                "no such model",
                C::BadRequest,
                Severity::Error,
            ),
            (
                "400",
                "ResponsibleAI: content_filter",
                C::ContentFilter,
                Severity::Warning,
            ),
            (
                "openai.AuthenticationError",
                "",
                C::Auth,
                Severity::Critical,
            ),
            ("500", "", C::ProviderApi, Severity::Critical),
            ("599", "", C::ProviderApi, Severity::Critical),
            (
                "openai.InternalServerError",
                "",
                C::ProviderApi,
                Severity::Critical,
            ),
            (
                "asyncio.CancelledError",
                "",
                C::Cancelled,
                Severity::Warning,
            ),
            ("ValueError", "", C::Other, Severity::Error),
            ("200", "", C::Other, Severity::Error),
        ] {
            let class = C::of(Some(kind), Some(message), None);
            assert_eq!(
                (class, class.severity()),
                (want, severity),
                "{kind} {message}"
            );
        }
        assert_eq!(
            C::of(Some("APIStatusError"), None, Some(503)),
            C::ProviderApi
        );
        assert_eq!(C::of(None, None, None), C::Other);
    }

    #[test]
    fn every_class_has_one_line() {
        let mut seen: Vec<&str> = ErrorClass::all().map(ErrorClass::as_str).collect();
        assert!(seen.iter().all(|word| ErrorClass::parse(word).is_some()));
        seen.sort_unstable();
        let lines = seen.len();
        seen.dedup();
        assert_eq!((seen.len(), lines), (11, 11));
        assert!(!ErrorClass::Cancelled.alerts() && ErrorClass::TokenLimit.alerts());
    }
}
