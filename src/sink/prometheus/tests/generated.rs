//! Counters are the sums over the records that were given.

use proptest::prelude::*;

use super::{count, sink, total};
use crate::record::*;

fn counted() -> impl Strategy<Value = Counted> {
    prop_oneof![
        3 => Just(Counted::Yes),
        1 => Just(Counted::No(NotCounted::Wrapper)),
        1 => Just(Counted::No(NotCounted::Duplicate)),
    ]
}

fn header() -> impl Strategy<Value = Header> {
    (0..10_000_000_000_i64, any::<bool>()).prop_map(|(ns, ended)| Header {
        started_at: 1,
        completed_at: ended.then_some(1 + ns),
        service_name: Some("svc".into()),
        ..Header::default()
    })
}

fn tokens() -> impl Strategy<Value = Option<i64>> {
    prop::option::of(0..1_000_000_i64)
}

fn status() -> impl Strategy<Value = Status> {
    prop_oneof![
        Just(Status::Success),
        Just(Status::Error),
        Just(Status::Timeout)
    ]
}

fn cost() -> impl Strategy<Value = Option<Result<Cost, Unpriced>>> {
    prop_oneof![
        Just(None),
        Just(Some(Err(Unpriced::NoUsage))),
        (0..1000_u32).prop_map(|milli| Some(Ok(Cost {
            usd: f64::from(milli) / 1e3,
            rule: Default::default(),
            version: Default::default(),
        }))),
    ]
}

fn call() -> impl Strategy<Value = Record> {
    let usage = (tokens(), tokens(), tokens(), tokens(), tokens());
    let said = (
        counted(),
        status(),
        cost(),
        "[a-c]",
        prop::option::of(0..3_i64),
        any::<bool>(),
    );
    (header(), usage, said).prop_map(|(header, usage, said)| {
        let (counted, status, cost, model, retry_count, embedding) = said;
        Record::LlmCall(Box::new(LlmCall {
            header,
            counted,
            status,
            cost,
            retry_count,
            model: Some(model.into()),
            call_type: if embedding {
                CallType::Embedding
            } else {
                CallType::RagQuery
            },
            usage: Usage {
                prompt: usage.0,
                completion: usage.1,
                cache_read: usage.2,
                cache_write: usage.3,
                reasoning: usage.4,
                ..Usage::default()
            },
            ..LlmCall::default()
        }))
    })
}

fn speech() -> impl Strategy<Value = Record> {
    (
        header(),
        any::<bool>(),
        cost(),
        prop::option::of(0..600_u32),
    )
        .prop_map(|(header, billed, cost, seconds)| {
            Record::SttEvent(Box::new(SttEvent {
                header,
                billed,
                cost: cost.filter(|_| billed),
                audio_duration_seconds: seconds.map(f64::from),
                ..SttEvent::default()
            }))
        })
}

fn close(is: f64, should: f64) -> bool {
    (is - should).abs() <= 1e-9 * should.abs().max(1.0)
}

proptest! {
    #![proptest_config(crate::property_tests(64))]
    #[test]
    fn counters_are_sums(records in prop::collection::vec(prop_oneof![4 => call(), 1 => speech()], 0..80)) {
        let (mut sink, registry) = sink();
        // In two batches: a batch has no meaning of its own.
        let (first, second) = records.split_at(records.len() / 2);
        sink.observe(first);
        sink.observe(second);

        let calls = || records.iter().filter_map(|record| match record {
            Record::LlmCall(call) => Some(call),
            _ => None,
        });
        let counted = || calls().filter(|call| call.counted.is_yes());
        let speech = || records.iter().filter_map(|record| match record {
            Record::SttEvent(event) if event.billed => Some(event),
            _ => None,
        });
        let usd = |cost: &Option<Result<Cost, Unpriced>>| match cost {
            Some(Ok(cost)) => cost.usd,
            _ => 0.0,
        };

        prop_assert_eq!(total(&registry, "genai_calls_total", &[]) as usize, counted().count());
        prop_assert_eq!(
            total(&registry, "genai_not_counted_total", &[]) as usize,
            calls().count() - counted().count()
        );
        for (kind, of) in [
            ("input", (|u| u.prompt) as fn(&Usage) -> Option<i64>),
            ("output", |u| u.completion),
            ("cache_read", |u| u.cache_read),
            ("cache_write", |u| u.cache_write),
            ("reasoning", |u| u.reasoning),
        ] {
            for model in ["a", "b", "c"] {
                let should: i64 = counted()
                    .filter(|call| call.model.as_deref() == Some(model))
                    .filter_map(|call| of(&call.usage))
                    .sum();
                let is = total(&registry, "genai_tokens_total", &[("type", kind), ("model", model)]);
                prop_assert_eq!(is as i64, should);
            }
        }
        for kind in ["input", "output"] {
            prop_assert_eq!(
                total(&registry, "gen_ai_client_token_usage", &[("gen_ai_token_type", kind)]),
                total(&registry, "genai_tokens_total", &[("type", kind)])
            );
        }
        let should = counted().map(|call| usd(&call.cost)).sum::<f64>()
            + speech().map(|event| usd(&event.cost)).sum::<f64>();
        prop_assert!(close(total(&registry, "genai_cost_usd_total", &[]), should));
        prop_assert_eq!(
            total(&registry, "genai_unpriced_calls_total", &[]) as usize,
            counted().filter(|c| c.status == Status::Success && matches!(c.cost, Some(Err(_)))).count()
                + speech().filter(|event| matches!(event.cost, Some(Err(_)))).count()
        );
        prop_assert_eq!(
            total(&registry, "genai_retries_total", &[]) as i64,
            counted().filter_map(|call| call.retry_count).sum::<i64>()
        );
        prop_assert_eq!(
            total(&registry, "genai_timeouts_total", &[]) as usize,
            counted().filter(|call| call.status == Status::Timeout).count()
        );
        let took = || counted().filter_map(|call| call.header.latency_ms()).map(|ms| ms / 1e3);
        let name = "gen_ai_client_operation_duration_seconds";
        prop_assert_eq!(count(&registry, name, &[]) as usize, took().count());
        prop_assert!(close(total(&registry, name, &[]), took().sum()));
        let stage = |stage| count(&registry, "genai_stage_duration_seconds", &[("stage", stage)]);
        prop_assert_eq!((stage("llm") + stage("embedding")) as usize, took().count());
        prop_assert_eq!(
            stage("stt") as usize,
            speech().filter(|event| event.header.completed_at.is_some()).count()
        );
        let should: f64 = speech().filter_map(|event| event.audio_duration_seconds).sum();
        prop_assert!(close(total(&registry, "genai_stt_audio_seconds_total", &[]), should));
    }
}

#[test]
fn stages_and_requests() {
    let (mut sink, registry) = sink();
    let header = Header {
        started_at: 0,
        completed_at: Some(2_000_000_000),
        ..Header::default()
    };
    let retrieval = |hits, status, rerank: bool, counted| {
        Record::Retrieval(Box::new(Retrieval {
            header: header.clone(),
            hits,
            status,
            counted,
            rerank_model: rerank.then(|| "rerank-1".into()),
            best_score: Some(0.8),
            score_kind: Some(if rerank {
                ScoreKind::Distance
            } else {
                ScoreKind::Similarity
            }),
            ..Retrieval::default()
        }))
    };
    let parse = |success, repaired| {
        Record::JsonParse(Box::new(JsonParse {
            header: header.clone(),
            success,
            repaired,
            ..JsonParse::default()
        }))
    };
    let no = Counted::No(NotCounted::Duplicate);
    sink.observe(&[
        retrieval(Some(3), Status::Success, false, Counted::Yes),
        retrieval(Some(0), Status::Success, false, Counted::Yes),
        retrieval(None, Status::Success, true, Counted::Yes),
        retrieval(Some(3), Status::Error, false, Counted::Yes),
        retrieval(Some(3), Status::Success, false, no),
        parse(true, None),
        parse(true, Some(true)),
        parse(false, Some(true)),
        Record::CacheLookup(Box::new(CacheLookup {
            cache: "embedding".into(),
            hit: true,
            ..CacheLookup::default()
        })),
        Record::PipelineRequest(Box::new(PipelineRequest {
            header: header.clone(),
            pipeline: Some("matching".into()),
            confidence: Some(0.9),
            ..PipelineRequest::default()
        })),
    ]);
    for result in ["hit", "miss", "unknown", "error"] {
        assert_eq!(
            total(&registry, "genai_retrievals_total", &[("result", result)]),
            1.0
        );
    }
    for result in ["success", "repaired", "failure"] {
        assert_eq!(
            total(&registry, "genai_json_parse_total", &[("result", result)]),
            1.0
        );
    }
    assert_eq!(total(&registry, "genai_rerank_total", &[]), 1.0);
    assert_eq!(count(&registry, "genai_similarity_score", &[]), 3);
    assert_eq!(count(&registry, "genai_confidence", &[]), 1);
    for (stage, spans) in [("vector_search", 3), ("rerank", 1), ("json_parsing", 3)] {
        let name = "genai_stage_duration_seconds";
        assert_eq!(count(&registry, name, &[("stage", stage)]), spans);
        assert_eq!(
            total(&registry, name, &[("stage", stage)]),
            2.0 * spans as f64
        );
    }
    let cache = [("cache", "embedding"), ("result", "hit")];
    assert_eq!(total(&registry, "genai_cache_lookups_total", &cache), 1.0);
    let request = [
        ("pipeline", "matching"),
        ("framework", "unknown"),
        ("status", "success"),
    ];
    assert_eq!(total(&registry, "genai_requests_total", &request), 1.0);
    assert_eq!(total(&registry, "genai_request_duration_seconds", &[]), 2.0);
}

#[test]
fn a_changed_mind_is_a_metric() {
    let (mut sink, registry) = sink();
    let amendment = |change| Amendment {
        key: Header::default().key(),
        started_at: 0,
        change,
    };
    sink.recounted(&[
        amendment(Change::Counted(Counted::No(NotCounted::Wrapper))),
        amendment(Change::Counted(Counted::No(NotCounted::Duplicate))),
        amendment(Change::Counted(Counted::Yes)),
        amendment(Change::RetrievalCounted(Counted::Yes)),
    ]);
    let name = "spanledger_recounted_calls_total";
    assert_eq!(total(&registry, name, &[("to", "not_counted")]), 2.0);
    assert_eq!(total(&registry, name, &[("to", "counted")]), 1.0);
}
