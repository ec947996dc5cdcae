//! Facts to findings: what is missing, how bad that is, and the one line that mends it. Pure.

use serde::Serialize;

use crate::query::doctor::{Facts, Seen, Service};

/// One thing that is missing.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub(super) struct Finding {
    /// Whose.
    pub service: String,
    /// In which dialect, where that matters.
    pub dialect: Option<String>,
    /// Higher is worse: 3 costs money unseen, 2 blinds a view, 1 is worth knowing.
    pub weight: u8,
    /// What is missing.
    pub what: String,
    /// How many calls lack it.
    pub calls: u64,
    /// Of how many.
    pub of: u64,
    /// A trace to look at.
    pub example: Option<String>,
    /// What to do.
    pub fix: String,
}

/// A part below this is no pattern.
const PATTERN: f64 = 0.05;
/// A service is silent after this many seconds.
const SILENT: f64 = 3_600.0;

/// How to get usage on streams, by dialect.
const STREAM_FIXES: &[(&str, &str)] = &[
    (
        "vercel",
        "AI SDK 4: createOpenAI({ compatibility: 'strict' }); from 5 on it is on",
    ),
    (
        "llamaindex",
        "LlamaIndex exports no end event of a stream; call chat() where cost matters, or use OpenInference",
    ),
    (
        "openinference",
        "OpenAI: stream_options={\"include_usage\": True}; openinference-instrumentation-openai reads it",
    ),
    (
        "traceloop",
        "OpenAI: stream_options={\"include_usage\": True}, or TRACELOOP token counting for streams",
    ),
];

/// How to switch content on, by dialect. Content is private: that is a choice.
const CONTENT_FIXES: &[(&str, &str)] = &[
    ("traceloop", "if you want it: TRACELOOP_TRACE_CONTENT=true"),
    (
        "openinference",
        "if you want it: OPENINFERENCE_HIDE_INPUTS=false and OPENINFERENCE_HIDE_OUTPUTS=false",
    ),
    (
        "vercel",
        "if you want it: experimental_telemetry recordInputs and recordOutputs",
    ),
    (
        "haystack",
        "if you want it: HAYSTACK_CONTENT_TRACING_ENABLED=true",
    ),
    (
        "semantic_kernel",
        "if you want it: SEMANTICKERNEL_EXPERIMENTAL_GENAI_ENABLE_OTEL_DIAGNOSTICS_SENSITIVE=true",
    ),
    (
        "langfuse",
        "if you want it: set no mask, and capture_input/capture_output",
    ),
];

/// How to say who and which session, by dialect.
const SESSION_FIXES: &[(&str, &str)] = &[
    (
        "openinference",
        "with using_session(session_id): around the request",
    ),
    (
        "traceloop",
        "Traceloop.set_association_properties({\"session_id\": …})",
    ),
    (
        "vercel",
        "experimental_telemetry: { metadata: { sessionId, userId } }",
    ),
    (
        "langfuse",
        "propagate_attributes(session_id=…, user_id=…), or metadata langfuse_session_id",
    ),
    (
        "langsmith",
        "metadata={\"session_id\": …, \"user_id\": …} on the run",
    ),
    (
        "mlflow",
        "mlflow.update_current_trace(metadata={\"mlflow.trace.session\": …})",
    ),
    ("laminar", "Laminar.set_trace_session_id(…)"),
];

fn fix<'f>(fixes: &[(&str, &'f str)], dialect: &str, otherwise: &'f str) -> String {
    let own = fixes.iter().find(|(name, _)| *name == dialect);
    own.map_or(otherwise, |(_, fix)| fix).to_owned()
}

/// Everything that is missing, by service, the worst first.
pub(super) fn findings(facts: &Facts) -> Vec<Finding> {
    let mut all = Vec::new();
    for service in &facts.services {
        of_service(service, &mut all);
    }
    for unpriced in &facts.unpriced {
        let model = unpriced.model.as_deref().unwrap_or("(no model)");
        let provider = unpriced.provider.as_deref().unwrap_or("(no provider)");
        all.push(Finding {
            service: name(&unpriced.service),
            dialect: None,
            weight: 3,
            what: format!("no price for {model} of {provider}"),
            calls: unpriced.seen.calls,
            of: unpriced.seen.calls,
            example: unpriced.seen.example.clone(),
            fix: format!(
                "[price] aliases = {{ \"{model}\" = \"provider/model\" }} or models = [{{ … }}] in \
                 spanledger.toml, then `spanledger recost --since DATE`"
            ),
        });
    }
    let stages = [
        (
            &facts.speech,
            "transcriptions without seconds of audio, so without cost",
            "set stt.audio.duration (seconds) on the span",
            3,
        ),
        (
            &facts.retrievals,
            "searches that say neither hits nor scores",
            "set db.response.returned_rows, or db.vector.query.top_score",
            2,
        ),
    ];
    for (stages, what, fix, weight) in stages {
        for stage in stages.iter().filter(|stage| stage.lacking.calls > 0) {
            all.push(Finding {
                service: name(&stage.service),
                dialect: None,
                weight,
                what: what.to_owned(),
                calls: stage.lacking.calls,
                of: stage.rows,
                example: stage.lacking.example.clone(),
                fix: fix.to_owned(),
            });
        }
    }
    let worst = |service: &str| {
        let own = all.iter().filter(|finding| finding.service == service);
        own.map(|finding| finding.weight).max().unwrap_or_default()
    };
    let ranks: std::collections::BTreeMap<String, u8> = all
        .iter()
        .map(|finding| (finding.service.clone(), worst(&finding.service)))
        .collect();
    all.sort_by(|a, b| {
        let key = |f: &Finding| {
            let rank = ranks.get(&f.service).copied().unwrap_or_default();
            (
                std::cmp::Reverse(rank),
                f.service.clone(),
                std::cmp::Reverse((f.weight, f.calls)),
            )
        };
        key(a).cmp(&key(b))
    });
    all
}

fn name(service: &Option<String>) -> String {
    service
        .clone()
        .unwrap_or_else(|| "(no service.name)".into())
}

fn of_service(service: &Service, all: &mut Vec<Finding>) {
    let dialect = service.dialect.as_str();
    let mut add = |weight, seen: &Seen, what: &str, fix: String, always: bool| {
        let part = seen.calls as f64 / (service.calls.max(1)) as f64;
        if seen.calls > 0 && (always || part >= PATTERN) {
            all.push(Finding {
                service: name(&service.name),
                dialect: Some(dialect.to_owned()),
                weight,
                what: format!("{what} (told in {dialect})"),
                calls: seen.calls,
                of: service.calls,
                example: seen.example.clone(),
                fix,
            });
        }
    };
    add(
        3,
        &service.streams_without_usage,
        "streamed calls without token usage",
        fix(
            STREAM_FIXES,
            dialect,
            "OpenAI: stream_options={\"include_usage\": true}; other SDKs: ask for usage on streams",
        ),
        true,
    );
    add(
        3,
        &service.calls_without_usage,
        "calls without token usage",
        "a newer version of the instrumentation; embeddings of some libraries report none".into(),
        true,
    );
    add(
        3,
        &service.without_model,
        "calls without a model",
        "set gen_ai.request.model on the span".into(),
        true,
    );
    add(
        2,
        &service.without_session,
        "calls without a session id",
        fix(
            SESSION_FIXES,
            dialect,
            "set session.id (or gen_ai.conversation.id) on the root span",
        ),
        false,
    );
    add(
        2,
        &service.without_error_type,
        "failed calls without a class of error",
        "set error.type, or record the exception on the span".into(),
        false,
    );
    add(
        1,
        &service.without_user,
        "calls without a user",
        fix(
            SESSION_FIXES,
            dialect,
            "set user.id (or app.user_hash) on the root span",
        ),
        false,
    );
    add(
        1,
        &service.without_content,
        "calls without prompt and answer",
        fix(
            CONTENT_FIXES,
            dialect,
            "if you want it: OTEL_INSTRUMENTATION_GENAI_CAPTURE_MESSAGE_CONTENT=true",
        ),
        false,
    );
    add(
        1,
        &service.deprecated,
        "calls with deprecated attribute names",
        "a newer version of the instrumentation, or \
         OTEL_SEMCONV_STABILITY_OPT_IN=gen_ai_latest_experimental"
            .into(),
        false,
    );
    if service.name.is_none() {
        let all_calls = Seen {
            calls: service.calls,
            example: None,
        };
        add(
            2,
            &all_calls,
            "an app without a name",
            "OTEL_SERVICE_NAME=my-app".into(),
            true,
        );
    }
    if service.silent_seconds > SILENT && service.calls > 0 {
        let all_calls = Seen {
            calls: service.calls,
            example: None,
        };
        let hours = service.silent_seconds / 3_600.0;
        add(
            1,
            &all_calls,
            &format!("silent for {hours:.0} h after calls before"),
            "look whether the app runs and whether its exporter reports errors".into(),
            true,
        );
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn seen(calls: u64) -> Seen {
        Seen {
            calls,
            example: Some("abc".into()),
        }
    }

    #[test]
    fn the_worst_comes_first_and_what_is_rare_is_left_out() {
        let facts = Facts {
            services: vec![
                Service {
                    name: Some("well".into()),
                    dialect: "otel".into(),
                    calls: 1000,
                    without_session: seen(10),
                    ..Service::default()
                },
                Service {
                    name: Some("chat".into()),
                    dialect: "vercel".into(),
                    calls: 100,
                    streams_without_usage: seen(1),
                    without_user: seen(90),
                    ..Service::default()
                },
            ],
            ..Facts::default()
        };
        let found = findings(&facts);
        let what: Vec<_> = found
            .iter()
            .map(|f| (&*f.service, f.weight, f.calls))
            .collect();
        assert_eq!(what, [("chat", 3, 1), ("chat", 1, 90)], "{found:?}");
        assert!(
            found[0].fix.contains("AI SDK"),
            "the fix is the dialect's own"
        );
    }

    #[test]
    fn a_service_without_a_name_and_a_silent_one_are_told() {
        let service = Service {
            dialect: "otel".into(),
            calls: 3,
            silent_seconds: 7_200.0,
            ..Service::default()
        };
        let facts = Facts {
            services: vec![service],
            ..Facts::default()
        };
        let found = findings(&facts);
        assert_eq!(found.len(), 2);
        assert!(found.iter().any(|f| f.what.contains("silent for 2 h")));
        assert!(findings(&Facts::default()).is_empty());
    }
}
