//! The TOML table. `config/prices.toml` says in its head what each key means.

use std::collections::BTreeMap;

use chrono::NaiveDate;
use rustc_hash::FxHashMap;
use serde::{Deserialize, Serialize};
use smol_str::{SmolStr, format_smolstr};

/// Beyond this a rate (USD for a million tokens, a second, a query) is a mistake, and sums of it may
/// not be numbers.
const MOST_USD: f64 = 1e9;

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
    #[error("{model}: a rate must be a number from 0 to a billion")]
    Rate {
        /// Whose.
        model: String,
    },
    /// An alias for a name that no list has.
    #[error("alias {alias:?}: no list has a model {target:?}; see `spanledger prices show`")]
    Alias {
        /// The user's name.
        alias: String,
        /// What it should stand for.
        target: String,
    },
    /// A price for no model.
    #[error("price of your own for {model:?}: `match` names no model")]
    NoNames {
        /// Its id.
        model: String,
    },
}

/// Prices and names of the user's own, beside the table.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Own {
    /// A model's name as an app sends it, to `model` or `provider/model` of the table.
    pub aliases: BTreeMap<String, String>,
    /// What is paid by contract; it wins over the table.
    pub models: Vec<OwnModel>,
}

/// A price by contract.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct OwnModel {
    /// OTel provider name; every provider if not set.
    pub provider: Option<String>,
    /// The model and its rates, as in the table.
    #[serde(flatten)]
    pub model: Model,
}

/// A price table, ready for look-ups.
#[derive(Debug)]
pub struct Table {
    version: SmolStr,
    pub(super) providers: FxHashMap<String, Vec<usize>>,
    pub(super) aliases: FxHashMap<String, String>,
    pub(super) lists: Vec<List>,
    /// The user's own prices, by provider; `None` for every provider.
    pub(super) own: Vec<(Option<String>, List)>,
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
    pub name: SmolStr,
    pub from: Option<NaiveDate>,
    pub rates: Rates,
    /// What a service tier multiplies the rates with.
    pub tiers: BTreeMap<String, f64>,
}

/// USD for a million tokens, a second, a query, a request.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
#[serde(default)]
#[allow(
    missing_docs,
    reason = "the fields are the table's own words; its head explains them"
)]
pub struct Rates {
    pub input: Option<Rate>,
    pub output: Option<Rate>,
    pub cache_read: Option<Rate>,
    pub cache_write: Option<Rate>,
    pub cache_write_1h: Option<Rate>,
    pub input_audio: Option<Rate>,
    pub output_audio: Option<Rate>,
    pub reasoning: Option<Rate>,
    pub second: Option<f64>,
    pub query: Option<f64>,
    pub request: Option<f64>,
}

/// One rate, or one for each size of input.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(untagged)]
pub enum Rate {
    /// USD for a million tokens.
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
        let sane = |rate: &f64| (0.0..=MOST_USD).contains(rate);
        match self {
            Rate::Flat(rate) => sane(rate),
            Rate::Tiers(tiers) => !tiers.is_empty() && tiers.iter().all(|(_, rate)| sane(rate)),
        }
    }
}

/// A table's file, as it stands there.
#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct File {
    pub version: String,
    #[serde(default)]
    pub providers: BTreeMap<String, Vec<String>>,
    #[serde(default)]
    pub aliases: BTreeMap<String, String>,
    /// By list: service tier to the factor on its rates.
    #[serde(default)]
    pub tiers: BTreeMap<String, BTreeMap<String, f64>>,
    pub models: BTreeMap<String, Vec<Model>>,
}

impl File {
    /// The one in the binary.
    #[expect(clippy::expect_used, reason = "a test parses the same text")]
    pub fn shipped() -> Self {
        toml::from_str(SHIPPED).expect("the shipped price table")
    }
}

const SHIPPED: &str = include_str!("../../config/prices.toml");

/// One price of a table, to look at.
#[derive(Debug, Clone, Copy)]
pub struct Entry<'a> {
    /// The rule's name.
    pub name: &'a str,
    /// What it costs.
    pub rates: &'a Rates,
    /// Service tiers.
    pub tiers: &'a BTreeMap<String, f64>,
}

impl Rule {
    fn entry(&self) -> Entry<'_> {
        Entry {
            name: &self.name,
            rates: &self.rates,
            tiers: &self.tiers,
        }
    }
}

/// One model's entry in a table.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Model {
    /// Its name in the list.
    pub id: String,
    /// Names it goes by; `*` at an end stands for anything there.
    #[serde(rename = "match")]
    pub names: Vec<String>,
    /// First day of this price.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub from: Option<NaiveDate>,
    /// What it costs.
    #[serde(flatten)]
    pub rates: Rates,
    /// Service tier to the factor on the rates, beside those of its list.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub tiers: BTreeMap<String, f64>,
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
        for name in file.tiers.keys() {
            if !places.contains_key(name) {
                return Err(Error::NoList {
                    what: "[tiers]".into(),
                    list: name.clone(),
                });
            }
        }
        let none = BTreeMap::new();
        for (name, models) in file.models {
            let tiers = file.tiers.get(&name).unwrap_or(&none);
            lists.push(List::new(&name, models, tiers)?);
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
            version: file.version.into(),
            providers,
            aliases,
            lists,
            own: Vec::new(),
        })
    }

    /// The table with the user's own names and prices beside it.
    pub fn with(mut self, own: Own) -> Result<Self, Error> {
        let mut by_provider: BTreeMap<Option<String>, Vec<Model>> = BTreeMap::new();
        for OwnModel { provider, model } in own.models {
            if model.names.iter().all(|name| name.trim().is_empty()) {
                return Err(Error::NoNames { model: model.id });
            }
            by_provider.entry(provider).or_default().push(model);
        }
        for (provider, models) in by_provider {
            let list = List::new("contract", models, &BTreeMap::new())?;
            self.own.push((provider, list));
        }
        // What holds for one provider wins over what holds for all.
        self.own.reverse();
        for (alias, target) in own.aliases {
            self.aliases
                .insert(alias.to_lowercase(), target.to_lowercase());
            if self
                .of_alias(&alias.to_lowercase(), None, NaiveDate::MAX)
                .is_none()
            {
                return Err(Error::Alias { alias, target });
            }
        }
        Ok(self)
    }

    /// The table in the binary.
    #[expect(clippy::expect_used, reason = "a test parses the same text")]
    pub fn shipped() -> Self {
        Self::parse(SHIPPED).expect("the shipped price table")
    }

    /// Every price, the user's own first.
    pub fn entries(&self) -> impl Iterator<Item = Entry<'_>> {
        let own = self.own.iter().map(|(_, list)| list);
        let lists = own.chain(&self.lists);
        lists.flat_map(|list| list.rules.iter().map(Rule::entry))
    }

    /// The price of a model on a day.
    pub fn entry(&self, provider: Option<&str>, model: &str, day: NaiveDate) -> Option<Entry<'_>> {
        let noon = day.and_hms_opt(12, 0, 0)?.and_utc();
        let rule = self.rule(provider, model, noon.timestamp_nanos_opt()?)?;
        Some(rule.entry())
    }

    /// Which table it is: rows keep it beside their rule.
    pub fn version(&self) -> &SmolStr {
        &self.version
    }
}

impl List {
    fn new(list: &str, models: Vec<Model>, tiers: &BTreeMap<String, f64>) -> Result<Self, Error> {
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
                &rates.reasoning,
            ];
            let flat = [rates.second, rates.query, rates.request];
            let flat = flat.into_iter().flatten().chain(tiers.values().copied());
            let flat = flat.chain(model.tiers.values().copied());
            let is_sane = all.into_iter().flatten().all(Rate::is_sane)
                && flat.clone().all(|rate| (0.0..=MOST_USD).contains(&rate));
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
                name: format_smolstr!("{list}/{}{day}", model.id),
                from: model.from,
                rates: model.rates,
                tiers: tiers
                    .iter()
                    .chain(&model.tiers)
                    .map(|(k, v)| (k.to_lowercase(), *v))
                    .collect(),
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
