//! Sent against landed: the demo's last word, for people and as JSON.

use std::io::{self, Write};

use serde::Serialize;

use super::Ledger;
use super::paint::Paint;
use crate::query::landed::Landed;

/// Sent and landed, side by side.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Summary {
    /// True if every number that both sides know is the same.
    pub accounted_for: bool,
    /// What differs, a sentence each.
    pub differences: Vec<String>,
    /// What the apps sent.
    pub sent: Ledger,
    /// What the tables hold.
    pub landed: Landed,
}

impl Summary {
    /// Compares both sides.
    pub fn new(sent: Ledger, landed: Landed) -> Self {
        let differences = differences(&sent, &landed);
        Summary {
            accounted_for: differences.is_empty(),
            differences,
            sent,
            landed,
        }
    }

    /// Writes it as one JSON document.
    pub fn write_json(&self, out: &mut impl Write) -> io::Result<()> {
        serde_json::to_writer_pretty(&mut *out, self)?;
        writeln!(out)
    }

    /// Writes it for people.
    pub fn write_text(&self, out: &mut impl Write, paint: Paint) -> io::Result<()> {
        let (sent, landed) = (&self.sent, &self.landed);
        writeln!(out, "{}", paint.bold("Requests"))?;
        for (service, requests) in &sent.services {
            writeln!(out, "  {service:<24} {:>9}", grouped(*requests))?;
        }
        let failed = landed.failed_requests;
        writeln!(
            out,
            "  {:<24} {:>9}  {}",
            "in the ledger",
            grouped(landed.requests),
            paint.warn(&format!("{} failed", grouped(failed)), failed > 0),
        )?;

        writeln!(out, "\n{}", paint.bold("Model calls, each counted once"))?;
        writeln!(
            out,
            "  {:<26} {:>7} {:>12} {:>12} {:>12}",
            "model", "calls", "tokens in", "tokens out", "cost USD"
        )?;
        for line in &landed.models {
            writeln!(
                out,
                "  {:<26} {:>7} {:>12} {:>12} {}",
                line.model,
                grouped(line.calls),
                tokens(line.input_tokens),
                tokens(line.output_tokens),
                match line.cost_usd {
                    Some(usd) => format!("{usd:>12.6}"),
                    None => paint.warn("    no price", true),
                },
            )?;
        }
        writeln!(
            out,
            "  {:<26} {:>7} {:>12} {:>12} {}",
            "total",
            grouped(landed.models.iter().map(|line| line.calls).sum()),
            tokens(Some(landed.input_tokens)),
            tokens(Some(landed.output_tokens)),
            paint.bold(&format!("{:>12.6}", landed.cost_usd)),
        )?;
        if landed.billed_audio_seconds > 0.0 {
            let minutes = landed.billed_audio_seconds / 60.0;
            writeln!(out, "  cost of {minutes:.1} minutes of speech included")?;
        }
        writeln!(
            out,
            "  failed: {}; without a price: {}; wrapping spans, not counted: {}",
            grouped(landed.failed_calls),
            grouped(landed.unpriced_calls),
            grouped(landed.not_counted),
        )?;

        if !landed.errors.is_empty() {
            writeln!(out, "\n{}", paint.bold("Errors"))?;
            for (error_type, count) in &landed.errors {
                writeln!(out, "  {error_type:<26} {:>7}", grouped(*count))?;
            }
        }
        if let Some(slow) = &landed.slowest {
            let app = slow.pipeline.as_ref().or(slow.service_name.as_ref());
            writeln!(
                out,
                "\n{} {:.1} s, {}, trace {}",
                paint.bold("Slowest request"),
                slow.latency_ms / 1e3,
                app.map_or("unknown", String::as_str),
                slow.trace_id,
            )?;
        }
        self.write_account(out, paint)
    }

    /// The line that everything is for.
    fn write_account(&self, out: &mut impl Write, paint: Paint) -> io::Result<()> {
        let (sent, landed) = (&self.sent, &self.landed);
        writeln!(
            out,
            "\n{} spans sent, {} acknowledged, {} in the ledger: {}",
            grouped(sent.spans),
            grouped(sent.exported),
            grouped(landed.spans),
            if self.accounted_for {
                paint.good("every span is accounted for")
            } else {
                paint.bad("the two sides differ")
            },
        )?;
        for difference in &self.differences {
            writeln!(out, "  {difference}")?;
        }
        Ok(())
    }
}

/// What differs between the sides, a sentence each.
fn differences(sent: &Ledger, landed: &Landed) -> Vec<String> {
    let mut differences = Vec::new();
    if let Some(error) = &sent.export_error {
        differences.push(format!("{} spans were not sent: {error}", sent.failed));
    }
    if sent.lost() > 0 {
        differences.push(format!("{} spans never left the SDK", sent.lost()));
    }
    let speech_events = sent.speech_events.values().sum();
    let mut compare = |what: &str, sent: u64, landed: u64| {
        if sent != landed {
            differences.push(format!("{what}: {sent} sent, {landed} in the ledger"));
        }
    };
    compare("spans", sent.spans, landed.spans);
    compare("requests", sent.requests, landed.requests);
    compare(
        "failed requests",
        sent.failed_requests,
        landed.failed_requests,
    );
    compare("calls", sent.calls, landed.calls);
    compare("failed calls", sent.failed_calls, landed.failed_calls);
    compare("speech events", speech_events, landed.speech_events);
    compare(
        "cache lookups",
        sent.cache_hits + sent.cache_misses,
        landed.cache_lookups,
    );
    compare(
        "parses",
        sent.parses + sent.failed_parses,
        landed.json_parses,
    );
    let mut compare = |what: &str, sent: i64, landed: i64| {
        if sent != landed {
            differences.push(format!("{what}: {sent} sent, {landed} in the ledger"));
        }
    };
    compare("input tokens", sent.input_tokens, landed.input_tokens);
    compare("output tokens", sent.output_tokens, landed.output_tokens);
    for (model, sums) in &sent.models {
        let lines = || landed.models.iter().filter(|line| line.model == *model);
        let input = lines().filter_map(|line| line.input_tokens).sum();
        let output = lines().filter_map(|line| line.output_tokens).sum();
        compare(
            &format!("input tokens of {model}"),
            sums.input_tokens,
            input,
        );
        compare(
            &format!("output tokens of {model}"),
            sums.output_tokens,
            output,
        );
    }
    differences
}

/// Tokens, or a dash where none were reported.
fn tokens(count: Option<i64>) -> String {
    count.map_or_else(|| "–".to_owned(), |count| grouped(count.unsigned_abs()))
}

/// Thousands apart, for people.
fn grouped(count: u64) -> String {
    let digits = count.to_string();
    let mut text = String::new();
    for (position, digit) in digits.chars().enumerate() {
        if position > 0 && (digits.len() - position).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}
