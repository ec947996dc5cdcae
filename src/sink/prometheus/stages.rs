//! Requests and their stages.

use std::sync::Arc;

use prometheus::{HistogramVec, IntCounterVec};

use super::{Make, names, ratios, seconds};
use crate::{
    record::{
        CallType, PipelineRequest, Record, Retrieval, ScoreKind, Stage, Status, SttEventType,
    },
    sink::labels::Labels,
};

#[derive(Debug)]
pub(super) struct Stages {
    labels: Arc<Labels>,
    stage_seconds: HistogramVec,
    requests: IntCounterVec,
    request_seconds: HistogramVec,
    retrievals: IntCounterVec,
    reranks: IntCounterVec,
    cache_lookups: IntCounterVec,
    json_parses: IntCounterVec,
    confidence: HistogramVec,
    similarity: HistogramVec,
}

impl Stages {
    pub fn new(make: &Make<'_>, labels: Arc<Labels>) -> prometheus::Result<Self> {
        Ok(Self {
            labels,
            stage_seconds: make.histogram(names::STAGE_SECONDS, &["stage"], seconds())?,
            requests: make.counter(names::REQUESTS, &["pipeline", "framework", "status"])?,
            request_seconds: make.histogram(names::REQUEST_SECONDS, &["pipeline"], seconds())?,
            retrievals: make.counter(names::RETRIEVALS, &["result"])?,
            reranks: make.counter(names::RERANKS, &["status"])?,
            cache_lookups: make.counter(names::CACHE_LOOKUPS, &["cache", "result"])?,
            json_parses: make.counter(names::JSON_PARSES, &["result"])?,
            confidence: make.histogram(names::CONFIDENCE, &["pipeline"], ratios())?,
            similarity: make.histogram(names::SIMILARITY, &["collection"], ratios())?,
        })
    }

    pub fn observe(&self, record: &Record) {
        if let (Some(stage), Some(ms)) = (stage(record), record.header().latency_ms()) {
            self.stage_seconds
                .with_label_values(&[stage.as_str()])
                .observe(ms / 1e3);
        }
        match record {
            Record::Retrieval(retrieval) => self.observe_retrieval(retrieval),
            Record::CacheLookup(lookup) => {
                let cache = self.labels.value("cache", Some(&lookup.cache));
                let result = if lookup.hit { "hit" } else { "miss" };
                self.cache_lookups
                    .with_label_values(&[cache.as_ref(), result])
                    .inc();
            }
            Record::JsonParse(parse) => {
                let result = match (parse.success, parse.repaired) {
                    (true, Some(true)) => "repaired",
                    (true, _) => "success",
                    (false, _) => "failure",
                };
                self.json_parses.with_label_values(&[result]).inc();
            }
            Record::PipelineRequest(request) => self.observe_request(request),
            Record::LlmCall(_) | Record::SttEvent(_) => {}
        }
    }

    fn observe_retrieval(&self, retrieval: &Retrieval) {
        if !retrieval.counted.is_yes() {
            return;
        }
        if retrieval.rerank_model.is_some() {
            self.reranks
                .with_label_values(&[retrieval.status.as_str()])
                .inc();
            return;
        }
        let result = match (retrieval.status, retrieval.hits) {
            (Status::Success, Some(0)) => "miss",
            (Status::Success, Some(_)) => "hit",
            (Status::Success | Status::Pending, None) => "unknown",
            _ => "error",
        };
        self.retrievals.with_label_values(&[result]).inc();
        if let (Some(score), Some(ScoreKind::Similarity)) =
            (retrieval.best_score, retrieval.score_kind)
        {
            let name = retrieval.collection_name.as_deref();
            let collection = self.labels.value("collection", name);
            self.similarity
                .with_label_values(&[collection.as_ref()])
                .observe(score);
        }
    }

    fn observe_request(&self, request: &PipelineRequest) {
        let pipeline = self.labels.value("pipeline", request.pipeline.as_deref());
        let framework = self.labels.value("framework", request.framework.as_deref());
        let labels = [
            pipeline.as_ref(),
            framework.as_ref(),
            request.status.as_str(),
        ];
        self.requests.with_label_values(&labels).inc();
        if let Some(ms) = request.header.latency_ms() {
            self.request_seconds
                .with_label_values(&[pipeline.as_ref()])
                .observe(ms / 1e3);
        }
        if let Some(confidence) = request.confidence {
            self.confidence
                .with_label_values(&[pipeline.as_ref()])
                .observe(confidence);
        }
    }
}

/// The stage that a record is; `None` if it is none, or another span stands for it.
fn stage(record: &Record) -> Option<Stage> {
    match record {
        Record::LlmCall(call) if call.counted.is_yes() => Some(match call.call_type {
            CallType::Embedding => Stage::Embedding,
            _ => Stage::Llm,
        }),
        Record::Retrieval(retrieval) if retrieval.counted.is_yes() => {
            Some(match retrieval.rerank_model {
                Some(_) => Stage::Rerank,
                None => Stage::VectorSearch,
            })
        }
        Record::JsonParse(_) => Some(Stage::JsonParsing),
        Record::SttEvent(event) => matches!(
            event.event_type,
            SttEventType::ChunkComplete | SttEventType::Complete
        )
        .then_some(Stage::Stt),
        _ => None,
    }
}
