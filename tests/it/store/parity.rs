//! Both stores hold the same rows for the same records, in the columns that the design fixes.

use std::sync::Arc;

use serde_json::{Value, json};
use spanledger::record::*;

use super::fixture::{Fixture, NOON, call, fixture, header, on_both_stores};

/// The columns that dashboards and scripts rely on, in their order.
const FIXED: [(&str, &str); 6] = [
    (
        "llm_calls",
        "id, trace_id, span_id, parent_span_id, parent_call_id, call_type, operation, status, \
         counted, not_counted_why, provider, model, response_model, prompt, system_prompt, \
         response, prompt_length, response_length, temperature, top_p, max_tokens, \
         reasoning_level, finish_reason, streamed, prompt_tokens, completion_tokens, \
         total_tokens, cache_read_tokens, cache_write_tokens, reasoning_tokens, audio_seconds, \
         estimated_cost, reported_cost, price_rule, price_version, latency_ms, ttft_ms, \
         started_at, completed_at, error_type, error_message, error_severity, error_context, \
         retry_count, user_id, user_hash, session_id, task_id, company_id, review_id, \
         meeting_id, agenda_id, request_id, collection_name, experiment, variant, service_name, \
         environment, dialect, metadata, tags, created_at",
    ),
    (
        "stt_logs",
        "id, trace_id, span_id, recording_id, task_id, event_type, chunk_index, total_chunks, \
         started_at, completed_at, duration_seconds, audio_duration_seconds, \
         audio_file_size_bytes, transcript_length, word_count, provider, model, language, \
         estimated_cost, error_type, error_message, error_context, service_name, created_at",
    ),
    (
        "retrievals",
        "trace_id, span_id, parent_span_id, query, db_system, collection_name, top_k, hits, \
         best_score, score_kind, scores, rerank_enabled, rerank_model, counted, latency_ms, \
         status, error_type, session_id, service_name, started_at, created_at",
    ),
    (
        "cache_lookups",
        "trace_id, span_id, cache, key_hash, hit, started_at, service_name",
    ),
    (
        "json_parses",
        "trace_id, span_id, success, repaired, fallback, error_type, latency_ms, started_at, \
         service_name",
    ),
    (
        "pipeline_requests",
        "trace_id, span_id, pipeline, framework, status, matched, match_count, confidence, \
         fallback, retry_count, timed_out, regenerated, latency_ms, embedding_ms, \
         vector_search_ms, rerank_ms, llm_ms, json_parsing_ms, stt_ms, tokens, cost, user_id, \
         session_id, request_id, experiment, variant, service_name, error_type, started_at",
    ),
];

on_both_stores!(
    every_column_holds_what_its_record_says,
    tables_have_the_fixed_columns_and_no_others,
);

/// (name, type) of a table's columns, as the store itself tells them.
async fn columns(fixture: &Fixture, table: &str) -> Vec<(String, String)> {
    let sql = match fixture.url.starts_with("sqlite") {
        true => format!("SELECT name, type FROM pragma_table_info('{table}') ORDER BY cid"),
        false => format!(
            "SELECT CAST(column_name AS text), CAST(data_type AS text) \
             FROM information_schema.columns WHERE table_name = '{table}' ORDER BY ordinal_position"
        ),
    };
    let rows = fixture.query(&sql).await;
    rows.into_iter()
        .map(|mut row| (row.remove(0), row.remove(0)))
        .collect()
}

async fn tables_have_the_fixed_columns_and_no_others(name: &str) {
    let fixture = fixture(name).await;
    for (table, fixed) in FIXED {
        let names: Vec<String> = columns(&fixture, table)
            .await
            .into_iter()
            .map(|column| column.0)
            .collect();
        assert_eq!(names.join(", "), fixed, "{table}");
    }
}

/// A table as `column = value` lines, the same text for the same content in either store.
async fn dump(fixture: &Fixture, table: &str) -> String {
    let columns = columns(fixture, table).await;
    let selected: Vec<String> = columns
        .iter()
        .map(|(name, kind)| match kind.as_str() {
            "numeric" => format!("CAST({name} AS double precision)"),
            "jsonb" => format!("CAST({name} AS text)"),
            _ => name.clone(),
        })
        .collect();
    let order = match columns[0].0.as_str() {
        "id" => "id, started_at",
        _ => "trace_id, span_id, started_at",
    };
    let sql = format!(
        "SELECT {} FROM {table} ORDER BY {order}",
        selected.join(", ")
    );
    let mut text = String::new();
    for row in fixture.query(&sql).await {
        text += &format!("--- {table}\n");
        for ((column, kind), value) in columns.iter().zip(row) {
            text += &format!("{column} = {}\n", canonical(column, kind, value));
        }
    }
    text
}

/// Booleans and JSON look different in the two stores and mean the same.
fn canonical(column: &str, kind: &str, value: String) -> String {
    const FLAGS: [&str; 10] = [
        "counted",
        "streamed",
        "hit",
        "success",
        "repaired",
        "fallback",
        "matched",
        "timed_out",
        "regenerated",
        "rerank_enabled",
    ];
    const JSON: [&str; 4] = ["metadata", "tags", "error_context", "scores"];
    match value.as_str() {
        "NULL" => value,
        _ if kind == "boolean" => value,
        "1" if FLAGS.contains(&column) => "true".into(),
        "0" if FLAGS.contains(&column) => "false".into(),
        text if kind == "jsonb" || JSON.contains(&column) => {
            serde_json::from_str::<Value>(text).unwrap().to_string()
        }
        _ => format!("{value:?}"),
    }
}

/// One snapshot for both stores: every column has a value, and it is the same.
async fn every_column_holds_what_its_record_says(name: &str) {
    let fixture = fixture(name).await;
    assert_eq!(fixture.commit(&full()).await.inserted, 6);
    let mut all = String::new();
    for (table, _) in FIXED {
        all += &dump(&fixture, table).await;
    }
    assert!(
        !all.contains("NULL"),
        "a column that no record fills:\n{all}"
    );
    insta::with_settings!({ prepend_module_to_snapshot => false, omit_expression => true }, {
        insta::assert_snapshot!("every_column", all);
    });
}

fn context() -> Arc<Context> {
    let mut context = Context::default();
    for (column, _) in Context::default().fields() {
        *context.slot(column).unwrap() = Some(format!("a {column}").into());
    }
    Arc::new(context)
}

fn priced(usd: f64) -> Option<Result<Cost, Unpriced>> {
    Some(Ok(Cost {
        usd,
        rule: "a rule".into(),
        version: "a version".into(),
    }))
}

/// A record of each kind with nothing left out.
fn full() -> Vec<Record> {
    vec![
        Record::LlmCall(Box::new(LlmCall {
            parent_call: Some(header(7).key()),
            counted: Counted::No(NotCounted::Wrapper),
            call_type: CallType::Summarization,
            status: Status::Timeout,
            response_model: Some("gpt-4o-mini-2024-07-18".into()),
            system_prompt: Some("Be brief.".into()),
            response: Some("Ja.".into()),
            response_length: Some(3),
            top_p: Some(0.95),
            max_tokens: Some(512),
            reasoning_level: Some("low".into()),
            finish_reason: Some("stop".into()),
            usage: Usage {
                prompt: Some(100),
                completion: Some(20),
                total: Some(120),
                cache_read: Some(64),
                cache_write: Some(8),
                reasoning: Some(5),
                ..Usage::default()
            },
            audio_seconds: Some(1.25),
            cost: priced(0.000_027),
            reported_cost: Some(0.1 + 0.2),
            ttft_ms: Some(31.5),
            error_type: Some("rate_limit".into()),
            error_message: Some("slow down".into()),
            error_class: Some(ErrorClass::TokenLimit),
            error_context: Some(json!({"code": 429})),
            retry_count: Some(2),
            context: context(),
            origin: Origin {
                dialect: "otel",
                numbers: vec![("prompt_tokens", "gen_ai.usage.input_tokens", "")],
            },
            response_id: Some("resp_1".into()),
            ..call(1)
        })),
        Record::SttEvent(Box::new(SttEvent {
            header: header(2),
            event_type: SttEventType::ChunkComplete,
            ordinal: 3,
            chunk_index: Some(2),
            total_chunks: Some(4),
            audio_duration_seconds: Some(12.5),
            audio_file_size_bytes: Some(1 << 40),
            transcript_length: Some(99),
            word_count: Some(17),
            provider: Some("openai".into()),
            model: Some("whisper-1".into()),
            language: Some("ko".into()),
            cost: priced(0.001_25),
            error_type: Some("timeout".into()),
            error_message: Some("too long".into()),
            error_context: Some(json!({"chunk": 2})),
            context: context(),
            ..SttEvent::default()
        })),
        Record::Retrieval(Box::new(Retrieval {
            header: header(3),
            query: Some("which?".into()),
            db_system: Some("qdrant".into()),
            collection_name: Some("docs".into()),
            top_k: Some(5),
            hits: Some(2),
            best_score: Some(0.9),
            score_kind: Some(ScoreKind::Distance),
            scores: Some(vec![0.9, f64::NAN, 0.1]),
            rerank_enabled: Some(true),
            rerank_model: Some("rerank-v3".into()),
            counted: Counted::No(NotCounted::Duplicate),
            status: Status::Cancelled,
            error_type: Some("cancelled".into()),
            context: context(),
        })),
        Record::CacheLookup(Box::new(CacheLookup {
            header: header(4),
            cache: "prompt".into(),
            key_hash: Some("5f".into()),
            hit: true,
            context: context(),
        })),
        Record::JsonParse(Box::new(JsonParse {
            header: header(5),
            success: true,
            repaired: Some(true),
            fallback: Some(false),
            error_type: Some("trailing_comma".into()),
            context: context(),
        })),
        Record::PipelineRequest(Box::new(PipelineRequest {
            header: header(6),
            pipeline: Some("mapper".into()),
            framework: Some("GRI".into()),
            status: Status::Error,
            matched: Some(false),
            match_count: Some(3),
            confidence: Some(0.75),
            fallback: Some(true),
            retry_count: Some(1),
            timed_out: Some(false),
            regenerated: Some(true),
            stages: StageTimes {
                embedding_ms: Some(1.0),
                vector_search_ms: Some(2.0),
                rerank_ms: Some(3.5),
                llm_ms: Some(4.0),
                json_parsing_ms: Some(5.0),
                stt_ms: Some(6.0),
            },
            tokens: Some(120),
            cost: Some(0.000_027),
            error_type: Some("http_500".into()),
            context: context(),
        })),
    ]
}

/// Scenario: 300 calls whose every value is drawn from the worst ones known, into both stores.
/// Guarantees: none is refused, and the rows are equal, value by value.
#[tokio::test(flavor = "multi_thread")]
async fn hostile_records_make_equal_rows() {
    let records: Vec<Record> = (0..300).map(hostile).collect();
    let mut dumps = Vec::new();
    for name in ["sqlite", "postgres"] {
        let fixture = fixture(name).await;
        let committed = fixture.commit(&records).await;
        assert_eq!((committed.inserted, committed.quarantined), (300, 0));
        dumps.push(dump(&fixture, "llm_calls").await);
    }
    let [sqlite, postgres] = dumps.try_into().unwrap();
    for (number, (left, right)) in sqlite.lines().zip(postgres.lines()).enumerate() {
        assert_eq!(left, right, "line {number}");
    }
    assert_eq!(sqlite.len(), postgres.len());
}

/// A small generator with a fixed seed: the same records each time.
struct Draw(u64);

impl Draw {
    fn below(&mut self, n: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        (self.0 % n as u64) as usize
    }

    fn text(&mut self) -> Option<String> {
        const TEXTS: [&str; 14] = [
            "",
            "\0",
            "a\0secret",
            "\u{feff}bom",
            "\u{202e}bidi",
            "😀",
            "'; --",
            "\\u0000",
            "\\N",
            "\u{FFFD}",
            "{\"a\": 1}",
            "NULL",
            "\n\r\t\u{1}\u{7f}",
            "e\u{301}",
        ];
        match self.below(TEXTS.len() + 2) {
            0 => None,
            1 => Some("long ".repeat(20_000)),
            n => Some(TEXTS[n - 2].to_owned()),
        }
    }

    fn int(&mut self) -> Option<i64> {
        [
            None,
            Some(0),
            Some(-1),
            Some(i64::MAX),
            Some(i64::MIN),
            Some(1 << 53),
        ][self.below(6)]
    }

    fn float(&mut self) -> Option<f64> {
        const FLOATS: [f64; 9] = [
            f64::NAN,
            f64::INFINITY,
            f64::NEG_INFINITY,
            -0.0,
            5e-324,
            f64::MAX,
            0.1,
            1e15,
            -2.5,
        ];
        Some(FLOATS[self.below(FLOATS.len())])
    }

    fn time(&mut self) -> i64 {
        [0, -1, i64::MIN, i64::MAX, NOON, NOON + 999][self.below(6)]
    }

    fn json(&mut self) -> Option<Value> {
        let text = self.text().unwrap_or_default();
        let values = [
            Value::Null,
            json!({ text.clone(): [text, {"n": u64::MAX, "x": 1e300, "i": i64::MIN}] }),
            (0..100).fold(json!("deep"), |inner, _| json!([inner])),
            json!({"\0": 1, "\u{FFFD}": 2}),
        ];
        Some(values[self.below(values.len())].clone())
    }
}

fn hostile(n: u32) -> Record {
    let draw = &mut Draw(u64::from(n) * 2_654_435_761 + 88_172_645_463_325_252);
    let mut trace_id = [1; 16];
    trace_id[..4].copy_from_slice(&n.to_be_bytes());
    let mut call = LlmCall {
        header: Header {
            trace_id: TraceId(trace_id),
            started_at: draw.time(),
            completed_at: Some(draw.time()),
            received_at: draw.time(),
            service_name: draw.text().map(Into::into),
            ..header(1)
        },
        prompt: draw.text(),
        response: draw.text(),
        model: draw.text().map(Into::into),
        error_message: draw.text(),
        temperature: draw.float(),
        top_p: draw.float(),
        max_tokens: draw.int(),
        audio_seconds: draw.float(),
        reported_cost: draw.float(),
        cost: priced(draw.float().unwrap_or_default()),
        usage: Usage {
            prompt: draw.int(),
            completion: draw.int(),
            total: draw.int(),
            ..Usage::default()
        },
        error_context: draw.json(),
        metadata: draw.json().map(|json| json.to_string()),
        tags: Some(vec![draw.text().unwrap_or_default()]),
        ..LlmCall::default()
    };
    let context = Arc::make_mut(&mut call.context);
    for (column, _) in Context::default().fields() {
        *context.slot(column).unwrap() = draw.text().map(Into::into);
    }
    Record::LlmCall(Box::new(call))
}
