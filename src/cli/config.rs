//! `spanledger config check`: are the settings right, and what are they in the end?

use std::process::ExitCode;

use super::Config;

#[derive(Debug, clap::Subcommand)]
pub(super) enum Command {
    /// Check the settings and print them as they take effect; secrets are left out.
    Check,
}

pub(super) fn run(settings: &Config, command: &Command) -> anyhow::Result<ExitCode> {
    match command {
        Command::Check => {
            settings.price_table()?;
            settings.slack_url()?;
            crate::alert::Levels::new(&settings.alert.levels)?;
            let url = settings.store_url()?;
            crate::store::Store::new(
                crate::store::Config {
                    url,
                    ..Default::default()
                },
                &prometheus::Registry::new(),
            )?;
            print!("{}", toml::to_string_pretty(settings)?);
            eprintln!("settings are fine");
            Ok(ExitCode::SUCCESS)
        }
    }
}
