//! Spans of the stages around a model call: cache, vector search, parse.

use std::time::Duration;

use opentelemetry::trace::SpanKind;
use serde_json::json;

use super::call::rounded;
use super::dice::Dice;
use super::planned::{Fact, Planned};

/// A look into a cache.
pub(super) fn cache_lookup(
    dice: &mut Dice,
    start: Duration,
    cache: &'static str,
    hit: bool,
) -> Planned {
    let length = dice.latency(1.2);
    Planned::new(
        "cache_lookup",
        SpanKind::Internal,
        start,
        length,
        Fact::Cache { hit },
    )
    .with("cache.name", cache)
    .with("cache.hit", hit)
    .with("cache.key_hash", dice.hex(16))
}

/// A vector search as an app asks for it.
pub(super) struct Search<'a> {
    pub(super) system: &'static str,
    pub(super) server: &'static str,
    pub(super) collection: &'a str,
    pub(super) query: &'a str,
    pub(super) top_k: i64,
    /// Fewer where the store has nothing near enough.
    pub(super) hits: i64,
    /// Score of the best hit.
    pub(super) best: f64,
    /// Names of the documents begin with it.
    pub(super) prefix: &'a str,
    pub(super) passages: &'a [&'static str],
}

/// A vector search.
pub(super) fn vector_search(dice: &mut Dice, start: Duration, search: &Search<'_>) -> Planned {
    let mut score = search.best;
    let documents: Vec<_> = (0..search.hits)
        .map(|rank| {
            let passage = search
                .passages
                .get(rank as usize % search.passages.len().max(1))
                .copied()
                .unwrap_or_default();
            let document = json!({
                "id": format!("{}{}", search.prefix, dice.between(1, 400)),
                "score": rounded(score),
                "content": passage,
            });
            score -= 0.02 + dice.fraction() * 0.06;
            document
        })
        .collect();
    let length = dice.latency(28.0);
    Planned::new(
        format!("search {}", search.collection),
        SpanKind::Client,
        start,
        length,
        Fact::Search,
    )
    .with("gen_ai.operation.name", "retrieval")
    .with("gen_ai.data_source.id", search.collection.to_owned())
    .with("gen_ai.retrieval.query.text", search.query.to_owned())
    .with("gen_ai.retrieval.top_k", search.top_k)
    .with(
        "gen_ai.retrieval.documents",
        serde_json::Value::from(documents).to_string(),
    )
    .with("db.system.name", search.system)
    .with("db.operation.name", "search")
    .with("db.collection.name", search.collection.to_owned())
    .with("db.response.returned_rows", search.hits)
    .with("server.address", search.server)
}

/// How a parse of a model's JSON went.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Parsed {
    Clean,
    /// After mending commas, quotes or fences.
    Repaired,
    Failed,
    /// Failed, and a fixed answer took its place.
    FellBack,
}

/// A parse of a model's JSON.
pub(super) fn json_parsing(dice: &mut Dice, start: Duration, parsed: Parsed) -> Planned {
    let success = matches!(parsed, Parsed::Clean | Parsed::Repaired);
    let repaired = parsed == Parsed::Repaired;
    let length = dice.latency(if repaired { 6.0 } else { 1.4 });
    let fact = Fact::Parse { success, repaired };
    let span = Planned::new("json_parsing", SpanKind::Internal, start, length, fact)
        .with("parse.format", "json")
        .with("parse.success", success)
        .with("parse.repaired", repaired)
        .with("parse.fallback", parsed == Parsed::FellBack);
    if success {
        span
    } else {
        span.with("parse.error.type", "JSONDecodeError").failed(
            "JSONDecodeError",
            "Expecting ',' delimiter: line 1 column 48",
        )
    }
}
