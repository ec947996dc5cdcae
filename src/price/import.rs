//! Other people's price files to our table: pydantic/genai-prices (data_slim or v2 JSON) and
//! litellm's model_prices_and_context_window JSON.
//!
//! What our table can't say (matching by regular expressions, prices by the hour of the day) is
//! left out and counted, never guessed.

use std::collections::BTreeMap;

use serde_json::{Map, Value as Json};

use super::table::{File, Model, Rate, Rates, Table};

/// Whose format a file has.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Format {
    /// pydantic/genai-prices.
    GenaiPrices,
    /// litellm.
    Litellm,
}

/// Why a file can't be imported.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// Not JSON.
    #[error("it is no JSON: {0}")]
    Json(#[from] serde_json::Error),
    /// JSON, but neither format.
    #[error(
        "it is neither genai-prices' (a list of providers) nor litellm's (an object of models)"
    )]
    Format,
    /// What it gives is no table.
    #[error("what it gives is no price table: {0}")]
    Table(#[from] super::Error),
    /// The table can't be printed.
    #[error("the table can't be printed: {0}")]
    Print(#[from] toml::ser::Error),
}

/// What an import gave.
#[derive(Debug)]
pub struct Imported {
    /// The table as TOML.
    pub toml: String,
    /// The table.
    pub table: Table,
    /// Entries that our table can't say.
    pub left_out: Vec<String>,
}

/// Reads a file of either format over the shipped table: what the file has is replaced.
pub fn import(text: &str, version: &str) -> Result<Imported, Error> {
    let json: Json = serde_json::from_str(text)?;
    let (models, left_out) = match format_of(&json).ok_or(Error::Format)? {
        Format::GenaiPrices => genai_prices(&json),
        Format::Litellm => litellm(&json),
    };
    let mut file = File::shipped();
    file.version = version.to_owned();
    // What the new file does not have stays: old calls are priced by old models.
    for (list, models) in models {
        let known = file.models.entry(list).or_default();
        known.retain(|old| !models.iter().any(|new| new.id == old.id));
        known.extend(models);
    }
    let body = toml::to_string(&file)?;
    let toml = format!(
        "# Imported by `spanledger prices import`. config/prices.toml explains the keys.\n\n{body}"
    );
    let table = Table::parse(&toml)?;
    Ok(Imported {
        toml,
        table,
        left_out,
    })
}

/// Which format it is.
pub fn format_of(json: &Json) -> Option<Format> {
    match json {
        Json::Array(list) if list.iter().all(|p| p.get("models").is_some()) && !list.is_empty() => {
            Some(Format::GenaiPrices)
        }
        Json::Object(all) if all.values().any(|m| m.get("litellm_provider").is_some()) => {
            Some(Format::Litellm)
        }
        _ => None,
    }
}

type Lists = BTreeMap<String, Vec<Model>>;

fn genai_prices(json: &Json) -> (Lists, Vec<String>) {
    let (mut lists, mut left_out) = (Lists::new(), Vec::new());
    for provider in json.as_array().into_iter().flatten() {
        let list = provider["id"].as_str().unwrap_or_default();
        for model in provider["models"].as_array().into_iter().flatten() {
            let id = model["id"].as_str().unwrap_or_default();
            let entries = match (names(&model["match"]), &model["prices"]) {
                (None, _) => Vec::new(),
                (Some(names), Json::Array(dated)) => {
                    let parts = dated.iter().map(|entry| entry_of(id, &names, entry));
                    parts.collect::<Option<Vec<Model>>>().unwrap_or_default()
                }
                (Some(names), prices) => {
                    let entry = serde_json::json!({ "prices": prices });
                    entry_of(id, &names, &entry).into_iter().collect()
                }
            };
            if entries.is_empty() {
                left_out.push(format!("{list}/{id}"));
            }
            lists.entry(list.to_owned()).or_default().extend(entries);
        }
    }
    lists.retain(|_, models| !models.is_empty());
    (lists, left_out)
}

/// Names of a match rule; `None` for one that our patterns can't say.
fn names(rule: &Json) -> Option<Vec<String>> {
    let (kind, value) = rule.as_object()?.iter().next()?;
    if kind == "or" {
        let parts: Option<Vec<Vec<String>>> = value.as_array()?.iter().map(names).collect();
        return Some(parts?.into_iter().flatten().collect());
    }
    let text = value.as_str()?.to_lowercase();
    Some(vec![match kind.as_str() {
        "equals" => text,
        "starts_with" => format!("{text}*"),
        "ends_with" => format!("*{text}"),
        "contains" => format!("*{text}*"),
        _ => return None,
    }])
}

/// A dated entry; `None` if its price depends on the hour of the day, or on nothing we know.
fn entry_of(id: &str, names: &[String], entry: &Json) -> Option<Model> {
    let from = match entry.get("constraint") {
        None | Some(Json::Null) => None,
        Some(constraint) => Some(constraint.get("start_date")?.as_str()?.parse().ok()?),
    };
    let prices = entry.get("prices")?.as_object()?;
    let rate = |name: &str| prices.get(name).and_then(rate_of);
    let rates = Rates {
        input: rate("input_mtok"),
        output: rate("output_mtok"),
        cache_read: rate("cache_read_mtok"),
        cache_write: rate("cache_write_mtok"),
        cache_write_1h: rate("cache_write_1h_mtok"),
        input_audio: rate("input_audio_mtok"),
        output_audio: rate("output_audio_mtok"),
        reasoning: rate("output_reasoning_mtok"),
        request: prices
            .get("requests_kcount")
            .and_then(Json::as_f64)
            .map(|thousand| thousand / 1000.0),
        ..Rates::default()
    };
    has_any(&rates).then(|| model(id, names.to_vec(), from, rates))
}

fn rate_of(json: &Json) -> Option<Rate> {
    match json {
        Json::Object(tiers) => {
            let mut all = vec![(0, tiers.get("base")?.as_f64()?)];
            for tier in tiers.get("tiers")?.as_array()? {
                all.push((tier.get("start")?.as_u64()?, tier.get("price")?.as_f64()?));
            }
            Some(Rate::Tiers(all))
        }
        other => other.as_f64().map(Rate::Flat),
    }
}

/// Our list for litellm's provider.
fn list_of(provider: &str) -> &str {
    match provider {
        "bedrock" | "bedrock_converse" => "aws",
        "azure_ai" => "azure",
        "together_ai" => "together",
        "fireworks_ai" => "fireworks",
        "vertex_ai" | "vertex_ai-language-models" | "gemini" => "google",
        "xai" => "x-ai",
        "cohere_chat" => "cohere",
        other => other,
    }
}

fn litellm(json: &Json) -> (Lists, Vec<String>) {
    let (mut lists, mut left_out) = (Lists::new(), Vec::new());
    for (name, entry) in json.as_object().into_iter().flatten() {
        let Some(provider) = entry.get("litellm_provider").and_then(Json::as_str) else {
            continue;
        };
        let id = match provider {
            "openrouter" => name.strip_prefix("openrouter/").unwrap_or(name),
            _ => name.rsplit('/').next().unwrap_or(name),
        };
        let Some(entry) = entry.as_object() else {
            continue;
        };
        let rates = litellm_rates(entry);
        if name == "sample_spec" || !has_any(&rates) {
            left_out.push(name.clone());
            continue;
        }
        let list = lists.entry(list_of(provider).to_owned()).or_default();
        let names = vec![id.to_lowercase()];
        if !list.iter().any(|known| known.names == names) {
            list.push(model(id, names, None, rates));
        }
    }
    (lists, left_out)
}

fn litellm_rates(entry: &Map<String, Json>) -> Rates {
    let number = |name: &str| entry.get(name).and_then(Json::as_f64).filter(|n| *n > 0.0);
    let tokens = |name: &str| {
        let base = number(name)? * 1e6;
        let above = [
            ("_above_128k_tokens", 128_000),
            ("_above_200k_tokens", 200_000),
        ];
        let tier = above
            .into_iter()
            .find_map(|(suffix, start)| Some((start, number(&format!("{name}{suffix}"))? * 1e6)));
        Some(match tier {
            Some(tier) => Rate::Tiers(vec![(0, base), tier]),
            None => Rate::Flat(base),
        })
    };
    Rates {
        input: tokens("input_cost_per_token"),
        output: tokens("output_cost_per_token"),
        cache_read: tokens("cache_read_input_token_cost"),
        cache_write: tokens("cache_creation_input_token_cost"),
        cache_write_1h: tokens("cache_creation_input_token_cost_above_1hr"),
        input_audio: tokens("input_cost_per_audio_token"),
        output_audio: tokens("output_cost_per_audio_token"),
        reasoning: tokens("output_cost_per_reasoning_token"),
        second: number("input_cost_per_second"),
        query: number("input_cost_per_query"),
        request: number("input_cost_per_request"),
    }
}

fn has_any(rates: &Rates) -> bool {
    let tokens = [&rates.input, &rates.output, &rates.input_audio];
    let flat = [rates.second, rates.query, rates.request];
    tokens.iter().any(|rate| rate.is_some()) || flat.iter().any(Option::is_some)
}

fn model(id: &str, names: Vec<String>, from: Option<chrono::NaiveDate>, rates: Rates) -> Model {
    Model {
        id: id.to_owned(),
        names,
        from,
        rates,
        tiers: BTreeMap::new(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn genai_prices_are_read() {
        let text = r#"[{"id": "openai", "models": [
            {"id": "m", "match": {"or": [{"equals": "M"}, {"starts_with": "m-2"}]}, "prices": [
                {"prices": {"input_mtok": 2, "output_mtok": 4}},
                {"constraint": {"start_date": "2026-03-01"},
                 "prices": {"input_mtok": {"base": 1, "tiers": [{"start": 1000, "price": 3}]},
                            "requests_kcount": 5}}]},
            {"id": "r", "match": {"regex": "^r"}, "prices": {"input_mtok": 1}},
            {"id": "h", "match": {"equals": "h"}, "prices": [
                {"constraint": {"start_time": "16:30:00Z"}, "prices": {"input_mtok": 1}}]}]}]"#;
        let imported = import(text, "2027-01-01").unwrap();
        assert_eq!(imported.left_out, ["openai/r", "openai/h"]);
        assert_eq!(imported.table.version(), "2027-01-01");
        let again = Table::parse(&imported.toml).unwrap();
        let at = |day: &str| {
            let day: chrono::NaiveDate = day.parse().unwrap();
            let noon = day.and_hms_opt(12, 0, 0).unwrap().and_utc();
            let rule = again.rule(Some("openai"), "m-2x", noon.timestamp_nanos_opt().unwrap());
            rule.unwrap().rates.clone()
        };
        assert_eq!(at("2026-02-28").input.unwrap().at(10), 2.0);
        let newer = at("2026-03-01");
        assert_eq!(newer.input.unwrap().at(1001), 3.0);
        assert_eq!(newer.request, Some(0.005));
        for (provider, model) in [("anthropic", "claude-sonnet-4-5"), ("openai", "gpt-4o")] {
            assert!(
                again.rule(Some(provider), model, 0).is_some(),
                "{model} stays"
            );
        }
    }

    #[test]
    fn litellms_file_is_read() {
        let text = r#"{"sample_spec": {"litellm_provider": "one of …"},
            "azure/m": {"litellm_provider": "azure", "input_cost_per_token": 1e-6,
                "input_cost_per_token_above_200k_tokens": 2e-6, "output_cost_per_token": 0},
            "whisper-9": {"litellm_provider": "openai", "input_cost_per_second": 0.0001},
            "free": {"litellm_provider": "openai"}}"#;
        let imported = import(text, "v").unwrap();
        assert_eq!(imported.left_out, ["free", "sample_spec"]);
        let rule = |provider, model| imported.table.rule(Some(provider), model, 0).unwrap();
        let rates = &rule("azure.ai.openai", "m").rates;
        assert_eq!(rates.input.as_ref().unwrap().at(200_001), 2.0);
        assert!(rates.output.is_none(), "no rate is no rate of zero");
        assert_eq!(rule("openai", "whisper-9").rates.second, Some(0.0001));
    }

    #[test]
    fn anything_else_is_refused() {
        for text in ["", "[]", "{}", "[1]", "{\"a\": {\"b\": 1}}"] {
            assert!(import(text, "v").is_err(), "{text}");
        }
    }
}
