//! A store to test, and rows to put into it.

use std::num::NonZeroU32;

use prometheus::Registry;
use serde_json::json;
use spanledger::{
    record::*,
    store::{Batch, Committed, Config, PackedRows, Store},
};

use crate::support::{
    postgres::{Database, database},
    process::Folder,
    rows::Rows,
};

/// 2026-11-20T12:00:00Z.
pub const NOON: i64 = 1_795_176_000_000_000_000;

/// A store of the test's own. The fields after it keep what it lives in.
pub struct Fixture {
    pub store: Store,
    pub url: String,
    rows: Rows,
    _folder: Folder,
    _database: Option<Database>,
}

pub async fn fixture(name: &str) -> Fixture {
    keeping(name, None).await
}

/// A store that keeps rows for so many days.
pub async fn keeping(name: &str, keep_days: Option<NonZeroU32>) -> Fixture {
    let folder = Folder::new("store");
    let database = (name == "postgres").then(database);
    let (url, rows) = match &database {
        Some(database) => (database.url(), Rows::postgres(&database.url())),
        None => {
            let path = folder.path().join("rows.db");
            (format!("sqlite://{}", path.display()), Rows::sqlite(&path))
        }
    };
    let store = Store::new(
        Config {
            url: url.clone().into(),
            keep_days,
        },
        &Registry::new(),
    )
    .unwrap();
    store.connect().await.unwrap();
    Fixture {
        store,
        url,
        rows,
        _folder: folder,
        _database: database,
    }
}

impl Fixture {
    pub async fn commit(&self, records: &[Record]) -> Committed {
        self.store
            .commit(&Batch {
                rows: PackedRows::of(records.to_vec(), &[]),
                ..Batch::default()
            })
            .await
            .unwrap()
    }

    pub async fn query(&self, sql: &str) -> Vec<Vec<String>> {
        // `Rows` has a runtime of its own.
        std::thread::scope(|scope| scope.spawn(|| self.rows.query(sql)).join().unwrap())
    }
}

/// Each test twice, with the store's name.
macro_rules! on_both_stores {
    ($($test:ident),+ $(,)?) => {
        mod sqlite { $(#[tokio::test(flavor = "multi_thread")] async fn $test() { super::$test("sqlite").await; })+ }
        mod postgres { $(#[tokio::test(flavor = "multi_thread")] async fn $test() { super::$test("postgres").await; })+ }
    };
}

pub(crate) use on_both_stores;

pub fn header(n: u8) -> Header {
    Header {
        trace_id: TraceId([n; 16]),
        span_id: SpanId([n; 8]),
        parent_span_id: Some(SpanId([99; 8])),
        started_at: NOON + i64::from(n) * 1_000_000,
        completed_at: Some(NOON + i64::from(n) * 1_000_000 + 2_500_000_000),
        received_at: NOON + 9_000_000_000,
        service_name: Some("shop".into()),
    }
}

pub fn call(n: u8) -> LlmCall {
    LlmCall {
        header: header(n),
        model: Some("gpt-4o-mini".into()),
        provider: Some("openai".into()),
        operation: Some("summary".into()),
        prompt: Some("질문".into()),
        prompt_length: Some(2),
        usage: Usage {
            prompt: Some(100),
            completion: Some(20),
            total: Some(120),
            ..Usage::default()
        },
        cost: Some(Ok(Cost {
            usd: 0.000_027,
            rule: "openai/gpt-4o-mini".into(),
            version: "v".into(),
        })),
        temperature: Some(0.2),
        streamed: Some(true),
        tags: Some(vec!["a".into()]),
        metadata: Some(json!({"k": [1, "two"]}).to_string()),
        dialect: "otel",
        ..LlmCall::default()
    }
}

pub fn one_of_each() -> Vec<Record> {
    vec![
        Record::LlmCall(Box::new(call(1))),
        Record::SttEvent(Box::new(SttEvent {
            header: header(2),
            audio_duration_seconds: Some(12.5),
            ..SttEvent::default()
        })),
        Record::SttEvent(Box::new(SttEvent {
            header: header(2),
            ordinal: 1,
            event_type: SttEventType::ChunkComplete,
            ..SttEvent::default()
        })),
        Record::Retrieval(Box::new(Retrieval {
            header: header(3),
            scores: Some(vec![0.9, 0.1]),
            best_score: Some(0.9),
            ..Retrieval::default()
        })),
        Record::CacheLookup(Box::new(CacheLookup {
            header: header(4),
            cache: "prompt".into(),
            hit: true,
            ..CacheLookup::default()
        })),
        Record::JsonParse(Box::new(JsonParse {
            header: header(5),
            success: true,
            ..JsonParse::default()
        })),
        Record::PipelineRequest(Box::new(PipelineRequest {
            header: header(6),
            confidence: Some(0.5),
            ..PipelineRequest::default()
        })),
    ]
}
