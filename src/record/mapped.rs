//! What one span is after mapping, before counting.

use std::sync::Arc;

use smallvec::SmallVec;

use super::{Context, Record, SpanId, SpanKey, llm_call::words};

words!(
    /// What part a span plays in its trace.
    Role {
        /// An agent, chain, workflow or SDK wrapper: its usage, if any, sums what is below it.
        Rollup = "rollup",
        /// One model call.
        Call = "call",
        /// One try inside a call.
        Attempt = "attempt",
        /// A tool call: model calls below it are calls of their own.
        Tool = "tool",
        /// A vector search.
        Retrieval = "retrieval",
        /// A rerank.
        Rerank = "rerank",
        /// An embedding call.
        Embedding = "embedding",
        /// Speech to text.
        Speech = "speech",
        /// A parse of a model's answer.
        Parse = "parse",
        /// A look into a cache.
        Cache = "cache",
        /// None of ours.
        #[default]
        None = "none",
    }
);

/// One span after mapping. Every valid span of a payload gives one, so that counting sees the
/// whole tree; most carry nothing but their place in it.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct MappedSpan {
    /// Which span.
    pub key: SpanKey,
    /// `None` for a root.
    pub parent_span_id: Option<SpanId>,
    /// Unix ns, made sane.
    pub started_at: i64,
    /// Unix ns.
    pub completed_at: Option<i64>,
    /// Its part.
    pub role: Role,
    /// True if something on it is GenAI's, whatever its role: then it is worth a link row.
    pub is_genai: bool,
    /// Context that stands on it; `None` if none does.
    pub context: Option<Arc<Context>>,
    /// Its records: mostly none or one, several for a span with several speech events. A root span
    /// that is no stage itself brings a `PipelineRequest`; counting drops it again if nothing of
    /// ours lies below it and nothing on it is GenAI's.
    pub records: SmallVec<[Record; 1]>,
}
