//! A request as its root span saw it.

use std::sync::Arc;

use smol_str::SmolStr;

use super::{Context, Header, Status, llm_call::words};

words!(
    /// A stage of a request; the metric label `stage` and, with `_ms`, the column.
    #[allow(missing_docs, reason = "the variants are the label's words")]
    Stage {
        #[default]
        Embedding = "embedding",
        VectorSearch = "vector_search",
        Rerank = "rerank",
        Llm = "llm",
        JsonParsing = "json_parsing",
        Stt = "stt",
    }
);

/// Time spent in each stage, milliseconds, summed over its spans.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
#[expect(missing_docs, reason = "each field is the column of the same name")]
pub struct StageTimes {
    pub embedding_ms: Option<f64>,
    pub vector_search_ms: Option<f64>,
    pub rerank_ms: Option<f64>,
    pub llm_ms: Option<f64>,
    pub json_parsing_ms: Option<f64>,
    pub stt_ms: Option<f64>,
}

impl StageTimes {
    /// Adds a span's time to its stage.
    pub fn add(&mut self, stage: Stage, ms: f64) {
        let slot = match stage {
            Stage::Embedding => &mut self.embedding_ms,
            Stage::VectorSearch => &mut self.vector_search_ms,
            Stage::Rerank => &mut self.rerank_ms,
            Stage::Llm => &mut self.llm_ms,
            Stage::JsonParsing => &mut self.json_parsing_ms,
            Stage::Stt => &mut self.stt_ms,
        };
        *slot = Some(slot.unwrap_or(0.0) + ms);
    }
}

/// A row of `pipeline_requests`.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct PipelineRequest {
    /// Ids, times, service.
    pub header: Header,
    /// The pipeline: an attribute if it names one, else the root span's name.
    pub pipeline: Option<SmolStr>,
    /// Standard or framework the request is for (GRI, ESRS, …), or the app framework.
    pub framework: Option<SmolStr>,
    /// How it ended.
    pub status: Status,
    /// Whether it found a match.
    pub matched: Option<bool>,
    /// How many.
    pub match_count: Option<i64>,
    /// How sure, 0 to 1.
    pub confidence: Option<f64>,
    /// Whether a fallback answer was used.
    pub fallback: Option<bool>,
    /// Retries anywhere in the request.
    pub retry_count: Option<i64>,
    /// Whether it ran out of time.
    pub timed_out: Option<bool>,
    /// Whether the user asked for the answer again.
    pub regenerated: Option<bool>,
    /// Times of its stages, summed from the spans below it.
    pub stages: StageTimes,
    /// Counted tokens (input and output) below it.
    pub tokens: Option<i64>,
    /// Cost below it, USD; `None` if nothing below it had a price.
    pub cost: Option<f64>,
    /// Error class.
    pub error_type: Option<SmolStr>,
    /// Who and where.
    pub context: Arc<Context>,
}
