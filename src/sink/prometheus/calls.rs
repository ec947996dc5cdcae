//! Model calls and billed speech: tokens, cost, durations.

use std::sync::Arc;

use prometheus::{CounterVec, HistogramVec, IntCounterVec};

use super::{Make, names, seconds, token_sizes};
use crate::{
    record::{CallType, Counted, LlmCall, Status, SttEvent},
    sink::labels::Labels,
};

#[derive(Debug)]
pub(super) struct Calls {
    labels: Arc<Labels>,
    seconds: HistogramVec,
    token_usage: HistogramVec,
    first_chunk: HistogramVec,
    tokens: IntCounterVec,
    calls: IntCounterVec,
    not_counted: IntCounterVec,
    cost: CounterVec,
    unpriced: IntCounterVec,
    retries: IntCounterVec,
    timeouts: IntCounterVec,
    audio: CounterVec,
}

const OPERATION: [&str; 5] = [
    "gen_ai_operation_name",
    "gen_ai_provider_name",
    "gen_ai_request_model",
    "service_name",
    "error_type",
];
const USAGE: [&str; 5] = [
    "gen_ai_operation_name",
    "gen_ai_provider_name",
    "gen_ai_request_model",
    "service_name",
    "gen_ai_token_type",
];

impl Calls {
    pub fn new(make: &Make<'_>, labels: Arc<Labels>) -> prometheus::Result<Self> {
        Ok(Self {
            labels,
            seconds: make.histogram(names::OPERATION_SECONDS, &OPERATION, seconds())?,
            token_usage: make.histogram(names::TOKEN_USAGE, &USAGE, token_sizes())?,
            first_chunk: make.histogram(names::FIRST_CHUNK_SECONDS, &OPERATION[1..4], seconds())?,
            tokens: make.counter(names::TOKENS, &["type", "provider", "model", "service"])?,
            calls: make.counter(
                names::CALLS,
                &["call_type", "provider", "model", "service", "status"],
            )?,
            not_counted: make.counter(names::NOT_COUNTED, &["reason"])?,
            cost: make.amount(names::COST, &["provider", "model", "service", "operation"])?,
            unpriced: make.counter(names::UNPRICED, &["reason", "provider", "model"])?,
            retries: make.counter(names::RETRIES, &["provider", "model", "service"])?,
            timeouts: make.counter(names::TIMEOUTS, &["provider", "model", "service"])?,
            audio: make.amount(names::AUDIO_SECONDS, &["provider", "model"])?,
        })
    }

    pub fn observe(&self, call: &LlmCall) {
        if let Counted::No(why) = call.counted {
            self.not_counted.with_label_values(&[why.as_str()]).inc();
            return;
        }
        let provider = self.labels.value("provider", call.provider.as_deref());
        let model = call.model.as_deref().or(call.response_model.as_deref());
        let model = self.labels.value("model", model);
        let service = self
            .labels
            .value("service", call.header.service_name.as_deref());
        let whose = [provider.as_ref(), model.as_ref(), service.as_ref()];
        let [provider, model, service] = whose;
        let operation = match call.call_type {
            CallType::Embedding => "embeddings",
            _ => "chat",
        };
        let error = match (&call.error_type, call.status) {
            (Some(error), _) => self.labels.value("error_type", Some(error)),
            (None, Status::Success | Status::Pending) => "".into(),
            (None, status) => status.as_str().into(),
        };
        if let Some(ms) = call.header.latency_ms() {
            let labels = [operation, provider, model, service, error.as_ref()];
            self.seconds.with_label_values(&labels).observe(ms / 1e3);
        }
        if let Some(ms) = call.ttft_ms {
            self.first_chunk.with_label_values(&whose).observe(ms / 1e3);
        }
        let kind = call.call_type.as_str();
        let labels = [kind, provider, model, service, call.status.as_str()];
        self.calls.with_label_values(&labels).inc();
        self.observe_tokens(call, operation, whose);
        self.observe_cost(call, whose);
        let retries = call
            .retry_count
            .and_then(|n| u64::try_from(n).ok())
            .unwrap_or(0);
        self.retries.with_label_values(&whose).inc_by(retries);
        self.timeouts
            .with_label_values(&whose)
            .inc_by(u64::from(call.status == Status::Timeout));
    }

    fn observe_tokens(&self, call: &LlmCall, operation: &str, whose: [&str; 3]) {
        let [provider, model, service] = whose;
        let usage = &call.usage;
        for (kind, tokens) in [
            ("input", usage.prompt),
            ("output", usage.completion),
            ("cache_read", usage.cache_read),
            ("cache_write", usage.cache_write),
            ("reasoning", usage.reasoning),
        ] {
            let Some(tokens) = tokens.and_then(|n| u64::try_from(n).ok()) else {
                continue;
            };
            self.tokens
                .with_label_values(&[kind, provider, model, service])
                .inc_by(tokens);
            if matches!(kind, "input" | "output") {
                let labels = [operation, provider, model, service, kind];
                self.token_usage
                    .with_label_values(&labels)
                    .observe(tokens as f64);
            }
        }
    }

    fn observe_cost(&self, call: &LlmCall, [provider, model, service]: [&str; 3]) {
        match &call.cost {
            Some(Ok(cost)) => {
                let operation = call.operation.as_deref().or(Some(call.call_type.as_str()));
                let operation = self.labels.value("operation", operation);
                let labels = [provider, model, service, operation.as_ref()];
                self.cost.with_label_values(&labels).inc_by(cost.usd);
            }
            // A failed call has no usage to price; that is no gap in the table.
            Some(Err(why)) if call.status == Status::Success => {
                self.unpriced
                    .with_label_values(&[why.as_str(), provider, model])
                    .inc();
            }
            _ => {}
        }
    }

    pub fn observe_speech(&self, event: &SttEvent) {
        if !event.billed {
            return;
        }
        let provider = self.labels.value("provider", event.provider.as_deref());
        let model = self.labels.value("model", event.model.as_deref());
        let service = self
            .labels
            .value("service", event.header.service_name.as_deref());
        if let Some(seconds) = event.audio_duration_seconds.filter(|s| *s >= 0.0) {
            self.audio
                .with_label_values(&[provider.as_ref(), model.as_ref()])
                .inc_by(seconds);
        }
        match &event.cost {
            Some(Ok(cost)) => {
                let labels = [
                    provider.as_ref(),
                    model.as_ref(),
                    service.as_ref(),
                    "transcription",
                ];
                self.cost.with_label_values(&labels).inc_by(cost.usd);
            }
            Some(Err(why)) if event.status == Status::Success => {
                let labels = [why.as_str(), provider.as_ref(), model.as_ref()];
                self.unpriced.with_label_values(&labels).inc();
            }
            _ => {}
        }
    }
}
