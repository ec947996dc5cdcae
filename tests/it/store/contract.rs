//! What every store must keep. Each test runs on SQLite and on a real Postgres.

use std::sync::Arc;

use serde_json::json;
use spanledger::{
    record::*,
    spool::Position,
    store::{Batch, Checkpoint, PackedRows, Wanted},
};

use super::fixture::{NOON, call, fixture, header, on_both_stores, one_of_each};

on_both_stores!(
    every_kind_of_row_is_stored_once,
    duplicates_inside_a_batch_are_one_row,
    the_checkpoint_moves_with_the_rows,
    amendments_change_stored_rows,
    content_joins_its_call_whichever_comes_first,
    hostile_values_are_stored_clean,
    days_far_off_need_no_partition,
    recent_spans_say_what_counting_needs,
    llm_logs_answers_the_questions_people_ask,
);

async fn every_kind_of_row_is_stored_once(name: &str) {
    let fixture = fixture(name).await;
    let first = fixture.commit(&one_of_each()).await;
    assert_eq!((first.inserted, first.duplicates), (7, 0));
    for _ in 0..2 {
        let again = fixture.commit(&one_of_each()).await;
        assert_eq!((again.inserted, again.duplicates), (0, 7));
    }
    let row = fixture
        .query(
            "SELECT id, prompt, prompt_tokens, cache_read_tokens, temperature, streamed, counted, \
                latency_ms, service_name, CAST(estimated_cost AS DOUBLE PRECISION) FROM llm_calls",
        )
        .await;
    let flag = if name == "sqlite" { "1" } else { "true" };
    let id = format!("{}-{}", "01".repeat(16), "01".repeat(8));
    assert_eq!(
        row,
        [[
            &id, "질문", "100", "NULL", "0.2", flag, flag, "2500", "shop", "0.000027"
        ]]
    );
    let ids = fixture.query("SELECT id FROM stt_logs ORDER BY id").await;
    assert_eq!(ids.len(), 2);
}

async fn duplicates_inside_a_batch_are_one_row(name: &str) {
    let fixture = fixture(name).await;
    let twice = [one_of_each(), one_of_each()].concat();
    let committed = fixture.commit(&twice).await;
    assert_eq!((committed.inserted, committed.duplicates), (7, 7));
}

async fn the_checkpoint_moves_with_the_rows(name: &str) {
    let fixture = fixture(name).await;
    let at = |n| Checkpoint {
        spool_id: "s".into(),
        lane: "rows",
        position: Position::from_parts(1, n),
    };
    assert_eq!(fixture.store.checkpoint("s", "rows").await.unwrap(), None);
    for n in [10, 20] {
        let records = one_of_each();
        let batch = Batch {
            rows: PackedRows::of(records.clone(), &[]),
            checkpoint: Some(at(n)),
            ..Batch::default()
        };
        fixture.store.commit(&batch).await.unwrap();
        let found = fixture.store.checkpoint("s", "rows").await.unwrap();
        assert_eq!(found, Some(Position::from_parts(1, n)));
    }
    assert_eq!(
        fixture.store.checkpoint("other", "rows").await.unwrap(),
        None
    );
}

async fn amendments_change_stored_rows(name: &str) {
    let fixture = fixture(name).await;
    fixture.commit(&one_of_each()).await;
    let amend = |n: u8, change| Amendment {
        key: header(n).key(),
        started_at: header(n).started_at,
        change,
    };
    let context = Context {
        user_id: Some("ann".into()),
        session_id: Some("s1".into()),
        task_id: Some("t".into()),
        ..Context::default()
    };
    let amendments = [
        amend(1, Change::Counted(Counted::No(NotCounted::Wrapper))),
        amend(1, Change::Context(Arc::new(context.clone()))),
        amend(2, Change::Context(Arc::new(context.clone()))),
        amend(3, Change::Context(Arc::new(context))),
        amend(
            3,
            Change::RetrievalCounted(Counted::No(NotCounted::Duplicate)),
        ),
        amend(1, Change::ParentCall(header(7).key())),
        amend(
            6,
            Change::Request {
                stages: StageTimes {
                    llm_ms: Some(5.0),
                    ..StageTimes::default()
                },
                tokens: Some(9),
                cost: Some(0.5),
            },
        ),
        amend(77, Change::Counted(Counted::Yes)),
    ];
    fixture
        .store
        .commit(&Batch {
            amendments: amendments.into(),
            ..Batch::default()
        })
        .await
        .unwrap();
    let no = if name == "sqlite" { "0" } else { "false" };
    let parent = format!("{}-{}", "07".repeat(16), "07".repeat(8));
    assert_eq!(
        fixture.query("SELECT counted, not_counted_why, user_id, session_id, parent_call_id FROM llm_calls").await,
        [[no, "wrapper", "ann", "s1", &parent]]
    );
    assert_eq!(
        fixture
            .query("SELECT counted, session_id FROM retrievals")
            .await,
        [[no, "s1"]]
    );
    assert_eq!(
        fixture.query("SELECT DISTINCT task_id FROM stt_logs").await,
        [["t"]]
    );
    assert_eq!(
        fixture
            .query("SELECT llm_ms, tokens, CAST(cost AS DOUBLE PRECISION) FROM pipeline_requests")
            .await,
        [["5", "9", "0.5"]]
    );
}

async fn content_joins_its_call_whichever_comes_first(name: &str) {
    let fixture = fixture(name).await;
    let content = |n: u8, prompt: Option<&str>, response: Option<&str>| CallContent {
        key: header(n).key(),
        received_at: NOON,
        prompt: prompt.map(Into::into),
        response: response.map(Into::into),
        ..CallContent::default()
    };
    let bare = |n| {
        Record::LlmCall(Box::new(LlmCall {
            header: header(n),
            ..LlmCall::default()
        }))
    };
    fixture.commit(&[bare(1)]).await;
    let contents = [
        content(1, Some("p1"), None),
        content(1, None, Some("r1")),
        content(2, Some("p2"), None),
    ];
    fixture
        .store
        .commit(&Batch {
            contents: contents.into(),
            ..Batch::default()
        })
        .await
        .unwrap();
    let later = [content(2, None, Some("r2"))];
    fixture
        .store
        .commit(&Batch {
            contents: later.into(),
            ..Batch::default()
        })
        .await
        .unwrap();
    fixture.commit(&[bare(2)]).await;
    assert_eq!(
        fixture
            .query("SELECT prompt, response, prompt_length FROM llm_calls ORDER BY id")
            .await,
        [["p1", "r1", "2"], ["p2", "r2", "2"]]
    );
    assert_eq!(
        fixture.query("SELECT count(*) FROM pending_content").await,
        [["0"]]
    );
}

async fn hostile_values_are_stored_clean(name: &str) {
    let fixture = fixture(name).await;
    let mut hostile = call(1);
    hostile.prompt = Some("a\0b'; DROP TABLE llm_calls; --".into());
    hostile.response = Some("x".repeat(5 << 20));
    hostile.metadata = Some(json!({"k\0": "\0", "deep": [[[["\u{202e}"]]]]}).to_string());
    hostile.temperature = Some(f64::NAN);
    hostile.top_p = Some(f64::INFINITY);
    Arc::make_mut(&mut hostile.context).session_id = Some("s".repeat(100_000).into());
    hostile.usage.prompt = Some(i64::MAX);
    hostile.header.completed_at = Some(i64::MAX);
    let committed = fixture.commit(&[Record::LlmCall(Box::new(hostile))]).await;
    assert_eq!((committed.inserted, committed.quarantined), (1, 0));
    assert_eq!(
        fixture.query("SELECT prompt, length(response), temperature, top_p, length(session_id) FROM llm_calls").await,
        [["a\u{FFFD}b'; DROP TABLE llm_calls; --", "5242880", "NULL", "NULL", "100000"]]
    );
}

async fn days_far_off_need_no_partition(name: &str) {
    let fixture = fixture(name).await;
    let far = |n: u8, started_at: i64| {
        let mut call = call(n);
        call.header.started_at = started_at;
        Record::LlmCall(Box::new(call))
    };
    let year = 365 * 86_400_000_000_000;
    let committed = fixture
        .commit(&[
            far(1, 1),
            far(2, NOON + 100 * year),
            far(3, NOON - year),
            far(4, i64::MAX),
        ])
        .await;
    assert_eq!(committed.inserted, 4);
    if name == "postgres" {
        assert_eq!(
            fixture
                .query("SELECT count(*) FROM llm_calls_default")
                .await,
            [["4"]]
        );
        fixture.commit(&[far(5, NOON)]).await;
        assert_eq!(
            fixture
                .query("SELECT count(*) FROM llm_calls_20261120")
                .await,
            [["1"]]
        );
    }
}

/// Rows of calls, searches and requests say where their spans are; all others have links.
async fn recent_spans_say_what_counting_needs(name: &str) {
    let fixture = fixture(name).await;
    let link = |n: u8, role| Link {
        trace_id: TraceId([n; 16]),
        span_id: SpanId([n; 8]),
        started_at: NOON,
        role,
        ..Link::default()
    };
    let tie = Link {
        context: Context {
            user_id: Some("ann".into()),
            ..Context::default()
        },
        ..link(8, Role::None)
    };
    let links = [
        link(2, Role::Speech),
        link(4, Role::Cache),
        link(5, Role::Parse),
        tie,
    ];
    let records = one_of_each();
    fixture
        .store
        .commit(&Batch {
            rows: PackedRows::of(records, &links),
            ..Batch::default()
        })
        .await
        .unwrap();
    let mut spans = fixture
        .store
        .stored_spans(Wanted::Since(NOON - 1, 100))
        .await
        .unwrap();
    spans.sort_by_key(|span| span.key);
    let roles: Vec<(u8, Role)> = spans
        .iter()
        .map(|span| (span.key.span_id.0[0], span.role))
        .collect();
    assert_eq!(
        roles,
        [
            (1, Role::Call),
            (2, Role::Speech),
            (3, Role::Retrieval),
            (4, Role::Cache),
            (5, Role::Parse),
            (6, Role::None),
            (8, Role::None)
        ]
    );
    assert_eq!(spans[0].started_at, header(1).started_at);
    assert_eq!(
        spans[6].context.as_ref().unwrap().user_id.as_deref(),
        Some("ann")
    );
    let Record::LlmCall(call) = &spans[0].records[0] else {
        panic!("a call")
    };
    assert_eq!(
        (call.usage.prompt, call.usage.completion),
        (Some(100), Some(20))
    );
    assert!(
        fixture
            .store
            .stored_spans(Wanted::Since(NOON + 1_000_000_000, 100))
            .await
            .unwrap()
            .is_empty()
    );
}

/// The verification queries of the meeting app's own design, as written there.
async fn llm_logs_answers_the_questions_people_ask(name: &str) {
    let fixture = fixture(name).await;
    let mut failed = call(2);
    failed.status = Status::Error;
    failed.error_type = Some("rate_limit".into());
    failed.cost = None;
    let mut wrapper = call(3);
    wrapper.counted = Counted::No(NotCounted::Wrapper);
    let speech = SttEvent {
        header: header(4),
        audio_duration_seconds: Some(60.0),
        ..SttEvent::default()
    };
    fixture
        .commit(&[
            Record::LlmCall(Box::new(call(1))),
            Record::LlmCall(Box::new(failed)),
            Record::LlmCall(Box::new(wrapper)),
            Record::SttEvent(Box::new(speech)),
        ])
        .await;
    let stt = fixture
        .query(
            "SELECT DATE(created_at) as date, COUNT(*) as total_recordings, \
                SUM(audio_duration_seconds) as total_audio_seconds, \
                AVG(duration_seconds) as avg_processing_time \
                FROM stt_logs WHERE event_type = 'complete' GROUP BY DATE(created_at)",
        )
        .await;
    assert_eq!(stt, [["2026-11-20", "1", "60", "2.5"]]);
    let usage = fixture
        .query(
            "SELECT CAST(DATE(created_at) AS TEXT) as date, operation, COUNT(*) as calls, \
                CAST(SUM(prompt_tokens) AS BIGINT) as total_prompt_tokens, \
                CAST(SUM(completion_tokens) AS BIGINT) as total_completion_tokens, \
                CAST(SUM(estimated_cost_usd) AS DOUBLE PRECISION) as total_cost \
                FROM llm_logs WHERE event_type = 'complete' GROUP BY DATE(created_at), operation",
        )
        .await;
    assert_eq!(
        usage,
        [["2026-11-20", "summary", "1", "100", "20", "0.000027"]]
    );
    let errors = fixture
        .query(
            "SELECT event_type, error_type, COUNT(*) as count FROM llm_logs \
                WHERE error_type IS NOT NULL GROUP BY event_type, error_type",
        )
        .await;
    assert_eq!(errors, [["error", "rate_limit", "1"]]);
}
