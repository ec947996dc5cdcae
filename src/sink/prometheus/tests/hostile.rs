//! Many values, and hostile ones.

use std::{io::Write, path::Path, process::Stdio};

use prometheus::{Encoder, TextEncoder};

use super::{family, sink, total};
use crate::{record::*, sink::names};

fn call(provider: &str, model: &str, service: &str, operation: &str) -> Record {
    Record::LlmCall(Box::new(LlmCall {
        header: Header {
            completed_at: Some(1_000_000_000),
            service_name: Some(service.into()),
            ..Header::default()
        },
        provider: Some(provider.into()),
        model: Some(model.into()),
        operation: Some(operation.into()),
        error_type: Some(operation.into()),
        ttft_ms: Some(5.0),
        usage: Usage {
            prompt: Some(7),
            completion: Some(2),
            ..Usage::default()
        },
        cost: Some(Ok(Cost {
            usd: 0.5,
            rule: Default::default(),
            version: Default::default(),
        })),
        ..LlmCall::default()
    }))
}

#[test]
fn ten_thousand_models_fold_and_sums_stay_whole() {
    let (mut sink, registry) = sink();
    let calls: Vec<_> = (0..10_000)
        .map(|n| call("p", &format!("m{n}"), "s", "o"))
        .collect();
    sink.observe(&calls);
    for family in registry.gather() {
        let series = family.get_metric().len();
        assert!(series <= 151 * 2, "{}: {series} series", family.name());
    }
    assert_eq!(
        family(&registry, "genai_calls_total")
            .unwrap()
            .get_metric()
            .len(),
        151
    );
    assert_eq!(total(&registry, "genai_calls_total", &[]), 10_000.0);
    assert_eq!(
        total(&registry, "genai_calls_total", &[("model", "__other__")]),
        9_850.0
    );
    assert_eq!(
        total(&registry, "genai_tokens_total", &[("type", "input")]),
        70_000.0
    );
    let folded = total(
        &registry,
        "spanledger_labels_folded_total",
        &[("label", "model")],
    );
    assert_eq!(folded, 9_850.0);
}

#[test]
fn combinations_are_bounded_too() {
    let (mut sink, registry) = sink();
    for n in 0..30 {
        let calls: Vec<_> = (0..30 * 30)
            .map(|m| {
                call(
                    &format!("p{n}"),
                    &format!("m{}", m / 30),
                    &format!("s{}", m % 30),
                    "o",
                )
            })
            .collect();
        sink.observe(&calls);
    }
    let series = family(&registry, "genai_calls_total")
        .unwrap()
        .get_metric()
        .len();
    assert!((5_000..=5_001).contains(&series), "{series}");
    assert_eq!(total(&registry, "genai_calls_total", &[]), 27_000.0);
    assert!(
        total(
            &registry,
            "spanledger_labels_folded_total",
            &[("label", "combination")]
        ) > 0.0
    );
}

/// Scenario: a million calls, none of whose names was there before.
/// Guarantees: a page that Prometheus takes: few series, few bytes; nothing uncounted.
#[test]
fn a_million_names_make_a_small_page() {
    const CALLS: usize = 1_000_000;
    let (mut sink, registry) = sink();
    for first in (0..CALLS).step_by(10_000) {
        let calls: Vec<_> = (first..first + 10_000)
            .map(|n| {
                let name = |kind| format!("{kind}{n}");
                call(
                    &name("provider"),
                    &name("model"),
                    &name("service"),
                    &name("operation"),
                )
            })
            .collect();
        sink.observe(&calls);
    }
    let families = registry.gather();
    let mut page = Vec::new();
    TextEncoder::new().encode(&families, &mut page).unwrap();
    let series: usize = families
        .iter()
        .map(|family| family.get_metric().len())
        .sum();
    assert!(series <= 10_000, "{series} series");
    assert!(page.len() < 10 << 20, "{} bytes", page.len());
    assert_eq!(total(&registry, "genai_calls_total", &[]), CALLS as f64);
}

#[test]
fn impossible_numbers_feed_nothing() {
    let (mut sink, registry) = sink();
    let Record::LlmCall(mut bad) = call("p", "m", "s", "o") else {
        unreachable!()
    };
    bad.usage.prompt = Some(-5);
    bad.ttft_ms = Some(f64::NAN);
    bad.retry_count = Some(-1);
    bad.cost = Some(Ok(Cost {
        usd: -1.0,
        rule: Default::default(),
        version: Default::default(),
    }));
    sink.observe(&[Record::LlmCall(bad)]);
    assert_eq!(
        total(&registry, "genai_tokens_total", &[("type", "input")]),
        0.0
    );
    assert_eq!(total(&registry, "genai_cost_usd_total", &[]), 0.0);
    assert_eq!(total(&registry, "genai_calls_total", &[]), 1.0);
}

const HOSTILE: &[&str] = &[
    "quote\" and \\ and \n newline\r",
    "\",model=\"x\"} 1e9\n# TYPE evil counter\nevil 1\n",
    "\0\u{1b}[31m\u{7f}\u{85}",
    "\u{202e}gpt\u{200b}\u{fffd}😀",
    "{{.Value}} {%x%} <script>alert(1)</script>",
    "__name__",
    "__other__",
    "",
];

#[test]
fn hostile_text_is_only_text() {
    let (mut sink, registry) = sink();
    let long = "é".repeat(10_000);
    for text in HOSTILE.iter().copied().chain([long.as_str()]) {
        sink.observe(&[
            call(text, text, text, text),
            Record::PipelineRequest(Box::new(PipelineRequest {
                pipeline: Some(text.into()),
                framework: Some(text.into()),
                ..PipelineRequest::default()
            })),
            Record::CacheLookup(Box::new(CacheLookup {
                cache: text.into(),
                ..CacheLookup::default()
            })),
            Record::SttEvent(Box::new(SttEvent {
                billed: true,
                model: Some(text.into()),
                audio_duration_seconds: Some(1.0),
                ..SttEvent::default()
            })),
        ]);
    }
    let mut page = Vec::new();
    TextEncoder::new()
        .encode(&registry.gather(), &mut page)
        .unwrap();
    let text = String::from_utf8(page).unwrap();
    for line in text.lines() {
        let known = names::ALL.iter().any(|(name, ..)| {
            line.starts_with(name) || line.starts_with("# ") && line.split(' ').nth(2) == Some(name)
        });
        assert!(known, "{line}");
        assert!(line.len() < 1500, "{line}");
    }
    promtool(&text);
}

fn promtool(page: &str) {
    let tool = Path::new("/usr/bin/promtool");
    if !tool.exists() {
        eprintln!("skipped: no {}", tool.display());
        return;
    }
    let mut child = std::process::Command::new(tool)
        .args(["check", "metrics"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    child
        .stdin
        .take()
        .unwrap()
        .write_all(page.as_bytes())
        .unwrap();
    let output = child.wait_with_output().unwrap();
    let said = String::from_utf8_lossy(&output.stderr);
    let out = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success(), "{said}{out}");
    assert!(said.is_empty() && out.is_empty(), "{said}{out}");
}
