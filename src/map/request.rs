//! A root span to `PipelineRequest`: one request as its app saw it.
//!
//! Apps have no convention for what a request found, so the last part of an attribute's key says
//! what it is, whatever namespace the app puts before it: `app.confidence`, `esg.confidence` and
//! `confidence` are one. An answer that is a small JSON object is read for the same words.

use std::sync::Arc;

use serde_json::Value as Json;

use super::{fields, fields::Field, limits, subject::Subject};
use crate::{
    otlp::Value,
    record::{Context, PipelineRequest, Status},
};

/// Answers beyond this are content, not a result.
const RESULT_BYTES: usize = 16 * 1024;

/// The record of a request.
pub fn record(subject: &Subject<'_, '_>) -> PipelineRequest {
    let reading = subject.reading;
    let mut request = PipelineRequest {
        header: subject.header.clone(),
        pipeline: reading.name(Field::Pipeline).or_else(|| {
            let name = limits::name(subject.name, limits::NAME_BYTES);
            (!name.is_empty()).then(|| name.into())
        }),
        status: subject.ending.status,
        error_type: subject.ending.error_type.clone(),
        context: subject.context(),
        ..PipelineRequest::default()
    };
    for (key, value) in subject.span.attributes().take(limits::ATTRIBUTES) {
        let start = memchr::memrchr(b'.', key).map_or(0, |dot| dot + 1);
        set(&mut request, key.get(start..).unwrap_or_default(), value);
    }
    if let Some(Value::Str(bytes)) = reading.got(Field::Output).map(|got| got.value)
        && bytes.len() <= RESULT_BYTES
        && bytes.starts_with(b"{")
        && let Ok(Json::Object(result)) = serde_json::from_slice::<Json>(bytes)
    {
        for (key, json) in &result {
            let scalar = json
                .as_str()
                .map_or_else(|| json.to_string(), str::to_owned);
            set(&mut request, key.as_bytes(), Value::Str(scalar.as_bytes()));
        }
    }
    if request.timed_out.is_none() && request.status == Status::Timeout {
        request.timed_out = Some(true);
    }
    request
}

/// Fills the slot that `word` names, unless an earlier attribute did.
fn set(request: &mut PipelineRequest, word: &[u8], value: Value<'_>) {
    let flag = || fields::flag(value);
    match word {
        b"framework" | b"standard_framework" => {
            let name =
                fields::scalar(value).map(|name| limits::name(&name, limits::NAME_BYTES).into());
            request.framework = request.framework.take().or(name);
        }
        b"matched" => request.matched = request.matched.or_else(flag),
        b"match_count" | b"matches" => {
            request.match_count = request.match_count.or_else(|| fields::count(value));
        }
        b"confidence" => {
            let number = fields::number(value).filter(|n| (0.0..=1.0).contains(n));
            request.confidence = request.confidence.or(number);
        }
        b"fallback" | b"fallback_used" => request.fallback = request.fallback.or_else(flag),
        b"retry_count" | b"retries" => {
            request.retry_count = request.retry_count.or_else(|| fields::count(value));
        }
        b"timed_out" => request.timed_out = request.timed_out.or_else(flag),
        b"regenerated" => request.regenerated = request.regenerated.or_else(flag),
        _ => {}
    }
}

/// What the resource says for all of its spans.
#[derive(Debug, Clone, Default)]
pub struct Resource {
    /// `service.name`.
    pub service_name: Option<Arc<str>>,
    /// The deployment environment, and nothing else.
    pub context: Arc<Context>,
}

impl Resource {
    /// Reads the resource's attributes.
    pub fn read(attributes: crate::otlp::Attributes<'_>) -> Self {
        let (mut service_name, mut environment) = (None, None);
        for (key, value) in attributes.take(limits::ATTRIBUTES) {
            let name = || {
                let bytes = limits::CONTEXT_BYTES;
                fields::scalar(value).map(|text| Arc::from(limits::name(&text, bytes)))
            };
            match key {
                b"service.name" => service_name = name(),
                b"deployment.environment.name" => environment = name(),
                b"deployment.environment" if environment.is_none() => environment = name(),
                _ => {}
            }
        }
        let context = Context {
            environment,
            ..Context::default()
        };
        Resource {
            service_name,
            context: Arc::new(context),
        }
    }
}
