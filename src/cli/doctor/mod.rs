//! `spanledger doctor`: what the connected apps' instrumentation lacks, and the fix for each.

mod judge;

use std::{io::IsTerminal as _, process::ExitCode, time::Duration};

use anyhow::Context as _;
use chrono::{DateTime, NaiveDate, NaiveTime, Utc};

use super::{Config, FOUND_DIFFERENCES, open_store};
use crate::query::doctor::facts;
use judge::Finding;

#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// How far back to look: a span of time (90m, 24h, 7d) or a day (2026-11-01).
    #[arg(long, default_value = "24h", value_name = "TIME")]
    since: String,
    /// Only this service.
    #[arg(long, value_name = "NAME")]
    service: Option<String>,
    /// Print JSON.
    #[arg(long)]
    json: bool,
}

pub(super) async fn run(settings: Config, args: Args) -> anyhow::Result<ExitCode> {
    let since = since(&args.since, Utc::now())?;
    let (store, pool) = open_store(&settings).await?;
    let facts = facts(&pool, since).await;
    store.close().await;
    let facts = facts.context("can't read the store")?;
    let calls: u64 = facts.services.iter().map(|service| service.calls).sum();
    let mut findings = judge::findings(&facts);
    if let Some(name) = &args.service {
        findings.retain(|finding| finding.service == *name);
    }
    if args.json {
        let report = serde_json::json!({
            "since": since.to_rfc3339(), "calls": calls, "findings": findings,
        });
        println!("{report:#}");
    } else if calls == 0 && facts.speech.is_empty() && facts.retrievals.is_empty() {
        println!(
            "Nothing has arrived since {}. Point an app at this service: \
             OTEL_EXPORTER_OTLP_ENDPOINT=http://{}",
            since.format("%Y-%m-%d %H:%M UTC"),
            settings.receive.http_addr
        );
    } else {
        print!(
            "{}",
            text(&findings, calls, std::io::stdout().is_terminal())
        );
    }
    Ok(match findings.is_empty() {
        true => ExitCode::SUCCESS,
        false => ExitCode::from(FOUND_DIFFERENCES),
    })
}

fn since(text: &str, now: DateTime<Utc>) -> anyhow::Result<DateTime<Utc>> {
    if let Ok(day) = text.parse::<NaiveDate>() {
        return Ok(day.and_time(NaiveTime::MIN).and_utc());
    }
    let help = || format!("--since {text:?}: say 90m, 24h, 7d, or a day like 2026-11-01");
    let unit = text.chars().next_back().with_context(help)?;
    let number: u64 = text
        .trim_end_matches(unit)
        .parse()
        .ok()
        .with_context(help)?;
    let seconds = match unit {
        'm' => 60,
        'h' => 3_600,
        'd' => 86_400,
        _ => anyhow::bail!(help()),
    };
    let back = Duration::from_secs(number.checked_mul(seconds).with_context(help)?);
    now.checked_sub_signed(chrono::TimeDelta::from_std(back).with_context(help)?)
        .with_context(help)
}

/// By service, the worst first; colours where a terminal shows them.
fn text(findings: &[Finding], calls: u64, is_terminal: bool) -> String {
    use std::fmt::Write as _;
    let bold = |text: &str| match is_terminal {
        true => format!("\u{1b}[1m{text}\u{1b}[0m"),
        false => text.to_owned(),
    };
    let mut out = String::new();
    let mut last = None;
    for finding in findings {
        if last != Some(&finding.service) {
            let _ = writeln!(out, "{}", bold(&finding.service));
            last = Some(&finding.service);
        }
        let _ = writeln!(
            out,
            "  {} ({} of {})",
            finding.what, finding.calls, finding.of
        );
        let _ = writeln!(out, "    {}", finding.fix);
        if let Some(trace) = &finding.example {
            let _ = writeln!(out, "    for example trace {trace}");
        }
    }
    let _ = match findings.len() {
        0 => writeln!(out, "{calls} calls looked at; nothing is missing."),
        n => writeln!(out, "{calls} calls looked at, {n} findings."),
    };
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_spans_or_days() {
        let now = DateTime::from_timestamp(1_000_000, 0).unwrap();
        assert_eq!(since("2h", now).unwrap().timestamp(), 1_000_000 - 7_200);
        assert_eq!(since("1970-01-02", now).unwrap().timestamp(), 86_400);
        for wrong in ["", "h", "2y", "soon", "99999999999999999999d"] {
            assert!(since(wrong, now).is_err(), "{wrong}");
        }
    }
}
