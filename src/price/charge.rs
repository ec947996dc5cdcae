//! The sum. Usage is a tree: cache and audio are parts of the input, audio is a part of the
//! output. Parts are charged at their own rate, the rest at the whole's. A part without a rate of
//! its own is charged at the whole's. A service tier multiplies every line.

use serde::Serialize;
use smol_str::{SmolStr, format_smolstr};

use super::table::{Rate, Rates, Rule};
use crate::record::{Cost, Unpriced, Usage};

/// How a cost came to be.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Charge {
    /// The rule's name, and the service tier where it changed the rates: `openai/gpt-4o+batch`.
    pub rule: SmolStr,
    /// What the lines don't say: a tier without a rate of its own.
    pub note: Option<String>,
    /// The lines of the sum.
    pub lines: Vec<Line>,
    /// The sum, USD.
    pub usd: f64,
}

/// One line of the sum.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Line {
    /// What is charged: input, cache_read, …, seconds.
    pub part: &'static str,
    /// How much of it.
    pub quantity: f64,
    /// USD for one.
    pub usd_each: f64,
    /// USD.
    pub usd: f64,
}

impl Charge {
    /// The cost that a row keeps.
    pub fn cost(self, version: &SmolStr) -> Cost {
        Cost {
            usd: self.usd,
            rule: self.rule,
            version: version.clone(),
        }
    }

    fn new(rule: &SmolStr, lines: Vec<Line>) -> Self {
        let usd = lines.iter().map(|line| line.usd).sum();
        Self {
            rule: rule.clone(),
            note: None,
            lines,
            usd,
        }
    }

    /// Charges by the service tier that answered.
    pub(super) fn at_tier(mut self, rule: &Rule, tier: Option<&str>) -> Self {
        let tier = tier.map(str::to_ascii_lowercase).unwrap_or_default();
        if STANDARD.contains(&&*tier) {
            return self;
        }
        match rule.tiers.get(&tier) {
            Some(factor) => {
                for line in &mut self.lines {
                    line.usd_each *= factor;
                    line.usd *= factor;
                }
                self.usd *= factor;
                self.rule = format_smolstr!("{}+{tier}", self.rule);
            }
            None => {
                self.note = Some(format!(
                    "the table has no rate for service tier {tier:?}; the standard rate is charged"
                ));
            }
        }
        self
    }
}

/// Words for the tier that the list prices are for.
const STANDARD: [&str; 7] = [
    "",
    "default",
    "standard",
    "auto",
    "on_demand",
    "standard_only",
    "none",
];

fn line(part: &'static str, quantity: f64, usd_each: f64) -> Line {
    Line {
        part,
        quantity,
        usd_each,
        usd: quantity * usd_each,
    }
}

/// A model call, by tokens; by seconds where only those are known.
pub(super) fn call(rule: &Rule, usage: &Usage, seconds: Option<f64>) -> Result<Charge, Unpriced> {
    if usage.prompt.is_none() && usage.completion.is_none() {
        return speech(rule, seconds);
    }
    let rates = &rule.rates;
    if rates.input.is_none() && rates.second.is_some() {
        // Sold by the second, whatever tokens the library reports.
        return speech(rule, seconds);
    }
    let input = usage.prompt.unwrap_or(0).max(0);
    let tokens = Tokens {
        input,
        lines: Vec::with_capacity(4),
    };
    let tokens = tokens.whole(("input", input, &rates.input), &input_parts(rates, usage))?;
    let output = usage.completion.unwrap_or(0).max(0);
    let mut tokens = tokens.whole(
        ("output", output, &rates.output),
        &[
            (
                "output_audio",
                usage.audio_output.unwrap_or(0),
                &rates.output_audio,
            ),
            ("reasoning", usage.reasoning.unwrap_or(0), &rates.reasoning),
        ],
    )?;
    if let Some(fee) = rates.request {
        tokens.lines.push(line("request", 1.0, fee));
    }
    Ok(Charge::new(&rule.name, tokens.lines))
}

fn input_parts<'a>(rates: &'a Rates, usage: &Usage) -> [(&'static str, i64, &'a Option<Rate>); 4] {
    let write = usage.cache_write.unwrap_or(0).max(0);
    let write_1h = usage.cache_write_1h.unwrap_or(0).clamp(0, write);
    // An hour's rate where there is one; else what any write costs.
    let rate_1h = if rates.cache_write_1h.is_some() {
        &rates.cache_write_1h
    } else {
        &rates.cache_write
    };
    [
        (
            "cache_read",
            usage.cache_read.unwrap_or(0),
            &rates.cache_read,
        ),
        ("cache_write", write - write_1h, &rates.cache_write),
        ("cache_write_1h", write_1h, rate_1h),
        (
            "input_audio",
            usage.audio_input.unwrap_or(0),
            &rates.input_audio,
        ),
    ]
}

struct Tokens {
    /// All input of the call: it chooses the tier.
    input: i64,
    lines: Vec<Line>,
}

impl Tokens {
    /// Charges a whole and its parts; the parts together are never more than the whole.
    fn whole(
        mut self,
        (part, all, base): (&'static str, i64, &Option<Rate>),
        parts: &[(&'static str, i64, &Option<Rate>)],
    ) -> Result<Self, Unpriced> {
        if all == 0 {
            return Ok(self);
        }
        // No rate for tokens at all: the model is sold by the second or by the query.
        let base = base.as_ref().map(|rate| rate.at(self.input));
        let mut rest = all;
        for (part, tokens, rate) in parts {
            let tokens = (*tokens).clamp(0, rest);
            if let (true, Some(rate)) = (tokens > 0, rate) {
                rest -= tokens;
                self.lines
                    .push(line(part, tokens as f64, rate.at(self.input) / 1e6));
            }
        }
        if rest > 0 {
            // Embedding models have no output price, and no output that costs.
            match base {
                Some(base) => self.lines.push(line(part, rest as f64, base / 1e6)),
                None if part == "output" => {}
                None => return Err(Unpriced::NoUsage),
            }
        }
        Ok(self)
    }
}

/// A rerank, by the query.
pub(super) fn rerank(rule: &Rule) -> Result<Charge, Unpriced> {
    let fee = rule.rates.query.ok_or(Unpriced::NoUsage)?;
    Ok(Charge::new(&rule.name, vec![line("query", 1.0, fee)]))
}

/// Speech, by the second.
pub(super) fn speech(rule: &Rule, seconds: Option<f64>) -> Result<Charge, Unpriced> {
    match (
        rule.rates.second,
        seconds.filter(|s| s.is_finite() && *s >= 0.0),
    ) {
        (Some(rate), Some(seconds)) => Ok(Charge::new(
            &rule.name,
            vec![line("seconds", seconds, rate)],
        )),
        _ => Err(Unpriced::NoUsage),
    }
}
