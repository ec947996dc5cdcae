//! Notes against the store.
//!
//! The store is read in slices of a run's trace ids, which look random and so are even; a row's
//! ids say which request and span it is of. What is kept in memory is a bit for each span.

use serde::Serialize;

use super::{
    Error, RunNotes,
    ids::{RunId, SPANS, Trace},
    ledger::Numbers,
    spans::{EXPECTED, ROWS},
};
use crate::{
    price::Table,
    query::held::{Held, held},
    record::LlmCall,
    store::Pool,
};

/// Requests of one slice, about.
const SLICE: u64 = 4096;
/// Cost that two sums of floating-point numbers may differ by, USD a row.
const CENT_OF_A_MICRODOLLAR: f64 = 1e-8;
/// Spans named for each kind of finding.
const EXAMPLES: usize = 10;

/// What comparing a run's notes with the store brought.
#[derive(Debug, Clone, Default, Serialize)]
pub struct Verdict {
    /// What the run's trace ids begin with.
    pub run: String,
    /// Its seed.
    pub seed: u64,
    /// Spans sent.
    pub sent: u64,
    /// Spans acked.
    pub acked: u64,
    /// Spans sent and not acked: the answer was lost, or the sender was stopped. Any part of them
    /// may be stored, and rightly.
    pub unanswered: u64,
    /// Rows that the acked spans must have: four of a request's five spans leave one.
    pub rows_expected: u64,
    /// Of these, the ones that are there.
    pub rows_found: u64,
    /// Rows of spans that were sent and not acked.
    pub rows_of_unanswered: u64,
    /// Acked spans without their row.
    pub lost: Found,
    /// Rows beyond a span's first.
    pub doubled: Found,
    /// Rows of this run that were never sent, or in a table where they don't belong.
    pub unexpected: Found,
    /// Rows that say something else than what was sent: tokens, cost, whether they count.
    pub different: Found,
    /// Acked spans that the store refused and that are kept in `dead_letters`.
    pub dead_letters: Found,
    /// Tokens and cost of the acked calls: as sent, as stored.
    pub totals: Totals,
}

/// Spans of one kind of finding.
#[derive(Debug, Clone, Default, Serialize)]
pub struct Found {
    /// How many.
    pub count: u64,
    /// The first of them: trace id, span id, table.
    pub examples: Vec<String>,
}

impl Found {
    fn add(&mut self, example: impl FnOnce() -> String) {
        self.count += 1;
        if self.examples.len() < EXAMPLES {
            self.examples.push(example());
        }
    }
}

/// Sums over the acked calls.
#[derive(Debug, Clone, Copy, Default, Serialize)]
pub struct Totals {
    /// Input tokens sent.
    pub input_tokens_sent: i64,
    /// Input tokens of the rows that count.
    pub input_tokens_stored: i64,
    /// Output tokens sent.
    pub output_tokens_sent: i64,
    /// Output tokens of the rows that count.
    pub output_tokens_stored: i64,
    /// What the calls cost by the price table here, USD.
    pub cost_expected: f64,
    /// What their rows say, USD.
    pub cost_stored: f64,
    /// Rows priced by another version of the table: their cost is not compared.
    pub priced_by_other_table: u64,
}

impl Verdict {
    /// True if the store holds exactly what was acked, and nothing that was not sent.
    pub fn is_fine(&self) -> bool {
        let found = [
            &self.lost,
            &self.doubled,
            &self.unexpected,
            &self.different,
            &self.dead_letters,
        ];
        found.iter().all(|found| found.count == 0)
    }
}

/// Compares a run's notes with the store.
pub async fn verify(
    pool: &Pool,
    run: RunId,
    notes: &RunNotes,
    prices: &Table,
) -> Result<Verdict, Error> {
    let mut check = Check {
        run,
        notes,
        prices,
        seen: Numbers::default(),
        buried: Numbers::default(),
        verdict: Verdict {
            run: run.prefix(),
            seed: notes.seed,
            sent: notes.sent.len() * SPANS as u64,
            acked: notes.acked.len() * SPANS as u64,
            rows_expected: notes.acked.len() * ROWS,
            ..Verdict::default()
        },
    };
    check.verdict.unanswered = check.verdict.sent.saturating_sub(check.verdict.acked);
    let mut digits = 0;
    while notes.sent.len() >> (4 * digits) > SLICE {
        digits += 1;
    }
    for slice in 0..1u64 << (4 * digits) {
        let tail = format!("{slice:0digits$x}");
        let tail = if digits == 0 { "" } else { &*tail };
        let rows = held(pool, &format!("{}{tail}", run.prefix())).await?;
        rows.iter().for_each(|row| check.row(row));
    }
    check.missing();
    Ok(check.verdict)
}

struct Check<'a> {
    run: RunId,
    notes: &'a RunNotes,
    prices: &'a Table,
    /// Spans whose row was found, as request × spans + index.
    seen: Numbers,
    /// Spans whose row is a dead letter.
    buried: Numbers,
    verdict: Verdict,
}

impl Check<'_> {
    fn row(&mut self, row: &Held) {
        let name = || format!("{}-{} {}", row.trace_id, row.span_id, row.table);
        let trace = self.run.trace_of(row.trace_id);
        let trace = trace.filter(|trace| self.notes.sent.has(trace.number));
        let found = trace.and_then(|trace| Some((trace, trace.index_of(row.span_id)?)));
        let Some((trace, index)) = found else {
            self.verdict.unexpected.add(name);
            return;
        };
        let bit = trace.number * SPANS as u64 + index as u64;
        if row.table == "dead_letters" {
            self.buried.insert(bit);
            return;
        }
        if EXPECTED[index].table != Some(&row.table) {
            self.verdict.unexpected.add(name);
            return;
        }
        if !self.seen.insert(bit) {
            self.verdict.doubled.add(name);
            return;
        }
        let is_acked = self.notes.acked.has(trace.number);
        match is_acked {
            true => self.verdict.rows_found += 1,
            false => self.verdict.rows_of_unanswered += 1,
        }
        let different = self.difference(row, &trace, index, is_acked);
        if let Some(different) = different {
            self.verdict
                .different
                .add(|| format!("{}: {different}", name()));
        }
    }

    /// What is not as it was sent.
    fn difference(
        &mut self,
        row: &Held,
        trace: &Trace,
        index: usize,
        is_acked: bool,
    ) -> Option<String> {
        let expected = &EXPECTED[index];
        if row.table == "pipeline_requests" {
            let tokens = all_tokens(trace);
            return (row.prompt_tokens != Some(tokens))
                .then(|| format!("{:?} tokens, sent {tokens}", row.prompt_tokens));
        }
        if row.counted != expected.counted {
            return Some(format!("counted is {:?}", row.counted));
        }
        let sent = (
            expected.prompt_tokens.of(trace),
            expected.completion_tokens.of(trace),
        );
        if is_acked && row.counted == Some(true) {
            let totals = &mut self.verdict.totals;
            totals.input_tokens_stored += row.prompt_tokens.unwrap_or(0);
            totals.output_tokens_stored += row.completion_tokens.unwrap_or(0);
            totals.cost_stored += row.cost.unwrap_or(0.0);
        }
        let stored = (row.prompt_tokens, row.completion_tokens);
        if stored != sent {
            return Some(format!("{stored:?} tokens, sent {sent:?}"));
        }
        if row.price_version.as_deref() != Some(self.prices.version()) {
            self.verdict.totals.priced_by_other_table += u64::from(row.price_version.is_some());
            return None;
        }
        let cost = self.cost(trace, index)?;
        let stored = row.cost.unwrap_or(0.0);
        ((stored - cost).abs() > CENT_OF_A_MICRODOLLAR)
            .then(|| format!("{stored} USD, expected {cost}"))
    }

    /// What the price table says that a span costs, USD.
    fn cost(&self, trace: &Trace, index: usize) -> Option<f64> {
        let expected = EXPECTED.get(index)?;
        let (provider, model) = expected.model?;
        let mut call = LlmCall {
            provider: Some(provider.into()),
            model: Some(model.into()),
            ..LlmCall::default()
        };
        call.header.started_at = chrono::Utc::now().timestamp_nanos_opt().unwrap_or_default();
        call.usage.prompt = expected.prompt_tokens.of(trace);
        call.usage.completion = expected.completion_tokens.of(trace);
        Some(self.prices.charge(&call).ok()?.usd)
    }

    /// What was acked and not found, and the sums of what was sent.
    fn missing(&mut self) {
        for number in self.notes.acked.iter() {
            let trace = self.run.trace(number);
            for (index, expected) in EXPECTED.iter().enumerate() {
                let cost = self.cost(&trace, index).unwrap_or(0.0);
                let totals = &mut self.verdict.totals;
                totals.input_tokens_sent += expected.prompt_tokens.of(&trace).unwrap_or(0);
                totals.output_tokens_sent += expected.completion_tokens.of(&trace).unwrap_or(0);
                totals.cost_expected += cost;
                let bit = number * SPANS as u64 + index as u64;
                let Some(table) = expected.table.filter(|_| !self.seen.has(bit)) else {
                    continue;
                };
                let name = || format!("{}-{} {table}", trace.id(), trace.span(index));
                match self.buried.has(bit) {
                    true => self.verdict.dead_letters.add(name),
                    false => self.verdict.lost.add(name),
                }
            }
        }
    }
}

/// Tokens of all calls of a request.
fn all_tokens(trace: &Trace) -> i64 {
    EXPECTED
        .iter()
        .flat_map(|span| [span.prompt_tokens, span.completion_tokens])
        .filter_map(|tokens| tokens.of(trace))
        .sum()
}
