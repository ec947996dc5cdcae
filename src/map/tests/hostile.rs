//! Whatever comes from outside: no panic, nothing unbounded, neighbours unharmed.

use opentelemetry_proto::tonic::{
    common::v1::{AnyValue, KeyValue, KeyValueList, any_value},
    trace::v1::Span,
};
use proptest::prelude::*;

use super::payload::*;
use crate::{
    map::{Config, Mapped, Mapper, Words, limits},
    otlp::Signal,
    record::{Record, Role},
};

#[test]
fn nonsense_numbers_are_absent() {
    for nonsense in [
        double(f64::NAN),
        double(f64::NEG_INFINITY),
        int(-5),
        int(i64::MAX),
        text("NaN"),
        text("many"),
        flag(true),
        array(vec![int(1)]),
        any_value::Value::BytesValue(vec![1, 2]),
    ] {
        let call = call_of(span(
            "chat",
            vec![
                ("gen_ai.operation.name", text("chat")),
                ("gen_ai.usage.input_tokens", nonsense.clone()),
                ("gen_ai.usage.output_tokens", text("7")),
                ("gen_ai.request.max_tokens", nonsense.clone()),
            ],
        ));
        assert_eq!(call.usage.prompt, None, "{nonsense:?}");
        assert_eq!(call.usage.completion, Some(7));
        assert_eq!(call.max_tokens, None, "{nonsense:?}");
    }
}

/// Sums and differences of what can be sent do not overflow, and give no infinity.
#[test]
fn numbers_at_the_ends_make_no_others() {
    let call = call_of(span(
        "chat",
        vec![
            ("gen_ai.operation.name", text("chat")),
            (
                "langfuse.observation.completion_start_time",
                text("1677-09-22T00:00:00Z"),
            ),
            ("gen_ai.usage.input_cost", double(f64::MAX)),
            ("gen_ai.usage.output_cost", double(f64::MAX)),
            ("gen_ai.usage.audio_seconds", double(1e300)),
            ("gen_ai.request.audio_seconds", double(1e300)),
        ],
    ));
    assert_eq!(
        (call.ttft_ms, call.reported_cost, call.audio_seconds),
        (None, None, None)
    );
}

#[test]
fn deep_nesting_ends() {
    let mut deep = text("bottom");
    for _ in 0..500 {
        let entry = KeyValue {
            key: "content".to_owned(),
            value: Some(AnyValue { value: Some(deep) }),
            ..KeyValue::default()
        };
        deep = any_value::Value::KvlistValue(KeyValueList {
            values: vec![entry],
        });
    }
    let json = format!("{}{}", "[".repeat(20_000), "]".repeat(20_000));
    let wrapped = format!("{}1{}", "{\"messages\":".repeat(100), "}".repeat(100));
    for value in [deep, text(&json), text(&wrapped)] {
        let mapped = map_one(span(
            "chat",
            vec![
                ("gen_ai.operation.name", text("chat")),
                ("gen_ai.input.messages", value.clone()),
                ("gen_ai.retrieval.documents", value.clone()),
                ("my.own", value),
            ],
        ));
        assert_eq!(mapped.role, Role::Call);
    }
}

#[test]
fn a_million_attributes_cost_time_and_no_memory() {
    let mut attributes = vec![("gen_ai.operation.name", text("chat"))];
    let keys: Vec<String> = (0..1_000_000).map(|n| format!("k{n}")).collect();
    attributes.extend(keys.iter().map(|key| (key.as_str(), int(1))));
    let call = call_of(span("chat", attributes));
    let metadata: serde_json::Value = serde_json::from_str(&call.metadata.unwrap()).unwrap();
    let kept = metadata.as_object().unwrap().len();
    assert_eq!(kept, limits::METADATA_KEYS);
}

#[test]
fn big_texts_are_cut_and_vectors_are_left_out() {
    let big = "x".repeat(3 * limits::CONTENT_BYTES);
    let mapped = map_one(span(
        "chat",
        vec![
            ("gen_ai.operation.name", text("chat")),
            ("gen_ai.request.model", text(&big)),
            ("gen_ai.prompt", text(&big)),
            ("session.id", text(&big)),
            ("my.notes", text(&big)),
            ("my.vector", array(vec![double(0.1); 1536])),
        ],
    ));
    let session = mapped.context.unwrap().session_id.clone().unwrap();
    assert_eq!(session.len(), limits::CONTEXT_BYTES);
    let Some(Record::LlmCall(call)) = mapped.records.first() else {
        panic!()
    };
    assert_eq!(call.prompt_length, Some(big.len() as i64));
    assert!(call.prompt.as_ref().unwrap().len() < limits::CONTENT_BYTES + 100);
    assert!(call.model.as_ref().unwrap().len() <= limits::NAME_BYTES);
    let metadata: serde_json::Value =
        serde_json::from_str(call.metadata.as_ref().unwrap()).unwrap();
    assert!(metadata["my.notes"].as_str().unwrap().len() < limits::DETAIL_BYTES + 100);
    assert!(metadata.get("my.vector").is_none());
}

#[test]
fn a_bad_span_costs_itself_only() {
    let bad = Span {
        span_id: vec![0; 8],
        ..span("bad", vec![])
    };
    let odd = Span {
        name: "nul\0name".to_owned(),
        ..root("", vec![("input.value", text("a\0b"))])
    };
    let body = traces("app", vec![bad, odd]);
    let mut out = map_with(&Config::default(), Signal::Traces, &body);
    assert_eq!((out.spans.len(), out.rejected), (1, 1));
    let Some(Record::PipelineRequest(request)) = out.spans.remove(0).records.pop() else {
        panic!()
    };
    assert_eq!(request.pipeline.as_deref(), Some("nul\u{FFFD}name"));
}

/// Keys that are known, and some that look like them.
fn keys() -> Vec<String> {
    let words = Words::all();
    let families = words.families.iter().flat_map(|prefix| {
        [
            format!("{prefix}.0.message.content"),
            format!("{prefix}.1.role"),
            format!("{prefix}.99999999999.x"),
            format!("{prefix}.0"),
            format!("{prefix}.2.message.contents.7.message_content.text"),
            format!("{prefix}.0.message.tool_calls.4000000000.tool_call.id"),
            format!("{prefix}.0.document.score"),
        ]
    });
    let known = words.keys.iter().map(|key| (*key).to_owned());
    known.chain(families).collect()
}

fn any() -> impl Strategy<Value = any_value::Value> {
    let leaf = prop_oneof![
        ".{0,40}".prop_map(|s| text(&s)),
        Just(text("chat")),
        Just(text(
            "[{\"role\":\"user\",\"content\":[{\"type\":\"text\",\"text\":\"hi\"}]}]"
        )),
        Just(text("{\"lc\":1,\"kwargs\":{\"data\":{\"message\":[]}}}")),
        proptest::num::i64::ANY.prop_map(int),
        proptest::num::f64::ANY.prop_map(double),
        proptest::bool::ANY.prop_map(flag),
        proptest::collection::vec(proptest::num::u8::ANY, 0..9)
            .prop_map(any_value::Value::BytesValue),
    ];
    leaf.prop_recursive(4, 24, 5, |inner| {
        proptest::collection::vec(inner, 0..5).prop_map(array)
    })
}

proptest! {
    #![proptest_config(crate::property_tests(256))]

    #[test]
    fn random_bytes_never_panic(body in proptest::collection::vec(proptest::num::u8::ANY, 0..400)) {
        let mut mapper = Mapper::new(&Config::default());
        let mut out = Mapped::default();
        for signal in Signal::ALL {
            mapper.map(signal, &body, NOW, &mut out);
        }
    }

    #[test]
    fn flipped_bytes_of_a_real_payload_never_panic(at in 0usize..400, byte in proptest::num::u8::ANY) {
        let mut body = traces("app", vec![span("chat", vec![
            ("gen_ai.operation.name", text("chat")),
            ("gen_ai.input.messages", text("[{\"role\":\"user\",\"content\":\"hi\"}]")),
        ])]);
        let at = at % body.len();
        body[at] = byte;
        let mut out = Mapped::default();
        Mapper::new(&Config::default()).map(Signal::Traces, &body, NOW, &mut out);
    }

    #[test]
    fn any_value_under_any_known_key_maps_within_its_bounds(
        pairs in proptest::collection::vec((0usize..10_000, any()), 0..12),
        start in proptest::num::u64::ANY,
        end in proptest::num::u64::ANY,
    ) {
        let keys = keys();
        let pairs = pairs.iter().map(|(n, value)| (&*keys[n % keys.len()], value.clone())).collect();
        let mut sent = root("any", pairs);
        (sent.start_time_unix_nano, sent.end_time_unix_nano) = (start, end);
        sent.events = vec![event("exception", vec![]), event("db.query.result", vec![])];
        let mapped = map_one(sent);
        for record in &mapped.records {
            let header = record.header();
            prop_assert!(header.completed_at.is_none_or(|end| end >= header.started_at));
            if let Record::LlmCall(call) = record {
                for tokens in [call.usage.prompt, call.usage.completion, call.usage.total] {
                    prop_assert!(tokens.is_none_or(|n| (0..1 << 43).contains(&n)));
                }
                prop_assert!(call.temperature.is_none_or(f64::is_finite));
                prop_assert!(call.ttft_ms.is_none_or(|ms| ms >= 0.0));
            }
        }
    }
}
