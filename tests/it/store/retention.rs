//! Old days go, whole; nothing else does.

use std::{num::NonZeroU32, sync::Arc, time::Duration};

use chrono::{DateTime, NaiveDate, TimeDelta, Utc};
use prometheus::Registry;
use spanledger::{
    record::*,
    store::{Batch, Config, Gone, PackedRows, Store, Waits},
};
use sqlx::{Connection, Executor, PgConnection};

use super::fixture::{Fixture, fixture, keeping, on_both_stores, one_of_each};

on_both_stores!(
    days_older_than_the_settings_say_go_and_no_others,
    without_the_setting_nothing_goes,
    rows_from_afar_are_kept_from_when_they_came,
    a_clock_that_is_new_or_stepped_lets_nothing_go,
    what_is_sent_again_after_its_day_went_is_stored_once_and_goes_again,
);

const TABLES: [&str; 7] = [
    "llm_calls",
    "stt_logs",
    "retrievals",
    "cache_lookups",
    "json_parses",
    "pipeline_requests",
    "span_links",
];
const KEEP: Option<NonZeroU32> = NonZeroU32::new(30);

fn ns(time: DateTime<Utc>) -> i64 {
    time.timestamp_nanos_opt().unwrap()
}

fn days_ago(days: i64) -> DateTime<Utc> {
    Utc::now() - TimeDelta::days(days)
}

fn day(days: i64) -> NaiveDate {
    days_ago(days).date_naive()
}

/// A row of each kind, with ids of its own, that started and came then.
fn rows_of(n: u8, started: DateTime<Utc>, came: DateTime<Utc>) -> (Vec<Record>, Vec<Link>) {
    let mut records = one_of_each();
    for record in &mut records {
        let header = match record {
            Record::LlmCall(row) => {
                let said = MessageText::new("user", Some(format!("turn {n}")), None);
                row.history = Some(Box::new(History {
                    before: vec![said],
                    ..History::default()
                }));
                &mut row.header
            }
            Record::SttEvent(row) => &mut row.header,
            Record::Retrieval(row) => &mut row.header,
            Record::CacheLookup(row) => &mut row.header,
            Record::JsonParse(row) => &mut row.header,
            Record::PipelineRequest(row) => &mut row.header,
        };
        header.trace_id = TraceId([n; 16]);
        header.started_at = ns(started);
        header.received_at = ns(came);
    }
    let link = Link {
        trace_id: TraceId([n; 16]),
        span_id: SpanId([8; 8]),
        started_at: ns(started),
        ..Link::default()
    };
    (records, vec![link])
}

impl Fixture {
    async fn put(&self, n: u8, started: DateTime<Utc>, came: DateTime<Utc>) -> u64 {
        let (records, links) = rows_of(n, started, came);
        let batch = Batch {
            rows: PackedRows::of(records, &links),
            ..Batch::default()
        };
        self.store.commit(&batch).await.unwrap().inserted
    }

    /// The clock has run evenly for a long time.
    async fn trust_the_clock(&self) {
        let (one, before, now) = match self.url.starts_with("sqlite") {
            true => (
                "1",
                "'2020-01-01T00:00:00.000000Z'",
                "strftime('%Y-%m-%dT%H:%M:%f000Z', 'now')",
            ),
            false => ("true", "'2020-01-01T00:00:00Z'", "now()"),
        };
        self.query(&format!(
            "INSERT INTO retention_clock (one, seen_at, even_since) VALUES ({one}, {now}, {before})"
        ))
        .await;
    }

    /// One turn.
    async fn turn(&self) -> Vec<(NaiveDate, Gone)> {
        let due = self.store.days_due(Utc::now()).await.unwrap();
        assert_eq!(due.waits, None);
        let mut gone = Vec::new();
        for day in due.days {
            gone.push((day, self.store.drop_day(day).await.unwrap()));
        }
        gone
    }

    /// First bytes of the trace ids that a table has rows of.
    async fn stored(&self, table: &str) -> Vec<u8> {
        let sql = format!("SELECT DISTINCT substr(trace_id, 1, 2) FROM {table} ORDER BY 1");
        let rows = self.query(&sql).await;
        let byte = |row: &Vec<String>| u8::from_str_radix(&row[0], 16).unwrap();
        rows.iter().map(byte).collect()
    }

    async fn assert_stored(&self, wanted: &[u8]) {
        for table in TABLES {
            assert_eq!(self.stored(table).await, wanted, "{table}");
        }
        let texts = "SELECT content FROM message_texts ORDER BY length(content), content";
        let texts: Vec<String> = self.query(texts).await.concat();
        let told: Vec<String> = wanted.iter().map(|n| format!("turn {n}")).collect();
        assert_eq!(texts, told);
    }
}

async fn days_older_than_the_settings_say_go_and_no_others(name: &str) {
    let fixture = keeping(name, KEEP).await;
    fixture.trust_the_clock().await;
    for (n, ago) in [(1, 0), (2, 1), (3, 30), (4, 31), (5, 32), (6, 33), (7, 400)] {
        assert_eq!(fixture.put(n, days_ago(ago), days_ago(ago)).await, 8);
    }
    let due = fixture.store.days_due(Utc::now()).await.unwrap();
    assert_eq!(due.days, [day(400), day(33), day(32)]);
    assert_eq!(due.oldest, Some(day(400)));
    let turn = fixture.turn().await;
    for (_, gone) in &turn {
        let (partitions, rows) = match name {
            "sqlite" => (0, 9),
            _ => (8, 0),
        };
        assert_eq!((gone.partitions, gone.rows), (partitions, rows), "{turn:?}");
        assert_eq!((gone.held, gone.bytes > 0), (0, name == "postgres"));
    }
    fixture.assert_stored(&[1, 2, 3, 4]).await;
    let due = fixture.store.days_due(Utc::now()).await.unwrap();
    assert_eq!((due.days, due.oldest), (vec![], Some(day(31))));
}

async fn without_the_setting_nothing_goes(name: &str) {
    let fixture = fixture(name).await;
    fixture.trust_the_clock().await;
    fixture.put(1, days_ago(4000), days_ago(4000)).await;
    let due = fixture.store.days_due(Utc::now()).await.unwrap();
    assert_eq!((due.days, due.waits), (vec![], None));
    assert_eq!(due.oldest, Some(day(4000)));
    fixture.assert_stored(&[1]).await;
}

/// Scenario: rows of a year ago are imported today; of a day that is about to go, late rows come.
/// Guarantees: both days stay until what came has been there for as long as the settings keep rows.
async fn rows_from_afar_are_kept_from_when_they_came(name: &str) {
    let fixture = keeping(name, KEEP).await;
    fixture.trust_the_clock().await;
    fixture.put(1, days_ago(400), Utc::now()).await;
    fixture.put(2, days_ago(40), days_ago(40)).await;
    fixture.put(3, days_ago(40), Utc::now()).await;
    fixture.put(4, days_ago(41), days_ago(41)).await;
    let turn = fixture.turn().await;
    assert_eq!(
        turn.iter().map(|(day, _)| *day).collect::<Vec<_>>(),
        [day(41)]
    );
    fixture.assert_stored(&[1, 2, 3]).await;
    // What was due when we asked and is not when it is done.
    let gone = fixture.store.drop_day(day(40)).await.unwrap();
    assert_eq!(gone, Gone::default());
    fixture.assert_stored(&[1, 2, 3]).await;
    let long_ago = match name {
        "sqlite" => "'2020-01-01T00:00:00.000000Z'",
        _ => "'2020-01-01T00:00:00Z'",
    };
    let sql = format!("UPDATE far_days SET came_at = {long_ago}");
    fixture.query(&sql).await;
    let turn = fixture.turn().await;
    assert_eq!(
        turn.iter().map(|(day, _)| *day).collect::<Vec<_>>(),
        [day(400), day(40)]
    );
    fixture.assert_stored(&[]).await;
    assert_eq!(fixture.query("SELECT day FROM far_days").await.len(), 0);
}

async fn a_clock_that_is_new_or_stepped_lets_nothing_go(name: &str) {
    let fixture = keeping(name, KEEP).await;
    let ask = async |now| fixture.store.days_due(now).await.unwrap().waits;
    let stepped = |waits| matches!(waits, Some(Waits::ClockStepped(_)));
    assert!(stepped(ask(Utc::now()).await), "new");
    fixture.query("DELETE FROM retention_clock").await;
    fixture.trust_the_clock().await;
    assert_eq!(ask(Utc::now()).await, None);
    match name {
        // One clock.
        "sqlite" => {
            assert!(stepped(ask(days_ago(-400)).await), "forward");
            assert!(stepped(ask(Utc::now()).await), "back");
        }
        _ => {
            for off in [-2, 2] {
                let waits = ask(Utc::now() + TimeDelta::hours(off)).await;
                assert!(matches!(waits, Some(Waits::ClocksDiffer(_))), "{waits:?}");
            }
            let seen = "UPDATE retention_clock SET seen_at = now() - interval '25 hours'";
            fixture.query(seen).await;
            assert!(stepped(ask(Utc::now()).await));
        }
    }
}

async fn what_is_sent_again_after_its_day_went_is_stored_once_and_goes_again(name: &str) {
    let fixture = keeping(name, KEEP).await;
    fixture.trust_the_clock().await;
    let then = days_ago(50);
    for _ in 0..2 {
        // As a replay of the spool brings it: it came when it was sent.
        assert_eq!(fixture.put(1, then, then).await, 8);
        assert_eq!(fixture.put(1, then, then).await, 0);
        let turn = fixture.turn().await;
        assert_eq!(turn.len(), 1, "{turn:?}");
        fixture.assert_stored(&[]).await;
    }
    // As its sender brings it, late.
    assert_eq!(fixture.put(1, then, Utc::now()).await, 8);
    assert_eq!(fixture.turn().await, []);
    fixture.assert_stored(&[1]).await;
}

async fn reader(fixture: &Fixture, table: &str) -> PgConnection {
    let mut reader = PgConnection::connect(&fixture.url).await.unwrap();
    reader.execute("BEGIN").await.unwrap();
    let read = sqlx::AssertSqlSafe(format!("SELECT count(*) FROM {table}"));
    reader.execute(read).await.unwrap();
    reader
}

/// Scenario: a query reads one table for long.
/// Guarantees: its part of the day stays, the rest goes; rows are written meanwhile; the next turn
/// takes what is left.
#[tokio::test(flavor = "multi_thread")]
async fn a_reader_holds_its_table_up_and_nobody_else() {
    let fixture = keeping("postgres", KEEP).await;
    fixture.trust_the_clock().await;
    fixture.put(1, days_ago(40), days_ago(40)).await;
    fixture.put(2, Utc::now(), Utc::now()).await;
    let mut reader = reader(&fixture, "retrievals").await;
    let (gone, inserted) = tokio::join!(
        fixture.store.drop_day(day(40)),
        fixture.put(3, Utc::now(), Utc::now())
    );
    let gone = gone.unwrap();
    assert_eq!((gone.partitions, gone.held), (7, 1));
    assert_eq!(inserted, 8);
    assert_eq!(fixture.stored("retrievals").await, [1, 2, 3]);
    assert!(fixture.store.is_connected());
    reader.execute("COMMIT").await.unwrap();
    let turn = fixture.turn().await;
    assert_eq!((turn[0].1.partitions, turn[0].1.held), (1, 0));
    fixture.assert_stored(&[2, 3]).await;
}

/// Scenario: the work ends half-way through a day, as a kill would end it.
/// Guarantees: the next turn finishes the day; nothing is left locked.
#[tokio::test(flavor = "multi_thread")]
async fn a_day_half_gone_goes_at_the_next_turn() {
    let mut fixture = keeping("postgres", KEEP).await;
    fixture.trust_the_clock().await;
    fixture.put(1, days_ago(40), days_ago(40)).await;
    let mut reader = reader(&fixture, "json_parses").await;
    let next = second_store(&fixture.url).await;
    let store = Arc::new(std::mem::replace(&mut fixture.store, next));
    let dropping = tokio::spawn({
        let store = Arc::clone(&store);
        async move { store.drop_day(day(40)).await }
    });
    let first_is_gone = format!(
        "SELECT to_regclass('llm_calls_{}') IS NULL",
        day(40).format("%Y%m%d")
    );
    while fixture.query(&first_is_gone).await != [["true"]] {
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    dropping.abort();
    assert!(dropping.await.unwrap_err().is_cancelled());
    reader.execute("COMMIT").await.unwrap();
    fixture.turn().await;
    fixture.assert_stored(&[]).await;
    fixture.put(2, Utc::now(), Utc::now()).await;
    fixture.assert_stored(&[2]).await;
}

async fn second_store(url: &str) -> Store {
    let config = Config {
        url: url.into(),
        keep_days: KEEP,
    };
    let store = Store::new(config, &Registry::new()).unwrap();
    store.connect().await.unwrap();
    store
}

/// Scenario: two processes share the database, and both take their turn at the same moment.
/// Guarantees: each partition goes once, and neither sees an error.
#[tokio::test(flavor = "multi_thread")]
async fn two_processes_let_a_day_go_together() {
    let fixture = keeping("postgres", KEEP).await;
    fixture.trust_the_clock().await;
    let other = second_store(&fixture.url).await;
    for ago in 40..44 {
        fixture.put(ago as u8, days_ago(ago), days_ago(ago)).await;
    }
    fixture.put(1, days_ago(400), Utc::now()).await;
    let long_ago = "UPDATE far_days SET came_at = '2020-01-01T00:00:00Z'";
    fixture.query(long_ago).await;
    let (mut partitions, mut rows) = (0, 0);
    for day in fixture.store.days_due(Utc::now()).await.unwrap().days {
        let (ours, theirs) = tokio::join!(fixture.store.drop_day(day), other.drop_day(day));
        for gone in [ours.unwrap(), theirs.unwrap()] {
            partitions += gone.partitions;
            rows += gone.rows;
        }
    }
    // One may have waited too long for the other.
    for (_, gone) in fixture.turn().await {
        partitions += gone.partitions;
        rows += gone.rows;
    }
    assert_eq!((partitions, rows), (4 * 8, 9));
    fixture.assert_stored(&[]).await;
}
