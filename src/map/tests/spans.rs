//! What single spans become.

use opentelemetry_proto::tonic::{
    common::v1::{AnyValue, any_value},
    logs::v1::LogRecord,
};

use super::payload::*;
use crate::{
    map::{Config, Error, Mapped, Mapper},
    otlp::{self, Signal},
    record::{CallType, Record, Role, Status, SttEventType},
};

fn chat(more: Vec<(&'static str, any_value::Value)>) -> Vec<(&'static str, any_value::Value)> {
    let mut pairs = vec![
        ("gen_ai.operation.name", text("chat")),
        ("gen_ai.provider.name", text("openai")),
        ("gen_ai.request.model", text("gpt-4o")),
    ];
    pairs.extend(more);
    pairs
}

#[test]
fn a_span_of_another_trade_is_a_place_in_the_tree_and_nothing_else() {
    let http = map_one(span(
        "GET",
        vec![
            ("http.response.status_code", int(500)),
            ("error.type", text("500")),
            ("server.address", text("api.openai.com")),
        ],
    ));
    assert_eq!(
        (http.role, http.is_genai, http.records.len()),
        (Role::None, false, 0)
    );
    let sql = map_one(span(
        "SELECT",
        vec![
            ("db.system.name", text("postgresql")),
            ("db.query.text", text("select 1")),
            ("db.response.returned_rows", int(3)),
        ],
    ));
    assert_eq!(
        (sql.role, sql.is_genai, sql.records.len()),
        (Role::None, false, 0)
    );
    let with_user = map_one(span("GET", vec![("user.id", text("u1"))]));
    assert_eq!(with_user.context.unwrap().user_id.as_deref(), Some("u1"));
    assert!(!with_user.is_genai);
}

#[test]
fn vector_stores_are_searched_or_written() {
    let role = |name: &str, pairs| map_one(span(name, pairs)).role;
    let qdrant = |operation| {
        vec![
            ("db.system", text("Qdrant")),
            ("db.operation", text(operation)),
        ]
    };
    assert_eq!(role("x", qdrant("search")), Role::Retrieval);
    assert_eq!(role("x", qdrant("upsert")), Role::None);
    assert_eq!(
        role("qdrant.query_points", vec![("db.system", text("qdrant"))]),
        Role::Retrieval
    );
    let pgvector = vec![
        ("db.system.name", text("postgresql")),
        ("db.vector.query.top_k", int(5)),
    ];
    assert_eq!(role("x", pgvector), Role::Retrieval);
    let written = map_one(root("x", qdrant("upsert")));
    assert!(
        written.is_genai && written.records.is_empty(),
        "a write is no request"
    );
}

#[test]
fn containers_have_a_call_only_if_they_say_enough() {
    let agent = |more: Vec<(&'static str, any_value::Value)>| {
        let mut pairs = vec![("gen_ai.operation.name", text("invoke_agent"))];
        pairs.extend(more);
        let mapped = map_one(span("invoke_agent a", pairs));
        assert_eq!(mapped.role, Role::Rollup);
        let tokens = mapped.records.iter().find_map(|record| match record {
            Record::LlmCall(call) => call.usage.prompt,
            _ => None,
        });
        (mapped.records.len(), tokens)
    };
    assert_eq!(agent(vec![]), (0, None));
    assert_eq!(agent(vec![("gen_ai.request.model", text("m"))]), (0, None));
    assert_eq!(
        agent(vec![("gen_ai.usage.input_tokens", int(5))]),
        (1, Some(5))
    );
    let content = text("[{\"role\":\"user\",\"content\":\"hi\"}]");
    let with_content = vec![
        ("gen_ai.request.model", text("m")),
        ("gen_ai.input.messages", content),
    ];
    assert_eq!(agent(with_content), (1, None));
}

#[test]
fn a_root_is_a_request_in_its_apps_own_words() {
    let mapped = map_one(failed(
        root(
            "map_text",
            vec![
                ("esg.framework", text("ESRS")),
                ("app.matched", flag(true)),
                ("confidence", double(0.75)),
                ("app.match_count", int(2)),
                ("app.experiment", text("exp1")),
                ("error.type", text("timeout")),
            ],
        ),
        "too slow",
    ));
    let [Record::PipelineRequest(request)] = mapped.records.as_slice() else {
        panic!("{:?}", mapped.records);
    };
    assert_eq!(request.pipeline.as_deref(), Some("map_text"));
    assert_eq!(request.framework.as_deref(), Some("ESRS"));
    assert_eq!(
        (request.matched, request.match_count),
        (Some(true), Some(2))
    );
    assert_eq!(request.confidence, Some(0.75));
    assert_eq!(
        (request.status, request.timed_out),
        (Status::Timeout, Some(true))
    );
    assert_eq!(request.context.experiment.as_deref(), Some("exp1"));
    assert_eq!(request.context.environment.as_deref(), Some("test"));
    assert_eq!(request.header.service_name.as_deref(), Some("shop"));
    let stage = map_one(root(
        "chat gpt-4o",
        chat(vec![("gen_ai.usage.input_tokens", int(1))]),
    ));
    assert_eq!(
        stage.records.len(),
        1,
        "a root that is a call is no request of its own"
    );
}

#[test]
fn cache_lookups_stand_beside_calls_or_for_them() {
    let hit = map_one(span(
        "embed",
        vec![
            ("gen_ai.operation.name", text("embeddings")),
            ("gen_ai.request.model", text("m")),
            ("cache.hit", flag(true)),
            ("cache.name", text("embedding")),
            ("cache.key", text("the whole text")),
        ],
    ));
    let [Record::CacheLookup(lookup)] = hit.records.as_slice() else {
        panic!("a hit calls no model: {:?}", hit.records);
    };
    assert_eq!(
        (hit.role, &*lookup.cache, lookup.hit),
        (Role::Cache, "embedding", true)
    );
    assert!(
        lookup
            .key_hash
            .as_ref()
            .is_some_and(|hash| !hash.contains("text"))
    );
    let miss = map_one(span(
        "embed",
        vec![
            ("gen_ai.operation.name", text("embeddings")),
            ("gen_ai.usage.input_tokens", int(4)),
            ("cache.hit", text("False")),
        ],
    ));
    assert_eq!((miss.role, miss.records.len()), (Role::Embedding, 2));
}

#[test]
fn speech_events_of_one_span_are_rows_of_their_own_and_billed_once() {
    let mut whole = span(
        "transcribe",
        vec![
            ("gen_ai.operation.name", text("speech_to_text")),
            ("gen_ai.request.model", text("whisper-1")),
            ("stt.audio.duration", double(60.0)),
            ("stt.transcript.text", text("Grüße an alle")),
        ],
    );
    whole.events = vec![
        event("stt.start", vec![]),
        event(
            "stt.chunk_complete",
            vec![
                ("stt.chunk.index", int(0)),
                ("stt.audio.duration", double(30.0)),
            ],
        ),
    ];
    let mapped = map_one(whole);
    assert_eq!(mapped.role, Role::Speech);
    let rows: Vec<_> = mapped
        .records
        .iter()
        .map(|record| match record {
            Record::SttEvent(event) => (event.ordinal, event.event_type, event.billed),
            other => panic!("{other:?}"),
        })
        .collect();
    assert_eq!(
        rows,
        [
            (0, SttEventType::Complete, true),
            (1, SttEventType::Start, false),
            (2, SttEventType::ChunkComplete, false),
        ]
    );
    let Some(Record::SttEvent(own)) = mapped.records.first() else {
        unreachable!()
    };
    assert_eq!((own.transcript_length, own.word_count), (Some(13), Some(3)));
    assert_eq!(own.provider, None, "not said: whisper runs anywhere");
}

#[test]
fn apps_name_their_operations_and_types() {
    let kind =
        |operation| call_of(span("c", chat(vec![("app.operation", text(operation))]))).call_type;
    assert_eq!(kind("meeting_summary"), CallType::Summarization);
    assert_eq!(kind("agenda_parse"), CallType::Extraction);
    assert_eq!(kind("questions"), CallType::Chat);
    let own = call_of(span(
        "c",
        chat(vec![
            ("app.operation", text("summary")),
            ("app.call_type", text("rag_synthesis")),
        ]),
    ));
    assert_eq!(own.call_type, CallType::RagSynthesis);
    assert_eq!(own.operation.as_deref(), Some("summary"));
}

#[test]
fn failures_keep_their_class_and_their_zeros_are_no_counts() {
    let call = call_of(failed(
        span(
            "chat",
            chat(vec![
                ("error.type", text("openai.RateLimitError")),
                ("gen_ai.usage.input_tokens", int(0)),
                ("gen_ai.usage.output_tokens", int(0)),
            ]),
        ),
        "slow down",
    ));
    assert_eq!(call.status, Status::Error);
    assert_eq!(call.error_type.as_deref(), Some("openai.RateLimitError"));
    assert_eq!(call.error_message.as_deref(), Some("slow down"));
    assert_eq!((call.usage.prompt, call.usage.completion), (None, None));
    let zero = call_of(span(
        "chat",
        chat(vec![("gen_ai.usage.input_tokens", int(0))]),
    ));
    assert_eq!(zero.usage.prompt, Some(0), "a zero that was sent is a zero");
}

#[test]
fn numbers_say_where_they_came_from() {
    let call = call_of(span(
        "LLM",
        vec![
            ("openinference.span.kind", text("LLM")),
            ("llm.model_name", text("gpt-4o-2024-08-06")),
            (
                "llm.invocation_parameters",
                text("{\"model\":\"gpt-4o\",\"max_tokens\":\"64\"}"),
            ),
            ("llm.token_count.prompt", int(100)),
            ("llm.token_count.prompt_details.cache_read", int(900)),
        ],
    ));
    assert_eq!(call.model.as_deref(), Some("gpt-4o"));
    assert_eq!(call.response_model.as_deref(), Some("gpt-4o-2024-08-06"));
    assert_eq!((call.usage.prompt, call.max_tokens), (Some(1000), Some(64)));
    let has = |column, key: &str, done| call.origin.numbers.contains(&(column, key, done));
    assert!(has(
        "prompt_tokens",
        "llm.token_count.prompt",
        "cache added"
    ));
    assert!(has(
        "max_tokens",
        "llm.invocation_parameters",
        "read in its JSON"
    ));
    assert_eq!(call.origin.dialect, "openinference");
}

#[test]
fn the_users_settings_add_context_and_may_leave_content_out() {
    let mut config = Config {
        keep_content: false,
        ..Config::default()
    };
    config
        .context
        .insert("company_id".to_owned(), vec!["acme.org".to_owned()]);
    assert_eq!(config.check(), Ok(()));
    let long = "k".repeat(1000);
    let body = traces(
        "app",
        vec![span(
            "chat",
            chat(vec![
                ("acme.org", text("acme")),
                (
                    "gen_ai.input.messages",
                    text("[{\"role\":\"user\",\"content\":\"secret\"}]"),
                ),
                (
                    "gen_ai.output.messages",
                    text("[{\"role\":\"assistant\",\"content\":\"hush\"}]"),
                ),
                ("my.notes", text(&long)),
                ("my.flag", flag(true)),
            ]),
        )],
    );
    let out = map_with(&config, Signal::Traces, &body);
    let Some(Record::LlmCall(call)) = out.spans[0].records.first() else {
        panic!()
    };
    assert_eq!(call.context.company_id.as_deref(), Some("acme"));
    assert_eq!((&call.prompt, &call.response), (&None, &None));
    assert_eq!(
        (call.prompt_length, call.response_length),
        (Some(6), Some(4))
    );
    assert_eq!(call.metadata.as_deref(), Some("{\"my.flag\":true}"));
    config.context.insert("nobody".to_owned(), vec![]);
    assert_eq!(
        config.check(),
        Err(Error::UnknownColumn("nobody".to_owned()))
    );
}

#[test]
fn log_events_are_gathered_for_their_call() {
    let log = |name: &str, body: &str| LogRecord {
        trace_id: vec![7; 16],
        span_id: vec![8; 8],
        event_name: name.to_owned(),
        body: Some(AnyValue {
            value: Some(text(body)),
        }),
        ..LogRecord::default()
    };
    let by_attribute = LogRecord {
        event_name: String::new(),
        attributes: attributes(vec![("event.name", text("gen_ai.user.message"))]),
        ..log("", "{\"content\":\"newest\"}")
    };
    let orphan = LogRecord {
        span_id: Vec::new(),
        ..log("gen_ai.user.message", "lost")
    };
    let body = logs(vec![
        log("gen_ai.user.message", "{\"content\":\"old\"}"),
        by_attribute,
        log(
            "gen_ai.choice",
            "{\"finish_reason\":\"length\",\"message\":{\"content\":\"cut\"}}",
        ),
        log("app.started", "hello"),
        orphan,
    ]);
    let out = map_with(&Config::default(), Signal::Logs, &body);
    let [content] = out.contents.as_slice() else {
        panic!("{:?}", out.contents)
    };
    assert_eq!(content.prompt.as_deref(), Some("newest"));
    assert_eq!(content.response.as_deref(), Some("cut"));
    assert_eq!(content.finish_reason.as_deref(), Some("length"));
    assert_eq!((out.unmapped, out.rejected), (2, 0));
}

/// In whatever order spans are looked at, they come out as they came in.
#[test]
fn spans_of_many_names_keep_their_order() {
    let spans = (0..2_500u64).map(|n| {
        let more = vec![("gen_ai.response.id", text(&format!("answer-{n}")))];
        let pairs = if n % 3 == 0 { Vec::new() } else { chat(more) };
        let mut span = span(&format!("name {}", n % 7), pairs);
        span.span_id = if n % 100 == 99 {
            Vec::new()
        } else {
            (n + 1).to_be_bytes().to_vec()
        };
        span
    });
    let body = traces("app", spans.collect());
    let mut mapper = Mapper::new(&Config::default());
    let (mut one_by_one, mut sorted) = (Mapped::default(), Mapped::default());
    mapper.map(Signal::Traces, &body, NOW, &mut one_by_one);
    let mut groups = Vec::new();
    otlp::raw_spans(&body, |view, span| {
        groups.push((span.unwrap(), mapper.group(view, None)))
    })
    .unwrap();
    let spans = groups.iter().map(|(span, group)| (*span, group, NOW));
    mapper.map_spans(spans, &mut sorted);
    assert_eq!((sorted.spans.len(), sorted.rejected), (2_475, 25));
    assert_eq!(sorted.spans, one_by_one.spans);
    assert_eq!(sorted.unmapped, one_by_one.unmapped);
}
