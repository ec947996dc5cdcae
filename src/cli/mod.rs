//! The command line. Exit codes: 0 ok, 1 failed, 2 wrong usage or settings, 3 found differences.

mod config;
mod demo;
mod doctor;
mod explain;
mod health;
mod load;
mod prices;
mod recost;
mod serve;
mod verify;

use std::{path::PathBuf, process::ExitCode};

use anyhow::Context as _;
use clap::{Parser, Subcommand};

use crate::{
    config::Config,
    store::{self, Pool, Store},
};

/// A command ran and found a difference between what should be and what is.
const FOUND_DIFFERENCES: u8 = 3;

#[derive(Debug, Parser)]
#[command(
    name = "spanledger",
    version,
    about = "OpenTelemetry spans of GenAI apps in; a ledger of calls, tokens and cost, and metrics out.",
    after_help = "Settings: --config FILE (TOML), or the environment: SPANLEDGER_STORE_URL, \
                  SPANLEDGER_DATA_DIR, … See config/spanledger.toml."
)]
struct Cli {
    /// Settings file (TOML).
    #[arg(
        long,
        short,
        global = true,
        value_name = "FILE",
        env = "SPANLEDGER_CONFIG"
    )]
    config: Option<PathBuf>,
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Receive spans, keep the ledger, show metrics and pages.
    Serve,
    /// Start the service, let synthetic apps send to it, and show what landed.
    Demo(demo::Args),
    /// Send spans over OTLP, as fast as acks come or at a rate, and note what was acked.
    Load(load::Args),
    /// Compare what `load` noted with the store: lost, doubled, never sent.
    Verify(verify::Args),
    /// Ask the running service whether it is well (for containers: exit 0 or 1).
    Health,
    /// Where each number of a call came from, the sum of its cost, why it counts or not.
    Explain(explain::Args),
    /// What the connected apps' instrumentation lacks, and the fix for each.
    Doctor(doctor::Args),
    /// Price stored calls again, by the price table as it is now.
    Recost(recost::Args),
    /// Show, check and import price tables.
    Prices {
        #[command(subcommand)]
        command: prices::Command,
    },
    /// Look at the settings.
    Config {
        #[command(subcommand)]
        command: config::Command,
    },
}

/// Parses the command line and runs the command.
pub fn main() -> ExitCode {
    let cli = Cli::parse();
    let settings = match crate::config::load(cli.config.as_deref(), std::env::vars()) {
        Ok(settings) => settings,
        Err(error) => return fail(2, &format!("settings: {error}")),
    };
    let ended = match cli.command {
        Command::Serve => block_on(serve::run(settings)),
        Command::Demo(args) => block_on(demo::run(settings, args)),
        Command::Load(args) => block_on_one_thread(load::run(settings, args)),
        Command::Verify(args) => block_on(verify::run(settings, args)),
        Command::Doctor(args) => block_on(doctor::run(settings, args)),
        Command::Health => health::run(&settings),
        Command::Explain(args) => block_on(explain::run(settings, args)),
        Command::Recost(args) => block_on(recost::run(settings, args)),
        Command::Prices { command } => prices::run(&settings, &command),
        Command::Config { command } => config::run(&settings, &command),
    };
    match ended {
        Ok(code) => code,
        Err(error) => fail(1, &format!("{error:#}")),
    }
}

fn block_on(command: impl Future<Output = anyhow::Result<ExitCode>>) -> anyhow::Result<ExitCode> {
    tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()?
        .block_on(command)
}

/// One thread: a sender shares the machine with the server that it tries.
fn block_on_one_thread(
    command: impl Future<Output = anyhow::Result<ExitCode>>,
) -> anyhow::Result<ExitCode> {
    tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?
        .block_on(command)
}

/// A station's error, which fits behind these words, with its causes in one line.
fn could_not(error: impl Into<anyhow::Error>) -> anyhow::Error {
    anyhow::anyhow!("could not {:#}", error.into())
}

/// A seed that nobody had before, as far as anybody can say.
fn random_seed() -> u64 {
    use std::hash::{BuildHasher, Hasher, RandomState};
    // The standard library's own source of randomness, and the time.
    let mut hasher = RandomState::new().build_hasher();
    let since = std::time::UNIX_EPOCH.elapsed().unwrap_or_default();
    hasher.write_u128(since.as_nanos());
    // Programs that read JSON numbers as floating point have 53 bits.
    hasher.finish() >> 11
}

/// The store of the settings, connected. The service may run beside it.
async fn open_store(settings: &Config) -> anyhow::Result<(Store, Pool)> {
    let url = settings.store_url()?;
    let store = Store::new(
        store::Config {
            url,
            ..Default::default()
        },
        &prometheus::Registry::new(),
    )?;
    let unreachable = || format!("can't open the store ({})", store.describe());
    store.connect().await.with_context(unreachable)?;
    let pool = store.pool().with_context(unreachable)?;
    Ok((store, pool))
}

fn fail(code: u8, message: &str) -> ExitCode {
    eprintln!("spanledger: {message}");
    ExitCode::from(code)
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    #[test]
    fn the_command_line_is_consistent() {
        super::Cli::command().debug_assert();
    }
}
