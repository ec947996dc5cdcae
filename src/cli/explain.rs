//! `spanledger explain ID`: where each number of a call's row came from, the sum of its cost, and
//! why it was or wasn't counted; if asked, the messages.

use std::{fmt::Write as _, process::ExitCode};

use serde_json::{Value, json};

use super::{Config, open_store};
use crate::{
    price::Charge,
    query::{
        calls::{StoredCall, of_answer, of_id},
        conversation::{self, Conversation},
    },
    record::{Counted, NotCounted, Role, Unpriced},
};

#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// A span id (16 hex digits), a trace id (32), or a row's id (trace-span).
    id: String,
    /// Show what the model was sent and what it answered, too.
    #[arg(long)]
    messages: bool,
    /// Print JSON.
    #[arg(long)]
    json: bool,
}

/// One call, explained.
struct Explained<'a> {
    row: &'a StoredCall,
    /// What today's table makes of it.
    charge: Result<Charge, Unpriced>,
    table_version: &'a str,
    verdict: String,
    /// What was said; `None` if nobody asked.
    conversation: Option<Conversation>,
}

pub(super) async fn run(settings: Config, args: Args) -> anyhow::Result<ExitCode> {
    let id = args.id.trim().to_ascii_lowercase();
    let (store, pool) = open_store(&settings).await?;
    let table = settings.price_table()?;
    let trace = of_id(&pool, &id).await?;
    let is_whole = trace
        .iter()
        .any(|row| row.call.header.trace_id.to_string() == id);
    let asked: Vec<&StoredCall> = trace
        .iter()
        .filter(|row| is_whole || row.id == id || row.call.header.span_id.to_string() == id)
        .collect();
    if asked.is_empty() {
        store.close().await;
        anyhow::bail!(
            "no call with the id {id} is stored. A span without a model call has no row in \
             llm_calls; a new span is stored within a second or two of its arrival"
        );
    }
    let mut all = Vec::new();
    for row in asked {
        let elsewhere = match &row.call.response_id {
            Some(answer) if !row.call.counted.is_yes() => of_answer(&pool, answer).await?,
            _ => Vec::new(),
        };
        let conversation = match args.messages {
            true => Some(conversation::of_call(&pool, row).await?),
            false => None,
        };
        all.push(Explained {
            conversation,
            verdict: verdict(row, &trace, &elsewhere),
            charge: table.charge(&row.call),
            table_version: table.version(),
            row,
        });
    }
    store.close().await;
    if args.json {
        let list: Vec<Value> = all.iter().map(Explained::json).collect();
        println!("{}", serde_json::to_string_pretty(&list)?);
    } else {
        let texts: Vec<String> = all.iter().map(Explained::text).collect();
        print!("{}", texts.join("\n"));
    }
    Ok(ExitCode::SUCCESS)
}

/// Why the row counts or not, in words.
fn verdict(row: &StoredCall, trace: &[StoredCall], elsewhere: &[StoredCall]) -> String {
    let below: Vec<&StoredCall> = trace
        .iter()
        .filter(|other| other.call.counted.is_yes() && is_below(other, row, trace))
        .collect();
    let names = |rows: &[&StoredCall]| {
        let ids: Vec<String> = rows
            .iter()
            .take(8)
            .map(|row| row.call.header.span_id.to_string())
            .collect();
        let more = rows.len().saturating_sub(ids.len());
        let more = if more > 0 {
            format!(" and {more} more")
        } else {
            String::new()
        };
        format!("{}{more}", ids.join(", "))
    };
    match row.call.counted {
        Counted::Yes if row.call.role == Role::Rollup => {
            "counted: it wraps no call that was exported, so its usage is the only sign of one"
                .into()
        }
        Counted::Yes => "counted: it stands for one model call".into(),
        Counted::No(NotCounted::Wrapper) if below.is_empty() => {
            "not counted: it wraps other work and says nothing about usage of its own".into()
        }
        Counted::No(NotCounted::Wrapper) => format!(
            "not counted: it wraps what counts below it ({})",
            names(&below)
        ),
        Counted::No(why) => {
            let twins: Vec<&StoredCall> = elsewhere
                .iter()
                .filter(|other| other.id != row.id && other.call.counted.is_yes())
                .collect();
            let above = trace
                .iter()
                .filter(|other| other.call.counted.is_yes() && is_below(row, other, trace))
                .collect::<Vec<_>>();
            let who = if twins.is_empty() { &above } else { &twins };
            let how = match (who.is_empty(), why) {
                (true, _) => "another span shows the same call".to_owned(),
                (false, NotCounted::Transport) => format!("it is the transport of {}", names(who)),
                (false, _) => format!("{} shows the same call and says more", names(who)),
            };
            format!("not counted: {how}")
        }
    }
}

/// True if `inner` lies below `outer`, by the rows of the trace.
fn is_below(inner: &StoredCall, outer: &StoredCall, trace: &[StoredCall]) -> bool {
    let mut parent = inner.call.parent_call;
    for _ in 0..trace.len() {
        match parent {
            Some(key) if key == outer.call.header.key() => return true,
            Some(key) => {
                let next = trace.iter().find(|row| row.call.header.key() == key);
                parent = next.and_then(|row| row.call.parent_call);
            }
            None => return false,
        }
    }
    false
}

impl Explained<'_> {
    /// (column, number) of the row, in the order people read them.
    fn numbers(&self) -> Vec<(&'static str, String)> {
        let call = &self.row.call;
        let tokens = [
            ("prompt_tokens", call.usage.prompt),
            ("completion_tokens", call.usage.completion),
            ("total_tokens", call.usage.total),
            ("cache_read_tokens", call.usage.cache_read),
            ("cache_write_tokens", call.usage.cache_write),
            ("reasoning_tokens", call.usage.reasoning),
        ];
        let tokens = tokens
            .into_iter()
            .map(|(name, count)| (name, count.map(|n| n.to_string())));
        let others = [
            ("audio_seconds", call.audio_seconds.map(|n| n.to_string())),
            ("reported_cost", call.reported_cost.map(|n| n.to_string())),
        ];
        tokens
            .chain(others)
            .filter_map(|(name, number)| Some((name, number?)))
            .collect()
    }

    fn source(&self, column: &str) -> String {
        let Some(origin) = self.row.origin.get(column) else {
            return match column {
                "total_tokens" => "the sum of both".into(),
                _ => "not written down".into(),
            };
        };
        let attribute = origin["attribute"].as_str().unwrap_or_default();
        match origin["rule"].as_str() {
            Some(rule) => format!("{attribute} ({rule})"),
            None => attribute.to_owned(),
        }
    }

    /// True if the stored cost is what today's table gives.
    fn is_current(&self) -> bool {
        match (&self.charge, self.row.cost) {
            (Ok(charge), Some(cost)) => {
                (charge.usd - cost).abs() <= 1e-12_f64.max(cost.abs() * 1e-9)
                    && self.row.rule.as_deref() == Some(&charge.rule)
            }
            (Err(_), None) => true,
            _ => false,
        }
    }

    fn text(&self) -> String {
        let (row, call) = (self.row, &self.row.call);
        let mut text = String::new();
        let answered = call
            .response_model
            .as_ref()
            .filter(|m| Some(*m) != call.model.as_ref());
        let answered = answered.map(|model| format!(", answered by {model}"));
        let _ = writeln!(
            text,
            "{}\n  {} {} of {}{} ({}), {}, told in {}",
            row.id,
            call.call_type.as_str(),
            call.operation.as_deref().unwrap_or("call"),
            call.model.as_deref().unwrap_or("?"),
            answered.unwrap_or_default(),
            call.provider.as_deref().unwrap_or("?"),
            call.status.as_str(),
            row.dialect.as_deref().unwrap_or("otel"),
        );
        let _ = writeln!(text, "  {}", self.verdict);
        for (column, number) in self.numbers() {
            let _ = writeln!(text, "  {column:<20}{number:>12}  {}", self.source(column));
        }
        match (row.cost, &row.rule) {
            (Some(cost), rule) => {
                let _ = writeln!(
                    text,
                    "  {:<20}{cost:>12.8}  {} of price table {}",
                    "estimated_cost",
                    rule.as_deref().unwrap_or("?"),
                    row.version.as_deref().unwrap_or("?")
                );
            }
            (None, _) => {
                let why = self.charge.as_ref().err().map_or(
                    "was unpriced when it was stored; `spanledger recost` prices it now",
                    |why| why.as_words(),
                );
                let _ = writeln!(text, "  {:<20}{:>12}  {why}", "estimated_cost", "-");
            }
        }
        if let Ok(charge) = &self.charge {
            if !self.is_current() {
                let _ = writeln!(
                    text,
                    "  By today's table ({}), {}:",
                    self.table_version, charge.rule
                );
            }
            if let Some(note) = &charge.note {
                let _ = writeln!(text, "    {note}");
            }
            for line in &charge.lines {
                let _ = writeln!(
                    text,
                    "    {:<18}{:>12} × {:.10} = {:.8}",
                    line.part, line.quantity, line.usd_each, line.usd
                );
            }
            let _ = writeln!(
                text,
                "    {:<18}{:>12}   {:>12} = {:.8} USD",
                "sum", "", "", charge.usd
            );
        }
        if let Some(conversation) = &self.conversation {
            said(conversation, &mut text);
        }
        text
    }

    fn json(&self) -> Value {
        let call = &self.row.call;
        let numbers = self.numbers();
        let numbers = numbers
            .iter()
            .map(|(column, number)| {
                let value: Value = serde_json::from_str(number).unwrap_or_default();
                (
                    *column,
                    json!({ "value": value, "source": self.source(column) }),
                )
            })
            .collect::<std::collections::BTreeMap<_, _>>();
        let mut explained = json!({
            "id": self.row.id,
            "call_type": call.call_type.as_str(),
            "operation": call.operation,
            "provider": call.provider,
            "model": call.model,
            "response_model": call.response_model,
            "status": call.status.as_str(),
            "dialect": self.row.dialect,
            "counted": call.counted.is_yes(),
            "not_counted_why": call.counted.why(),
            "verdict": self.verdict,
            "numbers": numbers,
            "estimated_cost": self.row.cost,
            "price_rule": self.row.rule,
            "price_version": self.row.version,
            "is_current": self.is_current(),
            "charge": self.charge.as_ref().ok(),
            "unpriced": self.charge.as_ref().err().map(|why| why.as_str()),
        });
        if let Some(Conversation { left_out, messages }) = &self.conversation {
            explained["messages"] = json!(messages);
            explained["messages_left_out"] = json!(left_out);
        }
        explained
    }
}

/// The messages, one after the other.
fn said(conversation: &Conversation, text: &mut String) {
    let Conversation { left_out, messages } = conversation;
    let _ = match (messages.len(), left_out) {
        (0, _) => writeln!(
            text,
            "  no messages: the app exports none, or they are not kept"
        ),
        (_, 0) => writeln!(text, "  messages"),
        (_, n) => writeln!(text, "  messages; {n} older ones are not kept"),
    };
    for message in messages {
        let Some(role) = &message.role else {
            let _ = writeln!(text, "    (a message that is not stored any more)");
            continue;
        };
        let calls = message
            .tool_calls
            .as_ref()
            .map(|calls| format!("calls {calls}"));
        for words in message.content.iter().chain(&calls) {
            // What apps send must not steer the terminal.
            let is_control = |c: char| c.is_control() && !matches!(c, '\n' | '\t');
            let words = words
                .replace(is_control, "\u{FFFD}")
                .replace('\n', "\n               ");
            let _ = writeln!(text, "    {role:<10} {words}");
        }
    }
}
