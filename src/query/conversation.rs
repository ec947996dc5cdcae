//! What the model of one call was sent, and what it answered: the whole conversation, in order.

use std::collections::HashMap;

use serde::Serialize;
use serde_json::{Value, json};
use sqlx::Row;

use super::{
    Sql,
    calls::{Cursor, StoredCall},
    rows,
};
use crate::store::Pool;

/// A call's messages. The system prompt comes first, wherever it stood.
#[derive(Debug, Clone, PartialEq, Default, Serialize)]
pub struct Conversation {
    /// Messages older than these, which are not kept.
    pub left_out: u64,
    /// What was sent, in order; the answer last.
    pub messages: Vec<Message>,
}

/// One message.
#[derive(Debug, Clone, PartialEq, Default, Serialize)]
pub struct Message {
    /// `system`, `user`, `assistant`, `tool` or `unknown`; `None` of a message that is not stored
    /// any more.
    pub role: Option<String>,
    /// What is said; `None` in a message of tool calls only.
    pub content: Option<String>,
    /// The tool calls in it: a JSON array, cut if it is very long.
    pub tool_calls: Option<String>,
}

const CALL: Sql = Sql {
    sqlite: "SELECT system_prompt, prompt, response, \
        json_extract(metadata, '$.\"spanledger.history\"') \
        FROM llm_calls WHERE trace_id = substr($1, 1, 32) AND span_id = substr($1, 34)",
    postgres: "SELECT system_prompt, prompt, response, metadata ->> 'spanledger.history' \
        FROM llm_calls WHERE trace_id = substr($1, 1, 32) AND span_id = substr($1, 34)",
};
/// Equal messages of other days are as good. Those of earlier days than the call's are not looked
/// for, but for a clock that is a little off.
const TEXTS: Sql = Sql {
    sqlite: "SELECT hash, role, content, tool_calls FROM message_texts \
        WHERE hash IN (SELECT value FROM json_each($1, '$.hashes')) AND started_at >= $1 ->> 'at'",
    postgres: "SELECT hash, role, content, tool_calls FROM message_texts \
        WHERE hash = ANY(ARRAY(SELECT jsonb_array_elements_text(CAST($1 AS jsonb) -> 'hashes'))) \
        AND started_at >= CAST(CAST($1 AS jsonb) ->> 'at' AS timestamptz)",
};
/// Two days: the call's own began at most one before it.
const REACH: i64 = 2 * 86_400_000_000_000;

/// The conversation of a call; empty if its content was not kept.
pub async fn of_call(pool: &Pool, call: &StoredCall) -> Result<Conversation, sqlx::Error> {
    type Texts = [Option<String>; 4];
    let found: Vec<Texts> = rows!(pool, CALL, &call.id, |row| Ok([
        row.try_get(0)?,
        row.try_get(1)?,
        row.try_get(2)?,
        row.try_get(3)?,
    ]));
    let Some([system, prompt, response, history]) = found.into_iter().next() else {
        return Ok(Conversation::default());
    };
    let history: Value = history
        .and_then(|text| serde_json::from_str(&text).ok())
        .unwrap_or_default();
    let texts = texts(pool, call, &history).await?;
    let own = |role: &str, content| Message {
        role: Some(role.to_owned()),
        content: Some(content),
        tool_calls: None,
    };
    let side =
        |name| hashes(&history, name).map(|hash| texts.get(hash).cloned().unwrap_or_default());
    let system = system.map(|text| own("system", text)).into_iter();
    Ok(Conversation {
        left_out: history["left_out"].as_u64().unwrap_or_default(),
        messages: system
            .chain(side("before"))
            .chain(prompt.map(|text| own("user", text)))
            .chain(side("after"))
            .chain(response.map(|text| own("assistant", text)))
            .collect(),
    })
}

/// The hashes on one side of the prompt.
fn hashes<'h>(history: &'h Value, side: &str) -> impl Iterator<Item = &'h str> {
    let list = history[side].as_array().into_iter().flatten();
    list.filter_map(Value::as_str)
}

/// The messages that a history names, by hash.
async fn texts(
    pool: &Pool,
    call: &StoredCall,
    history: &Value,
) -> Result<HashMap<String, Message>, sqlx::Error> {
    let named: Vec<&str> = ["before", "after"]
        .iter()
        .flat_map(|side| hashes(history, side))
        .collect();
    if named.is_empty() {
        return Ok(HashMap::new());
    }
    let since = Cursor {
        started_at: call.call.header.started_at.saturating_sub(REACH),
        ..Cursor::default()
    };
    let bound = json!({ "at": since.at(), "hashes": named }).to_string();
    let found = rows!(pool, TEXTS, &bound, |row| Ok((
        row.try_get(0)?,
        Message {
            role: row.try_get(1)?,
            content: row.try_get(2)?,
            tool_calls: row.try_get(3)?,
        },
    )));
    Ok(found.into_iter().collect())
}
