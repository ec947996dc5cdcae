//! STATION 10: JSON, health, metrics.
//!
//! | file | routes |
//! |---|---|
//! | `health` | `/healthz`, `/readyz`, `/health` |
//! | `metrics` | `/metrics` |
//! | `analytics` | `/api/analytics/summary`, `/api/stats/cost` |
//! | `guard` | headers on every answer; who may ask |
//! | `error` | the only table from errors to HTTP answers |

mod analytics;
mod error;
pub mod guard;
mod health;
mod metrics;

use std::sync::{
    Arc,
    atomic::{AtomicBool, Ordering},
};

use axum::{Router, routing::get};
use tokio::sync::watch;

pub use error::Error;

use crate::{health::Health, spool::Spool, store::Store};

/// Whether the listeners are up and no stop has begun.
#[derive(Debug, Clone, Default)]
pub struct Ready {
    up: Arc<AtomicBool>,
    failed: Arc<AtomicBool>,
}

impl Ready {
    /// Up, or not (any more).
    pub fn set(&self, ready: bool) {
        self.up.store(ready, Ordering::Relaxed);
    }

    /// Up?
    pub fn get(&self) -> bool {
        self.up.load(Ordering::Relaxed)
    }

    /// A part of the service ended unasked; nothing brings it back but a restart.
    pub fn fail(&self) {
        self.failed.store(true, Ordering::Relaxed);
    }

    /// Did one?
    pub fn has_failed(&self) -> bool {
        self.failed.load(Ordering::Relaxed)
    }
}

/// What the routes look at.
#[derive(Debug, Clone)]
pub struct State {
    /// All metrics.
    pub registry: prometheus::Registry,
    /// Listeners.
    pub ready: Ready,
    /// Takes writes?
    pub spool: Arc<Spool>,
    /// Rows.
    pub store: Arc<Store>,
    /// What is known of the dependencies.
    pub health: Health,
    /// Whether deliveries to the store fail.
    pub stuck: watch::Receiver<bool>,
}

impl State {
    /// Puts it together.
    pub fn new(
        registry: prometheus::Registry,
        ready: Ready,
        spool: Arc<Spool>,
        store: Arc<Store>,
        health: Health,
        stuck: watch::Receiver<bool>,
    ) -> Self {
        Self {
            registry,
            ready,
            spool,
            store,
            health,
            stuck,
        }
    }
}

/// All routes of the API.
pub fn router(state: State) -> Router {
    let open = Router::new()
        .route("/healthz", get(health::healthz))
        .route("/readyz", get(health::readyz))
        .route("/health", get(health::health))
        .route("/metrics", get(metrics::metrics));
    let guarded = Router::new()
        .route("/api/analytics/summary", get(analytics::summary))
        .route("/api/stats/cost", get(analytics::cost))
        .layer(axum::middleware::from_fn(guard::own_host));
    open.merge(guarded)
        .with_state(state)
        .layer(axum::middleware::from_fn(guard::headers))
}
