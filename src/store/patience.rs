//! How long an answer may take.

use std::time::Duration;

use super::Error;

/// A server that takes packets and never answers (its machine is gone) must not hold anybody for
/// ever. Each statement has its own limit of a minute; a batch or a question is a handful of them.
pub(super) const ANSWER_TIMEOUT: Duration = Duration::from_secs(120);

/// What did not end within the limit is as if the server could not be reached.
pub(super) async fn in_time<T>(
    limit: Duration,
    question: impl Future<Output = Result<T, Error>>,
) -> Result<T, Error> {
    let ended = tokio::time::timeout(limit, question).await;
    ended.unwrap_or_else(|_| Err(Error::timed_out(limit)))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Scenario: a question is never answered; another one is.
    /// Guarantees: the first one fails as one to a server that can't be reached, worth a retry over
    /// a new connection.
    #[tokio::test]
    async fn no_answer_is_an_error() {
        let limit = Duration::from_millis(20);
        let error = in_time::<()>(limit, std::future::pending())
            .await
            .unwrap_err();
        assert!(error.is_retryable() && error.is_disconnected(), "{error}");
        assert_eq!(
            error.to_string(),
            "the store can't be reached: error communicating with database: no answer within 20ms"
        );
        assert_eq!(in_time(limit, async { Ok(1) }).await.ok(), Some(1));
    }
}
