//! A span before it is sent: plain data, so that an app is a function from dice to a tree.

use std::borrow::Cow;
use std::time::Duration;

use opentelemetry::trace::SpanKind;
use opentelemetry::{KeyValue, Value};

/// A span and the spans below it. Times count from the start of the request.
#[derive(Debug, Clone)]
pub(super) struct Planned {
    pub(super) name: Cow<'static, str>,
    pub(super) kind: SpanKind,
    pub(super) start: Duration,
    pub(super) end: Duration,
    pub(super) attributes: Vec<KeyValue>,
    pub(super) events: Vec<(&'static str, Duration, Vec<KeyValue>)>,
    /// Text of an error status; `None` where the span went well.
    pub(super) error: Option<String>,
    pub(super) children: Vec<Planned>,
    pub(super) fact: Fact,
}

/// What a span means for the ledger.
#[derive(Debug, Clone, Default)]
pub(super) enum Fact {
    /// Nothing but a place in the tree.
    #[default]
    Other,
    /// Root of a request.
    Request,
    /// An agent whose usage sums the calls below it.
    Agent,
    /// A tool call.
    Tool,
    /// A call that a model is paid for.
    Call(CallFact),
    /// A vector search.
    Search,
    /// A look into a cache.
    Cache { hit: bool },
    /// A parse of a model's answer.
    Parse { success: bool, repaired: bool },
    /// An event of a transcription. Seconds are those that it is charged for.
    Speech {
        event: &'static str,
        billed_seconds: f64,
    },
}

/// A call as the ledger sums it.
#[derive(Debug, Clone, Default)]
pub(super) struct CallFact {
    pub(super) kind: CallKind,
    pub(super) model: &'static str,
    pub(super) tokens: Tokens,
    pub(super) failed: bool,
    /// Sent again after a failure.
    pub(super) resent: bool,
    pub(super) timed_out: bool,
    /// No public price list has the model.
    pub(super) unpriced: bool,
}

#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) enum CallKind {
    #[default]
    Chat,
    Embedding,
    Rerank,
}

/// Tokens as OpenTelemetry counts them: input includes the cache, output includes reasoning.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Tokens {
    pub(super) input: i64,
    pub(super) output: i64,
    pub(super) cache_read: i64,
    pub(super) cache_write: i64,
    pub(super) reasoning: i64,
}

impl Planned {
    /// A span from `start` that takes `length`.
    pub(super) fn new(
        name: impl Into<Cow<'static, str>>,
        kind: SpanKind,
        start: Duration,
        length: Duration,
        fact: Fact,
    ) -> Self {
        Planned {
            name: name.into(),
            kind,
            start,
            end: start + length,
            attributes: Vec::new(),
            events: Vec::new(),
            error: None,
            children: Vec::new(),
            fact,
        }
    }

    /// Root of a request; its end follows its children.
    pub(super) fn root(name: impl Into<Cow<'static, str>>, kind: SpanKind) -> Self {
        Planned::new(name, kind, Duration::ZERO, Duration::ZERO, Fact::Request)
    }

    /// Sets an attribute.
    pub(super) fn set(&mut self, key: &'static str, value: impl Into<Value>) {
        self.attributes.push(KeyValue::new(key, value));
    }

    /// Sets an attribute.
    pub(super) fn with(mut self, key: &'static str, value: impl Into<Value>) -> Self {
        self.set(key, value);
        self
    }

    /// Ends with an error: status, `error.type` and the exception as the SDKs record it.
    pub(super) fn failed(mut self, error_type: &'static str, message: &str) -> Self {
        self.set("error.type", error_type);
        self.events.push((
            "exception",
            self.end,
            vec![
                KeyValue::new("exception.type", error_type),
                KeyValue::new("exception.message", message.to_owned()),
            ],
        ));
        self.error = Some(message.to_owned());
        self
    }

    /// Adds a child and makes sure that this span ends after it.
    pub(super) fn push(&mut self, child: Planned) {
        self.end = self.end.max(child.end + Duration::from_micros(400));
        self.children.push(child);
    }

    /// When the next child may start: shortly after the last one.
    pub(super) fn next(&self) -> Duration {
        let last = self.children.last().map_or(self.start, |child| child.end);
        last + Duration::from_micros(700)
    }
}

impl Tokens {
    /// Both sums, part by part.
    pub(super) fn plus(self, other: Tokens) -> Tokens {
        Tokens {
            input: self.input + other.input,
            output: self.output + other.output,
            cache_read: self.cache_read + other.cache_read,
            cache_write: self.cache_write + other.cache_write,
            reasoning: self.reasoning + other.reasoning,
        }
    }
}
