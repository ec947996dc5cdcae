//! A model call, or a span that wraps one.

use std::sync::Arc;

use smol_str::SmolStr;

use super::{Context, Cost, ErrorClass, Header, History, Origin, SpanKey, Unpriced, Usage};

/// A row of `llm_calls`.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct LlmCall {
    /// Ids, times, service.
    pub header: Header,
    /// The nearest ancestor row in `llm_calls`: `parent_call_id`.
    pub parent_call: Option<SpanKey>,
    /// The span's part in its trace.
    pub role: super::Role,
    /// What kind of call.
    pub call_type: CallType,
    /// The app's own name of the operation.
    pub operation: Option<SmolStr>,
    /// How it ended.
    pub status: Status,
    /// Whether its tokens and cost count, and why not.
    pub counted: Counted,
    /// Normalised OTel provider name.
    pub provider: Option<SmolStr>,
    /// Requested model, without decoration.
    pub model: Option<SmolStr>,
    /// Answering model.
    pub response_model: Option<SmolStr>,
    /// Newest user input of the call.
    pub prompt: Option<String>,
    /// System prompt.
    pub system_prompt: Option<String>,
    /// The answer.
    pub response: Option<String>,
    /// The other messages that it was sent; `None` where there are none.
    pub history: Option<Box<History>>,
    /// Characters of `prompt`, kept even when the content is not.
    pub prompt_length: Option<i64>,
    /// Characters of `response`.
    pub response_length: Option<i64>,
    /// Request parameter.
    pub temperature: Option<f64>,
    /// Request parameter.
    pub top_p: Option<f64>,
    /// Request parameter.
    pub max_tokens: Option<i64>,
    /// Request parameter.
    pub reasoning_level: Option<SmolStr>,
    /// Normalised: stop, length, tool_call, content_filter, error, or the provider's own word.
    pub finish_reason: Option<SmolStr>,
    /// True if the answer was streamed; `None` if not said.
    pub streamed: Option<bool>,
    /// Tokens.
    pub usage: Usage,
    /// Seconds of audio in the call.
    pub audio_seconds: Option<f64>,
    /// Our cost, or why there is none. `None` until priced.
    pub cost: Option<Result<Cost, Unpriced>>,
    /// The SDK's own cost, USD.
    pub reported_cost: Option<f64>,
    /// Service tier of the answer (batch, priority, …), for pricing.
    pub service_tier: Option<SmolStr>,
    /// Milliseconds to the first token.
    pub ttft_ms: Option<f64>,
    /// Error class.
    pub error_type: Option<SmolStr>,
    /// Error text.
    pub error_message: Option<String>,
    /// What the error means; `error_severity` is its severity.
    pub error_class: Option<ErrorClass>,
    /// Details, a JSON object.
    pub error_context: Option<serde_json::Value>,
    /// Retries inside the call.
    pub retry_count: Option<i64>,
    /// Who and where.
    pub context: Arc<Context>,
    /// The winning dialect.
    pub dialect: &'static str,
    /// The attributes that no column takes: the text of a JSON object.
    pub metadata: Option<String>,
    /// Tags, a JSON array of strings.
    pub tags: Option<Vec<String>>,
    /// Where the numbers came from.
    pub origin: Origin,
    /// The provider's id of the answer: the same id twice is one call seen twice.
    pub response_id: Option<SmolStr>,
}

macro_rules! words {
    ($(#[$doc:meta])* $name:ident { $($(#[$vdoc:meta])* $variant:ident = $text:literal),+ $(,)? }) => {
        $(#[$doc])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
        pub enum $name { $($(#[$vdoc])* $variant),+ }

        impl $name {
            /// The column's text.
            pub fn as_str(self) -> &'static str {
                match self { $($name::$variant => $text),+ }
            }

            /// From the column's text.
            pub fn parse(text: &str) -> Option<Self> {
                match text { $($text => Some($name::$variant),)+ _ => None }
            }
        }
    };
}

words!(
    /// What kind of model call.
    #[allow(missing_docs, reason = "the variants are the column's words")]
    CallType {
        #[default]
        Chat = "chat",
        RagQuery = "rag_query",
        RagSynthesis = "rag_synthesis",
        SentimentAnalysis = "sentiment_analysis",
        Summarization = "summarization",
        Embedding = "embedding",
        Classification = "classification",
        Extraction = "extraction",
        System = "system",
        Other = "other",
    }
);
words!(
    /// How a call ended.
    #[allow(missing_docs, reason = "the variants are the column's words")]
    Status {
        Pending = "pending",
        #[default]
        Success = "success",
        Error = "error",
        Timeout = "timeout",
        Cancelled = "cancelled",
    }
);
words!(
    /// Why a span is not counted.
    NotCounted {
        /// It wraps a call that is counted.
        #[default]
        Wrapper = "wrapper",
        /// Another span shows the same call.
        Duplicate = "duplicate",
        /// It is the transport below a counted call.
        Transport = "transport",
    }
);
words!(
    /// How bad an error is: a warning passes, an error needs a look, a critical one needs someone now.
    #[allow(missing_docs, reason = "the variants are the column's words")]
    Severity {
        Warning = "warning",
        #[default]
        Error = "error",
        Critical = "critical",
    }
);

/// Whether a span's tokens and cost count.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub enum Counted {
    /// It stands for the call.
    #[default]
    Yes,
    /// It does not.
    No(NotCounted),
}

impl Counted {
    /// The `counted` column.
    pub fn is_yes(self) -> bool {
        self == Counted::Yes
    }

    /// The `not_counted_why` column.
    pub fn why(self) -> Option<&'static str> {
        match self {
            Counted::Yes => None,
            Counted::No(why) => Some(why.as_str()),
        }
    }
}

pub(crate) use words;

impl LlmCall {
    /// Takes from a log event what the span did not say.
    pub fn take_content(&mut self, content: super::CallContent) {
        fn take<T>(slot: &mut Option<T>, value: Option<T>) {
            if slot.is_none() {
                *slot = value;
            }
        }
        let length = |text: &Option<String>| text.as_ref().map(|t| t.chars().count() as i64);
        take(&mut self.prompt_length, length(&content.prompt));
        take(&mut self.response_length, length(&content.response));
        take(&mut self.prompt, content.prompt);
        take(&mut self.system_prompt, content.system_prompt);
        take(&mut self.response, content.response);
        take(&mut self.history, content.history);
        take(&mut self.finish_reason, content.finish_reason);
        if !self.usage.is_known() {
            self.usage = content.usage;
        }
    }
}
