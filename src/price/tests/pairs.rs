//! The sum against expectations that were worked out by other means, and the user's own prices.

use chrono::{NaiveDate, NaiveTime};

use super::{NOW, SHIPPED, call, tokens};
use crate::{
    price::{Own, OwnModel, Table},
    record::{Retrieval, Unpriced, Usage},
};

#[test]
fn every_pair_costs_what_the_published_prices_say() {
    let mut wrong = Vec::new();
    let mut rows = 0;
    for line in include_str!("pairs.tsv").lines() {
        if line.starts_with('#') {
            continue;
        }
        rows += 1;
        let fields: Vec<&str> = line.split('\t').collect();
        let [provider, model, day, tier, counts @ .., usd] = fields.as_slice() else {
            panic!("{line}");
        };
        let count = |at: usize| counts[at].parse::<i64>().unwrap();
        let some = |count: i64| (count > 0).then_some(count);
        let mut call = call(
            provider,
            model,
            Usage {
                cache_read: some(count(2)),
                cache_write: some(count(3)),
                cache_write_1h: some(count(4)),
                reasoning: some(count(5)),
                audio_input: some(count(6)),
                audio_output: some(count(7)),
                ..tokens(count(0), count(1))
            },
        );
        let noon = NaiveTime::from_hms_opt(12, 0, 0).unwrap();
        let at = day.parse::<NaiveDate>().unwrap().and_time(noon).and_utc();
        call.header.started_at = at.timestamp_nanos_opt().unwrap();
        call.service_tier = (!tier.is_empty()).then(|| (*tier).into());
        let want: f64 = usd.parse().unwrap();
        match SHIPPED.charge(&call) {
            Ok(charge) if (charge.usd - want).abs() <= 1e-12_f64.max(want * 1e-12) => {}
            other => wrong.push(format!("{line}\n    got {other:?}")),
        }
    }
    assert!(rows >= 300, "only {rows} pairs");
    assert!(
        wrong.is_empty(),
        "{} wrong\n{}",
        wrong.len(),
        wrong.join("\n")
    );
}

#[test]
fn a_tier_is_in_the_rule_and_an_unknown_one_is_told() {
    let mut call = call("openai", "gpt-4o", tokens(1000, 100));
    call.service_tier = Some("Batch".into());
    assert_eq!(SHIPPED.charge(&call).unwrap().rule, "openai/gpt-4o+batch");
    call.service_tier = Some("default".into());
    let standard = SHIPPED.charge(&call).unwrap();
    assert_eq!((&*standard.rule, &standard.note), ("openai/gpt-4o", &None));
    call.service_tier = Some("turbo".into());
    let unknown = SHIPPED.charge(&call).unwrap();
    assert_eq!(unknown.usd, standard.usd);
    assert!(unknown.note.unwrap().contains("turbo"));
}

fn own(text: &str) -> Own {
    toml::from_str(text).unwrap()
}

#[test]
fn what_is_paid_by_contract_wins_and_aliases_come_last() {
    let table = Table::shipped()
        .with(own(r#"
        aliases = { "chat-prod" = "azure.ai.openai/gpt-4o", "house" = "gpt-4o-mini" }
        models = [
            { provider = "openai", id = "gpt-4o", match = ["gpt-4o*"], input = 2.0, output = 8.0 },
            { id = "own-llm", match = ["own-llm"], input = 0.1, output = 0.2 },
        ]
    "#))
        .unwrap();
    let cost = |provider: &str, model: &str| {
        let charge = table.charge(&call(provider, model, tokens(1_000_000, 0)));
        charge.map(|charge| (charge.rule, charge.usd))
    };
    assert_eq!(
        cost("openai", "gpt-4o"),
        Ok(("contract/gpt-4o".into(), 2.0))
    );
    assert_eq!(
        cost("azure.ai.openai", "gpt-4o").unwrap().1,
        2.5,
        "another provider"
    );
    assert_eq!(
        cost("my-gateway", "own-llm").unwrap().1,
        0.1,
        "any provider"
    );
    assert_eq!(cost("my-gateway", "chat-prod").unwrap().1, 2.5);
    assert_eq!(cost("my-gateway", "House").unwrap().0, "openai/gpt-4o-mini");
    assert_eq!(cost("my-gateway", "gpt-4.1"), Err(Unpriced::UnknownModel));
}

#[test]
fn wrong_prices_of_ones_own_are_refused() {
    let refused = |text| Table::shipped().with(own(text)).unwrap_err().to_string();
    assert!(refused(r#"aliases = { "a" = "no-such-model" }"#).contains("no-such-model"));
    let rate = refused(r#"models = [{ id = "x", match = ["x"], input = -1.0 }]"#);
    assert!(rate.contains("from 0 to a billion"), "{rate}");
    assert!(refused(r#"models = [{ id = "x", match = [], input = 1.0 }]"#).contains("match"));
}

#[test]
fn a_rerank_is_charged_by_the_query() {
    let mut search = Retrieval {
        rerank_model: Some("rerank-english-v3.0".into()),
        ..Retrieval::default()
    };
    search.header.started_at = NOW;
    let charge = SHIPPED.charge_rerank(&search).unwrap();
    assert_eq!((charge.lines[0].part, charge.usd), ("query", 0.002));
    search.rerank_model = Some("my-reranker".into());
    assert_eq!(SHIPPED.charge_rerank(&search), Err(Unpriced::UnknownModel));
}

#[test]
fn own_prices_are_printed_as_they_are_read() {
    let text = r#"models = [{ id = "m", match = ["m"], from = "2026-01-01", input = [[0, 1.0], [10, 2.0]] }]"#;
    let models: Vec<OwnModel> = own(text).models;
    let printed = toml::to_string(&Own {
        models: models.clone(),
        ..Own::default()
    })
    .unwrap();
    let again = own(&printed).models;
    assert_eq!(format!("{models:?}"), format!("{again:?}"));
}
