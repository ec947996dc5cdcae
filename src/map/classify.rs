//! Which kind of work a span is, and so its part in the trace.
//!
//! Order: the dialects' own words, the strongest dialect first; a word for a container beats the
//! presence of usage or a model (a chain that sums its calls is no call). Then what the attributes
//! show. A bare HTTP client span is never a call, whichever host it talks to.

use super::{dialect::DEFAULT, fields, fields::Field, messages::Family, normal, read::Reading};
use crate::{otlp::value::utf8, record::Role};

/// Kinds of work.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// A model call that answers in text or tool calls.
    Chat,
    /// A model call that answers in images or speech.
    Media,
    /// An embedding call.
    Embedding,
    /// A vector search.
    Retrieval,
    /// A rerank.
    Rerank,
    /// Speech to text.
    Speech,
    /// A word that some use for speech to text, and others for speech.
    PerhapsSpeech,
    /// One try inside a call.
    Attempt,
    /// A tool call.
    Tool,
    /// An agent, chain, workflow or task.
    Container,
    /// A parse of a model's answer.
    Parse,
    /// A look into a cache.
    Cache,
    /// GenAI's, but nothing that has a row.
    Aside,
}

impl Kind {
    /// The part that a span of this kind plays.
    pub fn role(self) -> Role {
        match self {
            Kind::Chat | Kind::Media => Role::Call,
            Kind::Embedding => Role::Embedding,
            Kind::Retrieval => Role::Retrieval,
            Kind::Rerank => Role::Rerank,
            Kind::Speech | Kind::PerhapsSpeech => Role::Speech,
            Kind::Attempt => Role::Attempt,
            Kind::Tool => Role::Tool,
            Kind::Container => Role::Rollup,
            Kind::Parse => Role::Parse,
            Kind::Cache => Role::Cache,
            Kind::Aside => Role::None,
        }
    }
}

/// What kind of work a span is; `None` if nothing shows any.
pub fn kind(reading: &Reading<'_, '_>, span_name: &str) -> Option<Kind> {
    let said = said_kind(reading).or_else(|| named_kind(reading, span_name));
    let kind = match said {
        Some(Kind::PerhapsSpeech) if has_speech(reading) => Kind::Speech,
        Some(Kind::PerhapsSpeech) => Kind::Media,
        Some(Kind::Container) | None if is_parse(reading, span_name) => Kind::Parse,
        Some(kind) => kind,
        None => shown_kind(reading, span_name)?,
    };
    let kind = match kind {
        Kind::Chat if is_embedding_model(reading) => Kind::Embedding,
        kind => kind,
    };
    // A hit without usage means that no model was called.
    let was_cached = reading.flag(Field::CacheHit) == Some(true) && !has_usage(reading);
    Some(match kind {
        Kind::Chat | Kind::Embedding if was_cached => Kind::Cache,
        kind => kind,
    })
}

/// Some SDKs call everything a generation; no model that chats is called "embed".
fn is_embedding_model(reading: &Reading<'_, '_>) -> bool {
    let model = [Field::RequestModel, Field::AnyModel, Field::ResponseModel]
        .iter()
        .find_map(|field| reading.text(*field));
    model.is_some_and(|model| {
        let start = memchr::memrchr(b'/', model.as_bytes()).map_or(0, |slash| slash + 1);
        let name = model.as_bytes().get(start..).unwrap_or_default();
        name.windows(5)
            .any(|part| matches!(part, [b'e' | b'E', ..]) && part.eq_ignore_ascii_case(b"embed"))
    })
}

/// The first kind that a dialect's own word names.
fn said_kind(reading: &Reading<'_, '_>) -> Option<Kind> {
    reading.kinds().find_map(|(dialect, word)| {
        let word = fields::trim(&word);
        let entry = dialect.kinds.iter().find(|(known, _)| is_word(known, word));
        entry.map(|(_, kind)| *kind)
    })
}

/// True if a dialect's word for a kind is this one; `*` at an end stands for anything there.
fn is_word(known: &str, word: &str) -> bool {
    if let Some(start) = known.strip_suffix('*') {
        return word
            .get(..start.len())
            .is_some_and(|head| head.eq_ignore_ascii_case(start));
    }
    match known.strip_prefix('*') {
        Some(end) => word
            .len()
            .checked_sub(end.len())
            .and_then(|at| word.get(at..))
            .is_some_and(|tail| tail.eq_ignore_ascii_case(end)),
        None => known.eq_ignore_ascii_case(word),
    }
}

/// What the span's own dialect means by the span's name, or else what the conventions do
/// (`{operation} {target}`), if the span is known to be GenAI's.
fn named_kind(reading: &Reading<'_, '_>, span_name: &str) -> Option<Kind> {
    let is_by_sign = !std::ptr::eq(reading.dialect, DEFAULT);
    if !reading.is_by_scope && !is_by_sign && !reading.is_genai() {
        return None;
    }
    let mut names = reading.dialect.names.iter().chain(DEFAULT.names);
    names
        .find(|(name, _)| is_word(name, span_name))
        .map(|(_, kind)| *kind)
}

/// What the attributes show where no word says it.
fn shown_kind(reading: &Reading<'_, '_>, span_name: &str) -> Option<Kind> {
    if reading.has(Field::SpeechEvent) || reading.has(Field::ChunkIndex) {
        return Some(Kind::Speech);
    }
    if is_search(reading, span_name) {
        return Some(Kind::Retrieval);
    }
    if reading.has(Field::RerankModel) {
        return Some(Kind::Rerank);
    }
    if reading.has(Field::ToolName) {
        return Some(Kind::Tool);
    }
    let has_model = [Field::RequestModel, Field::ResponseModel, Field::AnyModel]
        .iter()
        .any(|field| reading.has(*field));
    if reading.has(Field::EmbeddingModel)
        || (reading.has(Field::Dimensions) && has_model)
        || reading.family(Family::Embedding).next().is_some()
    {
        return Some(Kind::Embedding);
    }
    if has_model && has_speech(reading) {
        return Some(Kind::Speech);
    }
    let has_messages = reading.has(Field::InputMessages)
        || reading.has(Field::OutputMessages)
        || reading.family(Family::Input).next().is_some()
        || reading.family(Family::Output).next().is_some();
    if has_model && (has_usage(reading) || has_messages) {
        return Some(Kind::Chat);
    }
    reading.has(Field::CacheHit).then_some(Kind::Cache)
}

fn has_usage(reading: &Reading<'_, '_>) -> bool {
    reading.count(Field::InputTokens).is_some_and(|n| n > 0)
        || reading.count(Field::OutputTokens).is_some_and(|n| n > 0)
        || reading.count(Field::TotalTokens).is_some_and(|n| n > 0)
}

fn has_speech(reading: &Reading<'_, '_>) -> bool {
    [
        Field::AudioDuration,
        Field::TranscriptLength,
        Field::SpeechEvent,
        Field::ChunkIndex,
    ]
    .iter()
    .any(|field| reading.has(*field))
}

/// Names of the parse stage, and of LangChain's parsers of structured answers.
fn is_parse(reading: &Reading<'_, '_>, span_name: &str) -> bool {
    if reading.has(Field::ParseSuccess) || reading.has(Field::ParseSign) {
        return true;
    }
    is_parse_name(span_name)
}

fn is_parse_name(span_name: &str) -> bool {
    let last = span_name.rsplit([' ', '/']).next().unwrap_or_default();
    ["json_parsing", "json_parse", "parse_json"].contains(&last)
        || (last.ends_with("OutputParser") && last != "StrOutputParser")
}

/// True if a span that has no known attribute may be a parse by its name alone.
pub fn is_named_parse(span_name: &[u8]) -> bool {
    utf8(span_name).is_some_and(is_parse_name)
}

/// Words for looking something up, as databases spell their operations.
const SEARCHES: [&str; 16] = [
    "query",
    "search",
    "search_batch",
    "query_points",
    "query_batch",
    "similarity_search",
    "hybrid_search",
    "vector_search",
    "recommend",
    "recommend_batch",
    "discover",
    "near_text",
    "near_vector",
    "retrieve",
    "select",
    "get_nearest",
];

/// Words for changing a store, with which no search is meant whatever else is said.
const WRITES: [&str; 9] = [
    "insert", "upsert", "add", "update", "delete", "create", "modify", "index", "drop",
];

/// A query on a vector store, or on any database where the attributes speak of vectors.
fn is_search(reading: &Reading<'_, '_>, span_name: &str) -> bool {
    if reading.has(Field::Documents) || reading.family(Family::Document).next().is_some() {
        return true;
    }
    let Some(system) = reading.text(Field::DbSystem) else {
        return reading.has(Field::Query) && reading.has(Field::TopK);
    };
    let shows_vectors = reading.has(Field::TopK)
        || reading.has(Field::TopScore)
        || reading.has(Field::TopDistance)
        || reading.has(Field::Query);
    if !normal::is_vector_store(&system) {
        return shows_vectors;
    }
    let operation = reading.text(Field::DbOperation);
    let word = operation
        .as_deref()
        .unwrap_or_else(|| span_name.rsplit(['.', ' ']).next().unwrap_or_default());
    let word = word.trim_start_matches('_').to_ascii_lowercase();
    SEARCHES.contains(&&*word) || (shows_vectors && !WRITES.contains(&&*word))
}

/// True for operations on a vector store that are no searches: GenAI's, though without a row.
pub fn touches_vectors(reading: &Reading<'_, '_>) -> bool {
    reading
        .text(Field::DbSystem)
        .is_some_and(|system| normal::is_vector_store(&system))
}
