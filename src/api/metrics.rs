//! `/metrics`, in Prometheus' text format.

use axum::{extract, http::header, response::IntoResponse};
use prometheus::{Encoder, TextEncoder};

use super::{Error, State};

pub(super) async fn metrics(
    extract::State(state): extract::State<State>,
) -> Result<impl IntoResponse, Error> {
    let encoder = TextEncoder::new();
    let mut body = Vec::new();
    encoder.encode(&state.registry.gather(), &mut body)?;
    Ok((
        [(header::CONTENT_TYPE, encoder.format_type().to_owned())],
        body,
    ))
}
