//! The only table from errors to HTTP answers.

use axum::{
    Json,
    http::StatusCode,
    response::{IntoResponse, Response},
};

/// Why a question has no answer.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The store is down; rows wait in the spool.
    #[error("the store can't be reached just now; what is received waits in the spool")]
    StoreDown,
    /// The database refused or broke off.
    #[error("the store could not answer")]
    Query(#[from] sqlx::Error),
    /// A parameter can't be read.
    #[error("{0}")]
    Parameter(String),
    /// Metrics could not be written out.
    #[error("metrics could not be written: {0}")]
    Metrics(#[from] prometheus::Error),
}

impl Error {
    /// The status of each.
    pub fn status(&self) -> StatusCode {
        match self {
            Error::StoreDown => StatusCode::SERVICE_UNAVAILABLE,
            Error::Query(_) | Error::Metrics(_) => StatusCode::INTERNAL_SERVER_ERROR,
            Error::Parameter(_) => StatusCode::BAD_REQUEST,
        }
    }
}

impl IntoResponse for Error {
    fn into_response(self) -> Response {
        if let Error::Query(error) = &self {
            // The database's own text may hold content; it goes to the log, not to the client.
            tracing::error!(%error, "a query failed");
        }
        let body = Json(serde_json::json!({ "error": self.to_string() }));
        (self.status(), body).into_response()
    }
}
