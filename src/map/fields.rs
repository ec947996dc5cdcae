//! Field: every slot that a dialect can fill, and how a value becomes what the slot holds.
//!
//! Units stand in the field's doc. Values are coerced leniently, because SDKs send numbers as
//! text, booleans as text and integers wrapped in JSON; what can't be coerced counts as absent,
//! so the next attribute in the dialect's order gets its chance.

use std::borrow::Cow;

use super::{limits, literal};
use crate::otlp::{
    Value,
    value::{text, utf8},
};

/// What masking SDKs put where content was.
pub const REDACTED: &str = "__REDACTED__";

/// How Logfire's scrubbing begins: `[Scrubbed due to 'session']`.
const SCRUBBED: &[u8] = b"[Scrubbed due to ";

/// Tokens beyond this are a bug of the sender, not a count.
const MAX_COUNT: i64 = 1 << 40;

/// How a field's value is read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Shape {
    /// A name or short text.
    Text,
    /// A whole number ≥ 0.
    Count,
    /// A finite number.
    Number,
    /// True or false.
    Flag,
    /// One or several words.
    List,
    /// Text, JSON, arrays, maps: whatever the field's user makes of it.
    Content,
}

macro_rules! fields {
    ($($(#[$doc:meta])* $name:ident: $shape:ident),+ $(,)?) => {
        /// A slot that a dialect can fill.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
        pub enum Field { $($(#[$doc])* $name),+ }

        impl Field {
            /// Every field, in order.
            pub const ALL: &'static [Field] = &[$(Field::$name),+];

            /// How its value is read.
            pub fn shape(self) -> Shape {
                match self { $(Field::$name => Shape::$shape),+ }
            }
        }
    };
}

fields! {
    /// The dialect's word for what the span is.
    Kind: Text,
    /// Provider as named by the SDK.
    Provider: Text,
    /// Provider as a framework names it; used where the SDK names only itself.
    ProviderHint: Text,
    /// Model asked for.
    RequestModel: Text,
    /// Model that answered.
    ResponseModel: Text,
    /// One model name that may be either.
    AnyModel: Text,
    /// Model of an embedding call.
    EmbeddingModel: Text,
    /// The provider's id of the answer.
    ResponseId: Text,
    /// JSON of request parameters.
    Parameters: Content,
    /// Input tokens.
    InputTokens: Count,
    /// Output tokens.
    OutputTokens: Count,
    /// Reported sum.
    TotalTokens: Count,
    /// Input tokens read from the provider's cache.
    CacheRead: Count,
    /// Input tokens written to the provider's cache.
    CacheWrite: Count,
    /// Part of those with a five-minute life.
    CacheWrite5m: Count,
    /// Part of those with a one-hour life.
    CacheWrite1h: Count,
    /// Input tokens without the cache, under a name that says so.
    UncachedInput: Count,
    /// Usage as one JSON object.
    UsageObject: Content,
    /// Details of the input, a JSON object: its members are parts.
    InputDetails: Content,
    /// Details of the output, a JSON object.
    OutputDetails: Content,
    /// Output tokens spent on reasoning.
    Reasoning: Count,
    /// Input tokens that are audio.
    AudioInput: Count,
    /// Output tokens that are audio.
    AudioOutput: Count,
    /// Seconds of audio in the call.
    AudioSeconds: Number,
    /// The SDK's own cost, USD.
    ReportedCost: Number,
    /// The SDK's own cost as one JSON object, USD.
    CostObject: Content,
    /// The SDK's own cost of the input, USD.
    InputCost: Number,
    /// The SDK's own cost of the output, USD.
    OutputCost: Number,
    /// Request parameter.
    Temperature: Number,
    /// Request parameter.
    TopP: Number,
    /// Request parameter, tokens.
    MaxTokens: Count,
    /// Request parameter.
    ReasoningLevel: Text,
    /// Service tier of the answer.
    ServiceTier: Text,
    /// Finish reason or reasons.
    FinishReason: List,
    /// Whether the answer was streamed.
    Streamed: Flag,
    /// Time to first token, seconds.
    TtftSeconds: Number,
    /// Time to first token, milliseconds.
    TtftMillis: Number,
    /// When the first piece of a streamed answer came, ISO 8601.
    FirstTokenAt: Text,
    /// Retries.
    RetryCount: Count,
    /// System prompt: text or parts.
    SystemPrompt: Content,
    /// Messages sent.
    InputMessages: Content,
    /// Messages answered.
    OutputMessages: Content,
    /// Message events of the conventions as one JSON list, question and answer together.
    EventList: Content,
    /// The answer as text, whatever it looks like.
    OutputText: Content,
    /// The whole input of a span of any kind.
    Input: Content,
    /// The whole output of a span of any kind.
    Output: Content,
    /// The app's name of what it does.
    Operation: Text,
    /// The app's own call type, one of our words.
    CallType: Text,
    /// Tags.
    Tags: List,
    /// Error class.
    ErrorType: Text,
    /// Error text.
    ErrorMessage: Text,
    /// A word for how bad the span's end was: ERROR fails it.
    Level: Text,
    /// HTTP status of the answer.
    HttpStatus: Count,
    /// The function that was called.
    FunctionName: Text,
    /// Query text of a search.
    Query: Text,
    /// Hits asked for.
    TopK: Count,
    /// Sampling parameter of a call; hits asked for on a search.
    SamplingTopK: Count,
    /// Hits, as a list.
    Documents: Content,
    /// Hits returned.
    HitCount: Count,
    /// Best score, more is better.
    TopScore: Number,
    /// Best score, less is better.
    TopDistance: Number,
    /// Database product.
    DbSystem: Text,
    /// Database operation.
    DbOperation: Text,
    /// Statement.
    DbStatement: Text,
    /// Collection, index, data source.
    Collection: Text,
    /// Reranking model.
    RerankModel: Text,
    /// Length of an embedding.
    Dimensions: Count,
    /// Tool that was called.
    ToolName: Text,
    /// Lifecycle event of a transcription.
    SpeechEvent: Text,
    /// 0-based.
    ChunkIndex: Count,
    /// Number of chunks.
    ChunkCount: Count,
    /// Seconds of audio.
    AudioDuration: Number,
    /// Bytes of audio.
    AudioSize: Count,
    /// Language of the audio.
    Language: Text,
    /// Characters of the transcript.
    TranscriptLength: Count,
    /// Words of the transcript.
    WordCount: Count,
    /// The transcript.
    Transcript: Text,
    /// Whether a parse succeeded.
    ParseSuccess: Flag,
    /// Whether the text had to be repaired.
    ParseRepaired: Flag,
    /// Whether a fallback was used.
    ParseFallback: Flag,
    /// Format that was parsed, or another sign that this is a parse.
    ParseSign: Text,
    /// Whether a cache had it.
    CacheHit: Flag,
    /// Which cache.
    CacheName: Text,
    /// Key, to be hashed.
    CacheKey: Text,
    /// Hash of the key.
    CacheKeyHash: Text,
    /// Name of the pipeline.
    Pipeline: Text,
    /// Known, and neither a field nor worth keeping.
    Ignored: Content,
}

impl Field {
    /// Index into a table of all fields.
    pub fn index(self) -> usize {
        self as usize
    }

    /// True for fields that spans of any trade carry: they alone don't make a span GenAI's.
    pub fn is_general(self) -> bool {
        use Field::*;
        matches!(
            self,
            ErrorType
                | ErrorMessage
                | Level
                | HttpStatus
                | FunctionName
                | RetryCount
                | HitCount
                | DbSystem
                | DbOperation
                | DbStatement
                | Collection
                | Language
                | Transcript
                | Operation
                | Pipeline
                | Ignored
                | Input
                | Output
                | Tags
        )
    }

    /// Whether `value` says anything that this field can hold.
    pub fn can_hold(self, value: Value<'_>) -> bool {
        match self.shape() {
            Shape::Count => count(value).is_some(),
            Shape::Number => number(value).is_some(),
            Shape::Flag => flag(value).is_some(),
            Shape::Text => {
                let is_scalar = !matches!(value, Value::Array(_) | Value::Map(_) | Value::Bytes(_));
                is_scalar && !is_blank(value)
            }
            Shape::List | Shape::Content => !is_blank(value),
        }
    }
}

/// `str::trim`, which goes through characters at both ends even where there is nothing to do.
#[inline]
pub fn trim(text: &str) -> &str {
    match text.as_bytes() {
        [b'!'..=b'~'] | [b'!'..=b'~', .., b'!'..=b'~'] => text,
        _ => text.trim(),
    }
}

/// Nothing, blank text, or a mask.
#[inline]
pub fn is_blank(value: Value<'_>) -> bool {
    match value {
        // Most text begins like neither a blank nor a mask.
        Value::Str([b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'{', ..]) => false,
        other => is_blank_any(other),
    }
}

fn is_blank_any(value: Value<'_>) -> bool {
    match value {
        Value::Empty => true,
        Value::Str(bytes) => {
            let bytes = bytes.trim_ascii();
            bytes.is_empty() || bytes == REDACTED.as_bytes() || bytes.starts_with(SCRUBBED)
        }
        Value::Array(bytes) | Value::Map(bytes) | Value::Bytes(bytes) => bytes.is_empty(),
        Value::Bool(_) | Value::Int(_) | Value::Double(_) => false,
    }
}

/// A finite number; text is parsed, and so is an integer wrapped in JSON (`{"intValue":"3"}`).
pub fn number(value: Value<'_>) -> Option<f64> {
    let number = match value {
        Value::Int(int) => int as f64,
        Value::Double(double) => double,
        Value::Str(bytes) => {
            let text = utf8(bytes)?.trim().trim_matches('"');
            match text.parse::<f64>() {
                Ok(number) => number,
                Err(_) => wrapped(text)?,
            }
        }
        _ => return None,
    };
    number.is_finite().then_some(number)
}

fn wrapped(text: &str) -> Option<f64> {
    if !text.starts_with('{') || text.len() > 64 {
        return None;
    }
    let json: serde_json::Value = serde_json::from_str(text).ok()?;
    let inner = json.get("intValue").or_else(|| json.get("doubleValue"))?;
    inner
        .as_f64()
        .or_else(|| inner.as_str()?.trim().parse().ok())
}

/// A whole number from 0 to 2^40; anything else is no count.
pub fn count(value: Value<'_>) -> Option<i64> {
    let whole = match value {
        Value::Int(int) => int,
        other => {
            let number = number(other)?;
            if !(0.0..=MAX_COUNT as f64).contains(&number) {
                return None;
            }
            number.round() as i64
        }
    };
    (0..=MAX_COUNT).contains(&whole).then_some(whole)
}

/// True or false, also as text or number.
pub fn flag(value: Value<'_>) -> Option<bool> {
    match value {
        Value::Bool(flag) => Some(flag),
        Value::Int(int @ 0..=1) => Some(int == 1),
        Value::Str(bytes) => {
            let word = bytes.trim_ascii();
            let word = word
                .strip_prefix(b"\"")
                .and_then(|word| word.strip_suffix(b"\""))
                .unwrap_or(word);
            let is = |words: &[&str]| {
                words
                    .iter()
                    .any(|w| word.eq_ignore_ascii_case(w.as_bytes()))
            };
            if is(&["true", "1", "yes", "hit"]) {
                Some(true)
            } else if is(&["false", "0", "no", "miss"]) {
                Some(false)
            } else {
                None
            }
        }
        _ => None,
    }
}

/// The text of a scalar; `None` for blanks, masks, arrays, maps and bytes.
pub fn scalar(value: Value<'_>) -> Option<Cow<'_, str>> {
    if is_blank(value) {
        return None;
    }
    match value {
        Value::Str(bytes) => Some(unquoted(text(bytes))),
        Value::Int(int) => Some(Cow::Owned(int.to_string())),
        Value::Bool(flag) => Some(Cow::Owned(flag.to_string())),
        Value::Double(double) => Some(Cow::Owned(double.to_string())),
        _ => None,
    }
}

/// Text that is a JSON string: some SDKs encode every attribute's value.
fn unquoted(text: Cow<'_, str>) -> Cow<'_, str> {
    if text.starts_with('"')
        && let Ok(inner) = serde_json::from_str::<String>(&text)
    {
        return Cow::Owned(inner);
    }
    text
}

/// JSON: an array or a map, or text that holds JSON or Python's `repr` of it.
pub fn json(value: Value<'_>) -> Option<serde_json::Value> {
    match value {
        Value::Str(bytes) => literal::read(&text(bytes)),
        Value::Array(_) | Value::Map(_) => Some(value.to_json()),
        _ => None,
    }
}

/// Words: an array, a JSON array as text, a comma-separated text, or one word.
pub fn list(value: Value<'_>) -> Vec<String> {
    let words = |text: &str| -> Vec<String> {
        let text = trim(text);
        match literal::json(text).map(serde_json::from_value::<Vec<String>>) {
            Some(Ok(words)) => words,
            _ => text
                .split(',')
                .take(limits::TAGS)
                .map(str::to_owned)
                .collect(),
        }
    };
    let found = match value {
        Value::Array(_) => value
            .items()
            .take(limits::TAGS)
            .filter_map(|item| scalar(item).map(Cow::into_owned))
            .collect(),
        other => scalar(other).map(|text| words(&text)).unwrap_or_default(),
    };
    let trimmed = found.into_iter().map(|word| match trim(&word) {
        trimmed if trimmed.len() == word.len() => word,
        trimmed => trimmed.to_owned(),
    });
    trimmed.filter(|word| !word.is_empty()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_more_words_are_read_than_are_kept() {
        let words = "stop,".repeat(1_000);
        assert_eq!(list(Value::Str(words.as_bytes())).len(), limits::TAGS);
    }

    #[test]
    fn numbers_are_coerced_and_nonsense_is_absent() {
        let text = |s: &'static str| Value::Str(s.as_bytes());
        assert_eq!(count(text(" 702 ")), Some(702));
        assert_eq!(count(Value::Double(703.0)), Some(703));
        assert_eq!(count(text("{\"intValue\":\"12\"}")), Some(12));
        for none in [
            Value::Double(f64::NAN),
            Value::Double(f64::INFINITY),
            Value::Int(-1),
            Value::Int((1 << 40) + 1),
            text("NaN"),
            text("Infinity"),
            text("twelve"),
            text(""),
            Value::Empty,
            Value::Bool(true),
        ] {
            assert_eq!(count(none), None, "{none:?}");
        }
        assert_eq!(number(text("0.25")), Some(0.25));
        assert_eq!(number(text("-inf")), None);
        assert_eq!(flag(text("False")), Some(false));
        assert_eq!(flag(text("maybe")), None);
    }

    #[test]
    fn lists_come_in_four_shapes() {
        let text = |s: &'static str| list(Value::Str(s.as_bytes()));
        assert_eq!(text("stop"), ["stop"]);
        assert_eq!(text("a, b,"), ["a", "b"]);
        assert_eq!(text("[\"a\",\"b\"]"), ["a", "b"]);
        assert!(text(REDACTED).is_empty());
    }
}
