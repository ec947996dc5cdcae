//! Price tables, a user's own prices and other people's price files: any text is read or refused;
//! what is read gives no cost that is negative or not a number, and an imported table reads back.

use std::{cell::RefCell, collections::BTreeMap};

use spanledger::{
    price::{Model, Own, OwnModel, Rate, Rates, Table, import},
    record::{LlmCall, Record, SttEvent, Usage},
};

use super::draw::Draw;

thread_local! {
    static SHIPPED: RefCell<Table> = RefCell::new(Table::shipped());
}

/// A brace or bracket: a price file of others. Blanks, letters, `#`: a table. Else choices.
pub fn run(input: &[u8]) {
    let text = String::from_utf8_lossy(input);
    match input.first() {
        Some(b'{') => imported(&text),
        Some(0..=8) => chosen(&mut Draw::new(input)),
        _ => {
            if let Ok(table) = Table::parse(&text) {
                charge(&table, &mut Draw::new(input));
            }
            imported(&text);
        }
    }
}

fn imported(text: &str) {
    let Ok(json) = serde_json::from_str(text) else {
        return;
    };
    // Reading the shipped table costs a thousand times more than refusing a text.
    if import::format_of(&json).is_none() {
        assert!(import::import(text, "v").is_err());
        return;
    }
    if let Ok(imported) = import::import(text, "v") {
        Table::parse(&imported.toml).expect("an imported table reads back");
        charge(&imported.table, &mut Draw::new(text.as_bytes()));
    }
}

/// A table of one's own over ours.
fn chosen(draw: &mut Draw<'_>) {
    const NAMES: &[&str] = &["", "*", "a*", "*b", "*c*", "gpt-4o", "GPT-4O", "é*", "**"];
    let mut own = Own::default();
    for _ in 0..draw.below(4) {
        let rates = Rates {
            input: rate(draw),
            output: rate(draw),
            cache_read: rate(draw),
            cache_write_1h: rate(draw),
            reasoning: rate(draw),
            second: draw.once_in(3).then(|| number(draw)),
            request: draw.once_in(3).then(|| number(draw)),
            ..Rates::default()
        };
        own.models.push(OwnModel {
            provider: draw.once_in(2).then(|| "openai".to_owned()),
            model: Model {
                id: draw.text(6),
                names: (0..draw.below(3))
                    .map(|_| draw.one_of(NAMES).to_owned())
                    .collect(),
                from: None,
                rates,
                tiers: BTreeMap::from([("batch".to_owned(), number(draw))]),
            },
        });
    }
    let text = "version = \"v\"\n[providers]\nopenai = [\"l\"]\n[aliases]\nx = \"openai/a\"\n\
                [[models.l]]\nid = \"a\"\nmatch = [\"a\", \"gpt*\"]\ninput = 1.0\noutput = [[0, 2.0], [9, 3.0]]\n";
    let table = Table::parse(text).expect("a table");
    if let Ok(table) = table.with(own) {
        charge(&table, draw);
    }
}

fn rate(draw: &mut Draw<'_>) -> Option<Rate> {
    match draw.below(3) {
        0 => None,
        1 => Some(Rate::Flat(number(draw))),
        _ => Some(Rate::Tiers(
            (0..draw.below(3))
                .map(|_| (draw.u64(), number(draw)))
                .collect(),
        )),
    }
}

fn number(draw: &mut Draw<'_>) -> f64 {
    match draw.below(4) {
        0 => 1.5,
        1 => f64::from_bits(draw.u64()),
        2 => f64::MAX,
        _ => f64::from(draw.byte()),
    }
}

/// Seconds of audio that the mapper lets through, at most.
const LONGEST: f64 = 366.0 * 86_400.0;

/// Calls of every size, by any name: what the mapper lets through is at most 2^40 of a kind.
fn charge(table: &Table, draw: &mut Draw<'_>) {
    let tokens = |draw: &mut Draw<'_>| match draw.below(4) {
        0 => None,
        1 => Some(1 << 40),
        2 => Some((draw.u64() >> 24) as i64),
        _ => Some(i64::from(draw.byte())),
    };
    for _ in 0..3 {
        let call = LlmCall {
            provider: draw
                .once_in(2)
                .then(|| draw.one_of(&["openai", "x", ""]).into()),
            model: Some(match draw.below(3) {
                0 => draw.text(12).into(),
                _ => draw
                    .one_of(&["a", "gpt-4o", "ab", "x", "us.a-v1:0", "a-2024-07-18"])
                    .into(),
            }),
            service_tier: draw.once_in(3).then(|| "batch".into()),
            audio_seconds: draw.once_in(3).then(|| number(draw).min(LONGEST)),
            usage: Usage {
                prompt: tokens(draw),
                completion: tokens(draw),
                cache_read: tokens(draw),
                cache_write: tokens(draw),
                cache_write_1h: tokens(draw),
                reasoning: tokens(draw),
                audio_input: tokens(draw),
                audio_output: tokens(draw),
                ..Usage::default()
            },
            ..LlmCall::default()
        };
        let speech = SttEvent {
            billed: true,
            model: call.model.clone(),
            provider: call.provider.clone(),
            audio_duration_seconds: call.audio_seconds,
            ..SttEvent::default()
        };
        let records = [
            Record::LlmCall(Box::new(call)),
            Record::SttEvent(Box::new(speech)),
        ];
        for mut record in records {
            table.price(&mut record);
            let cost = match &record {
                Record::LlmCall(call) => &call.cost,
                Record::SttEvent(event) => &event.cost,
                _ => &None,
            };
            if let Some(Ok(cost)) = cost {
                assert!(cost.usd.is_finite() && cost.usd >= 0.0, "{cost:?}");
            }
        }
    }
}
