//! `spanledger demo`: the service on its default store, a fleet of synthetic apps, what landed.

use std::{
    process::ExitCode,
    time::{SystemTime, UNIX_EPOCH},
};

use anyhow::Context as _;

use super::{Config, FOUND_DIFFERENCES};
use crate::{
    app::{App, Stop, stop_on_signals},
    demo::{Paint, Plan, fleet, progress::Display, summary::Summary},
    query::landed::landed,
    telemetry,
};

#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// End after one round: status 0 only if every span sent is accounted for.
    #[arg(long)]
    once: bool,
    /// Requests that each app makes.
    #[arg(long, default_value_t = 40, value_name = "N")]
    requests: u64,
    /// The same seed makes the same apps do the same; random if not given.
    #[arg(long, value_name = "N")]
    seed: Option<u64>,
    /// Print what landed as JSON.
    #[arg(long)]
    json: bool,
}

pub(super) async fn run(mut settings: Config, args: Args) -> anyhow::Result<ExitCode> {
    // The summary is what people look at; the log says what goes wrong, unless asked for more.
    if settings.telemetry == telemetry::Config::default() {
        settings.telemetry.log_filter = "warn".into();
    }
    let telemetry = telemetry::init(&settings.telemetry)
        .map_err(|error| anyhow::anyhow!("could not {error}"))?;
    let app = App::build(settings).await?;
    let listening = app.listening();
    let (store, spool, mut stored) = (app.store(), app.spool(), app.stored());
    let stop = if args.once {
        Stop::default()
    } else {
        stop_on_signals()?
    };
    let running = tokio::spawn(app.run(stop.clone()));

    let end = SystemTime::now();
    let plan = Plan {
        seed: args.seed.unwrap_or_else(|| seed(end)),
        requests_per_app: args.requests,
        end,
    };
    let endpoint = format!("http://{}", listening.grpc);
    let progress = Display::stderr();
    let sent = fleet::run(&endpoint, &plan, |step| progress.show(step)).await;
    progress.finish();
    let sent = sent.context("the synthetic apps could not")?;

    // What the last ack covers has been stored once the rows lane is past the spool's end.
    let end = spool.end();
    let all = stored.wait_for(|passed| *passed >= Some(end)).await;
    all.context("the service ended before everything was stored")?;
    let pool = store.pool().context("the store is not connected")?;
    let landed = landed(&pool, &sent.trace_ids)
        .await
        .context("could not read what landed")?;
    let summary = Summary::new(sent, landed);
    let mut out = std::io::stdout().lock();
    if args.json {
        summary.write_json(&mut out)?;
    } else {
        summary.write_text(&mut out, Paint::for_stdout())?;
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
    telemetry.close().await;
    Ok(if args.once && !summary.accounted_for {
        ExitCode::from(FOUND_DIFFERENCES)
    } else {
        ExitCode::SUCCESS
    })
}

/// A seed of the moment.
fn seed(now: SystemTime) -> u64 {
    now.duration_since(UNIX_EPOCH)
        .map_or(0, |since| since.as_nanos() as u64)
}
