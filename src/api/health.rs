//! `/healthz`: the process lives. `/readyz`: it takes spans. A dead store is told in the body as
//! `degraded`, with status 200, because the spool bridges it.

use axum::{Json, extract, http::StatusCode};

use super::State;

pub(super) async fn healthz() -> &'static str {
    "ok\n"
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
