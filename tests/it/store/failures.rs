//! What a store does on its worst days.

use std::time::{Duration, Instant};

use prometheus::Registry;
use spanledger::{
    record::*,
    spool::Position,
    store::{Batch, Checkpoint, Config, PackedRows, Pool, Store},
};

use super::fixture::{Fixture, call, fixture, header, on_both_stores, one_of_each};
use crate::support::process::Folder;

on_both_stores!(
    a_commit_that_fails_leaves_nothing,
    a_refused_row_costs_itself_only,
    each_refused_event_of_a_span_is_kept,
    a_newer_schema_is_named_and_left_alone,
);

/// Makes the store refuse rows of `table` for which `column` is `value`.
pub async fn forbid(fixture: &Fixture, table: &str, column: &str, value: &str) {
    let sql = match fixture.url.starts_with("sqlite") {
        true => format!(
            "CREATE TRIGGER no_{table} BEFORE INSERT ON {table} WHEN NEW.{column} = {value} \
             BEGIN SELECT RAISE(ABORT, 'poison'); END"
        ),
        false => format!("ALTER TABLE {table} ADD CONSTRAINT poison CHECK ({column} <> {value})"),
    };
    fixture.query(&sql).await;
}

fn checkpoint(offset: u64) -> Option<Checkpoint> {
    Some(Checkpoint {
        spool_id: "s".into(),
        lane: "rows",
        position: Position::from_parts(1, offset),
    })
}

/// Scenario: the last statement of a commit, the checkpoint, fails after all rows went well.
/// Guarantees: neither rows nor checkpoint are there; the same rows are new in the next commit.
async fn a_commit_that_fails_leaves_nothing(name: &str) {
    let fixture = fixture(name).await;
    forbid(&fixture, "spool_checkpoints", "byte_offset", "13").await;
    let records = one_of_each();
    let batch = |offset| Batch {
        rows: PackedRows::of(records.clone(), &[]),
        checkpoint: checkpoint(offset),
        ..Batch::default()
    };
    fixture.store.commit(&batch(13)).await.unwrap_err();
    for table in ["llm_calls", "stt_logs", "retrievals", "pipeline_requests"] {
        let count = format!("SELECT count(*) FROM {table}");
        assert_eq!(fixture.query(&count).await, [["0"]], "{table}");
    }
    assert_eq!(fixture.store.checkpoint("s", "rows").await.unwrap(), None);
    let committed = fixture.store.commit(&batch(14)).await.unwrap();
    assert_eq!((committed.inserted, committed.duplicates), (7, 0));
}

/// Scenario: one row of sixty is refused; one before it is in the batch twice.
/// Guarantees: 59 are stored, the bad one is a dead letter, of the two the first one stays.
async fn a_refused_row_costs_itself_only(name: &str) {
    let fixture = fixture(name).await;
    forbid(&fixture, "llm_calls", "operation", "'poison'").await;
    let mut records: Vec<Record> = (1..=60)
        .map(|n| Record::LlmCall(Box::new(call(n))))
        .collect();
    if let Record::LlmCall(poison) = &mut records[41] {
        poison.operation = Some("poison".into());
    }
    records.push(Record::LlmCall(Box::new(LlmCall {
        prompt: Some("second".into()),
        ..call(1)
    })));
    let committed = fixture.commit(&records).await;
    assert_eq!(
        (
            committed.inserted,
            committed.duplicates,
            committed.quarantined
        ),
        (59, 1, 1)
    );
    let letters = fixture
        .query("SELECT table_name, \"row\" ->> 'operation' FROM dead_letters")
        .await;
    assert_eq!(letters, [["llm_calls", "poison"]]);
    let twice = format!(
        "SELECT prompt FROM llm_calls WHERE trace_id = '{}'",
        TraceId([1; 16])
    );
    assert_eq!(fixture.query(&twice).await, [["질문"]]);
}

async fn each_refused_event_of_a_span_is_kept(name: &str) {
    let fixture = fixture(name).await;
    forbid(&fixture, "stt_logs", "event_type", "'error'").await;
    let event = |ordinal| {
        Record::SttEvent(Box::new(SttEvent {
            header: header(1),
            ordinal,
            event_type: SttEventType::Error,
            ..SttEvent::default()
        }))
    };
    let committed = fixture.commit(&[event(0), event(1)]).await;
    assert_eq!((committed.inserted, committed.quarantined), (0, 2));
    let ids = fixture
        .query("SELECT id FROM dead_letters ORDER BY id")
        .await;
    let key = header(1).key();
    assert_eq!(ids, [[format!("{key}")], [format!("{key}-1")]]);
}

async fn a_newer_schema_is_named_and_left_alone(name: &str) {
    let fixture = fixture(name).await;
    let (success, checksum) = match name {
        "sqlite" => ("1", "x'00'"),
        _ => ("true", "'\\x00'"),
    };
    fixture
        .query(&format!(
            "INSERT INTO _sqlx_migrations (version, description, success, checksum, execution_time) \
             VALUES (9999, 'later', {success}, {checksum}, 0)"
        ))
        .await;
    let store = store(&fixture.url);
    let error = store.connect().await.unwrap_err();
    assert_eq!(
        error.to_string(),
        "the store's tables are those of a newer spanledger (migration 9999); run that one"
    );
    assert!(!error.is_retryable());
    assert!(!store.is_connected());
}

fn store(url: &str) -> Store {
    Store::new(
        Config {
            url: url.into(),
            ..Config::default()
        },
        &Registry::new(),
    )
    .unwrap()
}

#[test]
fn a_url_that_is_none_of_ours_is_refused_without_its_password() {
    for url in [
        "",
        "mysql://u:hunter2@h/d",
        "postgres://u:hunter2@[h/d",
        "postgres://u:hunter2@h:99999999/d",
        "sqlite:///x?mode=odd",
    ] {
        let error = Store::new(
            Config {
                url: url.into(),
                ..Config::default()
            },
            &Registry::new(),
        )
        .unwrap_err();
        let told = format!("{error} {error:?}");
        assert!(told.contains("store URL") && !told.contains('\n'), "{told}");
        assert!(!told.contains("hunter2"), "{told}");
        assert!(!error.is_retryable());
    }
}

/// Scenario: nobody listens; someone listens and never answers.
/// Guarantees: an error that says so within seconds, worth a retry, without the password.
#[tokio::test]
async fn a_server_that_is_not_there_is_told_at_once() {
    let silent = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let closed = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let [silent_at, closed_at] = [&silent, &closed].map(|l| l.local_addr().unwrap());
    drop(closed);
    for (address, says, within) in [
        (closed_at, "refused", Duration::from_secs(2)),
        (silent_at, "no answer within 5s", Duration::from_secs(8)),
    ] {
        let store = store(&format!("postgres://u:hunter2@{address}/d?sslmode=disable"));
        let started = Instant::now();
        let error = store.connect().await.unwrap_err();
        assert!(started.elapsed() < within, "{:?}", started.elapsed());
        let told = error.to_string();
        assert!(told.contains(says) && !told.contains("hunter2"), "{told}");
        assert!(error.is_retryable());
        assert!(!store.is_connected());
        let error = store.commit(&Batch::default()).await.unwrap_err();
        assert!(error.is_retryable());
    }
}

/// Scenario: the server throws everyone out and lets nobody in for a while.
/// Guarantees: the commit fails at once, worth a retry, and the same batch is stored once after.
#[tokio::test(flavor = "multi_thread")]
async fn an_outage_between_commits_costs_nothing() {
    let fixture = fixture("postgres").await;
    let (server, database) = fixture.url.rsplit_once('/').unwrap();
    let outside = crate::support::rows::Rows::postgres(&format!("{server}/postgres"));
    let ask = |sql: String| {
        std::thread::scope(|scope| scope.spawn(|| outside.query(&sql)).join().unwrap())
    };
    ask(format!("ALTER DATABASE {database} ALLOW_CONNECTIONS false"));
    ask(format!(
        "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = '{database}'"
    ));
    let records = one_of_each();
    let batch = Batch {
        rows: PackedRows::of(records.clone(), &[]),
        checkpoint: checkpoint(1),
        ..Batch::default()
    };
    let started = Instant::now();
    let error = fixture.store.commit(&batch).await.unwrap_err();
    assert!(error.is_retryable(), "{error}");
    assert!(started.elapsed() < Duration::from_secs(10));
    ask(format!("ALTER DATABASE {database} ALLOW_CONNECTIONS true"));
    if !fixture.store.is_connected() {
        fixture.store.connect().await.unwrap();
    }
    assert_eq!(fixture.store.commit(&batch).await.unwrap().inserted, 7);
}

/// Scenario: slow queries of pages have taken all connections.
/// Guarantees: a commit fails within seconds, worth a retry, and the pool is kept: it is stored as
/// soon as a connection is free.
#[tokio::test(flavor = "multi_thread")]
async fn a_busy_pool_is_not_a_lost_server() {
    let fixture = fixture("postgres").await;
    let Some(Pool::Postgres(pool)) = fixture.store.pool() else {
        panic!("not connected");
    };
    let mut taken = Vec::new();
    for _ in 0..pool.options().get_max_connections() {
        taken.push(pool.acquire().await.unwrap());
    }
    let batch = Batch {
        rows: PackedRows::of(one_of_each(), &[]),
        ..Batch::default()
    };
    let error = fixture.store.commit(&batch).await.unwrap_err();
    assert!(error.is_retryable(), "{error}");
    assert!(fixture.store.is_connected(), "{error}");
    drop(taken);
    assert_eq!(fixture.store.commit(&batch).await.unwrap().inserted, 7);
}

/// Scenario: the folder of the SQLite file can't be made.
/// Guarantees: one line that says why.
#[tokio::test]
async fn a_file_that_cannot_be_made_is_told() {
    let folder = Folder::new("store");
    std::fs::create_dir_all(folder.path()).unwrap();
    std::fs::write(folder.path().join("file"), "").unwrap();
    let path = folder.path().join("file/below/rows.db");
    let store = store(&format!("sqlite://{}", path.display()));
    let told = store.connect().await.unwrap_err().to_string();
    assert!(
        told.contains("Not a directory") && !told.contains('\n'),
        "{told}"
    );
}
