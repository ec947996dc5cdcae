//! `health`: asks the service that runs on this data folder whether it is well. For containers,
//! which have no other client in them.

use std::{net::IpAddr, process::ExitCode, time::Duration};

use anyhow::Context as _;

use crate::{app::Listening, config::Config};

const PATIENCE: Duration = Duration::from_secs(4);

/// Exit 0 if `/healthz` answers with 200, else 1.
pub(super) fn run(settings: &Config) -> anyhow::Result<ExitCode> {
    // What it bound tells more than what it was told to bind.
    let running = Listening::read(&settings.data_dir);
    let mut address = running.map_or(settings.http_addr, |listening| listening.http);
    if address.ip().is_unspecified() {
        address.set_ip(match address.ip() {
            IpAddr::V4(_) => IpAddr::from([127, 0, 0, 1]),
            IpAddr::V6(_) => IpAddr::from([0, 0, 0, 0, 0, 0, 0, 1]),
        });
    }
    let agent: ureq::Agent = ureq::Agent::config_builder()
        .timeout_global(Some(PATIENCE))
        .http_status_as_error(false)
        .proxy(None)
        .build()
        .into();
    let mut answer = agent
        .get(format!("http://{address}/healthz"))
        .call()
        .with_context(|| format!("no answer from {address}"))?;
    print!("{}", answer.body_mut().read_to_string()?);
    Ok(match answer.status().is_success() {
        true => ExitCode::SUCCESS,
        false => ExitCode::FAILURE,
    })
}
