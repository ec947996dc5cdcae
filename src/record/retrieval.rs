//! A vector search or rerank.

use std::sync::Arc;

use smol_str::SmolStr;

use super::{Context, Counted, Header, Status, llm_call::words};

words!(
    /// What a score means: more is better, or less is.
    #[allow(missing_docs, reason = "the variants are the column's words")]
    ScoreKind {
        #[default]
        Similarity = "similarity",
        Distance = "distance",
    }
);

/// A row of `retrievals`.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Retrieval {
    /// Ids, times, service.
    pub header: Header,
    /// The query's text.
    pub query: Option<String>,
    /// Vector store, lower case.
    pub db_system: Option<SmolStr>,
    /// Collection, index or data source.
    pub collection_name: Option<SmolStr>,
    /// Hits asked for.
    pub top_k: Option<i64>,
    /// Hits returned.
    pub hits: Option<i64>,
    /// Best score of the hits.
    pub best_score: Option<f64>,
    /// What the scores mean.
    pub score_kind: Option<ScoreKind>,
    /// All scores, best first as returned.
    pub scores: Option<Vec<f64>>,
    /// True if the hits were reranked.
    pub rerank_enabled: Option<bool>,
    /// The reranking model.
    pub rerank_model: Option<SmolStr>,
    /// False where another span shows the same search.
    pub counted: Counted,
    /// How it ended.
    pub status: Status,
    /// Error class.
    pub error_type: Option<SmolStr>,
    /// Who and where.
    pub context: Arc<Context>,
}
