//! What can go wrong between us and the store.

use std::time::Duration;

/// Why a call to the store failed.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The URL is none of ours.
    #[error("store URL: use sqlite://PATH or postgres://USER@HOST/DATABASE ({0})")]
    Url(String),
    /// Not connected yet, or not any more.
    #[error("the store is not connected")]
    NotConnected,
    /// The commit before this one has not ended, or was given up.
    #[error("an earlier batch is not stored yet")]
    OutOfTurn,
    /// The database can't be reached, or broke the connection.
    #[error("the store can't be reached: {0}")]
    Unreachable(#[source] sqlx::Error),
    /// The database refused a statement.
    #[error("the store refused: {0}")]
    Refused(#[source] sqlx::Error),
    /// The schema could not be brought up to date.
    #[error("the store's tables could not be brought up to date: {0}")]
    Migration(#[source] sqlx::migrate::MigrateError),
    /// A newer release has been here.
    #[error("the store's tables are those of a newer spanledger (migration {0}); run that one")]
    NewerSchema(i64),
    /// Metrics could not be registered.
    #[error("metrics: {0}")]
    Metrics(#[from] prometheus::Error),
}

impl From<sqlx::Error> for Error {
    fn from(error: sqlx::Error) -> Self {
        match &error {
            sqlx::Error::Database(_)
            | sqlx::Error::ColumnDecode { .. }
            | sqlx::Error::Decode(_)
            | sqlx::Error::Encode(_) => Error::Refused(error),
            _ => Error::Unreachable(error),
        }
    }
}

impl From<sqlx::migrate::MigrateError> for Error {
    fn from(error: sqlx::migrate::MigrateError) -> Self {
        match error {
            sqlx::migrate::MigrateError::VersionMissing(version) => Error::NewerSchema(version),
            error => Error::Migration(error),
        }
    }
}

impl Error {
    /// For what did not end in time.
    pub(super) fn timed_out(limit: Duration) -> Self {
        let what = format!("no answer within {limit:?}");
        let error = std::io::Error::new(std::io::ErrorKind::TimedOut, what);
        Error::Unreachable(sqlx::Error::Io(error))
    }

    /// Postgres' SQLSTATE or SQLite's extended result code.
    fn code(&self) -> Option<String> {
        match self {
            Error::Refused(sqlx::Error::Database(error)) => {
                error.code().map(|code| code.into_owned())
            }
            _ => None,
        }
    }

    /// True if the primary key exists already (23505).
    pub fn is_duplicate(&self) -> bool {
        self.code().as_deref() == Some("23505")
    }

    /// True if a row's own content is the reason, so that its neighbours could be stored:
    /// SQLSTATE classes 22 (data), 23 (constraint), 54 (limit); SQLite's CONSTRAINT, MISMATCH,
    /// TOOBIG and RANGE.
    pub fn is_about_data(&self) -> bool {
        let Some(code) = self.code() else {
            return false;
        };
        if code.len() == 5 {
            return ["22", "23", "54"]
                .iter()
                .any(|class| code.starts_with(class));
        }
        matches!(
            code.parse::<u32>().map(|code| code & 0xff),
            Ok(18 | 19 | 20 | 25)
        )
    }

    /// True if somebody held a lock for longer than the statement may wait (55P03).
    pub fn is_locked(&self) -> bool {
        self.code().as_deref() == Some("55P03")
    }

    /// True if no connection could be had from the pool in time.
    pub(super) fn is_pool_timeout(&self) -> bool {
        matches!(self, Error::Unreachable(sqlx::Error::PoolTimedOut))
    }

    /// True if the same call may succeed later.
    pub fn is_retryable(&self) -> bool {
        !matches!(self, Error::Url(_) | Error::NewerSchema(_)) && !self.is_about_data()
    }

    /// True if the connection should be made anew: it is broken, the server is going, or it has
    /// become the read-only half of a pair (25006) and the name may lead to the other by now.
    pub(super) fn is_disconnected(&self) -> bool {
        matches!(self, Error::Unreachable(_) | Error::NotConnected)
            || self
                .code()
                .is_some_and(|code| code.starts_with("57P") || code == "25006")
    }
}
