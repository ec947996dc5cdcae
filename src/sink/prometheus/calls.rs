//! Model calls: duration, tokens, cost. Only counted calls feed these.

use prometheus::Error;

use super::family::{Counters, Histograms, IntCounters, Maker};
use crate::{
    record::{CallType, Cost, Header, LlmCall, NotCounted, Stage, Status, SttEvent, Unpriced},
    sink::{
        labels::{Label, Labels},
        names,
    },
};

#[derive(Debug)]
pub(super) struct Calls {
    duration: Histograms<5>,
    token_usage: Histograms<5>,
    first_chunk: Histograms<4>,
    tokens: IntCounters<4>,
    calls: IntCounters<5>,
    cost: Counters<4>,
    unpriced: IntCounters<3>,
    retries: IntCounters<0>,
    timeouts: IntCounters<0>,
    not_counted: IntCounters<1>,
}

/// Whose call it is, as the labels show it.
#[derive(Debug, Clone, Copy)]
pub(super) struct Names {
    pub provider: &'static str,
    pub model: &'static str,
    pub service: &'static str,
}

impl Names {
    pub fn of(
        provider: Option<&str>,
        model: Option<&str>,
        service: &'static str,
        labels: &mut Labels,
    ) -> Self {
        Self {
            provider: labels.value(Label::Provider, provider),
            model: labels.value(Label::Model, model),
            service,
        }
    }
}

/// A span's duration, where both ends are known.
pub(super) fn seconds(header: &Header) -> Option<f64> {
    header.latency_ms().map(|ms| ms / 1e3).and_then(amount)
}

/// A number that may be added to a counter. Beyond the bound it can't be meant, and would drown
/// all others for as long as the process lives.
pub(super) fn amount(number: f64) -> Option<f64> {
    (0.0..=1e15).contains(&number).then_some(number)
}

fn tokens(number: Option<i64>) -> Option<u64> {
    number.and_then(|number| u64::try_from(number).ok())
}

impl Calls {
    pub fn new(maker: &Maker<'_>) -> Result<Self, Error> {
        let why = [
            NotCounted::Wrapper,
            NotCounted::Duplicate,
            NotCounted::Transport,
        ];
        let seconds = names::SECONDS_BUCKETS;
        Ok(Self {
            duration: maker.histograms(&names::OPERATION_DURATION, seconds)?,
            token_usage: maker.histograms(&names::TOKEN_USAGE, names::TOKEN_BUCKETS)?,
            first_chunk: maker.histograms(&names::FIRST_CHUNK, seconds)?,
            tokens: maker.int_counters(&names::TOKENS)?,
            calls: maker.int_counters(&names::CALLS)?,
            cost: maker.counters(&names::COST)?,
            unpriced: maker.int_counters(&names::UNPRICED)?,
            retries: maker.int_counters(&names::RETRIES)?,
            timeouts: maker.int_counters(&names::TIMEOUTS)?,
            not_counted: maker
                .int_counters(&names::NOT_COUNTED)?
                .start_at_zero(why.map(|why| [why.as_str()])),
        })
    }

    /// A call that is none of its own.
    pub fn not_counted(&mut self, why: NotCounted) {
        self.not_counted.with([why.as_str()]).inc();
    }

    /// A counted call of these names.
    pub fn call(&mut self, call: &LlmCall, names: Names, labels: &mut Labels) {
        let Names {
            provider,
            model,
            service,
        } = names;
        let error = labels.value_or_empty(Label::ErrorType, call.error_type.as_deref());
        let call_type = call.call_type.as_str();
        let otel_operation = match call.call_type {
            CallType::Embedding => "embeddings",
            _ => "chat",
        };

        self.calls
            .with([call_type, provider, model, service, call.status.as_str()])
            .inc();
        if let Some(seconds) = seconds(&call.header) {
            let values = [otel_operation, provider, model, error, service];
            self.duration.with(values).observe(seconds);
        }
        if let Some(seconds) = call.ttft_ms.map(|ms| ms / 1e3).and_then(amount) {
            self.first_chunk
                .with([otel_operation, provider, model, service])
                .observe(seconds);
        }
        let usage = &call.usage;
        for (kind, number) in [("input", usage.prompt), ("output", usage.completion)] {
            if let Some(number) = tokens(number) {
                let values = [otel_operation, provider, model, service, kind];
                self.token_usage.with(values).observe(number as f64);
            }
        }
        for (kind, number) in [
            ("input", usage.prompt),
            ("output", usage.completion),
            ("cache_read", usage.cache_read),
            ("cache_write", usage.cache_write),
            ("reasoning", usage.reasoning),
        ] {
            if let Some(number) = tokens(number) {
                self.tokens
                    .with([kind, provider, model, service])
                    .inc_by(number);
            }
        }
        if let Some(retries) = tokens(call.retry_count) {
            self.retries.with([]).inc_by(retries);
        }
        if call.status == Status::Timeout {
            self.timeouts.with([]).inc();
        }
        match &call.cost {
            Some(Ok(cost)) => {
                let operation = match &call.operation {
                    Some(operation) => labels.value(Label::Operation, Some(operation)),
                    None => call_type,
                };
                self.cost([provider, model, service, operation], cost);
            }
            Some(Err(why)) if call.status == Status::Success => {
                self.unpriced(*why, provider, model)
            }
            Some(Err(_)) | None => {}
        }
    }

    /// The cost of a transcription, or why it has none.
    pub fn speech(&mut self, event: &SttEvent, names: Names) {
        let Some(cost) = &event.cost else { return };
        let Names {
            provider,
            model,
            service,
        } = names;
        match cost {
            Ok(cost) => self.cost([provider, model, service, Stage::Stt.as_str()], cost),
            Err(why) => self.unpriced(*why, provider, model),
        }
    }

    fn cost(&mut self, values: [&'static str; 4], cost: &Cost) {
        if let Some(usd) = amount(cost.usd) {
            self.cost.with(values).inc_by(usd);
        }
    }

    fn unpriced(&mut self, why: Unpriced, provider: &'static str, model: &'static str) {
        self.unpriced.with([why.as_str(), provider, model]).inc();
    }
}
