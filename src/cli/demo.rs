//! `spanledger demo`: the service on its default store, a fleet of synthetic apps, what landed.

use std::{io::IsTerminal, process::ExitCode, time::SystemTime};

use anyhow::Context as _;

use super::{Config, FOUND_DIFFERENCES};
use crate::{
    app::{App, Stop, stop_on_signals},
    demo, query, telemetry,
};

#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// End after one round: status 0 only if every span sent is accounted for.
    #[arg(long)]
    once: bool,
    /// Requests that each app makes.
    #[arg(long, default_value_t = 40, value_name = "N")]
    requests: u32,
    /// The same seed makes the same apps do the same; random if not given.
    #[arg(long, value_name = "N")]
    seed: Option<u64>,
    /// Print what landed as JSON.
    #[arg(long)]
    json: bool,
}

pub(super) async fn run(mut settings: Config, args: Args) -> anyhow::Result<ExitCode> {
    // The summary is what people look at; the log only says what goes wrong, unless asked.
    settings.telemetry.quiet_unless_set();
    let telemetry = telemetry::init(&settings.telemetry)?;
    let app = App::build(settings).await?;
    let listening = app.listening();
    let (store, spool, mut stored) = (app.store(), app.spool(), app.stored());
    let stop = if args.once {
        Stop::default()
    } else {
        stop_on_signals()
    };
    let running = tokio::spawn(app.run(stop.clone()));

    let since = SystemTime::now();
    let seed = args.seed.unwrap_or_else(|| demo::seed_of(since));
    let plan = demo::Plan {
        seed,
        requests_per_app: args.requests,
        end: since,
    };
    let endpoint = format!("http://{}", listening.grpc);
    let progress = demo::progress::Bar::new(!args.json && std::io::stderr().is_terminal());
    let sent = demo::fleet::run(&endpoint, &plan, |step| progress.show(&step)).await;
    progress.finish();
    let sent = sent.context("the synthetic apps could not send")?;

    let end = spool.end();
    stored
        .wait_for(|passed| *passed >= Some(end))
        .await
        .context("the service ended before everything was stored")?;
    let pool = store.pool().context("the store is not connected")?;
    let landed = query::demo::landed(&pool, &sent.trace_ids).await?;
    let summary =
        demo::summary::Summary::new(&sent, landed, &format!("http://{}/", listening.http));
    let mut out = std::io::stdout().lock();
    if args.json {
        summary.write_json(&mut out)?;
    } else {
        let colour = std::io::stdout().is_terminal() && std::env::var_os("NO_COLOR").is_none();
        summary.write(&mut out, colour)?;
    }
    drop(out);
    if args.once {
        stop.soon.cancel();
    } else {
        eprintln!(
            "\nThe page stays open at http://{}/ — Ctrl-C ends it.",
            listening.http
        );
    }
    running.await??;
    telemetry.shutdown();
    Ok(if args.once && !summary.is_complete() {
        ExitCode::from(FOUND_DIFFERENCES)
    } else {
        ExitCode::SUCCESS
    })
}
