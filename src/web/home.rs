//! `/`: what was received, what it cost, and how to connect an app.

use std::sync::Arc;

use askama::Template;
use axum::{
    extract::State,
    http::StatusCode,
    response::{Html, IntoResponse, Response},
};
use chrono::{Duration, Utc};

use super::{Endpoints, show};
use crate::{
    api,
    query::summary::{self, Summary},
};

/// What the page looks at.
#[derive(Debug, Clone)]
pub(super) struct Shown {
    pub state: api::State,
    pub endpoints: Arc<Endpoints>,
}

#[derive(Template)]
#[template(path = "home.html", config = "src/web/askama.toml")]
struct Home<'a> {
    endpoints: &'a Endpoints,
    ready: bool,
    store: String,
    store_up: bool,
    spool_bytes: String,
    /// `None`: the store is down or did not answer.
    summary: Option<Summary>,
    dearest: f64,
    busiest: f64,
}

pub(super) async fn page(State(shown): State<Shown>) -> Response {
    let state = &shown.state;
    let since = Utc::now() - Duration::hours(24);
    let summary = match state.store.pool() {
        Some(pool) => match summary::summary(&pool, since).await {
            Ok(summary) => Some(summary),
            Err(error) => {
                tracing::error!(%error, "the page's numbers could not be read");
                None
            }
        },
        None => None,
    };
    let models = summary.iter().flat_map(|s| &s.models);
    let services = summary.iter().flat_map(|s| &s.services);
    let home = Home {
        endpoints: &shown.endpoints,
        ready: state.ready.get() && !state.spool.appender().is_full(),
        store: state.store.describe(),
        store_up: state.store.is_connected(),
        spool_bytes: bytes(state.spool.bytes()),
        dearest: models.filter_map(|m| m.cost_usd).fold(0.0, f64::max),
        busiest: services.map(|s| s.calls as f64).fold(0.0, f64::max),
        summary,
    };
    match home.render() {
        Ok(page) => Html(page).into_response(),
        Err(error) => {
            tracing::error!(%error, "the page could not be rendered");
            (
                StatusCode::INTERNAL_SERVER_ERROR,
                "the page could not be rendered\n",
            )
                .into_response()
        }
    }
}

fn bytes(n: u64) -> String {
    match n {
        n if n >= 1 << 30 => format!("{:.1} GiB", n as f64 / f64::from(1 << 30)),
        n if n >= 1 << 20 => format!("{:.1} MiB", n as f64 / f64::from(1 << 20)),
        n => format!("{} KiB", n.div_ceil(1024)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::query::summary::{Call, Model, Totals};

    fn render(summary: Option<Summary>) -> String {
        let endpoints = Endpoints {
            grpc: "http://127.0.0.1:4317".into(),
            otlp_http: "http://127.0.0.1:4318".into(),
        };
        let home = Home {
            endpoints: &endpoints,
            ready: true,
            store: "sqlite at x".into(),
            store_up: summary.is_some(),
            spool_bytes: bytes(5 << 20),
            dearest: 1.0,
            busiest: 1.0,
            summary,
        };
        home.render().unwrap()
    }

    #[test]
    fn the_first_screen_says_what_to_do() {
        let page = render(Some(Summary::default()));
        assert!(page.contains("Waiting for the first call"));
        for exact in [
            "OTEL_EXPORTER_OTLP_ENDPOINT=http://127.0.0.1:4318",
            "OTEL_EXPORTER_OTLP_ENDPOINT=http://127.0.0.1:4317",
            "opentelemetry-instrument",
            "auto-instrumentations-node",
            "opentelemetry-javaagent",
            "otlptracehttp",
            "opentelemetry-otlp",
        ] {
            assert!(page.contains(exact), "{exact}");
        }
        assert!(render(None).contains("spool keeps everything"));
    }

    #[test]
    fn what_comes_from_outside_is_escaped_and_unknown_is_said() {
        let hostile = "<script>alert(1)</script>\"'><img src=x onerror=alert(1)>";
        let summary = Summary {
            totals: Totals {
                calls: 1,
                unpriced_calls: 1,
                ..Totals::default()
            },
            models: vec![Model {
                model: hostile.into(),
                provider: Some(hostile.into()),
                calls: 1,
                ..Model::default()
            }],
            latest: vec![Call {
                operation: hostile.into(),
                error_type: Some(hostile.into()),
                status: hostile.into(),
                trace_id: hostile.into(),
                ..Call::default()
            }],
            errors: vec![(hostile.into(), 1)],
            ..Summary::default()
        };
        let page = render(Some(summary));
        assert!(
            !page.contains("<script") && !page.contains("<img"),
            "{page}"
        );
        assert!(page.contains("unknown") && page.contains("1 without a price"));
    }
}
