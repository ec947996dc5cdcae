//! `spanledger recost`: stored calls priced again, by the price table as it is now.

use std::{io::IsTerminal as _, process::ExitCode};

use anyhow::Context as _;
use chrono::{DateTime, NaiveDate, NaiveTime};
use serde_json::json;

use super::{Config, open_store};
use crate::{
    price::Table,
    query::{
        calls::{self, Cursor, StoredCall},
        speech,
    },
    record::{Cost, Unpriced},
    store::{Pool, Repriced, Store},
};

#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// First day (2026-11-01) or moment (RFC 3339) whose calls are priced again.
    #[arg(long, value_name = "DATE")]
    since: String,
    /// Say what would change, and change nothing.
    #[arg(long)]
    dry_run: bool,
    /// Print JSON.
    #[arg(long)]
    json: bool,
}

/// What a run found.
#[derive(Debug, Default)]
struct Outcome {
    looked_at: u64,
    changed: u64,
    newly_priced: u64,
    no_longer_priced: u64,
    before_usd: f64,
    after_usd: f64,
}

pub(super) async fn run(settings: Config, args: Args) -> anyhow::Result<ExitCode> {
    let since = moment(&args.since)?;
    let table = settings.price_table()?;
    let (store, pool) = open_store(&settings).await?;
    let mut outcome = Outcome::default();
    let from = Cursor {
        started_at: since,
        id: String::new(),
    };
    let recosted = async {
        recost_calls(
            &store,
            &pool,
            &table,
            from.clone(),
            args.dry_run,
            &mut outcome,
        )
        .await?;
        recost_speech(&store, &pool, &table, from, args.dry_run, &mut outcome).await
    };
    let recosted = recosted.await;
    store.close().await;
    recosted?;
    if std::io::stderr().is_terminal() {
        eprintln!();
    }
    if args.json {
        println!("{:#}", outcome.json(table.version(), args.dry_run));
    } else {
        print!("{}", outcome.text(table.version(), args.dry_run));
    }
    Ok(ExitCode::SUCCESS)
}

/// Unix ns of a day's start (UTC) or a moment.
fn moment(text: &str) -> anyhow::Result<i64> {
    let day = text
        .parse::<NaiveDate>()
        .map(|day| day.and_time(NaiveTime::MIN).and_utc());
    let at = day.or_else(|_| DateTime::parse_from_rfc3339(text).map(|at| at.to_utc()));
    let at = at.with_context(|| {
        format!(
            "--since {text:?} is neither a day (2026-11-01) nor a moment (2026-11-01T08:00:00Z)"
        )
    })?;
    at.timestamp_nanos_opt()
        .context("--since lies too far from today")
}

async fn recost_calls(
    store: &Store,
    pool: &Pool,
    table: &Table,
    mut cursor: Cursor,
    dry_run: bool,
    outcome: &mut Outcome,
) -> anyhow::Result<()> {
    loop {
        let rows = calls::after(pool, &cursor).await?;
        let Some(last) = rows.last() else {
            return Ok(());
        };
        let next = Cursor {
            started_at: last.call.header.started_at,
            id: last.id.clone(),
        };
        let mut changed = Vec::new();
        for row in &rows {
            let cost = table
                .charge(&row.call)
                .map(|charge| charge.cost(table.version()));
            if outcome.add(
                row.cost,
                &cost,
                row.call.counted.is_yes(),
                is_same(row, &cost),
            ) {
                changed.push(Repriced::Call(&row.call, cost));
            }
        }
        if !dry_run {
            store.recost(&changed).await?;
        }
        outcome.show();
        cursor = next;
    }
}

async fn recost_speech(
    store: &Store,
    pool: &Pool,
    table: &Table,
    mut cursor: Cursor,
    dry_run: bool,
    outcome: &mut Outcome,
) -> anyhow::Result<()> {
    loop {
        let rows = speech::after(pool, &cursor).await?;
        let Some(last) = rows.last() else {
            return Ok(());
        };
        let next = Cursor {
            started_at: last.event.header.started_at,
            id: last.id.clone(),
        };
        let mut changed = Vec::new();
        for row in &rows {
            let charge = table.charge_speech(&row.event);
            let cost = charge.map(|charge| charge.cost(table.version()));
            let is_same = is_same_usd(row.cost, &cost);
            if outcome.add(row.cost, &cost, true, is_same) {
                changed.push(Repriced::Speech(&row.event, &row.id, cost));
            }
        }
        if !dry_run {
            store.recost(&changed).await?;
        }
        outcome.show();
        cursor = next;
    }
}

fn is_same(row: &StoredCall, cost: &Result<Cost, Unpriced>) -> bool {
    let rule = cost.as_ref().ok().map(|cost| cost.rule.as_str());
    is_same_usd(row.cost, cost) && row.rule.as_deref() == rule
}

/// The same money, but for what a float's last digit makes of it.
fn is_same_usd(stored: Option<f64>, cost: &Result<Cost, Unpriced>) -> bool {
    match (stored, cost) {
        (Some(stored), Ok(cost)) => (stored - cost.usd).abs() <= 1e-12_f64.max(stored.abs() * 1e-9),
        (None, Err(_)) => true,
        _ => false,
    }
}

impl Outcome {
    /// Adds a row; true if it is to be changed. Only counted rows are in the sums of money.
    fn add(
        &mut self,
        stored: Option<f64>,
        cost: &Result<Cost, Unpriced>,
        is_counted: bool,
        is_same: bool,
    ) -> bool {
        self.looked_at += 1;
        let now = cost.as_ref().ok().map(|cost| cost.usd);
        if is_counted {
            self.before_usd += stored.unwrap_or(0.0);
            self.after_usd += now.unwrap_or(0.0);
        }
        self.changed += u64::from(!is_same);
        self.newly_priced += u64::from(stored.is_none() && now.is_some());
        self.no_longer_priced += u64::from(stored.is_some() && now.is_none());
        !is_same
    }

    fn show(&self) {
        if std::io::stderr().is_terminal() {
            eprint!(
                "\r{} rows looked at, {} changed",
                self.looked_at, self.changed
            );
        }
    }

    fn json(&self, version: &str, dry_run: bool) -> serde_json::Value {
        json!({
            "price_version": version,
            "dry_run": dry_run,
            "looked_at": self.looked_at,
            "changed": self.changed,
            "newly_priced": self.newly_priced,
            "no_longer_priced": self.no_longer_priced,
            "before_usd": self.before_usd,
            "after_usd": self.after_usd,
        })
    }

    fn text(&self, version: &str, dry_run: bool) -> String {
        let verb = if dry_run { "would change" } else { "changed" };
        format!(
            "{} rows looked at by price table {version}, {} {verb} ({} priced for the first time, \
             {} no longer)\ncost of what counts: {:.6} USD before, {:.6} USD now\n",
            self.looked_at,
            self.changed,
            self.newly_priced,
            self.no_longer_priced,
            self.before_usd,
            self.after_usd
        )
    }
}

#[cfg(test)]
mod tests {
    use super::moment;

    #[test]
    fn a_day_or_a_moment() {
        assert_eq!(moment("1970-01-02").unwrap(), 86_400_000_000_000);
        assert_eq!(moment("1970-01-01T01:00:00+01:00").unwrap(), 0);
        assert!(
            moment("yesterday")
                .unwrap_err()
                .to_string()
                .contains("2026-11-01")
        );
    }
}
