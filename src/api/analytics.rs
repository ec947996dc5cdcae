//! `/api/analytics/summary` and `/api/stats/cost`. `?since=` takes an RFC 3339 time, or a span of
//! time back from now such as `24h` or `7d`; a day if it is left out.

use axum::{
    Json,
    extract::{self, Query},
};
use chrono::{DateTime, Duration, Utc};
use serde::Deserialize;

use super::{Error, State};
use crate::query::summary::{self, Summary};

#[derive(Debug, Default, Deserialize)]
pub(super) struct Parameters {
    since: Option<String>,
}

impl Parameters {
    fn since(&self, now: DateTime<Utc>) -> Result<DateTime<Utc>, Error> {
        let Some(text) = self.since.as_deref() else {
            return Ok(now - Duration::hours(24));
        };
        let back = || {
            let (number, unit) = text.split_at_checked(text.len().checked_sub(1)?)?;
            let number: i64 = number.parse().ok().filter(|n| *n >= 0)?;
            let span = match unit {
                "m" => Duration::try_minutes(number),
                "h" => Duration::try_hours(number),
                "d" => Duration::try_days(number),
                _ => None,
            };
            now.checked_sub_signed(span?)
        };
        let time = || Some(DateTime::parse_from_rfc3339(text).ok()?.to_utc());
        time().or_else(back).ok_or_else(|| {
            Error::Parameter(format!(
                "since={text:?}: use a time (2026-11-20T12:00:00Z) or a span back from now (90m, 24h, 7d)"
            ))
        })
    }
}

async fn ask(state: &State, parameters: &Parameters) -> Result<Summary, Error> {
    let since = parameters.since(Utc::now())?;
    let pool = state.store.pool().ok_or(Error::StoreDown)?;
    Ok(summary::summary(&pool, since).await?)
}

pub(super) async fn summary(
    extract::State(state): extract::State<State>,
    Query(parameters): Query<Parameters>,
) -> Result<Json<Summary>, Error> {
    Ok(Json(ask(&state, &parameters).await?))
}

pub(super) async fn cost(
    extract::State(state): extract::State<State>,
    Query(parameters): Query<Parameters>,
) -> Result<Json<serde_json::Value>, Error> {
    let summary = ask(&state, &parameters).await?;
    Ok(Json(serde_json::json!({
        "total_usd": summary.totals.cost_usd,
        "unpriced_calls": summary.totals.unpriced_calls,
        "by_model": summary.models,
        "by_service": summary.services,
    })))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn since_is_a_time_or_a_span_back() {
        let now = DateTime::parse_from_rfc3339("2026-11-20T12:00:00Z")
            .unwrap()
            .to_utc();
        let since = |text: &str| {
            Parameters {
                since: Some(text.into()),
            }
            .since(now)
        };
        assert_eq!(since("2h").unwrap(), now - Duration::hours(2));
        assert_eq!(
            since("2026-11-19T00:00:00+01:00").unwrap().to_rfc3339(),
            "2026-11-18T23:00:00+00:00"
        );
        for bad in ["", "h", "-1h", "1y", "99999999999999d", "ä", "yesterday"] {
            assert!(since(bad).is_err(), "{bad}");
        }
    }
}
