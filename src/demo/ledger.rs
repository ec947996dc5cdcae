//! What was sent, summed while it was sent: the other side of the account.

use std::collections::BTreeMap;

use serde::Serialize;

use super::planned::{CallFact, CallKind, Fact, Planned};

/// Exactly what a run handed to the SDK, and what the receiver acknowledged of it.
#[derive(Debug, Clone, Default, PartialEq, Serialize)]
pub struct Ledger {
    /// Spans handed to the SDK.
    pub spans: u64,
    /// Spans in exports that the receiver acknowledged.
    pub exported: u64,
    /// Spans in exports that failed, after the SDK's own retries.
    pub failed: u64,
    /// The first failure's text.
    pub export_error: Option<String>,
    /// Requests: traces, each with one root.
    pub requests: u64,
    /// Requests whose root ended with an error.
    pub failed_requests: u64,
    /// Spans by what they are; sums up to `spans`.
    pub kinds: BTreeMap<&'static str, u64>,
    /// Calls to chat and embedding models, failed tries included: each counts once.
    pub calls: u64,
    /// Of these, the tries that failed. Nothing is known of their tokens.
    pub failed_calls: u64,
    /// Of these, the ones that repeat a failed try.
    pub resent_calls: u64,
    /// Of the failed, the ones that ran out of time.
    pub timeouts: u64,
    /// Reranks, charged by the query.
    pub reranks: u64,
    /// Input tokens of the calls, cache included.
    pub input_tokens: i64,
    /// Output tokens of the calls, reasoning included.
    pub output_tokens: i64,
    /// The same, by requested model; reranks too.
    pub models: BTreeMap<&'static str, ModelSums>,
    /// Successful calls of models that no public price list has.
    pub unpriced_calls: u64,
    /// Agent spans, whose usage repeats that of the calls below them.
    pub wrappers: u64,
    /// Vector searches.
    pub searches: u64,
    /// Looks into caches that found something.
    pub cache_hits: u64,
    /// Looks that didn't.
    pub cache_misses: u64,
    /// Parses of JSON that succeeded, after a repair or without.
    pub parses: u64,
    /// Of these, after a repair.
    pub repaired_parses: u64,
    /// Parses that failed.
    pub failed_parses: u64,
    /// Events of transcriptions, by type.
    pub speech_events: BTreeMap<&'static str, u64>,
    /// Seconds of audio that are charged: whole recordings, and the done chunks of broken ones.
    pub billed_audio_seconds: f64,
    /// Errors by `error.type`, each span once.
    pub errors: BTreeMap<String, u64>,
    /// Requests by service name.
    pub services: BTreeMap<&'static str, u64>,
    /// The requests' traces, lower-case hex.
    #[serde(skip)]
    pub trace_ids: Vec<String>,
}

/// Sums of one model.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct ModelSums {
    /// Calls, failed ones included.
    pub calls: u64,
    /// Failed calls.
    pub failed_calls: u64,
    /// Input tokens, cache included.
    pub input_tokens: i64,
    /// Output tokens, reasoning included.
    pub output_tokens: i64,
    /// Part of the input read from the provider's cache.
    pub cache_read_tokens: i64,
    /// Part of the input written to it.
    pub cache_write_tokens: i64,
    /// Part of the output spent on reasoning.
    pub reasoning_tokens: i64,
    /// True if no public price list has the model.
    pub unpriced: bool,
}

impl Ledger {
    /// Spans that were handed over and neither acknowledged nor reported as failed.
    pub fn lost(&self) -> u64 {
        self.spans.saturating_sub(self.exported + self.failed)
    }

    /// True if the receiver acknowledged every span.
    pub fn is_delivered(&self) -> bool {
        self.failed == 0 && self.lost() == 0
    }

    /// Adds a request and all the spans below its root.
    pub(super) fn add(&mut self, service: &'static str, root: &Planned) {
        self.requests += 1;
        self.failed_requests += u64::from(root.error.is_some());
        *self.services.entry(service).or_default() += 1;
        self.add_span(root);
    }

    /// Adds the sums of another app's ledger.
    pub(super) fn merge(&mut self, other: Ledger) {
        self.spans += other.spans;
        self.exported += other.exported;
        self.failed += other.failed;
        self.export_error = self.export_error.take().or(other.export_error);
        self.requests += other.requests;
        self.failed_requests += other.failed_requests;
        merge_counts(&mut self.kinds, other.kinds);
        self.calls += other.calls;
        self.failed_calls += other.failed_calls;
        self.resent_calls += other.resent_calls;
        self.timeouts += other.timeouts;
        self.reranks += other.reranks;
        self.input_tokens += other.input_tokens;
        self.output_tokens += other.output_tokens;
        for (model, sums) in other.models {
            let model = self.models.entry(model).or_default();
            model.calls += sums.calls;
            model.failed_calls += sums.failed_calls;
            model.input_tokens += sums.input_tokens;
            model.output_tokens += sums.output_tokens;
            model.cache_read_tokens += sums.cache_read_tokens;
            model.cache_write_tokens += sums.cache_write_tokens;
            model.reasoning_tokens += sums.reasoning_tokens;
            model.unpriced |= sums.unpriced;
        }
        self.unpriced_calls += other.unpriced_calls;
        self.wrappers += other.wrappers;
        self.searches += other.searches;
        self.cache_hits += other.cache_hits;
        self.cache_misses += other.cache_misses;
        self.parses += other.parses;
        self.repaired_parses += other.repaired_parses;
        self.failed_parses += other.failed_parses;
        merge_counts(&mut self.speech_events, other.speech_events);
        self.billed_audio_seconds += other.billed_audio_seconds;
        merge_counts(&mut self.errors, other.errors);
        merge_counts(&mut self.services, other.services);
        self.trace_ids.extend(other.trace_ids);
    }

    fn add_span(&mut self, span: &Planned) {
        self.spans += 1;
        let kind = match &span.fact {
            Fact::Other => "other",
            Fact::Request => "request",
            Fact::Agent => {
                self.wrappers += 1;
                "agent"
            }
            Fact::Tool => "tool",
            Fact::Call(call) => self.add_call(call),
            Fact::Search => {
                self.searches += 1;
                "vector_search"
            }
            Fact::Cache { hit } => {
                self.cache_hits += u64::from(*hit);
                self.cache_misses += u64::from(!hit);
                "cache_lookup"
            }
            Fact::Parse { success, repaired } => {
                self.parses += u64::from(*success);
                self.repaired_parses += u64::from(*repaired);
                self.failed_parses += u64::from(!success);
                "json_parse"
            }
            Fact::Speech {
                event,
                billed_seconds,
            } => {
                *self.speech_events.entry(event).or_default() += 1;
                self.billed_audio_seconds += billed_seconds;
                "speech"
            }
        };
        *self.kinds.entry(kind).or_default() += 1;
        let error_type = span
            .attributes
            .iter()
            .find(|attribute| attribute.key.as_str() == "error.type");
        if let Some(error_type) = error_type {
            let error_type = error_type.value.as_str().into_owned();
            *self.errors.entry(error_type).or_default() += 1;
        }
        span.children.iter().for_each(|child| self.add_span(child));
    }

    fn add_call(&mut self, call: &CallFact) -> &'static str {
        let model = self.models.entry(call.model).or_default();
        model.calls += 1;
        model.failed_calls += u64::from(call.failed);
        model.input_tokens += call.tokens.input;
        model.output_tokens += call.tokens.output;
        model.cache_read_tokens += call.tokens.cache_read;
        model.cache_write_tokens += call.tokens.cache_write;
        model.reasoning_tokens += call.tokens.reasoning;
        model.unpriced |= call.unpriced;
        if call.kind == CallKind::Rerank {
            self.reranks += 1;
            return "rerank";
        }
        self.calls += 1;
        self.failed_calls += u64::from(call.failed);
        self.resent_calls += u64::from(call.resent);
        self.timeouts += u64::from(call.timed_out);
        self.input_tokens += call.tokens.input;
        self.output_tokens += call.tokens.output;
        self.unpriced_calls += u64::from(call.unpriced && !call.failed);
        match call.kind {
            CallKind::Embedding => "embedding",
            CallKind::Chat | CallKind::Rerank => "chat",
        }
    }
}

fn merge_counts<K: Ord>(counts: &mut BTreeMap<K, u64>, other: BTreeMap<K, u64>) {
    for (key, count) in other {
        *counts.entry(key).or_default() += count;
    }
}
