//! Requests made for tests: RAG traces whose ids are numbers, so that a ledger is a set of numbers.

use opentelemetry_proto::tonic::{
    collector::trace::v1::ExportTraceServiceRequest,
    common::v1::{AnyValue, KeyValue, any_value::Value},
    resource::v1::Resource,
    trace::v1::{ResourceSpans, ScopeSpans, Span},
};

pub fn text(key: &str, value: &str) -> KeyValue {
    attribute(key, Value::StringValue(value.to_owned()))
}

pub fn int(key: &str, value: i64) -> KeyValue {
    attribute(key, Value::IntValue(value))
}

pub fn attribute(key: &str, value: Value) -> KeyValue {
    KeyValue {
        key: key.to_owned(),
        value: Some(AnyValue { value: Some(value) }),
        ..Default::default()
    }
}

pub fn trace_id(trace: u64) -> String {
    format!("{:032x}", u128::from(trace) | 1 << 120)
}

const SYSTEM: &str = r#"[{"type":"text","content":"You answer questions of customers of a shop for kitchen goods. Use only the documents that are given to you. If they do not hold the answer, say so and offer to hand over to a colleague. Be friendly and brief, name the source of each statement, never promise a refund, and answer in the language of the question."}]"#;

/// A 5-span RAG trace of about 730 bytes a span; its chat call has `trace % 1000` input tokens.
pub fn rag_trace(trace: u64) -> Vec<Span> {
    let now = std::time::SystemTime::now()
        .duration_since(std::time::UNIX_EPOCH)
        .unwrap()
        .as_nanos() as u64;
    let id = |n: u64| (trace << 3 | n).to_be_bytes().to_vec();
    let span = |n: u64, name: &str, attributes: Vec<KeyValue>| Span {
        trace_id: (u128::from(trace) | 1 << 120).to_be_bytes().to_vec(),
        span_id: id(n),
        parent_span_id: if n == 5 { Vec::new() } else { id(5) },
        name: name.to_owned(),
        kind: if n == 5 { 2 } else { 3 },
        start_time_unix_nano: now - 1_000_000_000 + n * 1_000_000,
        end_time_unix_nano: now - 500_000_000,
        attributes,
        ..Default::default()
    };
    let question = "What does the warranty of the blue kettle cover, for how long does it hold after purchase, and who pays for the parcel if I send the kettle back to you?";
    let answer = "The warranty covers defects in material and workmanship for twenty-four months after purchase. Within that time we repair or replace the kettle free of charge, and we pay for the parcel both ways (manual page 3, terms of sale 7).";
    let document = |n: u32| {
        format!(
            r#"{{"id":"product-{n}","score":0.{},"source":"manual page {n}"}}"#,
            95 - n
        )
    };
    let documents = format!("[{}]", (1..=5).map(document).collect::<Vec<_>>().join(","));
    vec![
        span(
            1,
            "embeddings text-embedding-3-small",
            vec![
                text("gen_ai.operation.name", "embeddings"),
                text("gen_ai.provider.name", "openai"),
                text("gen_ai.request.model", "text-embedding-3-small"),
                int("gen_ai.usage.input_tokens", 21),
                int("gen_ai.embeddings.dimension.count", 1536),
                text("server.address", "api.openai.com"),
                text("thread.name", "worker-3"),
                text("code.function.name", "shop.rag.embed_question"),
            ],
        ),
        span(
            2,
            "search products",
            vec![
                text("db.system.name", "qdrant"),
                text("db.operation.name", "search"),
                text("db.collection.name", "products"),
                int("db.vector.query.top_k", 5),
                int("db.response.returned_rows", 5),
                text("gen_ai.retrieval.query.text", question),
                text("gen_ai.retrieval.documents", &documents),
                text("server.address", "qdrant.internal"),
                text("thread.name", "worker-3"),
            ],
        ),
        span(
            3,
            "chat gpt-4o-mini",
            vec![
                text("gen_ai.operation.name", "chat"),
                text("gen_ai.provider.name", "openai"),
                text("gen_ai.request.model", "gpt-4o-mini"),
                text("gen_ai.response.model", "gpt-4o-mini-2024-07-18"),
                text("gen_ai.response.id", &format!("chatcmpl-{trace:016x}")),
                int("gen_ai.usage.input_tokens", (trace % 1000) as i64),
                int("gen_ai.usage.output_tokens", 42),
                int("gen_ai.request.max_tokens", 512),
                text("gen_ai.system_instructions", SYSTEM),
                text(
                    "gen_ai.input.messages",
                    &format!(
                        r#"[{{"role":"user","parts":[{{"type":"text","content":"{question}"}}]}}]"#
                    ),
                ),
                text(
                    "gen_ai.output.messages",
                    &format!(
                        r#"[{{"role":"assistant","parts":[{{"type":"text","content":"{answer}"}}],"finish_reason":"stop"}}]"#
                    ),
                ),
            ],
        ),
        span(
            4,
            "GET",
            vec![
                text("http.request.method", "GET"),
                text(
                    "url.full",
                    "https://shop.example.test/api/products?limit=5&expand=warranty",
                ),
                int("http.response.status_code", 200),
                text("server.address", "shop.example.test"),
                text("network.protocol.version", "1.1"),
                text("user_agent.original", "python-httpx/0.28.1"),
            ],
        ),
        span(
            5,
            "POST /ask",
            vec![
                text("http.request.method", "POST"),
                text("http.route", "/ask"),
                int("http.response.status_code", 200),
                text("user.id", "user-17"),
                text("session.id", "session-4"),
                text("url.path", "/ask"),
                text(
                    "user_agent.original",
                    "Mozilla/5.0 (X11; Linux x86_64) Gecko/20100101",
                ),
            ],
        ),
    ]
}

/// One request with these traces.
pub fn request(traces: std::ops::Range<u64>) -> ExportTraceServiceRequest {
    of_spans(traces.flat_map(rag_trace).collect())
}

/// One request with these spans.
pub fn of_spans(spans: Vec<Span>) -> ExportTraceServiceRequest {
    ExportTraceServiceRequest {
        resource_spans: vec![ResourceSpans {
            resource: Some(Resource {
                attributes: vec![
                    text("service.name", "shop-rag"),
                    text("deployment.environment.name", "test"),
                ],
                ..Default::default()
            }),
            scope_spans: vec![ScopeSpans {
                spans,
                ..Default::default()
            }],
            ..Default::default()
        }],
    }
}
