//! The earlier turns of conversations: each text once a day, with the rows that name it.

use std::sync::Arc;

use prometheus::Registry;
use spanledger::{
    query::{
        calls,
        conversation::{self, Conversation},
    },
    record::*,
    spool::Position,
    store::{Batch, Checkpoint, Config, PackedRows, Store},
};

use super::{
    failures::forbid,
    fixture::{Fixture, NOON, fixture, header, on_both_stores},
};

on_both_stores!(
    a_conversation_is_stored_once_and_reads_back,
    a_text_is_stored_once_for_each_day,
    texts_come_and_go_with_their_rows,
    a_refused_text_costs_itself_only,
    content_of_log_events_brings_its_history,
    hostile_texts_are_stored_clean,
);

const DAY: i64 = 86_400_000_000_000;

fn said(role: &'static str, content: &str) -> MessageText {
    MessageText::new(role, Some(content.to_owned()), None)
}

fn turns(n: u8) -> Box<History> {
    let turn = |n| {
        [
            said("user", &format!("question {n}")),
            said("assistant", &format!("answer {n}")),
        ]
    };
    Box::new(History {
        before: (1..n).flat_map(turn).collect(),
        ..History::default()
    })
}

/// The call of turn `n`, which repeats all turns before.
fn turn(n: u8) -> LlmCall {
    LlmCall {
        header: header(n),
        system_prompt: Some("Be brief.".into()),
        prompt: Some(format!("question {n}")),
        response: Some(format!("answer {n}")),
        history: (n > 1).then(|| turns(n)),
        ..LlmCall::default()
    }
}

fn record(call: LlmCall) -> Record {
    Record::LlmCall(Box::new(call))
}

async fn read_back(fixture: &Fixture, n: u8) -> Conversation {
    let pool = fixture.store.pool().unwrap();
    let id = header(n).key().to_string();
    let found = calls::of_id(&pool, &id).await.unwrap();
    conversation::of_call(&pool, &found[0]).await.unwrap()
}

fn lines(conversation: &Conversation) -> Vec<String> {
    let line = |m: &conversation::Message| {
        let text = |text: &Option<String>| text.clone().unwrap_or_default();
        let role = m.role.as_deref().unwrap_or("gone");
        format!("{role}: {}{}", text(&m.content), text(&m.tool_calls))
    };
    conversation.messages.iter().map(line).collect()
}

async fn texts(fixture: &Fixture) -> usize {
    let count = fixture.query("SELECT count(*) FROM message_texts").await;
    count[0][0].parse().unwrap()
}

async fn a_conversation_is_stored_once_and_reads_back(name: &str) {
    let fixture = fixture(name).await;
    for n in 1..=20 {
        let committed = fixture.commit(&[record(turn(n))]).await;
        assert_eq!((committed.inserted, committed.duplicates), (1, 0));
    }
    assert_eq!(texts(&fixture).await, 2 * 19);
    let mut looped = turn(21);
    let calls = Some(r#"[{"name":"f"}]"#.to_owned());
    let history = looped.history.as_mut().unwrap();
    history.left_out = 7;
    history.before.drain(2..);
    history.after = vec![
        MessageText::new("assistant", None, calls),
        said("tool", "42"),
    ];
    fixture.commit(&[record(looped)]).await;
    let read = read_back(&fixture, 21).await;
    assert_eq!(read.left_out, 7);
    assert_eq!(
        lines(&read),
        [
            "system: Be brief.",
            "user: question 1",
            "assistant: answer 1",
            "user: question 21",
            "assistant: [{\"name\":\"f\"}]",
            "tool: 42",
            "assistant: answer 21",
        ]
    );
    assert_eq!(lines(&read_back(&fixture, 1).await).len(), 3);
    assert_eq!(lines(&read_back(&fixture, 20).await).len(), 3 + 2 * 19);
    // Another process, or this one after a restart, adds nothing.
    fixture.store.connect().await.unwrap();
    let again = fixture.commit(&[record(turn(20))]).await;
    assert_eq!((again.inserted, again.duplicates), (0, 1));
    assert_eq!(texts(&fixture).await, 2 * 19 + 2);
}

/// So that dropping a day never takes a text from a call of another day.
async fn a_text_is_stored_once_for_each_day(name: &str) {
    let fixture = fixture(name).await;
    let on = |n: u8, started_at| {
        let mut call = turn(3);
        call.header = Header {
            started_at,
            received_at: started_at,
            ..header(n)
        };
        record(call)
    };
    let midnight = NOON + DAY / 2;
    fixture.commit(&[on(1, NOON), on(2, midnight - 1)]).await;
    assert_eq!(texts(&fixture).await, 4);
    fixture
        .commit(&[on(3, midnight), on(4, i64::MIN), on(5, i64::MAX)])
        .await;
    assert_eq!(texts(&fixture).await, 4 * 4);
    let days = "SELECT DISTINCT started_at FROM message_texts \
        WHERE started_at > '2026-01-01' AND started_at < '2027-01-01' ORDER BY started_at";
    assert_eq!(
        fixture.query(days).await,
        [
            ["2026-11-20T00:00:00.000000Z"],
            ["2026-11-21T00:00:00.000000Z"]
        ]
    );
    if name == "postgres" {
        let of_day = "SELECT count(*) FROM message_texts_20261121";
        assert_eq!(fixture.query(of_day).await, [["4"]]);
        fixture.query("DROP TABLE message_texts_20261120").await;
        assert_eq!(lines(&read_back(&fixture, 3).await)[1], "user: question 1");
    }
}

/// Scenario: a commit with new texts fails at its end, and is tried again.
/// Guarantees: the texts are not there, and not believed to be.
async fn texts_come_and_go_with_their_rows(name: &str) {
    let fixture = fixture(name).await;
    forbid(&fixture, "spool_checkpoints", "byte_offset", "13").await;
    let records = [record(turn(5))];
    let batch = |offset| Batch {
        rows: PackedRows::of(records.clone(), &[]),
        checkpoint: Some(Checkpoint {
            spool_id: "s".into(),
            lane: "rows",
            position: Position::from_parts(1, offset),
        }),
        ..Batch::default()
    };
    fixture.store.commit(&batch(13)).await.unwrap_err();
    assert_eq!(texts(&fixture).await, 0);
    fixture.store.commit(&batch(14)).await.unwrap();
    assert_eq!(texts(&fixture).await, 8);
}

async fn a_refused_text_costs_itself_only(name: &str) {
    let fixture = fixture(name).await;
    forbid(&fixture, "message_texts", "content", "'question 3'").await;
    let committed = fixture.commit(&[record(turn(9))]).await;
    assert_eq!((committed.inserted, committed.quarantined), (1, 0));
    assert_eq!(texts(&fixture).await, 15);
    let read = lines(&read_back(&fixture, 9).await);
    assert_eq!(
        read[4..7],
        ["assistant: answer 2", "gone: ", "assistant: answer 3"]
    );
    let letters = fixture
        .query("SELECT table_name, \"row\" ->> 'content', length(id) FROM dead_letters")
        .await;
    assert_eq!(letters, [["message_texts", "question 3", "32"]]);
}

async fn content_of_log_events_brings_its_history(name: &str) {
    let fixture = fixture(name).await;
    let content = |n: u8| CallContent {
        key: header(n).key(),
        received_at: NOON,
        prompt: Some("now?".into()),
        history: Some(turns(3)),
        ..CallContent::default()
    };
    let bare = |n: u8| LlmCall {
        header: header(n),
        metadata: (n == 3).then(|| r#"{"k":1}"#.to_owned()),
        ..LlmCall::default()
    };
    // One call comes before its content, one after, and one has a history of its own.
    fixture.commit(&[record(bare(1)), record(turn(2))]).await;
    let contents = [content(1), content(3), content(2)];
    let batch = Batch {
        contents: contents.into(),
        ..Batch::default()
    };
    fixture.store.commit(&batch).await.unwrap();
    fixture.commit(&[record(bare(3))]).await;
    for n in [1, 3] {
        let read = lines(&read_back(&fixture, n).await);
        assert_eq!(read.len(), 5, "{read:?}");
        assert_eq!(
            (read[0].as_str(), read[4].as_str()),
            ("user: question 1", "user: now?")
        );
    }
    assert_eq!(lines(&read_back(&fixture, 2).await).len(), 5, "its own");
    assert_eq!(texts(&fixture).await, 4);
}

async fn hostile_texts_are_stored_clean(name: &str) {
    let fixture = fixture(name).await;
    let hostile = [
        "a\0b",
        "\\u0000",
        "'; DROP TABLE message_texts; --",
        "\u{202e}\u{feff}😀",
        "{\"a\"",
        " ",
    ];
    let mut call = turn(1);
    let before = hostile.iter().map(|text| said("tool", text)).collect();
    call.history = Some(Box::new(History {
        before,
        ..History::default()
    }));
    fixture.commit(&[record(call)]).await;
    let read = read_back(&fixture, 1).await;
    let stored = read.messages[1..=hostile.len()]
        .iter()
        .map(|m| m.content.clone().unwrap());
    let clean = hostile.iter().map(|text| text.replace('\0', "\u{FFFD}"));
    assert!(stored.eq(clean));
    if name == "postgres" {
        // Anyone can compute a row's hash from the row.
        let sql = "SELECT count(*) FROM message_texts WHERE hash = left(encode(sha256(\
            convert_to(role, 'UTF8') || '\\x00' || convert_to(coalesce(content, ''), 'UTF8') \
            || '\\x00' || convert_to(coalesce(tool_calls, ''), 'UTF8')), 'hex'), 32)";
        assert_eq!(fixture.query(sql).await, [[hostile.len().to_string()]]);
    }
}

/// Scenario: two processes store the same conversations at the same time, each in its own order.
/// Guarantees: no commit fails, in particular none by a deadlock, and each text is there once.
#[tokio::test(flavor = "multi_thread")]
async fn two_processes_store_the_same_texts_without_a_deadlock() {
    let fixture = fixture("postgres").await;
    let open = async || {
        let url = fixture.url.clone().into();
        let store = Store::new(
            Config {
                url,
                ..Config::default()
            },
            &Registry::new(),
        )
        .unwrap();
        store.connect().await.unwrap();
        Arc::new(store)
    };
    for round in 0..20u8 {
        let stores = [open().await, open().await];
        let both = stores.into_iter().enumerate().map(|(who, store)| {
            tokio::spawn(async move {
                let who = who as u8;
                for part in 0..4u8 {
                    let mut call = turn(1);
                    call.header.trace_id = TraceId([round + 1; 16]);
                    call.header.span_id = SpanId([1 + part * 2 + who; 8]);
                    let text = |n: u8| said("user", &format!("{round} {n}"));
                    let mut before: Vec<_> = (0..50 + part * 50).map(text).collect();
                    if who == 1 {
                        before.reverse();
                    }
                    call.history = Some(Box::new(History {
                        before,
                        ..History::default()
                    }));
                    let records = [record(call)];
                    let batch = Batch {
                        rows: PackedRows::of(records.clone(), &[]),
                        ..Batch::default()
                    };
                    store.commit(&batch).await.unwrap();
                }
            })
        });
        for task in both.collect::<Vec<_>>() {
            task.await.unwrap();
        }
    }
    assert_eq!(texts(&fixture).await, 20 * 200);
}
