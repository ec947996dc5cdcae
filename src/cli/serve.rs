//! `spanledger serve`

use std::process::ExitCode;

use super::Config;
use crate::{
    app::{App, stop_on_signals},
    telemetry,
};

pub(super) async fn run(settings: Config) -> anyhow::Result<ExitCode> {
    let telemetry = telemetry::init(&settings.telemetry)
        .map_err(|error| anyhow::anyhow!("could not {error}"))?;
    let stop = stop_on_signals()?;
    let ended = App::build(settings).await?.run(stop).await;
    telemetry.close().await;
    ended.map(|()| ExitCode::SUCCESS)
}
