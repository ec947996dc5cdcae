//! Spans of chat calls, by the names of the GenAI conventions.

use std::time::Duration;

use opentelemetry::trace::SpanKind;
use opentelemetry::{Array, StringValue, Value};
use serde_json::json;

use super::dice::Dice;
use super::model::{Cache, Model};
use super::planned::{CallFact, CallKind, Fact, Planned, Tokens};

/// What an app asks a chat model.
pub(super) struct Ask<'a> {
    pub(super) model: &'static Model,
    /// The app's own name of what it does.
    pub(super) operation: &'static str,
    /// What kind of call that is, in the ledger's words.
    pub(super) call_type: &'static str,
    pub(super) system: &'a str,
    /// Earlier turns, oldest first.
    pub(super) history: &'a [(&'a str, &'a str)],
    pub(super) prompt: &'a str,
    pub(super) answer: &'a str,
    /// Input tokens: what is said, and the documents and instructions around it.
    pub(super) input: i64,
    pub(super) output: i64,
    pub(super) finish: &'static str,
    pub(super) temperature: f64,
    pub(super) streamed: bool,
    pub(super) json: bool,
}

/// How a chat call goes wrong.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Trouble {
    RateLimit,
    ServerError,
    Timeout,
}

/// How long the apps wait for a model.
const TIMEOUT: Duration = Duration::from_secs(30);

/// A chat call that succeeds. `resend` counts the failed tries before it.
pub(super) fn chat(
    dice: &mut Dice,
    ids: &mut Dice,
    start: Duration,
    ask: &Ask<'_>,
    resend: i64,
) -> Planned {
    let model = ask.model;
    let tokens = tokens(dice, ask);
    let first = dice.latency(model.first_token_ms);
    let rest = Duration::from_secs_f64(tokens.output as f64 / model.tokens_per_second);
    let fact = CallFact {
        kind: CallKind::Chat,
        model: model.name,
        tokens,
        resent: resend > 0,
        unpriced: model.unpriced,
        ..CallFact::default()
    };
    let mut span = request(ask, start, first + rest, fact, resend);
    span.set("gen_ai.response.model", model.answers_as);
    span.set(
        "gen_ai.response.id",
        format!("{}{}", model.id_prefix, ids.hex(24)),
    );
    span.set("gen_ai.response.finish_reasons", texts(&[ask.finish]));
    span.set("gen_ai.usage.input_tokens", tokens.input);
    span.set("gen_ai.usage.output_tokens", tokens.output);
    if model.cache != Cache::None {
        span.set("gen_ai.usage.cache_read.input_tokens", tokens.cache_read);
    }
    if model.cache == Cache::ReadsAndWrites {
        span.set("gen_ai.usage.cache_write.input_tokens", tokens.cache_write);
    }
    if model.reasons {
        span.set("gen_ai.usage.reasoning.output_tokens", tokens.reasoning);
    }
    if ask.streamed {
        span.set("gen_ai.response.time_to_first_chunk", first.as_secs_f64());
    }
    let said =
        json!([{"role": "assistant", "parts": [part(ask.answer)], "finish_reason": ask.finish}]);
    span.set("gen_ai.output.messages", said.to_string());
    span
}

/// A chat call that fails: nothing is known of its tokens.
pub(super) fn chat_failing(
    dice: &mut Dice,
    start: Duration,
    ask: &Ask<'_>,
    resend: i64,
    trouble: Trouble,
) -> Planned {
    let length = match trouble {
        Trouble::RateLimit => dice.latency(90.0),
        Trouble::ServerError => dice.latency(900.0),
        Trouble::Timeout => TIMEOUT,
    };
    let fact = CallFact {
        kind: CallKind::Chat,
        model: ask.model.name,
        failed: true,
        resent: resend > 0,
        timed_out: trouble == Trouble::Timeout,
        unpriced: ask.model.unpriced,
        ..CallFact::default()
    };
    let span = request(ask, start, length, fact, resend);
    match trouble {
        Trouble::RateLimit => span
            .with("http.response.status_code", 429_i64)
            .failed("rate_limit_exceeded", "rate limit reached for requests"),
        Trouble::ServerError => span
            .with("http.response.status_code", 503_i64)
            .failed("server_error", "the model is overloaded"),
        Trouble::Timeout => span.failed("timeout", "request timed out after 30 s"),
    }
}

/// A chat call with the retries that it takes: each try is a span of its own, one after the
/// other. The last one is the answer, unless every try failed.
pub(super) fn chat_with_retries(
    dice: &mut Dice,
    ids: &mut Dice,
    mut start: Duration,
    ask: &Ask<'_>,
) -> Vec<Planned> {
    let mut tries = Vec::new();
    let luck = dice.between(0, 199);
    let failures: &[Trouble] = match luck {
        0..=2 => &[Trouble::Timeout],
        3..=4 => &[Trouble::RateLimit; 3],
        5..=12 => &[Trouble::RateLimit],
        13..=14 => &[Trouble::RateLimit; 2],
        15..=18 => &[Trouble::ServerError],
        _ => &[],
    };
    for trouble in failures {
        let resend = tries.len() as i64;
        let failed = chat_failing(dice, start, ask, resend, *trouble);
        start = failed.end + dice.latency(500.0 * (1 << resend) as f64);
        tries.push(failed);
    }
    let gave_up = luck <= 4;
    if !gave_up {
        tries.push(chat(dice, ids, start, ask, tries.len() as i64));
    }
    tries
}

/// What every try says before it is answered.
fn request(
    ask: &Ask<'_>,
    start: Duration,
    length: Duration,
    fact: CallFact,
    resend: i64,
) -> Planned {
    let model = ask.model;
    let name = format!("chat {}", model.name);
    let mut span = Planned::new(name, SpanKind::Client, start, length, Fact::Call(fact))
        .with("gen_ai.operation.name", "chat")
        .with("gen_ai.provider.name", model.provider)
        .with("gen_ai.request.model", model.name)
        .with("gen_ai.request.max_tokens", 1024_i64)
        .with("app.operation", ask.operation)
        .with("app.call_type", ask.call_type)
        .with("server.address", model.server)
        .with("server.port", 443_i64);
    if model.reasons {
        span.set("gen_ai.request.reasoning.level", "low");
    } else {
        span.set("gen_ai.request.temperature", ask.temperature);
    }
    if ask.streamed {
        span.set("gen_ai.request.stream", true);
    }
    if ask.json {
        span.set("gen_ai.output.type", "json");
    }
    if resend > 0 {
        span.set("http.request.resend_count", resend);
    }
    let system = json!([part(ask.system)]);
    span.set("gen_ai.system_instructions", system.to_string());
    let mut messages = Vec::new();
    for (question, answer) in ask.history {
        messages.push(json!({"role": "user", "parts": [part(question)]}));
        messages.push(json!({"role": "assistant", "parts": [part(answer)]}));
    }
    messages.push(json!({"role": "user", "parts": [part(ask.prompt)]}));
    span.set(
        "gen_ai.input.messages",
        serde_json::Value::from(messages).to_string(),
    );
    span
}

/// The usage of a call, with the parts that the provider reports.
fn tokens(dice: &mut Dice, ask: &Ask<'_>) -> Tokens {
    let mut tokens = Tokens {
        input: ask.input,
        output: ask.output,
        ..Tokens::default()
    };
    // Providers cache whole blocks, and no short prompts.
    let block = (ask.input / 128 * 128).min(1024);
    if ask.input >= 1024 && dice.percent(45) {
        match ask.model.cache {
            Cache::None => {}
            Cache::Reads => tokens.cache_read = block,
            Cache::ReadsAndWrites if dice.percent(35) => tokens.cache_write = block,
            Cache::ReadsAndWrites => tokens.cache_read = block,
        }
    }
    if ask.model.reasons {
        tokens.reasoning = dice.between(1, 8) * 32;
        tokens.output += tokens.reasoning;
    }
    tokens
}

/// About as many tokens as a tokenizer would make of it: Korean takes more for each character.
pub(super) fn tokens_of(text: &str) -> i64 {
    let (ascii, wide) = text.chars().fold((0_i64, 0_i64), |(a, w), c| {
        if c.is_ascii() { (a + 1, w) } else { (a, w + 1) }
    });
    ascii / 4 + wide * 3 / 4 + 3
}

/// A list of texts as an attribute.
pub(super) fn texts(items: &[&'static str]) -> Value {
    Value::Array(Array::String(
        items.iter().map(|item| StringValue::from(*item)).collect(),
    ))
}

/// A text part of a message.
fn part(text: &str) -> serde_json::Value {
    json!({"type": "text", "content": text})
}

/// Four digits, as vector stores print scores.
pub(super) fn rounded(score: f64) -> f64 {
    (score * 1e4).round() / 1e4
}
