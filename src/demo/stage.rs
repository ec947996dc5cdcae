//! Spans of the stages around an answer: cache, embedding, vector search, rerank, parse.

use std::time::Duration;

use opentelemetry::trace::SpanKind;
use serde_json::json;

use super::call::{rounded, texts, tokens_of};
use super::dice::Dice;
use super::model::Embedder;
use super::planned::{CallFact, CallKind, Fact, Planned, Tokens};

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

/// An embedding call.
pub(super) fn embedding(
    dice: &mut Dice,
    start: Duration,
    model: &'static Embedder,
    text: &str,
) -> Planned {
    let input = tokens_of(text);
    let fact = CallFact {
        kind: CallKind::Embedding,
        model: model.name,
        tokens: Tokens {
            input,
            ..Tokens::default()
        },
        ..CallFact::default()
    };
    let length = dice.latency(70.0);
    let name = format!("embeddings {}", model.name);
    Planned::new(name, SpanKind::Client, start, length, Fact::Call(fact))
        .with("gen_ai.operation.name", "embeddings")
        .with("gen_ai.provider.name", model.provider)
        .with("gen_ai.request.model", model.name)
        .with("gen_ai.request.encoding_formats", texts(&["float"]))
        .with("gen_ai.response.model", model.name)
        .with("gen_ai.usage.input_tokens", input)
        .with("gen_ai.embeddings.dimension.count", model.dimensions)
        .with("server.address", model.server)
        .with("server.port", 443_i64)
}

/// A rerank of the hits of a search; charged by the query, so it reports no tokens.
pub(super) fn rerank(dice: &mut Dice, start: Duration, query: &str, documents: i64) -> Planned {
    let model = "rerank-v3.5";
    let fact = CallFact {
        kind: CallKind::Rerank,
        model,
        ..CallFact::default()
    };
    let mut best = 0.9 + dice.fraction() * 0.09;
    let ranked: Vec<_> = (0..documents.min(3))
        .map(|_| {
            best *= 0.82;
            json!({"id": format!("doc-{}", dice.between(1, 400)), "score": rounded(best)})
        })
        .collect();
    let length = dice.latency(160.0);
    Planned::new(
        format!("rerank {model}"),
        SpanKind::Client,
        start,
        length,
        Fact::Call(fact),
    )
    .with("gen_ai.operation.name", "rerank")
    .with("gen_ai.provider.name", "cohere")
    .with("gen_ai.request.model", model)
    .with("gen_ai.retrieval.query.text", query.to_owned())
    .with("gen_ai.retrieval.top_k", documents.min(3))
    .with(
        "gen_ai.retrieval.documents",
        serde_json::Value::from(ranked).to_string(),
    )
    .with("server.address", "api.cohere.com")
    .with("server.port", 443_i64)
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
