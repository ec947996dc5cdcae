//! The TOML table. `config/prices.toml` says in its head what each key means.

use std::collections::BTreeMap;

use chrono::NaiveDate;
use rustc_hash::FxHashMap;
use serde::Deserialize;

/// What is wrong with a table.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// Not the format.
    #[error("{0}")]
    Syntax(#[from] toml::de::Error),
    /// A provider or an alias names what is not there.
    #[error("{what} names the list {list:?}, which is not under [models]")]
    NoList {
        /// Who names it.
        what: String,
        /// The missing list.
        list: String,
    },
    /// A rate that can't be one.
    #[error("{model}: a rate must be finite and not negative")]
    Rate {
        /// Whose.
        model: String,
    },
}

/// A price table, ready for look-ups.
#[derive(Debug)]
pub struct Table {
    version: String,
    pub(super) providers: FxHashMap<String, Vec<usize>>,
    pub(super) aliases: FxHashMap<String, String>,
    pub(super) lists: Vec<List>,
}

/// One provider's models.
#[derive(Debug, Default)]
pub(super) struct List {
    pub rules: Vec<Rule>,
    /// Exact names; several rules of one name differ in `from`.
    pub exact: FxHashMap<String, Vec<usize>>,
    /// Patterns, the most specific (longest) first.
    pub patterns: Vec<(Pattern, usize)>,
}

/// A name with something open.
#[derive(Debug)]
pub(super) enum Pattern {
    Starts(String),
    Ends(String),
    Contains(String),
}

/// One model's prices from a day on.
#[derive(Debug)]
pub(super) struct Rule {
    /// `list/id`, and `@day` where the price has one.
    pub name: String,
    pub from: Option<NaiveDate>,
    pub rates: Rates,
}

/// USD for a million tokens, a second, a query.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct Rates {
    pub input: Option<Rate>,
    pub output: Option<Rate>,
    pub cache_read: Option<Rate>,
    pub cache_write: Option<Rate>,
    pub cache_write_1h: Option<Rate>,
    pub input_audio: Option<Rate>,
    pub output_audio: Option<Rate>,
    pub second: Option<f64>,
    pub query: Option<f64>,
}

/// One rate, or one for each size of input.
#[derive(Debug, Clone, Deserialize)]
#[serde(untagged)]
pub(super) enum Rate {
    Flat(f64),
    /// (input tokens above which it holds, rate), rising.
    Tiers(Vec<(u64, f64)>),
}

impl Rate {
    /// The rate for a call with this much input.
    pub fn at(&self, input_tokens: i64) -> f64 {
        match self {
            Rate::Flat(rate) => *rate,
            Rate::Tiers(tiers) => tiers
                .iter()
                .rfind(|(above, _)| *above == 0 || input_tokens.unsigned_abs() > *above)
                .map_or(0.0, |(_, rate)| *rate),
        }
    }

    fn is_sane(&self) -> bool {
        let sane = |rate: &f64| rate.is_finite() && *rate >= 0.0;
        match self {
            Rate::Flat(rate) => sane(rate),
            Rate::Tiers(tiers) => !tiers.is_empty() && tiers.iter().all(|(_, rate)| sane(rate)),
        }
    }
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    version: String,
    #[serde(default)]
    providers: BTreeMap<String, Vec<String>>,
    #[serde(default)]
    aliases: BTreeMap<String, String>,
    models: BTreeMap<String, Vec<Model>>,
}

#[derive(Deserialize)]
struct Model {
    id: String,
    #[serde(rename = "match")]
    names: Vec<String>,
    from: Option<NaiveDate>,
    #[serde(flatten)]
    rates: Rates,
}

impl Table {
    /// Reads a table.
    pub fn parse(text: &str) -> Result<Self, Error> {
        let file: File = toml::from_str(text)?;
        let places: BTreeMap<String, usize> = file
            .models
            .keys()
            .enumerate()
            .map(|(i, name)| (name.clone(), i))
            .collect();
        let mut lists = Vec::with_capacity(file.models.len());
        for (name, models) in file.models {
            lists.push(List::new(&name, models)?);
        }
        let mut providers = FxHashMap::default();
        for (provider, names) in file.providers {
            let place = |list: &String| {
                places.get(list).copied().ok_or_else(|| Error::NoList {
                    what: format!("provider {provider:?}"),
                    list: list.clone(),
                })
            };
            let places = names.iter().map(place).collect::<Result<_, _>>()?;
            providers.insert(provider.clone(), places);
        }
        let fold = |(from, to): (String, String)| (from.to_lowercase(), to.to_lowercase());
        let aliases = file.aliases.into_iter().map(fold).collect();
        Ok(Self {
            version: file.version,
            providers,
            aliases,
            lists,
        })
    }

    /// The table in the binary.
    #[expect(clippy::expect_used, reason = "a test parses the same text")]
    pub fn shipped() -> Self {
        Self::parse(include_str!("../../config/prices.toml")).expect("the shipped price table")
    }

    /// Which table it is: rows keep it beside their rule.
    pub fn version(&self) -> &str {
        &self.version
    }
}

impl List {
    fn new(list: &str, models: Vec<Model>) -> Result<Self, Error> {
        let mut this = Self::default();
        for model in models {
            let rates = &model.rates;
            let all = [
                &rates.input,
                &rates.output,
                &rates.cache_read,
                &rates.cache_write,
                &rates.cache_write_1h,
                &rates.input_audio,
                &rates.output_audio,
            ];
            let flat = [rates.second, rates.query].into_iter().flatten();
            let is_sane = all.into_iter().flatten().all(Rate::is_sane)
                && flat.into_iter().all(|rate| rate.is_finite() && rate >= 0.0);
            if !is_sane {
                return Err(Error::Rate {
                    model: format!("{list}/{}", model.id),
                });
            }
            let place = this.rules.len();
            for name in &model.names {
                let name = name.to_lowercase();
                let open = (name.starts_with('*'), name.ends_with('*'));
                let text = name.trim_matches('*').to_owned();
                let pattern = match open {
                    (false, false) => {
                        this.exact.entry(name).or_default().push(place);
                        continue;
                    }
                    (false, true) => Pattern::Starts(text),
                    (true, false) => Pattern::Ends(text),
                    (true, true) => Pattern::Contains(text),
                };
                this.patterns.push((pattern, place));
            }
            let day = model.from.map(|day| format!("@{day}")).unwrap_or_default();
            this.rules.push(Rule {
                name: format!("{list}/{}{day}", model.id),
                from: model.from,
                rates: model.rates,
            });
        }
        this.patterns
            .sort_by_key(|(pattern, _)| std::cmp::Reverse(pattern.len()));
        Ok(this)
    }
}

impl Pattern {
    fn len(&self) -> usize {
        match self {
            Pattern::Starts(text) | Pattern::Ends(text) | Pattern::Contains(text) => text.len(),
        }
    }

    pub fn fits(&self, name: &str) -> bool {
        match self {
            Pattern::Starts(text) => name.starts_with(text.as_str()),
            Pattern::Ends(text) => name.ends_with(text.as_str()),
            Pattern::Contains(text) => name.contains(text.as_str()),
        }
    }
}
