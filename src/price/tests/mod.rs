mod pairs;

use proptest::prelude::*;

use super::Table;
use crate::record::{Header, LlmCall, Record, SttEvent, Unpriced, Usage};

/// 2026-11-20.
const NOW: i64 = 1_795_176_000_000_000_000;
const M: f64 = 1e6;

static SHIPPED: std::sync::LazyLock<Table> = std::sync::LazyLock::new(Table::shipped);

fn call(provider: &str, model: &str, usage: Usage) -> LlmCall {
    LlmCall {
        header: Header {
            started_at: NOW,
            ..Header::default()
        },
        provider: (!provider.is_empty()).then(|| provider.into()),
        model: (!model.is_empty()).then(|| model.into()),
        usage,
        ..LlmCall::default()
    }
}

fn tokens(input: i64, output: i64) -> Usage {
    Usage {
        prompt: Some(input),
        completion: Some(output),
        ..Usage::default()
    }
}

fn usd(provider: &str, model: &str, usage: Usage) -> Result<f64, Unpriced> {
    SHIPPED
        .charge(&call(provider, model, usage))
        .map(|charge| charge.usd)
}

fn costs(provider: &str, model: &str, usage: Usage, expected: f64) {
    let got =
        usd(provider, model, usage).unwrap_or_else(|why| panic!("{provider} {model}: {why:?}"));
    assert!(
        (got - expected).abs() < 1e-12,
        "{provider} {model}: {got} instead of {expected}"
    );
}

/// Published list prices, USD for a million tokens: (provider, model, input, output).
const LIST: &[(&str, &str, f64, f64)] = &[
    ("openai", "gpt-4o-mini", 0.15, 0.60),
    ("openai", "gpt-4o-mini-2024-07-18", 0.15, 0.60),
    ("openai", "gpt-4o", 2.50, 10.0),
    ("openai", "gpt-4.1", 2.0, 8.0),
    ("openai", "gpt-4.1-2025-04-14", 2.0, 8.0),
    ("openai", "gpt-4.1-mini", 0.40, 1.60),
    ("openai", "gpt-4.1-nano", 0.10, 0.40),
    ("openai", "o4-mini", 1.10, 4.40),
    ("openai", "o3", 2.0, 8.0),
    ("openai", "gpt-5", 1.25, 10.0),
    ("openai", "gpt-5-mini", 0.25, 2.0),
    ("openai", "gpt-5-nano", 0.05, 0.40),
    ("openai", "gpt-3.5-turbo", 0.50, 1.50),
    ("openai", "openai/gpt-4o-mini", 0.15, 0.60),
    ("openai", "GPT-4o-Mini", 0.15, 0.60),
    ("azure.ai.openai", "gpt-4.1", 2.0, 8.0),
    ("azure.ai.openai", "gpt-4o-mini", 0.15, 0.60),
    ("anthropic", "claude-sonnet-4-5", 3.0, 15.0),
    ("anthropic", "claude-sonnet-4-5-20250929", 3.0, 15.0),
    ("anthropic", "claude-haiku-4-5", 1.0, 5.0),
    ("anthropic", "claude-haiku-4-5-20251001", 1.0, 5.0),
    ("anthropic", "claude-3-5-sonnet-20241022", 3.0, 15.0),
    ("anthropic", "claude-3-5-haiku-latest", 0.80, 4.0),
    ("anthropic", "claude-opus-4-1", 15.0, 75.0),
    ("gcp.vertex_ai", "claude-haiku-4-5@20251001", 1.0, 5.0),
    ("gcp.gemini", "gemini-2.5-flash", 0.30, 2.50),
    ("gcp.gemini", "models/gemini-2.5-flash", 0.30, 2.50),
    ("gcp.vertex_ai", "gemini-2.5-pro", 1.25, 10.0),
    ("gcp.gen_ai", "gemini-2.5-flash-lite", 0.10, 0.40),
    ("deepseek", "deepseek-chat", 0.27, 1.10),
    ("x_ai", "grok-4", 3.0, 15.0),
    ("", "gpt-4o-mini", 0.15, 0.60),
    ("", "claude-haiku-4-5", 1.0, 5.0),
];

#[test]
fn list_prices() {
    for (provider, model, input, output) in LIST {
        let expected = 1234.0 * input / M + 567.0 * output / M;
        costs(provider, model, tokens(1234, 567), expected);
    }
}

#[test]
fn embeddings_have_no_output_price() {
    let input = Usage {
        prompt: Some(1000),
        ..Usage::default()
    };
    costs("openai", "text-embedding-3-small", input, 1000.0 * 0.02 / M);
    costs("openai", "text-embedding-3-large", input, 1000.0 * 0.13 / M);
}

#[test]
fn cache_is_a_part_of_the_input() {
    let read = Usage {
        cache_read: Some(800),
        ..tokens(1000, 100)
    };
    let expected = 200.0 * 0.15 / M + 800.0 * 0.075 / M + 100.0 * 0.60 / M;
    costs("openai", "gpt-4o-mini", read, expected);
    let anthropic = Usage {
        cache_read: Some(4096),
        cache_write: Some(2048),
        cache_write_1h: Some(1000),
        ..tokens(6347, 61)
    };
    let expected = 203.0 * 3.0 / M
        + 4096.0 * 0.30 / M
        + 1048.0 * 3.75 / M
        + 1000.0 * 6.0 / M
        + 61.0 * 15.0 / M;
    costs("anthropic", "claude-sonnet-4-5", anthropic, expected);
}

#[test]
fn reasoning_is_a_part_of_the_output() {
    let usage = Usage {
        reasoning: Some(90),
        ..tokens(100, 100)
    };
    costs(
        "openai",
        "o4-mini",
        usage,
        100.0 * 1.10 / M + 100.0 * 4.40 / M,
    );
}

#[test]
fn long_context_has_a_tier_of_its_own() {
    costs(
        "gcp.gemini",
        "gemini-2.5-pro",
        tokens(200_000, 10),
        200_000.0 * 1.25 / M + 10.0 * 10.0 / M,
    );
    costs(
        "gcp.gemini",
        "gemini-2.5-pro",
        tokens(200_001, 10),
        200_001.0 * 2.50 / M + 10.0 * 15.0 / M,
    );
}

#[test]
fn audio_input_has_a_rate_of_its_own() {
    let usage = Usage {
        audio_input: Some(600),
        ..tokens(1000, 0)
    };
    costs(
        "gcp.gemini",
        "gemini-2.5-flash",
        usage,
        400.0 * 0.30 / M + 600.0 * 1.0 / M,
    );
}

#[test]
fn prices_hold_from_their_day_on() {
    let table = Table::parse(
        r#"version = "t"
        providers = { p = ["l"] }
        [models]
        l = [
            { id = "m", match = ["m", "m-*"], input = 1 },
            { id = "m", match = ["m", "m-*"], from = "2026-09-01", input = 2 },
        ]"#,
    )
    .unwrap();
    let cost = |model: &str, at: i64| {
        let mut call = call(
            "p",
            model,
            Usage {
                prompt: Some(1_000_000),
                ..Usage::default()
            },
        );
        call.header.started_at = at;
        let charge = table.charge(&call).unwrap();
        (charge.usd, charge.rule)
    };
    let august = NOW - 90 * 86_400_000_000_000;
    assert_eq!(cost("m", august), (1.0, "l/m".into()));
    assert_eq!(cost("m", NOW), (2.0, "l/m@2026-09-01".into()));
    assert_eq!(cost("m-x", august).0, 1.0);
    assert_eq!(cost("m-x", NOW).0, 2.0);
}

#[test]
fn what_is_unknown_has_no_cost() {
    assert_eq!(
        usd("openai", "acme-7b-internal", tokens(1, 1)),
        Err(Unpriced::UnknownModel)
    );
    // A local model of a priced name is not what the price is for.
    assert_eq!(
        usd("ollama", "gpt-4o-mini", tokens(1, 1)),
        Err(Unpriced::UnknownModel)
    );
    assert_eq!(usd("openai", "", tokens(1, 1)), Err(Unpriced::NoModel));
    assert_eq!(
        usd("openai", "gpt-4o-mini", Usage::default()),
        Err(Unpriced::NoUsage)
    );
}

#[test]
fn speech_is_charged_by_the_second_once() {
    let mut record = Record::SttEvent(Box::new(SttEvent {
        header: Header {
            started_at: NOW,
            ..Header::default()
        },
        provider: Some("openai".into()),
        model: Some("whisper-1".into()),
        audio_duration_seconds: Some(60.0),
        billed: true,
        ..SttEvent::default()
    }));
    Table::shipped().price(&mut record);
    let Record::SttEvent(event) = record else {
        unreachable!()
    };
    let cost = event.cost.unwrap().unwrap();
    assert!((cost.usd - 60.0 * 0.0001).abs() < 1e-12);
    assert_eq!(cost.rule, "openai/whisper-1");
}

#[test]
fn a_model_sold_by_the_second_costs_seconds_whatever_its_tokens() {
    let mut spoken = call("openai", "whisper-1", tokens(100, 20));
    spoken.audio_seconds = Some(30.0);
    let charge = SHIPPED.charge(&spoken).unwrap();
    assert!((charge.usd - 30.0 * 0.0001).abs() < 1e-12);
}

#[test]
fn a_wrong_table_says_what_is_wrong() {
    for (text, hint) in [
        ("version = 1", "version"),
        (
            "version = \"v\"\nproviders = { p = [\"x\"] }\n[models]",
            "\"x\"",
        ),
        (
            "version = \"v\"\n[models]\nl = [{ id = \"m\", match = [\"m\"], input = -1 }]",
            "l/m",
        ),
    ] {
        let error = Table::parse(text).unwrap_err().to_string();
        assert!(error.contains(hint), "{error}");
    }
}

proptest! {
    #![proptest_config(crate::property_tests(256))]

    #[test]
    fn a_cost_is_finite_not_negative_and_grows_with_the_tokens(
        model in prop::sample::select(LIST.iter().map(|row| (row.0, row.1)).collect::<Vec<_>>()),
        numbers in prop::collection::vec(prop::option::of(-5i64..1 << 40), 8),
        more in 0i64..1 << 30,
    ) {
        let usage = Usage {
            prompt: numbers[0], completion: numbers[1], cache_read: numbers[2],
            cache_write: numbers[3], cache_write_1h: numbers[4], reasoning: numbers[5],
            audio_input: numbers[6], audio_output: numbers[7], ..Usage::default()
        };
        if let Ok(cost) = usd(model.0, model.1, usage) {
            prop_assert!(cost.is_finite() && cost >= 0.0);
            let larger = Usage {
                completion: Some(usage.completion.unwrap_or(0).max(0) + more),
                ..usage
            };
            prop_assert!(usd(model.0, model.1, larger).unwrap() >= cost);
        }
    }
}
