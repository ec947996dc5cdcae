//! `/runbook` and `/runbook/{alert}`: what an alert means, what to do, and traces to look at.

use askama::Template;
use axum::{
    extract::{Path, State},
    http::StatusCode,
    response::{Html, IntoResponse, Response},
};

use super::show;
use crate::{
    api,
    query::examples::{self, Example},
};

const TEXT: &str = include_str!("../../config/runbook.md");

#[derive(Template)]
#[template(path = "runbook.html", config = "src/web/askama.toml")]
struct Runbook {
    /// (alert, text) of what is shown.
    entries: Vec<(&'static str, &'static str)>,
    /// Names the unit; `None` if no trace is an example.
    unit: Option<&'static str>,
    /// `None`: the store is down or did not answer.
    examples: Option<Vec<Example>>,
}

/// (alert, text), in the book's order.
fn entries() -> impl Iterator<Item = (&'static str, &'static str)> {
    let after_intro = TEXT.split("\n## ").skip(1);
    after_intro.filter_map(|entry| {
        let (name, text) = entry.split_once('\n')?;
        Some((name.trim(), text.trim()))
    })
}

pub(super) async fn all() -> Response {
    answer(&Runbook {
        entries: entries().collect(),
        unit: None,
        examples: None,
    })
}

pub(super) async fn one(State(state): State<api::State>, Path(alert): Path<String>) -> Response {
    let Some(entry) = entries().find(|(name, _)| *name == alert) else {
        let hint = "the runbook has no such alert; /runbook has them all\n";
        return (StatusCode::NOT_FOUND, hint).into_response();
    };
    let examples = match state.store.pool() {
        Some(pool) => match examples::of_alert(&pool, &alert, chrono::Utc::now()).await {
            Ok(examples) => Some(examples),
            Err(error) => {
                tracing::error!(%error, "example traces could not be read");
                None
            }
        },
        None => None,
    };
    answer(&Runbook {
        entries: vec![entry],
        unit: examples::unit(&alert),
        examples,
    })
}

fn answer(page: &Runbook) -> Response {
    match page.render() {
        Ok(page) => Html(page).into_response(),
        Err(error) => {
            tracing::error!(%error, "the runbook could not be rendered");
            StatusCode::INTERNAL_SERVER_ERROR.into_response()
        }
    }
}
