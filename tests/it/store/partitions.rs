//! Day partitions: few of them, whatever the spans' clocks say, and questions about a few days read
//! those only. Real Postgres.

use chrono::{TimeDelta, Utc};
use spanledger::{
    query::{day, doctor, examples, summary},
    record::*,
    store::{Batch, Wanted},
};

use super::fixture::{Fixture, call, fixture, keeping};

const DAY: i64 = 86_400_000_000_000;

fn at(started_at: i64, received_at: i64, n: u32) -> Record {
    let mut call = call(1);
    call.header.trace_id.0[..4].copy_from_slice(&n.to_be_bytes());
    call.header.started_at = started_at;
    call.header.completed_at = Some(started_at);
    call.header.received_at = received_at;
    Record::LlmCall(Box::new(call))
}

async fn partitions(fixture: &Fixture) -> i64 {
    let sql = "SELECT count(*) FROM pg_inherits WHERE inhparent = 'llm_calls'::regclass";
    fixture.query(sql).await[0][0].parse().unwrap()
}

/// Scenario: one batch has rows of 10,000 different days, from 1970 to 2262, received today.
/// Guarantees: all are stored, once; the days near today have partitions, the others none.
#[tokio::test(flavor = "multi_thread")]
async fn ten_thousand_days_make_a_month_of_partitions() {
    let fixture = fixture("postgres").await;
    let now = Utc::now().timestamp_nanos_opt().unwrap();
    let records: Vec<Record> = (0..10_000_i64)
        .map(|n| at(now + (n - 9_000) * DAY, now, n as u32))
        .chain([at(0, now, 10_000), at(i64::MAX, now, 10_001)])
        .collect();
    for inserted in [10_002, 0] {
        assert_eq!(fixture.commit(&records).await.inserted, inserted);
    }
    // The default one, thirty days back, today, two days ahead.
    assert_eq!(partitions(&fixture).await, 1 + 30 + 1 + 2);
    let sql = "SELECT count(*) FROM llm_calls_default";
    assert_eq!(fixture.query(sql).await, [["9969"]]);
    let far = "SELECT count(*) FROM far_days";
    assert_eq!(fixture.query(far).await, [["9969"]]);
}

/// Rows of days that are not kept get no partition: it would go at once.
#[tokio::test(flavor = "multi_thread")]
async fn days_that_are_not_kept_get_no_partition() {
    let fixture = keeping("postgres", std::num::NonZeroU32::new(7)).await;
    let now = Utc::now().timestamp_nanos_opt().unwrap();
    let records: Vec<Record> = (0..20)
        .map(|n| at(now - i64::from(n) * DAY, now, n))
        .collect();
    fixture.commit(&records).await;
    assert_eq!(partitions(&fixture).await, 1 + 7 + 1 + 2);
}

/// Scenario: a query reads for long while a batch needs a partition.
/// Guarantees: the batch is stored within seconds, in the default partition, and noted.
#[tokio::test(flavor = "multi_thread")]
async fn a_batch_does_not_wait_for_a_long_query() {
    use sqlx::{Connection, Executor, PgConnection};
    let fixture = fixture("postgres").await;
    let mut reader = PgConnection::connect(&fixture.url).await.unwrap();
    reader.execute("BEGIN").await.unwrap();
    reader
        .execute("SELECT count(*) FROM llm_calls")
        .await
        .unwrap();
    let now = Utc::now().timestamp_nanos_opt().unwrap();
    let records = [at(now - 5 * DAY, now, 1)];
    assert_eq!(fixture.commit(&records).await.inserted, 1);
    reader.execute("COMMIT").await.unwrap();
    let sql = "SELECT (SELECT count(*) FROM llm_calls_default), (SELECT count(*) FROM far_days)";
    assert_eq!(fixture.query(sql).await, [["1", "1"]]);
    assert_eq!(fixture.commit(&records).await.inserted, 0);
}

/// Scenario: a query reads for long (a dump over midnight) while the service connects and needs
/// today's partitions.
/// Guarantees: it connects and stores; once nobody reads, the partitions of the days ahead are made.
#[tokio::test(flavor = "multi_thread")]
async fn a_connection_does_not_wait_for_a_long_query() {
    use sqlx::{Connection, Executor, PgConnection};
    let fixture = fixture("postgres").await;
    let mut reader = PgConnection::connect(&fixture.url).await.unwrap();
    let made = "SELECT CAST(inhrelid::regclass AS text) FROM pg_inherits \
                WHERE inhparent = 'llm_calls'::regclass AND inhrelid::regclass::text LIKE '%\\_2%'";
    for partition in fixture.query(made).await {
        let drop = sqlx::AssertSqlSafe(format!("DROP TABLE {}", partition[0]));
        reader.execute(drop).await.unwrap();
    }
    assert_eq!(partitions(&fixture).await, 1);
    for sql in ["BEGIN", "SELECT count(*) FROM llm_calls"] {
        reader.execute(sql).await.unwrap();
    }
    fixture.store.connect().await.unwrap();
    let now = Utc::now().timestamp_nanos_opt().unwrap();
    assert_eq!(fixture.commit(&[at(now, now, 1)]).await.inserted, 1);
    reader.execute("COMMIT").await.unwrap();
    fixture.store.ensure_partitions(Utc::now()).await.unwrap();
    // The default one, which has today's row, and two days ahead.
    assert_eq!(partitions(&fixture).await, 1 + 2);
}

/// Scenario: sixty days are stored, a partition each, and the product's own questions about the
/// last day are asked.
/// Guarantees: they read the partitions of these days and the default ones, by the server's books.
#[tokio::test(flavor = "multi_thread")]
async fn questions_about_a_day_read_no_other_days() {
    let fixture = fixture("postgres").await;
    let now = Utc::now();
    for ago in 0..60 {
        let then = (now - TimeDelta::days(ago)).timestamp_nanos_opt().unwrap();
        fixture.commit(&[at(then, then, ago as u32)]).await;
    }
    assert_eq!(partitions(&fixture).await, 1 + 60 + 2);
    // Backends tell what they did when they end: those that made the partitions do now.
    let others = "FROM pg_stat_activity WHERE datname = current_database() \
                  AND backend_type = 'client backend' AND pid <> pg_backend_pid()";
    let end = format!("SELECT count(pg_terminate_backend(pid)) {others}");
    fixture.query(&end).await;
    let left = format!("SELECT count(*) {others}");
    while fixture.query(&left).await != [["0"]] {}
    fixture.query("SELECT count(*) FROM pg_stat_reset()").await;
    let (pool, since) = (fixture.store.pool().unwrap(), now - TimeDelta::hours(23));
    summary::summary(&pool, since).await.unwrap();
    day::day(&pool, now).await.unwrap();
    doctor::facts(&pool, since).await.unwrap();
    for alert in ["CostPerDay", "AvailabilityLow", "JsonParseFailing"] {
        examples::of_alert(&pool, alert, now).await.unwrap();
    }
    let from = since.timestamp_nanos_opt().unwrap();
    let trace = [TraceId([1; 16])];
    for wanted in [
        Wanted::Since(from, 100),
        Wanted::Traces(&trace, from, from + DAY),
    ] {
        fixture.store.stored_spans(wanted).await.unwrap();
    }
    let amendments = [Amendment {
        key: SpanKey::default(),
        started_at: from,
        change: Change::Counted(Counted::Yes),
    }];
    let batch = Batch {
        amendments: amendments.into(),
        ..Batch::default()
    };
    fixture.store.commit(&batch).await.unwrap();
    fixture.store.close().await;
    let read = fixture
        .query(
            "SELECT CAST(relname AS text) FROM pg_stat_user_tables \
             WHERE relname ~ '_[0-9]{8}$' AND seq_scan + coalesce(idx_scan, 0) > 0 ORDER BY 1",
        )
        .await;
    // In the day's last hour all of the 23 hours lie in it, but not the whole day that some ask about.
    let yesterday = (now - TimeDelta::days(1)).date_naive();
    let yesterday = yesterday.format("%Y%m%d").to_string();
    let is_new = |name: &String| name.rsplit('_').next() >= Some(yesterday.as_str());
    assert!(
        read.iter().any(|row| row[0].starts_with("llm_calls_")),
        "{read:?}"
    );
    let old: Vec<_> = read.iter().filter(|row| !is_new(&row[0])).collect();
    assert!(old.is_empty(), "{old:?}");
}
