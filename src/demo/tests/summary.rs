//! The last word, as people and scripts read it.

use std::collections::BTreeMap;

use crate::demo::ledger::{Ledger, ModelSums};
use crate::demo::paint::Paint;
use crate::demo::summary::Summary;
use crate::query::landed::{Landed, ModelLine, SlowTrace};

/// A run that landed whole.
fn sides() -> (Ledger, Landed) {
    let sums = |calls, input_tokens, output_tokens, unpriced| ModelSums {
        calls,
        input_tokens,
        output_tokens,
        unpriced,
        ..ModelSums::default()
    };
    let sent = Ledger {
        spans: 1_204,
        exported: 1_204,
        requests: 90,
        failed_requests: 2,
        calls: 18,
        failed_calls: 1,
        wrappers: 7,
        input_tokens: 22_800,
        output_tokens: 1_250,
        models: BTreeMap::from([
            ("acme-7b-internal", sums(8, 13_389, 460, true)),
            ("gpt-4.1-mini", sums(10, 9_411, 790, false)),
        ]),
        cache_hits: 3,
        cache_misses: 1,
        parses: 2,
        speech_events: BTreeMap::from([("complete", 1), ("start", 1)]),
        services: BTreeMap::from([("esg-mapper", 30), ("support-chatbot", 60)]),
        ..Ledger::default()
    };
    let line = |model: &str, calls, input, output, cost_usd| ModelLine {
        model: model.to_owned(),
        provider: None,
        calls,
        input_tokens: Some(input),
        output_tokens: Some(output),
        cost_usd,
    };
    let landed = Landed {
        spans: 1_204,
        requests: 90,
        failed_requests: 2,
        calls: 18,
        failed_calls: 1,
        not_counted: 7,
        unpriced_calls: 8,
        input_tokens: 22_800,
        output_tokens: 1_250,
        cost_usd: 0.005_028,
        models: vec![
            line("gpt-4.1-mini", 10, 9_411, 790, Some(0.005_028)),
            line("acme-7b-internal", 8, 13_389, 460, None),
        ],
        errors: BTreeMap::from([("timeout".to_owned(), 2)]),
        cache_lookups: 4,
        json_parses: 2,
        speech_events: 2,
        billed_audio_seconds: 90.0,
        slowest: Some(SlowTrace {
            trace_id: "18eb1a24fc0f533187a67a24f0334155".to_owned(),
            service_name: Some("support-chatbot".to_owned()),
            pipeline: Some("support_rag".to_owned()),
            latency_ms: 31_204.0,
        }),
        ..Landed::default()
    };
    (sent, landed)
}

fn text_of(summary: &Summary, paint: Paint) -> String {
    let mut text = Vec::new();
    summary.write_text(&mut text, paint).unwrap();
    String::from_utf8(text).unwrap()
}

#[test]
fn people_read_this() {
    let (sent, landed) = sides();
    let summary = Summary::new(sent, landed);
    insta::assert_snapshot!(text_of(&summary, Paint::Plain), @r"
    Requests
      esg-mapper                      30
      support-chatbot                 60
      in the ledger                   90  2 failed

    Model calls, each counted once
      model                        calls    tokens in   tokens out     cost USD
      gpt-4.1-mini                    10        9,411          790     0.005028
      acme-7b-internal                 8       13,389          460     no price
      total                           18       22,800        1,250     0.005028
      cost of 1.5 minutes of speech included
      failed: 1; without a price: 8; wrapping spans, not counted: 7

    Errors
      timeout                          2

    Slowest request 31.2 s, support_rag, trace 18eb1a24fc0f533187a67a24f0334155

    1,204 spans sent, 1,204 acknowledged, 1,204 in the ledger: every span is accounted for
    ");
    assert!(
        text_of(&summary, Paint::Colour).contains("\x1b[1;32mevery span is accounted for\x1b[0m")
    );
}

#[test]
fn scripts_read_this() {
    let (sent, landed) = sides();
    let mut json = Vec::new();
    Summary::new(sent, landed).write_json(&mut json).unwrap();
    let json: serde_json::Value = serde_json::from_slice(&json).unwrap();
    assert_eq!(json["accounted_for"], true);
    assert_eq!(json["differences"], serde_json::json!([]));
    assert_eq!(json["sent"]["spans"], 1_204);
    assert_eq!(
        json["landed"]["models"][1]["cost_usd"],
        serde_json::Value::Null
    );
}

#[test]
fn what_differs_is_told() {
    let (sent, mut landed) = sides();
    landed.calls = 17;
    landed.models.pop();
    let summary = Summary::new(sent.clone(), landed);
    assert!(!summary.accounted_for);
    assert_eq!(
        summary.differences,
        [
            "calls: 18 sent, 17 in the ledger",
            "input tokens of acme-7b-internal: 13389 sent, 0 in the ledger",
            "output tokens of acme-7b-internal: 460 sent, 0 in the ledger",
        ]
    );
    assert!(text_of(&summary, Paint::Plain).contains("the two sides differ\n  calls: 18 sent"));

    let (_, landed) = sides();
    let sent = Ledger {
        exported: 1_200,
        failed: 3,
        export_error: Some("code: Unavailable".to_owned()),
        ..sent
    };
    assert_eq!(
        Summary::new(sent, landed).differences,
        [
            "3 spans were not sent: code: Unavailable",
            "1 spans never left the SDK"
        ]
    );
}
