//! Requests, and the work they are made of.

use prometheus::Error;

use super::{
    calls::{Names, amount, seconds},
    family::{Counters, Histograms, IntCounters, Maker},
};
use crate::{
    record::{
        CacheLookup, CallType, Header, JsonParse, LlmCall, PipelineRequest, Retrieval, ScoreKind,
        Stage, Status, SttEvent, SttEventType,
    },
    sink::{
        labels::{Label, Labels},
        names,
    },
};

#[derive(Debug)]
pub(super) struct Stages {
    duration: Histograms<1>,
    requests: IntCounters<3>,
    request_duration: Histograms<1>,
    matches: IntCounters<2>,
    fallbacks: IntCounters<2>,
    confidence: Histograms<0>,
    similarity: Histograms<0>,
    retrievals: IntCounters<1>,
    rerank: IntCounters<0>,
    cache_lookups: IntCounters<2>,
    json_parses: IntCounters<1>,
    stt_audio: Counters<2>,
    stt_factor: Histograms<2>,
}

impl Stages {
    pub fn new(maker: &Maker<'_>) -> Result<Self, Error> {
        let (seconds, score) = (names::REQUEST_BUCKETS, names::SCORE_BUCKETS);
        Ok(Self {
            duration: maker.histograms(&names::STAGE_DURATION, seconds)?,
            requests: maker.int_counters(&names::REQUESTS)?,
            request_duration: maker.histograms(&names::REQUEST_DURATION, seconds)?,
            matches: maker.int_counters(&names::MATCHES)?,
            fallbacks: maker.int_counters(&names::FALLBACKS)?,
            confidence: maker.histograms(&names::CONFIDENCE, score)?,
            similarity: maker.histograms(&names::SIMILARITY, score)?,
            retrievals: maker.int_counters(&names::RETRIEVALS)?.start_at_zero([
                ["hit"],
                ["miss"],
                ["unknown"],
                ["error"],
            ]),
            rerank: maker.int_counters(&names::RERANK)?,
            cache_lookups: maker.int_counters(&names::CACHE_LOOKUPS)?,
            json_parses: maker.int_counters(&names::JSON_PARSE)?.start_at_zero([
                ["success"],
                ["repaired"],
                ["failure"],
            ]),
            stt_audio: maker.counters(&names::STT_AUDIO)?,
            stt_factor: maker.histograms(&names::STT_FACTOR, names::FACTOR_BUCKETS)?,
        })
    }

    fn took(&mut self, stage: Stage, header: &Header) {
        if let Some(seconds) = seconds(header) {
            self.duration.with([stage.as_str()]).observe(seconds);
        }
    }

    pub fn call(&mut self, call: &LlmCall) {
        if call.counted.is_yes() {
            let stage = match call.call_type {
                CallType::Embedding => Stage::Embedding,
                _ => Stage::Llm,
            };
            self.took(stage, &call.header);
        }
    }

    pub fn speech(&mut self, event: &SttEvent, names: Names) {
        if !event.billed {
            return;
        }
        if matches!(
            event.event_type,
            SttEventType::ChunkComplete | SttEventType::Complete
        ) {
            self.took(Stage::Stt, &event.header);
        }
        if let Some(audio) = event.audio_duration_seconds.and_then(amount) {
            let Names {
                provider, model, ..
            } = names;
            self.stt_audio.with([provider, model]).inc_by(audio);
            if let Some(work) = seconds(&event.header).filter(|_| audio > 0.0) {
                self.stt_factor
                    .with([provider, model])
                    .observe(work / audio);
            }
        }
    }

    pub fn retrieval(&mut self, retrieval: &Retrieval) {
        if !retrieval.counted.is_yes() {
            return;
        }
        let stage = match retrieval.rerank_model {
            Some(_) => Stage::Rerank,
            None => Stage::VectorSearch,
        };
        self.took(stage, &retrieval.header);
        let result = match (retrieval.status, retrieval.hits) {
            (Status::Success, Some(1..)) => "hit",
            (Status::Success, Some(_)) => "miss",
            (Status::Success | Status::Pending, _) => "unknown",
            (Status::Error | Status::Timeout | Status::Cancelled, _) => "error",
        };
        self.retrievals.with([result]).inc();
        if retrieval.rerank_model.is_some() || retrieval.rerank_enabled == Some(true) {
            self.rerank.with([]).inc();
        }
        if retrieval.score_kind == Some(ScoreKind::Similarity)
            && let Some(score) = retrieval.best_score.filter(|score| score.is_finite())
        {
            self.similarity.with([]).observe(score);
        }
    }

    pub fn cache_lookup(&mut self, lookup: &CacheLookup, labels: &mut Labels) {
        let cache = labels.value(Label::Cache, Some(&lookup.cache));
        self.cache_lookups
            .with([cache, if lookup.hit { "hit" } else { "miss" }])
            .inc();
    }

    pub fn json_parse(&mut self, parse: &JsonParse) {
        self.took(Stage::JsonParsing, &parse.header);
        let result = match (parse.success, parse.repaired) {
            (false, _) => "failure",
            (true, Some(true)) => "repaired",
            (true, _) => "success",
        };
        self.json_parses.with([result]).inc();
    }

    pub fn request(
        &mut self,
        request: &PipelineRequest,
        pipeline: &'static str,
        labels: &mut Labels,
    ) {
        let framework = labels.value(Label::Framework, request.framework.as_deref());
        self.requests
            .with([pipeline, framework, request.status.as_str()])
            .inc();
        if let Some(seconds) = seconds(&request.header) {
            self.request_duration.with([pipeline]).observe(seconds);
        }
        for (family, said, words) in [
            (&mut self.matches, request.matched, ["matched", "unmatched"]),
            (&mut self.fallbacks, request.fallback, ["used", "unused"]),
        ] {
            if let Some(said) = said {
                let [yes, no] = words;
                family.with([framework, if said { yes } else { no }]).inc();
            }
        }
        if let Some(confidence) = request
            .confidence
            .filter(|confidence| confidence.is_finite())
        {
            self.confidence.with([]).observe(confidence);
        }
    }
}
