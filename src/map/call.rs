//! Fields to `LlmCall`: a model call, or a container that says enough to stand for one.

use std::borrow::Cow;

use serde_json::{Map, Value as Json};
use smol_str::SmolStr;

use super::{
    accounting, answer::Answer, classify::Kind, failure, failure::Ending, fields, fields::Field,
    limits, messages::Family, metadata::metadata, names::Names, normal, read::Reading,
    subject::Subject, transcript::Transcript,
};
use crate::{
    otlp::Value,
    record::{CallType, Counted, History, LlmCall, Origin, Status, Usage},
};

/// The record of a call. A container has one only if it carries usage, or a model with content:
/// counting then decides whether it wraps calls or is the only sign of one.
pub fn record(subject: &Subject<'_, '_>) -> Option<Box<LlmCall>> {
    let reading = subject.reading;
    let is_container = subject.kind == Some(Kind::Container);
    let is_embedding = subject.kind == Some(Kind::Embedding);
    let parameters = parameters(subject);
    let names = Names::of(subject, &parameters);
    let mut origin = Origin {
        dialect: reading.dialect.name,
        numbers: Vec::with_capacity(8),
    };
    if names.provider_told_by_model {
        origin
            .numbers
            .push(("provider", "model", "told by the model's name"));
    }
    let mut usage = accounting::usage(reading, names.provider.as_deref(), &mut origin);
    let answer = (!is_container)
        .then(|| Answer::read(reading))
        .flatten()
        .unwrap_or_default();
    if let (Some(raw), Some(got)) = (answer.usage, reading.got(Field::Output)) {
        accounting::complete(&mut usage, raw, got.key, "usage in the answer", &mut origin);
    }
    if subject.ending.error_type.is_some() && usage.total == Some(0) {
        // A failed call's zeros are a counter that was never set, not a count.
        usage = Usage::default();
        origin
            .numbers
            .retain(|(column, ..)| !column.ends_with("_tokens"));
    }
    if is_embedding && usage.completion == Some(0) {
        // An embedding has no output to count.
        usage.completion = None;
        origin
            .numbers
            .retain(|(column, ..)| *column != "completion_tokens");
    }
    let content = Content::of(subject, is_embedding);
    let says_enough = usage.is_known()
        || (names.model.is_some() && (content.prompt.is_some() || content.response.is_some()));
    if is_container && !says_enough {
        return None;
    }
    let temperature = asked(reading, &parameters, Field::Temperature, &["temperature"]);
    let top_p = asked(reading, &parameters, Field::TopP, &["top_p", "topP"]);
    let max_tokens = asked(reading, &parameters, Field::MaxTokens, &MAX_TOKENS);
    for (column, asked) in [
        ("temperature", &temperature),
        ("top_p", &top_p),
        ("max_tokens", &max_tokens),
    ] {
        if let Some((_, key, done)) = asked {
            origin.numbers.push((column, key, done));
        }
    }
    let streamed = streamed(subject, &parameters);
    let reported_cost = reported_cost(reading, &mut origin);
    for (column, field) in [
        ("ttft_ms", Field::TtftSeconds),
        ("ttft_ms", Field::TtftMillis),
        ("audio_seconds", Field::AudioSeconds),
    ] {
        accounting::note(reading, &mut origin, column, field, "");
    }
    let operation = reading.name(Field::Operation);
    let told = || normal::finish_reason(answer.finish.as_deref()?);
    let finish_reason = fields_finish(subject)
        .or(content.finish.clone())
        .or_else(told);
    let ending = ending(subject, &usage, &content, finish_reason.as_deref());
    Some(Box::new(LlmCall {
        header: subject.header.clone(),
        role: subject.kind.map(Kind::role).unwrap_or_default(),
        call_type: call_type(subject, operation.as_deref()),
        operation,
        status: ending.status,
        provider: names.provider,
        model: names
            .model
            .or_else(|| names.response_model.clone())
            .or_else(|| answer.model.clone())
            .or_else(|| answer.inner_model.clone()),
        response_model: names.response_model.or(answer.model),
        prompt_length: content.prompt.as_deref().map(limits::characters),
        response_length: content.response.as_deref().map(limits::characters),
        history: content.history,
        prompt: kept(subject, content.prompt),
        system_prompt: kept(subject, content.system),
        response: kept(subject, content.response),
        temperature: temperature.map(|(number, ..)| number),
        top_p: top_p.map(|(number, ..)| number),
        max_tokens: max_tokens
            .and_then(|(number, ..)| fields::count(Value::Double(number)))
            .filter(|max| *max > 0),
        reasoning_level: reading
            .name(Field::ReasoningLevel)
            .or_else(|| reasoning(&parameters)),
        finish_reason,
        streamed,
        usage,
        audio_seconds: reading
            .number(Field::AudioSeconds)
            .filter(|seconds| (0.0..=limits::AUDIO_SECONDS).contains(seconds)),
        reported_cost,
        service_tier: reading
            .name(Field::ServiceTier)
            .or_else(|| parameter_text(&parameters, &["service_tier"])),
        ttft_ms: ttft_ms(subject).filter(|_| streamed != Some(false)),
        error_type: ending.error_type.clone(),
        error_message: ending.message.clone(),
        error_class: ending.class,
        error_context: ending.context.clone(),
        retry_count: reading.count(Field::RetryCount),
        context: subject.context(),
        dialect: reading.dialect.name,
        metadata: metadata(subject),
        tags: tags(subject),
        origin,
        response_id: reading.name(Field::ResponseId).or(answer.id),
        // What later stations say.
        parent_call: None,
        counted: Counted::default(),
        cost: None,
    }))
}

/// How the call ended. Some SDKs set a status of OK on a call that raised and answered nothing, or
/// that says itself that it ended in an error.
fn ending<'s>(
    subject: &Subject<'s, '_>,
    usage: &Usage,
    content: &Content,
    finish: Option<&str>,
) -> Cow<'s, Ending> {
    let answered_nothing = !usage.is_known() && content.response.is_none();
    let raised = subject.events.exception.is_some() && answered_nothing;
    if subject.ending.status == Status::Success && (raised || finish == Some("error")) {
        return Cow::Owned(failure::failed(
            subject.span,
            Some(subject.reading),
            subject.events,
        ));
    }
    Cow::Borrowed(subject.ending)
}

/// Names of the token limit among request parameters, as the providers spell it.
const MAX_TOKENS: [&str; 5] = [
    "max_tokens",
    "max_completion_tokens",
    "max_output_tokens",
    "maxTokens",
    "maxOutputTokens",
];

#[derive(Default)]
struct Content {
    prompt: Option<String>,
    system: Option<String>,
    response: Option<String>,
    history: Option<Box<History>>,
    finish: Option<SmolStr>,
}

impl Content {
    /// What was said: attributes first, span events where they are silent.
    fn of(subject: &Subject<'_, '_>, is_embedding: bool) -> Self {
        let reading = subject.reading;
        let mut said = Transcript::of(reading, true);
        let mut heard = subject.events.transcript.clone();
        if is_embedding {
            let texts: Vec<Cow<'_, str>> = reading
                .family(Family::Embedding)
                .filter(|member| member.path.ends_with("text"))
                .filter_map(|member| fields::scalar(member.value))
                .collect();
            let joined = (!texts.is_empty()).then(|| texts.join("\n"));
            return Content {
                prompt: joined
                    .or_else(|| said.prompt(true))
                    .or_else(|| heard.prompt(true)),
                ..Content::default()
            };
        }
        // Taken out of both, so that neither stands in the history.
        let prompt = said.prompt(false).or(heard.prompt(false));
        let system = said.system().or(heard.system());
        let history = || said.history().or_else(|| heard.history());
        Content {
            history: subject.keep_content.then(history).flatten(),
            prompt,
            system,
            response: said.response().or_else(|| heard.response()),
            finish: said.finish_reason().or_else(|| heard.finish_reason()),
        }
    }
}

fn kept(subject: &Subject<'_, '_>, content: Option<String>) -> Option<String> {
    content
        .filter(|_| subject.keep_content)
        .map(|text| limits::cut(text, limits::CONTENT_BYTES))
}

fn fields_finish(subject: &Subject<'_, '_>) -> Option<SmolStr> {
    let got = subject.reading.got(Field::FinishReason)?;
    fields::list(got.value)
        .iter()
        .find_map(|word| normal::finish_reason(word))
}

/// The app's own word, then what the operation's name says, then the kind of span.
fn call_type(subject: &Subject<'_, '_>, operation: Option<&str>) -> CallType {
    match subject.kind {
        Some(Kind::Embedding) => return CallType::Embedding,
        Some(Kind::Media) => return CallType::Other,
        _ => {}
    }
    let own = subject.reading.text(Field::CallType);
    if let Some(own) = own.and_then(|word| CallType::parse(&word.trim().to_ascii_lowercase())) {
        return own;
    }
    let operation = operation.unwrap_or_default().to_ascii_lowercase();
    WORDS
        .iter()
        .find(|(words, _)| words.iter().any(|word| operation.contains(word)))
        .map_or(CallType::Chat, |(_, call_type)| *call_type)
}

/// Words in an operation's name.
const WORDS: &[(&[&str], CallType)] = &[
    (&["sentiment"], CallType::SentimentAnalysis),
    (&["summar"], CallType::Summarization),
    (
        &["classif", "categori", "routing"],
        CallType::Classification,
    ),
    (&["extract", "parse"], CallType::Extraction),
    (&["rag_synthesis", "synthes"], CallType::RagSynthesis),
    (
        &["rag_query", "query_rewrite", "query_expansion"],
        CallType::RagQuery,
    ),
];

/// The request's parameters where they come as one JSON text.
fn parameters(subject: &Subject<'_, '_>) -> Map<String, Json> {
    let Some(got) = subject.reading.got(Field::Parameters) else {
        return Map::new();
    };
    let Some(Json::Object(mut map)) = fields::json(got.value) else {
        return Map::new();
    };
    for inner in PARAMETERS {
        if let Some(Json::Object(more)) = map.remove(inner) {
            for (key, value) in more {
                map.entry(key).or_insert(value);
            }
        }
    }
    map
}

/// Objects inside a request that hold its parameters.
const PARAMETERS: [&str; 7] = [
    "config",
    "generation_config",
    "generationConfig",
    "generation_kwargs",
    "inferenceConfig",
    "options",
    "model_kwargs",
];

/// A number that was asked for, the attribute it stands in, and what was done to get it.
fn asked(
    reading: &Reading<'_, '_>,
    parameters: &Map<String, Json>,
    field: Field,
    names: &[&str],
) -> Option<(f64, &'static str, &'static str)> {
    let key = |field| reading.got(field).map(|got| got.key).unwrap_or_default();
    if let Some(number) = reading.number(field) {
        return Some((number, key(field), ""));
    }
    let value = names
        .iter()
        .find_map(|name| parameters.get(*name).filter(|v| !v.is_null()))?;
    let number = value
        .as_f64()
        .or_else(|| value.as_str()?.trim().parse().ok())
        .filter(|number: &f64| number.is_finite())?;
    Some((number, key(Field::Parameters), "read in its JSON"))
}

pub(super) fn parameter_text(parameters: &Map<String, Json>, keys: &[&str]) -> Option<SmolStr> {
    let text = keys.iter().find_map(|key| parameters.get(*key)?.as_str())?;
    let name = limits::name(text, limits::NAME_BYTES);
    (!name.is_empty()).then(|| name.into())
}

fn reasoning(parameters: &Map<String, Json>) -> Option<SmolStr> {
    let inner = parameters
        .get("reasoning")
        .and_then(|r| r.get("effort"))
        .and_then(Json::as_str);
    let level = inner.or_else(|| parameters.get("reasoning_effort").and_then(Json::as_str))?;
    Some(limits::name(level, limits::NAME_BYTES).into())
}

/// What the SDK says the call cost, USD. Zero is how SDKs say that they don't know the model.
fn reported_cost(reading: &Reading<'_, '_>, origin: &mut Origin) -> Option<f64> {
    let positive = |usd: f64| Some(usd).filter(|usd| *usd > 0.0 && usd.is_finite());
    if let Some(usd) = reading.number(Field::ReportedCost) {
        accounting::note(reading, origin, "reported_cost", Field::ReportedCost, "");
        return positive(usd);
    }
    let halves = [Field::InputCost, Field::OutputCost];
    if halves.iter().any(|half| reading.has(*half)) {
        for half in halves {
            accounting::note(reading, origin, "reported_cost", half, "part of the sum");
        }
        return positive(halves.iter().filter_map(|half| reading.number(*half)).sum());
    }
    let got = reading.got(Field::CostObject)?;
    let Json::Object(parts) = fields::json(got.value)? else {
        return None;
    };
    origin
        .numbers
        .push(("reported_cost", got.key, "read in its JSON"));
    let total = ["total", "total_cost"]
        .iter()
        .find_map(|key| parts.get(*key)?.as_f64());
    let usd = total.unwrap_or_else(|| parts.values().filter_map(Json::as_f64).sum());
    positive(usd)
}

/// Said by an attribute or the request, or shown by the stream's first piece, by a time to it, or
/// by the name of the span or of the function that was called (`generate_content_stream`).
fn streamed(subject: &Subject<'_, '_>, parameters: &Map<String, Json>) -> Option<bool> {
    let asked = || {
        ["stream", "streaming"]
            .iter()
            .find_map(|key| parameters.get(*key)?.as_bool())
    };
    let said = subject.reading.flag(Field::Streamed).or_else(asked);
    let ends_with_stream = |name: &str| {
        let tail = name.as_bytes().last_chunk::<6>();
        tail.is_some_and(|tail| tail.eq_ignore_ascii_case(b"stream"))
    };
    let method = subject.name.rsplit('.').next().unwrap_or_default();
    let times = [Field::TtftSeconds, Field::TtftMillis, Field::FirstTokenAt];
    let shown = subject.events.first_chunk.is_some()
        || times.iter().any(|field| subject.reading.has(*field))
        || ends_with_stream(subject.name)
        || method.starts_with("stream_")
        || method.starts_with("astream_")
        || subject.name.starts_with("streaming ")
        || subject
            .reading
            .text(Field::FunctionName)
            .is_some_and(|name| ends_with_stream(&name));
    if said.is_none() && shown {
        Some(true)
    } else {
        said
    }
}

/// Milliseconds to the first token; a time beyond the span's own duration is a wrong unit.
fn ttft_ms(subject: &Subject<'_, '_>) -> Option<f64> {
    let reading = subject.reading;
    let from_event = || {
        let at = subject
            .events
            .first_chunk?
            .checked_sub(subject.span.start_unix_ns)?;
        Some(at as f64 / 1e6)
    };
    let ms = reading
        .number(Field::TtftSeconds)
        .map(|seconds| seconds * 1e3)
        .or_else(|| reading.number(Field::TtftMillis))
        .or_else(|| {
            let at = chrono::DateTime::parse_from_rfc3339(&reading.text(Field::FirstTokenAt)?);
            let at = at.ok()?.timestamp_nanos_opt()?;
            Some(at.checked_sub(subject.header.started_at)? as f64 / 1e6)
        })
        .or_else(from_event)?;
    let longest = subject.header.latency_ms().unwrap_or(f64::MAX);
    (0.0..=longest).contains(&ms).then_some(ms)
}

fn tags(subject: &Subject<'_, '_>) -> Option<Vec<String>> {
    let tags = fields::list(subject.reading.got(Field::Tags)?.value);
    let tags = tags
        .iter()
        .take(limits::TAGS)
        .map(|tag| limits::name(tag, limits::CONTEXT_BYTES).into_owned());
    Some(tags.collect::<Vec<_>>()).filter(|tags| !tags.is_empty())
}
