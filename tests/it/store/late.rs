//! What comes late: a second change to a row, content without a call, spans after a restart.

use std::sync::Arc;

use spanledger::{
    count::{self, Counter},
    record::*,
    store::{Batch, PackedRows, Wanted},
};

use super::fixture::{Fixture, NOON, call, fixture, header, on_both_stores, one_of_each};

on_both_stores!(
    changes_to_one_row_in_one_batch_are_merged,
    a_request_takes_context_that_comes_late,
    many_changes_are_written_a_few_at_a_time,
    content_brings_tokens_and_waits_for_a_day,
    counting_goes_on_after_a_restart_as_if_there_was_none,
    stages_are_known_after_a_restart,
);

fn amend(n: u8, change: Change) -> Amendment {
    Amendment {
        key: header(n).key(),
        started_at: header(n).started_at,
        change,
    }
}

fn context(fill: impl Fn(&mut Context)) -> Change {
    let mut context = Context::default();
    fill(&mut context);
    Change::Context(Arc::new(context))
}

/// Of a row that is stored, and of one that comes in the same batch.
async fn changes_to_one_row_in_one_batch_are_merged(name: &str) {
    for is_stored in [true, false] {
        changes_are_merged(name, is_stored).await;
    }
}

async fn changes_are_merged(name: &str, is_stored: bool) {
    let fixture = fixture(name).await;
    let mut rows = PackedRows::of(one_of_each(), &[]);
    if is_stored {
        fixture.commit(&one_of_each()).await;
        rows = PackedRows::default();
    }
    let amendments = [
        amend(1, Change::Counted(Counted::No(NotCounted::Wrapper))),
        amend(1, context(|c| c.user_id = Some("far".into()))),
        amend(1, Change::Counted(Counted::Yes)),
        amend(
            1,
            context(|c| {
                c.user_id = Some("near".into());
                c.review_id = Some("r".into());
            }),
        ),
    ];
    let batch = Batch {
        rows,
        amendments: amendments.into(),
        ..Batch::default()
    };
    fixture.store.commit(&batch).await.unwrap();
    let yes = if name == "sqlite" { "1" } else { "true" };
    let sql = "SELECT counted, not_counted_why, user_id, review_id FROM llm_calls";
    assert_eq!(fixture.query(sql).await, [[yes, "NULL", "near", "r"]]);
}

async fn a_request_takes_context_that_comes_late(name: &str) {
    let fixture = fixture(name).await;
    fixture.commit(&one_of_each()).await;
    let amendments = [amend(
        6,
        context(|c| {
            c.user_id = Some("ann".into());
            c.experiment = Some("tone".into());
            c.variant = Some("b".into());
        }),
    )];
    let batch = Batch {
        amendments: amendments.into(),
        ..Batch::default()
    };
    fixture.store.commit(&batch).await.unwrap();
    let sql = "SELECT user_id, experiment, variant FROM pipeline_requests";
    assert_eq!(fixture.query(sql).await, [["ann", "tone", "b"]]);
}

/// Postgres refuses a statement that changes more than so many rows, as it refuses one whose text is
/// too large.
async fn allow_at_most(fixture: &Fixture, rows: usize) {
    let refuse = format!(
        "CREATE FUNCTION refuse() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN \
         IF (SELECT count(*) FROM changed) > {rows} THEN \
         RAISE 'too many' USING ERRCODE = '54000'; END IF; RETURN NULL; END $$"
    );
    fixture.query(&refuse).await;
    for (event, table) in [("UPDATE", "llm_calls"), ("INSERT", "pending_content")] {
        let trigger = format!(
            "CREATE TRIGGER refuse AFTER {event} ON {table} REFERENCING NEW TABLE AS changed \
             FOR EACH STATEMENT EXECUTE FUNCTION refuse()"
        );
        fixture.query(&trigger).await;
    }
}

/// Scenario: the parent of thousands of stored calls comes late and brings context for each of
/// them; so does their content.
/// Guarantees: no statement writes more than a few thousand rows, and all are written.
async fn many_changes_are_written_a_few_at_a_time(name: &str) {
    const CALLS: u64 = 4_500;
    let fixture = fixture(name).await;
    let keys = (1..=CALLS).map(|n| SpanKey {
        span_id: SpanId(n.to_be_bytes()),
        ..header(1).key()
    });
    let keys: Vec<SpanKey> = keys.collect();
    let calls = keys.iter().map(|key| LlmCall {
        header: Header {
            span_id: key.span_id,
            ..header(1)
        },
        ..LlmCall::default()
    });
    let calls: Vec<Record> = calls.map(|call| Record::LlmCall(Box::new(call))).collect();
    fixture.commit(&calls).await;
    if name == "postgres" {
        allow_at_most(&fixture, 2_000).await;
    }
    let amendments = keys.iter().map(|key| Amendment {
        key: *key,
        ..amend(1, context(|c| c.user_id = Some("ann".into())))
    });
    let contents = keys.iter().map(|key| CallContent {
        key: *key,
        received_at: NOON,
        response: Some("r".into()),
        ..CallContent::default()
    });
    let batch = Batch {
        amendments: amendments.collect(),
        contents: contents.collect(),
        ..Batch::default()
    };
    fixture.store.commit(&batch).await.unwrap();
    let sql = "SELECT count(*) FROM llm_calls WHERE user_id = 'ann' AND response = 'r'";
    assert_eq!(fixture.query(sql).await, [[CALLS.to_string()]]);
}

async fn content_brings_tokens_and_waits_for_a_day(name: &str) {
    let fixture = fixture(name).await;
    let bare = LlmCall {
        header: header(1),
        ..LlmCall::default()
    };
    fixture.commit(&[Record::LlmCall(Box::new(bare))]).await;
    let content = |n: u8, received_at| CallContent {
        key: header(n).key(),
        received_at,
        response: Some("r".into()),
        usage: Usage {
            prompt: Some(i64::MAX),
            completion: Some(2),
            ..Usage::default()
        },
        ..CallContent::default()
    };
    let contents = [
        content(1, NOON),
        content(2, NOON - 1_000_000),
        content(3, NOON),
    ];
    let batch = Batch {
        contents: contents.into(),
        ..Batch::default()
    };
    fixture.store.commit(&batch).await.unwrap();
    let sql = "SELECT response, prompt_tokens, completion_tokens, total_tokens FROM llm_calls";
    let most = i64::MAX.to_string();
    assert_eq!(fixture.query(sql).await, [["r", &most, "2", &most]]);
    assert_eq!(fixture.store.forget_unclaimed(NOON).await.unwrap(), 1);
    let waiting = fixture.query("SELECT span_id FROM pending_content").await;
    assert_eq!(waiting, [[header(3).span_id.to_string()]]);
}

fn span(n: u8, parent: Option<u8>, role: Role) -> MappedSpan {
    let header = Header {
        trace_id: TraceId([1; 16]),
        span_id: SpanId([n; 8]),
        parent_span_id: parent.map(|n| SpanId([n; 8])),
        ..header(n)
    };
    let is_call = role == Role::Call;
    MappedSpan {
        key: header.key(),
        parent_span_id: header.parent_span_id,
        started_at: header.started_at,
        role,
        is_genai: true,
        records: is_call
            .then(|| Record::LlmCall(Box::new(LlmCall { header, ..call(n) })))
            .into_iter()
            .collect(),
        ..MappedSpan::default()
    }
}

/// Scenario: an agent's call uses a tool; the tool's own call arrives after a restart.
/// Guarantees: both count, the late one has the context that stood on the tool alone.
async fn counting_goes_on_after_a_restart_as_if_there_was_none(name: &str) {
    let fixture = fixture(name).await;
    let mut tool = span(2, Some(1), Role::Tool);
    tool.context = Some(Arc::new(Context {
        company_id: Some("acme".into()),
        recording_id: Some("rec".into()),
        ..Context::default()
    }));
    let mut before = Counter::new(&count::Config::default());
    let counted = before.count(&mut vec![span(1, None, Role::Call), tool]);
    let batch = Batch {
        rows: PackedRows::of(counted.records, &counted.links),
        ..Batch::default()
    };
    fixture.store.commit(&batch).await.unwrap();

    let mut after = Counter::new(&count::Config::default());
    after.warm(
        fixture
            .store
            .stored_spans(Wanted::Since(NOON - 1, 100))
            .await
            .unwrap(),
    );
    let late = after.count(&mut vec![span(3, Some(2), Role::Call)]);
    assert_eq!(late.amendments, []);
    let [Record::LlmCall(call)] = late.records.as_slice() else {
        panic!("one call: {:?}", late.records)
    };
    assert_eq!(call.counted, Counted::Yes);
    assert_eq!(call.context.company_id.as_deref(), Some("acme"));
    assert_eq!(call.context.recording_id.as_deref(), Some("rec"));
}

/// Scenario: a request with a transcription, a look into a cache and a parse with a call below it;
/// after a restart all of it is sent again, then another call below the parse.
/// Guarantees: nothing is new and no sum changes; the late call adds itself alone, and has the
/// context that stands above the parse.
async fn stages_are_known_after_a_restart(name: &str) {
    let fixture = fixture(name).await;
    let cost = || {
        Some(Ok(Cost {
            usd: 0.5,
            rule: "r".into(),
            version: "v".into(),
        }))
    };
    let stage = |n, role, record: &dyn Fn(Header) -> Record| {
        let mut span = span(n, (n != 1).then_some(1), role);
        span.completed_at = Some(span.started_at + 2_500_000_000);
        let header = Header {
            trace_id: span.key.trace_id,
            parent_span_id: span.parent_span_id,
            ..header(n)
        };
        span.records.push(record(header));
        span
    };
    let context = Arc::new(Context {
        user_id: Some("ann".into()),
        ..Context::default()
    });
    let mut root = stage(1, Role::None, &|header| {
        Record::PipelineRequest(Box::new(PipelineRequest {
            header,
            context: Arc::clone(&context),
            ..PipelineRequest::default()
        }))
    });
    root.context = Some(Arc::clone(&context));
    let speech = stage(2, Role::Speech, &|header| {
        Record::SttEvent(Box::new(SttEvent {
            header,
            cost: cost(),
            ..SttEvent::default()
        }))
    });
    let cache = stage(3, Role::Cache, &|header| {
        Record::CacheLookup(Box::new(CacheLookup {
            header,
            ..CacheLookup::default()
        }))
    });
    let parse = stage(4, Role::Parse, &|header| {
        Record::JsonParse(Box::new(JsonParse {
            header,
            ..JsonParse::default()
        }))
    });
    let priced = |n| {
        let mut span = span(n, Some(4), Role::Call);
        if let Some(Record::LlmCall(call)) = span.records.first_mut() {
            call.cost = cost();
        }
        span
    };
    let spans = [root, speech, cache, parse, priced(5)];
    let mut before = Counter::new(&count::Config::default());
    let counted = before.count(&mut spans.to_vec());
    let batch = Batch {
        rows: PackedRows::of(counted.records, &counted.links),
        ..Batch::default()
    };
    fixture.store.commit(&batch).await.unwrap();

    let mut after = Counter::new(&count::Config::default());
    let wanted = Wanted::Since(NOON - 1, 100);
    after.warm(fixture.store.stored_spans(wanted).await.unwrap());
    let again = after.count(&mut spans.to_vec());
    assert_eq!((again.duplicates, again.records.len()), (5, 0));
    assert_eq!((again.amendments, again.links), (vec![], vec![]));
    let late = after.count(&mut vec![priced(6)]);
    let [Record::LlmCall(call)] = late.records.as_slice() else {
        panic!("one call: {:?}", late.records)
    };
    assert_eq!(call.context.user_id.as_deref(), Some("ann"));
    let changes: Vec<&Change> = late.amendments.iter().map(|a| &a.change).collect();
    let [Change::Request { stages, cost, .. }] = changes.as_slice() else {
        panic!("the request's sums: {changes:?}")
    };
    assert_eq!((*cost, stages.stt_ms), (Some(1.5), Some(2500.0)));
    assert_eq!(stages.json_parsing_ms, Some(2500.0));
}
