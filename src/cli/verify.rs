//! `spanledger verify LEDGER`: what a load noted against what the store holds.

use std::{
    path::PathBuf,
    process::ExitCode,
    time::{Duration, Instant},
};

use super::{Config, FOUND_DIFFERENCES, could_not, open_store};
use crate::{
    load::{Found, Notes, ROWS, Verdict, verify},
    query::held::count,
    store::Pool,
};

/// How often a store that has not caught up is asked again.
const ASK_EVERY: Duration = Duration::from_millis(250);

#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// The file that `spanledger load --ledger` wrote.
    ledger: PathBuf,
    /// Wait up to this many seconds for the store to catch up.
    #[arg(long, value_name = "SECONDS", default_value_t = 0)]
    wait: u32,
    /// Print JSON.
    #[arg(long)]
    json: bool,
}

pub(super) async fn run(settings: Config, args: Args) -> anyhow::Result<ExitCode> {
    let notes = Notes::read(&args.ledger).map_err(could_not)?;
    if notes.runs.is_empty() {
        anyhow::bail!("the ledger {} holds no run", args.ledger.display());
    }
    let prices = settings.price_table()?;
    let (store, pool) = open_store(&settings).await?;
    let until = Instant::now() + Duration::from_secs(args.wait.into());
    let mut verdicts = Vec::new();
    for (run, notes) in &notes.runs {
        let verdict = loop {
            wait_for_rows(&pool, &run.prefix(), notes.acked.len() * ROWS, until).await?;
            let verdict = verify(&pool, *run, notes, &prices)
                .await
                .map_err(could_not)?;
            // What is not there yet may come; anything else does not get better.
            if verdict.lost.count == 0 || Instant::now() >= until {
                break verdict;
            }
            tokio::time::sleep(ASK_EVERY).await;
        };
        verdicts.push(verdict);
    }
    store.close().await;
    if args.json {
        println!("{}", serde_json::to_string_pretty(&verdicts)?);
    } else {
        let texts: Vec<String> = verdicts.iter().map(text).collect();
        print!("{}", texts.join("\n"));
    }
    Ok(match verdicts.iter().all(Verdict::is_fine) {
        true => ExitCode::SUCCESS,
        false => ExitCode::from(FOUND_DIFFERENCES),
    })
}

/// Waits until there are this many rows, or the time is over. Counting is cheaper than comparing.
async fn wait_for_rows(pool: &Pool, prefix: &str, rows: u64, until: Instant) -> anyhow::Result<()> {
    while Instant::now() < until && count(pool, prefix).await? < rows {
        tokio::time::sleep(ASK_EVERY).await;
    }
    Ok(())
}

fn text(verdict: &Verdict) -> String {
    let totals = &verdict.totals;
    let mut lines = vec![
        format!("run         {} (--seed {})", verdict.run, verdict.seed),
        format!(
            "spans       {} sent, {} acked, {} without an answer",
            verdict.sent, verdict.acked, verdict.unanswered
        ),
        format!(
            "rows        {} expected, {} found; {} of spans without an answer",
            verdict.rows_expected, verdict.rows_found, verdict.rows_of_unanswered
        ),
        format!(
            "tokens      in {} sent, {} stored; out {} sent, {} stored",
            totals.input_tokens_sent,
            totals.input_tokens_stored,
            totals.output_tokens_sent,
            totals.output_tokens_stored
        ),
        format!(
            "cost, USD   {:.6} expected, {:.6} stored",
            totals.cost_expected, totals.cost_stored
        ),
    ];
    if totals.priced_by_other_table > 0 {
        lines.push(format!(
            "            {} rows were priced by another version of the price table",
            totals.priced_by_other_table
        ));
    }
    let mut found = |name: &str, what: &Found| {
        lines.push(format!("{name:<11} {}", what.count));
        lines.extend(what.examples.iter().map(|one| format!("            {one}")));
    };
    found("lost", &verdict.lost);
    found("doubled", &verdict.doubled);
    found("unexpected", &verdict.unexpected);
    found("different", &verdict.different);
    found("dead letter", &verdict.dead_letters);
    lines.join("\n") + "\n"
}
