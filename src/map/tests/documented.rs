//! Dialects of which no capture exists: these spans are WRITTEN AFTER THE LIBRARIES' OWN DOCUMENTED
//! ATTRIBUTES (each dialect's file names the source), not recorded. A capture replaces them.

use super::payload::*;
use crate::{
    map::Config,
    otlp::Signal,
    record::{LlmCall, MappedSpan, Record, Role},
};

fn of_scope(scope: &str, span: opentelemetry_proto::tonic::trace::v1::Span) -> MappedSpan {
    let body = traces(scope, vec![span]);
    let mut out = map_with(&Config::default(), Signal::Traces, &body);
    assert_eq!((out.spans.len(), out.rejected), (1, 0));
    out.spans.remove(0)
}

fn call(mapped: &MappedSpan) -> &LlmCall {
    let mut records = mapped.records.iter();
    let found = records.find_map(|record| match record {
        Record::LlmCall(call) => Some(call),
        _ => None,
    });
    found.expect("a call")
}

const SPRING: &str = "org.springframework.boot";

#[test]
fn spring_ai_wraps_a_chat_in_clients_and_advisors() {
    let mut chat = span(
        "chat gpt-4o",
        vec![
            ("gen_ai.operation.name", text("chat")),
            ("gen_ai.system", text("openai")),
            ("gen_ai.request.model", text("gpt-4o")),
            ("gen_ai.request.temperature", text("0.7")),
            ("gen_ai.response.finish_reasons", text("[\"STOP\"]")),
            ("gen_ai.usage.input_tokens", text("21")),
            ("gen_ai.usage.output_tokens", text("9")),
        ],
    );
    chat.events = vec![
        event(
            "gen_ai.content.prompt",
            vec![("gen_ai.prompt", text("[\"What is Spring?\"]"))],
        ),
        event(
            "gen_ai.content.completion",
            vec![("gen_ai.completion", text("[\"A framework.\"]"))],
        ),
    ];
    let mapped = of_scope(SPRING, chat);
    let row = call(&mapped);
    assert_eq!(
        (row.usage.prompt, row.usage.completion),
        (Some(21), Some(9))
    );
    assert_eq!(row.finish_reason.as_deref(), Some("stop"));
    assert_eq!(row.temperature, Some(0.7));
    assert_eq!(row.prompt.as_deref(), Some("What is Spring?"));
    assert_eq!(row.response.as_deref(), Some("A framework."));

    let client = of_scope(
        SPRING,
        span(
            "spring_ai chat_client",
            vec![
                ("gen_ai.operation.name", text("framework")),
                ("gen_ai.system", text("spring_ai")),
                ("spring.ai.kind", text("chat_client")),
                ("spring.ai.chat.client.conversation.id", text("c-7")),
            ],
        ),
    );
    assert_eq!((client.role, client.records.len()), (Role::Rollup, 0));
    assert_eq!(client.context.unwrap().session_id.as_deref(), Some("c-7"));

    let search = of_scope(
        SPRING,
        span(
            "pgvector query",
            vec![
                ("db.system", text("pg_vector")),
                ("db.operation.name", text("query")),
                ("spring.ai.kind", text("vector_store")),
                ("db.vector.query.content", text("refunds")),
                ("db.vector.query.top_k", text("4")),
            ],
        ),
    );
    let [Record::Retrieval(found)] = search.records.as_slice() else {
        panic!("a search: {:?}", search.records)
    };
    assert_eq!(
        (found.query.as_deref(), found.top_k),
        (Some("refunds"), Some(4))
    );
}

#[test]
fn a_crew_sums_its_calls_and_is_none() {
    let crew = of_scope(
        "opentelemetry.instrumentation.crewai",
        span(
            "crewai.workflow",
            vec![
                ("crewai.crew.name", text("research")),
                (
                    "crewai.crew.token_usage",
                    text("total_tokens=812 prompt_tokens=700 completion_tokens=112"),
                ),
            ],
        ),
    );
    assert_eq!(crew.role, Role::Rollup);
    let telemetry = of_scope(
        "crewai.telemetry",
        span("Crew Created", vec![("crewai_version", text("1.0"))]),
    );
    assert_eq!((telemetry.role, telemetry.records.len()), (Role::None, 0));
}

#[test]
fn helicones_headers_say_who_and_which_session() {
    let mapped = of_scope(
        "opentelemetry.instrumentation.openai.v1",
        span(
            "openai.chat",
            vec![
                ("llm.request.type", text("chat")),
                ("gen_ai.system", text("OpenAI")),
                ("gen_ai.request.model", text("gpt-4o-mini")),
                ("gen_ai.usage.prompt_tokens", int(12)),
                ("gen_ai.usage.completion_tokens", int(3)),
                (
                    "traceloop.association.properties.Helicone-User-Id",
                    text("u-1"),
                ),
                (
                    "traceloop.association.properties.Helicone-Session-Id",
                    text("s-1"),
                ),
            ],
        ),
    );
    let row = call(&mapped);
    assert_eq!(row.context.user_id.as_deref(), Some("u-1"));
    assert_eq!(row.context.session_id.as_deref(), Some("s-1"));
    assert_eq!(row.usage.prompt, Some(12));
}

#[test]
fn semantic_kernel_net_of_old_says_chat_completions() {
    let mapped = of_scope(
        "Microsoft.SemanticKernel.Diagnostics",
        span(
            "chat.completions gpt-4",
            vec![
                ("gen_ai.operation.name", text("chat.completions")),
                ("gen_ai.system", text("openai")),
                ("gen_ai.request.model", text("gpt-4")),
                ("gen_ai.response.prompt_tokens", int(100)),
                ("gen_ai.response.completion_tokens", int(20)),
                ("gen_ai.response.finish_reason", text("Stop")),
            ],
        ),
    );
    let row = call(&mapped);
    assert_eq!(
        (row.usage.prompt, row.usage.completion),
        (Some(100), Some(20))
    );
    assert_eq!(row.finish_reason.as_deref(), Some("stop"));
}

#[test]
fn openai_agents_wrap_responses() {
    let scope = "opentelemetry.instrumentation.openai_agents";
    let agent = of_scope(scope, span("Assistant.agent", vec![]));
    assert_eq!(agent.role, Role::Rollup);
    let response = of_scope(
        scope,
        span(
            "openai.response",
            vec![
                ("gen_ai.system", text("openai")),
                ("gen_ai.request.model", text("gpt-4.1")),
                ("gen_ai.usage.input_tokens", int(40)),
                ("gen_ai.usage.output_tokens", int(4)),
                ("gen_ai.prompt.0.role", text("user")),
                ("gen_ai.prompt.0.content", text("hi")),
                ("gen_ai.completion.0.content", text("hello")),
            ],
        ),
    );
    let row = call(&response);
    assert_eq!(response.role, Role::Call);
    assert_eq!(
        (row.prompt.as_deref(), row.response.as_deref()),
        (Some("hi"), Some("hello"))
    );
}

#[test]
fn laminars_cached_answers_are_never_billed() {
    let mapped = of_scope(
        "lmnr",
        span(
            "openai.chat",
            vec![
                ("lmnr.span.type", text("CACHED")),
                ("gen_ai.request.model", text("gpt-4o")),
                ("gen_ai.usage.input_tokens", int(50)),
            ],
        ),
    );
    assert_eq!((mapped.role, mapped.records.len()), (Role::Cache, 0));
}
