//! `spanledger load`: spans as fast as acks come, or at a rate, with books kept of them.

use std::{io::IsTerminal as _, path::PathBuf, process::ExitCode, time::Duration};

use clap::ValueEnum;
use indicatif::{ProgressBar, ProgressStyle};

use super::{Config, FOUND_DIFFERENCES, could_not, random_seed};
use crate::{
    app::stop_on_signals,
    load::{Amount, Endpoint, Plan, Progress, Protocol, Report, Writer, run as send},
    telemetry,
};

/// An export without an ack is tried again for this long.
const GIVE_UP_AFTER: Duration = Duration::from_secs(300);

#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// Where to send: HOST:PORT. By default the listener of the settings.
    #[arg(long, value_name = "HOST:PORT")]
    endpoint: Option<String>,
    /// OTLP over what.
    #[arg(long, value_enum, default_value = "grpc")]
    protocol: Over,
    /// Compress the requests.
    #[arg(long)]
    gzip: bool,
    /// Spans to send; rounded up to whole requests of five spans.
    #[arg(long, value_name = "N", default_value_t = 100_000, conflicts_with = "duration",
          value_parser = clap::value_parser!(u64).range(1..))]
    spans: u64,
    /// Send for this many seconds instead.
    #[arg(long, value_name = "SECONDS", value_parser = positive)]
    duration: Option<f64>,
    /// Spans a second; as fast as acks come if not given.
    #[arg(long, value_name = "N", value_parser = positive)]
    rate: Option<f64>,
    /// Connections, each with one request under way.
    #[arg(long, value_name = "N", default_value_t = 4,
          value_parser = clap::value_parser!(u16).range(1..))]
    connections: u16,
    /// Spans of one request, at most.
    #[arg(long, value_name = "N", default_value_t = 512,
          value_parser = clap::value_parser!(u64).range(5..=50_000))]
    batch: u64,
    /// The same seed makes the same ids and bodies, different seeds never share an id; random if
    /// not given.
    #[arg(long, value_name = "N")]
    seed: Option<u64>,
    /// Append to this file what was sent and what was acked, for `spanledger verify`.
    #[arg(long, value_name = "FILE")]
    ledger: Option<PathBuf>,
    /// Print the summary as JSON.
    #[arg(long)]
    json: bool,
}

#[derive(Debug, Clone, Copy, ValueEnum)]
enum Over {
    #[value(name = "grpc")]
    Grpc,
    #[value(name = "http/protobuf")]
    HttpProtobuf,
    #[value(name = "http/json")]
    HttpJson,
}

pub(super) async fn run(mut settings: Config, args: Args) -> anyhow::Result<ExitCode> {
    if settings.telemetry == telemetry::Config::default() {
        settings.telemetry.log_filter = "warn".into();
    }
    let telemetry = telemetry::init(&settings.telemetry).map_err(could_not)?;
    let (protocol, listener) = match args.protocol {
        Over::Grpc => (Protocol::Grpc, settings.receive.grpc_addr),
        Over::HttpProtobuf => (Protocol::HttpProtobuf, settings.receive.http_addr),
        Over::HttpJson => (Protocol::HttpJson, settings.receive.http_addr),
    };
    let endpoint = args.endpoint.unwrap_or_else(|| listener.to_string());
    let plan = Plan {
        endpoint: Endpoint::parse(&endpoint).map_err(could_not)?,
        protocol,
        gzip: args.gzip,
        amount: match args.duration {
            Some(seconds) => Amount::For(Duration::from_secs_f64(seconds)),
            None => Amount::Spans(args.spans),
        },
        rate: args.rate,
        connections: args.connections.into(),
        batch: args.batch,
        seed: args.seed.unwrap_or_else(random_seed),
        give_up_after: GIVE_UP_AFTER,
    };
    let ledger = args.ledger.as_deref();
    let ledger = ledger.map(|path| Writer::open(path, plan.seed, plan.protocol));
    let ledger = ledger.transpose().map_err(could_not)?;
    let stop = stop_on_signals()?;
    let bar = bar(plan.amount);
    let amount = plan.amount;
    let show = |progress: Progress| {
        let position = match amount {
            Amount::Spans(_) => progress.acked,
            Amount::For(_) => progress.elapsed.as_millis() as u64,
        };
        bar.set_position(position);
        let seconds = progress.elapsed.as_secs_f64().max(1e-9);
        bar.set_message(format!(
            "{} spans acked, {:.0}/s, {} retries",
            progress.acked,
            progress.acked as f64 / seconds,
            progress.retries
        ));
    };
    let sent = tokio::select! {
        sent = send(plan, ledger, stop.soon.clone(), show) => sent.map_err(could_not)?,
        () = stop.now.cancelled() => anyhow::bail!("stopped; the ledger holds what was acked"),
    };
    bar.finish_and_clear();
    if args.json {
        println!("{}", serde_json::to_string_pretty(&sent)?);
    } else {
        print!("{}", text(&sent));
    }
    telemetry.close().await;
    if sent.acked == 0
        && let Some(why) = &sent.last_failure
    {
        anyhow::bail!("nothing was acked: {why}");
    }
    Ok(match sent.is_all_acked() {
        true => ExitCode::SUCCESS,
        false => ExitCode::from(FOUND_DIFFERENCES),
    })
}

fn positive(text: &str) -> Result<f64, String> {
    let number: Result<f64, _> = text.parse();
    let number = number.ok().filter(|n| n.is_finite() && *n > 0.0);
    // A longer time can't be added to the clock.
    number
        .filter(|n| *n < 1e9)
        .ok_or_else(|| "it must be a number above 0".into())
}

/// A bar on a terminal; elsewhere nothing.
fn bar(amount: Amount) -> ProgressBar {
    if !std::io::stderr().is_terminal() {
        return ProgressBar::hidden();
    }
    let bar = ProgressBar::new(match amount {
        Amount::Spans(spans) => spans,
        Amount::For(time) => time.as_millis() as u64,
    });
    match ProgressStyle::with_template("{bar:30} {msg}") {
        Ok(style) => bar.with_style(style),
        Err(_) => bar,
    }
}

fn text(report: &Report) -> String {
    let ms = |time: Option<f64>| time.map_or("-".into(), |ms| format!("{ms:.1}"));
    let mut lines = vec![
        format!("run           {} (--seed {})", report.run, report.seed),
        format!(
            "spans         {} sent, {} acked, {} rejected, {} without an answer",
            report.sent, report.acked, report.rejected, report.unanswered
        ),
        format!(
            "rate          {:.0} acked spans/s over {:.1} s",
            report.spans_per_second, report.seconds
        ),
        format!(
            "ack, ms       p50 {}  p90 {}  p99 {}  max {}",
            ms(report.ack_ms.p50),
            ms(report.ack_ms.p90),
            ms(report.ack_ms.p99),
            ms(report.ack_ms.max)
        ),
        format!("retries       {}", report.retries),
    ];
    if let Some(cpu) = report.cpu_seconds {
        lines.push(format!("own CPU       {cpu:.2} s"));
    }
    if let Some(why) = &report.last_failure {
        lines.push(format!("last failure  {why}"));
    }
    lines.join("\n") + "\n"
}
