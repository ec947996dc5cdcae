//! Who answered a call: provider, requested and answering model, from attributes, the request's
//! parameters, or the span's name.

use std::borrow::Cow;

use serde_json::{Map, Value as Json};
use smol_str::SmolStr;

use super::{call::parameter_text, fields::Field, normal, subject::Subject};

/// Provider and models of a call.
pub struct Names {
    /// Normalised provider.
    pub provider: Option<SmolStr>,
    /// True if no attribute names the provider, but the model does.
    pub provider_told_by_model: bool,
    /// Requested model.
    pub model: Option<SmolStr>,
    /// Answering model.
    pub response_model: Option<SmolStr>,
}

impl Names {
    /// One attribute that may be either model (`AnyModel`) is the answering one where the request
    /// parameters name another, and the requested one where nothing else does.
    pub fn of(subject: &Subject<'_, '_>, parameters: &Map<String, Json>) -> Self {
        let reading = subject.reading;
        let any = [Field::AnyModel, Field::EmbeddingModel]
            .into_iter()
            .find_map(|field| reading.text(field));
        const MODELS: [&str; 4] = ["model", "model_name", "modelId", "model_id"];
        let asked = reading
            .text(Field::RequestModel)
            .or_else(|| parameter_text(parameters, &MODELS).map(|name| Cow::Owned(name.into())))
            .or_else(|| any.clone())
            .or_else(|| named_model(subject));
        let said = [Field::Provider, Field::ProviderHint]
            .into_iter()
            .find_map(|field| normal::provider(&reading.text(field)?));
        let told = |asked: &str| {
            let (vendor, rest) = asked.split_once('/').unwrap_or(("", asked));
            normal::provider_of_model(rest)
                .map(SmolStr::new_static)
                .or_else(|| normal::provider(vendor))
        };
        let was_said = said.is_some();
        let provider = said.or_else(|| told(asked.as_deref()?));
        let provider_told_by_model = !was_said && provider.is_some();
        let clean = |name: &str| normal::model(name, provider.as_deref());
        let model = asked.as_deref().and_then(clean);
        let answered = reading
            .text(Field::ResponseModel)
            .and_then(|name| clean(&name));
        let response_model = answered.or_else(|| {
            any.as_deref()
                .and_then(clean)
                .filter(|any| Some(any) != model.as_ref())
        });
        Names {
            provider,
            provider_told_by_model,
            model,
            response_model,
        }
    }
}

/// The model in a span's name: the conventions call a span `{operation} {model}`, and a call that
/// failed early may have nothing else.
fn named_model<'s>(subject: &Subject<'s, '_>) -> Option<Cow<'s, str>> {
    let (operation, model) = subject.name.split_once(' ')?;
    let names_model = ["chat", "embeddings", "text_completion", "generate_content"];
    let is_model = names_model.contains(&operation) && !model.contains([' ', '{']);
    (is_model && subject.reading.got(Field::ResponseModel).is_none())
        .then_some(Cow::Borrowed(model))
}
