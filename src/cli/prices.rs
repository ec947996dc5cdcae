//! `spanledger prices`: show, check and import price tables.

use std::{collections::BTreeMap, path::PathBuf, process::ExitCode};

use anyhow::Context as _;
use chrono::{NaiveDate, Utc};
use serde_json::json;

use super::{Config, FOUND_DIFFERENCES};
use crate::price::{Entry, Rate, Rates, Table, import};

#[derive(Debug, clap::Subcommand)]
pub(super) enum Command {
    /// What a model costs and which rule says so; without a model, the lists and their size.
    Show {
        /// The model's name, as an app sends it.
        model: Option<String>,
        /// OTel provider name (openai, aws.bedrock, …).
        #[arg(long, value_name = "NAME")]
        provider: Option<String>,
        /// The day of the price; today if not given.
        #[arg(long, value_name = "DATE")]
        at: Option<NaiveDate>,
        /// Print JSON.
        #[arg(long)]
        json: bool,
    },
    /// Read a table and say what is wrong with it.
    Check {
        /// A table in the format of config/prices.toml.
        file: PathBuf,
    },
    /// Turn genai-prices' or litellm's JSON into a table, and say what is new.
    Import {
        /// The JSON file.
        file: PathBuf,
        /// Where the table goes; without it, only the differences are shown.
        #[arg(long, value_name = "FILE")]
        out: Option<PathBuf>,
    },
}

pub(super) fn run(settings: &Config, command: &Command) -> anyhow::Result<ExitCode> {
    match command {
        Command::Show {
            model,
            provider,
            at,
            json,
        } => show(
            &settings.price_table()?,
            model.as_deref(),
            provider.as_deref(),
            at.unwrap_or_else(|| Utc::now().date_naive()),
            *json,
        ),
        Command::Check { file } => {
            let text = std::fs::read_to_string(file)
                .with_context(|| format!("can't read {}", file.display()))?;
            match Table::parse(&text) {
                Ok(table) => {
                    let models = table.entries().count();
                    println!(
                        "{}: fine, {models} prices, version {}",
                        file.display(),
                        table.version()
                    );
                    Ok(ExitCode::SUCCESS)
                }
                Err(error) => {
                    eprintln!("{}: {error}", file.display());
                    Ok(ExitCode::FAILURE)
                }
            }
        }
        Command::Import { file, out } => import_file(&settings.price_table()?, file, out.as_ref()),
    }
}

fn show(
    table: &Table,
    model: Option<&str>,
    provider: Option<&str>,
    at: NaiveDate,
    as_json: bool,
) -> anyhow::Result<ExitCode> {
    let Some(model) = model else {
        let mut lists: BTreeMap<&str, usize> = BTreeMap::new();
        for entry in table.entries() {
            let list = entry.name.split('/').next().unwrap_or_default();
            *lists.entry(list).or_default() += 1;
        }
        if as_json {
            println!(
                "{:#}",
                json!({ "version": table.version(), "lists": lists })
            );
        } else {
            println!("price table {}", table.version());
            for (list, models) in lists {
                println!("  {list:<14}{models:>5} prices");
            }
        }
        return Ok(ExitCode::SUCCESS);
    };
    let Some(entry) = table.entry(provider, model, at) else {
        let of = provider
            .map(|provider| format!(" of {provider}"))
            .unwrap_or_default();
        eprintln!(
            "the table has no rule for {model}{of}. Give it one in [price] of spanledger.toml: \
             aliases = {{ \"{model}\" = \"provider/model\" }}, or models = [{{ … }}]"
        );
        return Ok(ExitCode::FAILURE);
    };
    if as_json {
        let rates = serde_json::to_value(entry.rates)?;
        let tiers = serde_json::to_value(entry.tiers)?;
        let shown = json!({
            "rule": entry.name, "version": table.version(), "at": at, "rates": rates, "tiers": tiers,
        });
        println!("{shown:#}");
    } else {
        println!("{} of price table {}, on {at}", entry.name, table.version());
        for (part, text) in rates(entry.rates) {
            println!("  {part:<16}{text}");
        }
        for (tier, factor) in entry.tiers {
            println!("  tier {tier:<11}× {factor}");
        }
    }
    Ok(ExitCode::SUCCESS)
}

/// Each rate in words.
fn rates(rates: &Rates) -> Vec<(&'static str, String)> {
    let tokens = [
        ("input", &rates.input),
        ("output", &rates.output),
        ("cache_read", &rates.cache_read),
        ("cache_write", &rates.cache_write),
        ("cache_write_1h", &rates.cache_write_1h),
        ("input_audio", &rates.input_audio),
        ("output_audio", &rates.output_audio),
        ("reasoning", &rates.reasoning),
    ];
    let million = |rate: &Rate| match rate {
        Rate::Flat(usd) => format!("{usd} USD for a million tokens"),
        Rate::Tiers(tiers) => {
            let parts = tiers.iter().map(|(above, usd)| match above {
                0 => format!("{usd} USD for a million tokens"),
                above => format!("{usd} once the input is over {above}"),
            });
            parts.collect::<Vec<_>>().join(", ")
        }
    };
    let tokens = tokens
        .into_iter()
        .filter_map(|(part, rate)| Some((part, million(rate.as_ref()?))));
    let flat = [
        ("second", rates.second, "a second of audio"),
        ("query", rates.query, "a query"),
        ("request", rates.request, "a request"),
    ];
    let flat = flat
        .into_iter()
        .filter_map(|(part, usd, of)| Some((part, format!("{} USD for {of}", usd?))));
    tokens.chain(flat).collect()
}

fn import_file(old: &Table, file: &PathBuf, out: Option<&PathBuf>) -> anyhow::Result<ExitCode> {
    let text =
        std::fs::read_to_string(file).with_context(|| format!("can't read {}", file.display()))?;
    let version = Utc::now().date_naive().to_string();
    let new = import::import(&text, &version)
        .with_context(|| format!("can't import {}", file.display()))?;
    let printed = |entry: Entry<'_>| (entry.name.to_owned(), format!("{:?}", entry.rates));
    let before: BTreeMap<String, String> = old.entries().map(printed).collect();
    let after: BTreeMap<String, String> = new.table.entries().map(printed).collect();
    let mut counts = [0usize; 3];
    for (name, rates) in &after {
        match before.get(name) {
            None => {
                counts[0] += 1;
                println!("+ {name}");
            }
            Some(known) if known != rates => {
                counts[1] += 1;
                println!("~ {name}");
            }
            Some(_) => {}
        }
    }
    for name in before.keys().filter(|name| !after.contains_key(*name)) {
        counts[2] += 1;
        println!("- {name}");
    }
    let [added, changed, gone] = counts;
    eprintln!(
        "{} prices: {added} new, {changed} changed, {gone} gone; {} entries can't be said in our \
         table and are left out",
        after.len(),
        new.left_out.len()
    );
    if let Some(out) = out {
        std::fs::write(out, new.toml).with_context(|| format!("can't write {}", out.display()))?;
        eprintln!(
            "written to {}; set [price] file to it, then `spanledger recost --since DATE`",
            out.display()
        );
        return Ok(ExitCode::SUCCESS);
    }
    let is_same = counts == [0; 3];
    Ok(if is_same {
        ExitCode::SUCCESS
    } else {
        ExitCode::from(FOUND_DIFFERENCES)
    })
}
