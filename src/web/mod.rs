//! STATION 11: pages, rendered here, without scripts. Everything that came from outside is
//! escaped by the template engine.
//!
//! | file | page |
//! |---|---|
//! | `home` | `/`: what was received, what it cost, how to connect an app |
//! | `runbook` | `/runbook/{alert}`: what it means, what to do, traces to look at |
//! | `show` | numbers and times as people read them |

mod home;
mod runbook;
mod show;

use axum::{
    Router,
    http::header,
    response::{IntoResponse, Response},
    routing::get,
};

use crate::api::{self, guard};

/// Where an app sends to.
#[derive(Debug, Clone)]
pub struct Endpoints {
    /// OTLP/gRPC, `http://host:port`.
    pub grpc: String,
    /// OTLP/HTTP, `http://host:port`.
    pub otlp_http: String,
}

/// All pages.
pub fn router(state: api::State, endpoints: Endpoints) -> Router {
    let book = Router::new()
        .route("/runbook", get(runbook::all))
        .route("/runbook/{alert}", get(runbook::one))
        .with_state(state.clone());
    Router::new()
        .route("/", get(home::page))
        .route("/assets/spanledger.css", get(style))
        .with_state(home::Shown {
            state,
            endpoints: endpoints.into(),
        })
        .merge(book)
        .layer(axum::middleware::from_fn(guard::own_host))
        .layer(axum::middleware::from_fn(guard::headers))
}

async fn style() -> Response {
    let headers = [
        (header::CONTENT_TYPE, "text/css; charset=utf-8"),
        (header::CACHE_CONTROL, "max-age=3600"),
    ];
    (headers, include_str!("assets/spanledger.css")).into_response()
}
