//! How long an answer may take, and when a store that gives none is lost.

use std::{
    sync::{Mutex, PoisonError},
    time::{Duration, Instant},
};

use super::{Error, Pool};

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

/// When the store last answered.
#[derive(Debug)]
pub(super) struct Answered(Mutex<Instant>);

impl Default for Answered {
    fn default() -> Self {
        Self(Mutex::new(Instant::now()))
    }
}

impl Answered {
    pub fn now(&self) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = Instant::now();
    }

    /// True if a pool is to be made anew after this error. One whose connections are all taken by
    /// others (slow queries of pages) is busy: theirs would run on beside those of a new one. Their
    /// statements end within a minute each; where nobody gets in for longer, they hang.
    pub fn is_lost(&self, error: &Error, pool: Option<&Pool>) -> bool {
        let is_busy = error.is_pool_timeout() && pool.is_some_and(is_taken);
        let answered = *self.0.lock().unwrap_or_else(PoisonError::into_inner);
        error.is_disconnected() && !(is_busy && answered.elapsed() < ANSWER_TIMEOUT)
    }
}

/// True if all connections of a pool are in use.
fn is_taken(pool: &Pool) -> bool {
    fn all<DB: sqlx::Database>(pool: &sqlx::Pool<DB>) -> bool {
        let idle = u32::try_from(pool.num_idle()).unwrap_or(u32::MAX);
        pool.size().saturating_sub(idle) >= pool.options().get_max_connections()
    }
    match pool {
        Pool::Sqlite(pool) => all(pool),
        Pool::Postgres(pool) => all(pool),
    }
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

    /// Scenario: no connection can be had in time: all are taken, or none is.
    /// Guarantees: taken ones are waited for, until they have hung for longer than they may.
    #[tokio::test]
    async fn a_busy_store_is_lost_when_it_has_hung_for_long() {
        let options = sqlx::sqlite::SqlitePoolOptions::new().max_connections(1);
        let sqlite = options.connect("sqlite::memory:").await.unwrap();
        let pool = Pool::Sqlite(sqlite.clone());
        let timeout = Error::Unreachable(sqlx::Error::PoolTimedOut);
        let fresh = Answered::default();
        assert!(fresh.is_lost(&timeout, Some(&pool)));
        let taken = sqlite.acquire().await.unwrap();
        assert!(!fresh.is_lost(&timeout, Some(&pool)));
        assert!(fresh.is_lost(&Error::timed_out(ANSWER_TIMEOUT), Some(&pool)));
        let long_ago = Instant::now().checked_sub(ANSWER_TIMEOUT).unwrap();
        assert!(Answered(Mutex::new(long_ago)).is_lost(&timeout, Some(&pool)));
        drop(taken);
    }
}
