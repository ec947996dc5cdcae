//! The spans of one request, and what the store should hold for each.
//!
//! A shop's question about a product: an embedding, a vector search, a chat call with its prompt
//! and answer, a plain HTTP call, and the request above them. About 640 bytes a span.

use opentelemetry_proto::tonic::{
    collector::trace::v1::ExportTraceServiceRequest,
    common::v1::{AnyValue, KeyValue, any_value::Value},
    resource::v1::Resource,
    trace::v1::{ResourceSpans, ScopeSpans, Span},
};

use super::ids::{SPANS, Trace};

/// What the store should hold for one of the spans.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Expected {
    /// Its name.
    pub name: &'static str,
    /// The table of its one row; `None` for a span that is none of GenAI's.
    pub table: Option<&'static str>,
    /// Whether the row counts; `None` where rows of its table have no such column.
    pub counted: Option<bool>,
    /// Input tokens.
    pub prompt_tokens: Tokens,
    /// Output tokens.
    pub completion_tokens: Tokens,
    /// Provider and model, if it is a model call.
    pub model: Option<(&'static str, &'static str)>,
}

/// A number of tokens.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Tokens {
    /// The row has none.
    None,
    /// The same in each request.
    Always(i64),
    /// [`Trace::chat_input_tokens`]
    ChatInput,
}

impl Tokens {
    /// In this request.
    pub fn of(self, trace: &Trace) -> Option<i64> {
        match self {
            Tokens::None => None,
            Tokens::Always(tokens) => Some(tokens),
            Tokens::ChatInput => Some(trace.chat_input_tokens()),
        }
    }
}

const EMBEDDING_TOKENS: i64 = 21;
const ANSWER_TOKENS: i64 = 42;
/// The request's own span; the others lie below it.
pub const ROOT: usize = 4;

const ROWLESS: Expected = Expected {
    name: "",
    table: None,
    counted: None,
    prompt_tokens: Tokens::None,
    completion_tokens: Tokens::None,
    model: None,
};
/// The spans of each request, in the order in which they end.
pub const EXPECTED: [Expected; SPANS] = [
    Expected {
        name: "embeddings text-embedding-3-small",
        table: Some("llm_calls"),
        counted: Some(true),
        prompt_tokens: Tokens::Always(EMBEDDING_TOKENS),
        model: Some(("openai", "text-embedding-3-small")),
        ..ROWLESS
    },
    Expected {
        name: "search products",
        table: Some("retrievals"),
        counted: Some(true),
        ..ROWLESS
    },
    Expected {
        name: "chat gpt-4o-mini",
        table: Some("llm_calls"),
        counted: Some(true),
        prompt_tokens: Tokens::ChatInput,
        completion_tokens: Tokens::Always(ANSWER_TOKENS),
        model: Some(("openai", "gpt-4o-mini")),
    },
    Expected {
        name: "GET",
        ..ROWLESS
    },
    Expected {
        name: "POST /ask",
        table: Some("pipeline_requests"),
        ..ROWLESS
    },
];
/// Rows of one request.
pub const ROWS: u64 = 4;

/// (name, kind, start, end): ms before the request was sent.
const TIMES: [(i32, u64, u64); SPANS] = [
    (3, 990, 960),
    (3, 958, 930),
    (3, 925, 120),
    (3, 115, 40),
    (2, 1000, 20),
];

/// Start and end of a span whose request is sent at `sent_at`, Unix ns.
pub(super) fn times(index: usize, sent_at: u64) -> (u64, u64) {
    let (_, start, end) = TIMES[index];
    let before = |ms: u64| sent_at.saturating_sub(ms * 1_000_000);
    (before(start), before(end))
}

const SYSTEM: &str = r#"[{"type":"text","content":"You answer questions of customers of a shop for kitchen goods. Use only the documents that are given to you. If they do not hold the answer, say so and offer to hand over to a colleague. Be friendly and brief, name the source of each statement, never promise a refund, and answer in the language of the question."}]"#;
const PRODUCTS: [&str; 20] = [
    "blue kettle",
    "bread maker",
    "rice cooker",
    "stand mixer",
    "coffee grinder",
    "hand blender",
    "milk frother",
    "waffle iron",
    "toaster",
    "juicer",
    "pasta machine",
    "deep fryer",
    "slow cooker",
    "kitchen scale",
    "egg boiler",
    "ice cream maker",
    "food processor",
    "table grill",
    "wok with lid",
    "knife sharpener",
];

/// The spans of a request; `variant` chooses its words.
pub fn request_spans(trace: &Trace, variant: u64, sent_at: u64) -> Vec<Span> {
    let product = PRODUCTS[(variant % PRODUCTS.len() as u64) as usize];
    let question = format!(
        "What does the warranty of the {product} cover, for how long does it hold after purchase, and who pays for the parcel if I send the {product} back to you?"
    );
    let answer = format!(
        "The warranty covers defects in material and workmanship for twenty-four months after purchase. Within that time we repair or replace the {product} free of charge, and we pay for the parcel both ways (manual page 3, terms of sale 7)."
    );
    let document = |n: u32| {
        format!(
            r#"{{"id":"product-{n}","score":0.{},"source":"manual page {n}"}}"#,
            95 - n
        )
    };
    let documents = format!("[{}]", (1..=5).map(document).collect::<Vec<_>>().join(","));
    let input =
        format!(r#"[{{"role":"user","parts":[{{"type":"text","content":"{question}"}}]}}]"#);
    let output = format!(
        r#"[{{"role":"assistant","parts":[{{"type":"text","content":"{answer}"}}],"finish_reason":"stop"}}]"#
    );
    let attributes: [Vec<KeyValue>; SPANS] = [
        vec![
            text("gen_ai.operation.name", "embeddings"),
            text("gen_ai.provider.name", "openai"),
            text("gen_ai.request.model", "text-embedding-3-small"),
            int("gen_ai.usage.input_tokens", EMBEDDING_TOKENS),
            int("gen_ai.embeddings.dimension.count", 1536),
            text("server.address", "api.openai.com"),
            text("thread.name", "worker-3"),
            text("code.function.name", "shop.rag.embed_question"),
        ],
        vec![
            text("db.system.name", "qdrant"),
            text("db.operation.name", "search"),
            text("db.collection.name", "products"),
            int("db.vector.query.top_k", 5),
            int("db.response.returned_rows", 5),
            text("gen_ai.retrieval.query.text", &question),
            text("gen_ai.retrieval.documents", &documents),
            text("server.address", "qdrant.internal"),
            text("thread.name", "worker-3"),
        ],
        vec![
            text("gen_ai.operation.name", "chat"),
            text("gen_ai.provider.name", "openai"),
            text("gen_ai.request.model", "gpt-4o-mini"),
            text("gen_ai.response.model", "gpt-4o-mini-2024-07-18"),
            text(
                "gen_ai.response.id",
                &format!("chatcmpl-{:016x}", trace.answer()),
            ),
            int("gen_ai.usage.input_tokens", trace.chat_input_tokens()),
            int("gen_ai.usage.output_tokens", ANSWER_TOKENS),
            int("gen_ai.request.max_tokens", 512),
            text("gen_ai.system_instructions", SYSTEM),
            text("gen_ai.input.messages", &input),
            text("gen_ai.output.messages", &output),
        ],
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
        vec![
            text("http.request.method", "POST"),
            text("http.route", "/ask"),
            int("http.response.status_code", 200),
            text("user.id", &format!("user-{variant}")),
            text("session.id", &format!("session-{}", variant / 4)),
            text("url.path", "/ask"),
            text(
                "user_agent.original",
                "Mozilla/5.0 (X11; Linux x86_64) Gecko/20100101",
            ),
        ],
    ];
    let spans = attributes.into_iter().enumerate();
    spans
        .map(|(index, attributes)| {
            let (start_time_unix_nano, end_time_unix_nano) = times(index, sent_at);
            Span {
                trace_id: trace.id().0.to_vec(),
                span_id: trace.span(index).0.to_vec(),
                parent_span_id: match index {
                    ROOT => Vec::new(),
                    _ => trace.span(ROOT).0.to_vec(),
                },
                name: EXPECTED[index].name.to_owned(),
                kind: TIMES[index].0,
                start_time_unix_nano,
                end_time_unix_nano,
                attributes,
                ..Default::default()
            }
        })
        .collect()
}

/// One export of these spans.
pub fn export_of(spans: Vec<Span>) -> ExportTraceServiceRequest {
    ExportTraceServiceRequest {
        resource_spans: vec![ResourceSpans {
            resource: Some(Resource {
                attributes: vec![
                    text("service.name", "shop-rag"),
                    text("deployment.environment.name", "load"),
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

fn text(key: &str, value: &str) -> KeyValue {
    attribute(key, Value::StringValue(value.to_owned()))
}

fn int(key: &str, value: i64) -> KeyValue {
    attribute(key, Value::IntValue(value))
}

fn attribute(key: &str, value: Value) -> KeyValue {
    KeyValue {
        key: key.to_owned(),
        value: Some(AnyValue { value: Some(value) }),
        ..Default::default()
    }
}
