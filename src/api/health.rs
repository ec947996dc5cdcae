//! `/healthz`: the process lives, and no part of it died. `/readyz`: it takes spans. A dead store is
//! told in the body as `degraded`, with status 200, because the spool bridges it. `/health`: is
//! everything well that a request needs? For people and monitors; 503 if something does not go on.

use axum::{Json, extract, http::StatusCode};

use super::State;
use crate::health::{Check, Report, Status};

pub(super) async fn healthz(
    extract::State(state): extract::State<State>,
) -> (StatusCode, &'static str) {
    match state.ready.has_failed() {
        false => (StatusCode::OK, "ok\n"),
        true => (
            StatusCode::SERVICE_UNAVAILABLE,
            "a part of the service died; the log says which\n",
        ),
    }
}

pub(super) async fn health(
    extract::State(state): extract::State<State>,
) -> (StatusCode, Json<Report>) {
    let mut checks = state.health.checks();
    let spool = match state.spool.appender().is_full() {
        true => Check::new(Status::Unhealthy, "full: senders are refused"),
        false => Check::new(Status::Healthy, format!("{} bytes", state.spool.bytes())),
    };
    let store = match state.store.is_connected() {
        true => Check::new(Status::Healthy, state.store.describe()),
        false => {
            let detail = format!(
                "{} is down; the spool keeps everything",
                state.store.describe()
            );
            Check::new(Status::Degraded, detail)
        }
    };
    let workers = match state.ready.has_failed() {
        true => Check::new(
            Status::Unhealthy,
            "a part of the service died; the log says which",
        ),
        false => Check::new(Status::Healthy, "all run"),
    };
    for (name, check) in [("spool", spool), ("store", store), ("workers", workers)] {
        checks.insert(name.to_owned(), check);
    }
    let report = Report::new(checks, chrono::Utc::now());
    let code = match report.status {
        Status::Unhealthy => StatusCode::SERVICE_UNAVAILABLE,
        _ => StatusCode::OK,
    };
    (code, Json(report))
}

pub(super) async fn readyz(
    extract::State(state): extract::State<State>,
) -> (StatusCode, Json<serde_json::Value>) {
    let listeners = state.ready.get();
    let spool = !state.spool.appender().is_full();
    // A store that answers and takes no rows (a full disk, a lock) is as good as dead.
    let store = state.store.is_connected() && !*state.stuck.borrow();
    let (code, status) = match (listeners && spool, store) {
        (false, _) => (StatusCode::SERVICE_UNAVAILABLE, "not_ready"),
        (true, false) => (StatusCode::OK, "degraded"),
        (true, true) => (StatusCode::OK, "ready"),
    };
    let body = serde_json::json!({
        "status": status,
        "listeners": { "ok": listeners },
        "spool": {
            "ok": spool,
            "bytes": state.spool.bytes(),
            "oldest_age_seconds": state.spool.oldest_age().as_secs_f64(),
        },
        "store": { "ok": store, "what": state.store.describe() },
    });
    (code, Json(body))
}
