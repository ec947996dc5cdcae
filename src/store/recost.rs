//! New prices for stored rows, and the sums of their requests.

use serde_json::{Value, json};
use sqlx::{PgPool, SqlitePool};

use super::{Error, Sql, tables::rfc3339};
use crate::record::{Cost, LlmCall, SttEvent, Unpriced};

/// A row that is to have another cost.
#[derive(Debug, Clone)]
pub enum Repriced<'a> {
    /// A row of `llm_calls`.
    Call(&'a LlmCall, Result<Cost, Unpriced>),
    /// A row of `stt_logs`; its id is here.
    Speech(&'a SttEvent, &'a str, Result<Cost, Unpriced>),
}

const CALLS: Sql = Sql {
    sqlite: "UPDATE llm_calls AS t SET estimated_cost = v.cost, price_rule = v.rule, \
        price_version = v.version, metadata = CASE WHEN v.unpriced IS NULL \
        THEN json_remove(t.metadata, '$.\"spanledger.unpriced\"') \
        ELSE json_set(coalesce(t.metadata, '{}'), '$.\"spanledger.unpriced\"', v.unpriced) END \
        FROM (SELECT value ->> 'trace_id' AS trace_id, value ->> 'span_id' AS span_id, \
        value ->> 'started_at' AS started_at, value ->> 'cost' AS cost, value ->> 'rule' AS rule, \
        value ->> 'version' AS version, value ->> 'unpriced' AS unpriced FROM json_each($1)) AS v \
        WHERE t.trace_id = v.trace_id AND t.span_id = v.span_id AND t.started_at = v.started_at",
    postgres: "UPDATE llm_calls AS t SET estimated_cost = v.cost, price_rule = v.rule, \
        price_version = v.version, metadata = CASE WHEN v.unpriced IS NULL \
        THEN t.metadata - 'spanledger.unpriced' ELSE coalesce(t.metadata, '{}'::jsonb) \
        || jsonb_build_object('spanledger.unpriced', v.unpriced) END \
        FROM jsonb_to_recordset($1::jsonb) AS v(trace_id text, span_id text, \
        started_at timestamptz, cost numeric, rule text, version text, unpriced text) \
        WHERE t.trace_id = v.trace_id AND t.span_id = v.span_id AND t.started_at = v.started_at",
};
const SPEECH: Sql = Sql {
    sqlite: "UPDATE stt_logs AS t SET estimated_cost = v.cost \
        FROM (SELECT value ->> 'trace_id' AS trace_id, value ->> 'id' AS id, \
        value ->> 'started_at' AS started_at, value ->> 'cost' AS cost FROM json_each($1)) AS v \
        WHERE t.trace_id = v.trace_id AND t.id = v.id AND t.started_at = v.started_at",
    postgres: "UPDATE stt_logs AS t SET estimated_cost = v.cost \
        FROM jsonb_to_recordset($1::jsonb) AS v(trace_id text, id text, started_at timestamptz, \
        cost numeric) \
        WHERE t.trace_id = v.trace_id AND t.id = v.id AND t.started_at = v.started_at",
};
/// A request's cost is that of what counts in its trace.
const REQUESTS: Sql = Sql {
    sqlite: "UPDATE pipeline_requests AS p SET cost = (SELECT sum(c) FROM (\
        SELECT estimated_cost AS c FROM llm_calls WHERE trace_id = p.trace_id AND counted \
        UNION ALL SELECT estimated_cost FROM stt_logs WHERE trace_id = p.trace_id)) \
        WHERE trace_id IN (SELECT value ->> 'trace_id' FROM json_each($1))",
    postgres: "UPDATE pipeline_requests AS p SET cost = (SELECT sum(c) FROM (\
        SELECT estimated_cost AS c FROM llm_calls WHERE trace_id = p.trace_id AND counted \
        UNION ALL SELECT estimated_cost FROM stt_logs WHERE trace_id = p.trace_id) AS all_costs) \
        WHERE trace_id IN (SELECT trace_id FROM jsonb_to_recordset($1::jsonb) AS v(trace_id text))",
};

/// The arrays of the calls, of the speech events, and of both.
fn arrays(rows: &[Repriced<'_>]) -> [String; 3] {
    let (mut calls, mut speech) = (Vec::new(), Vec::new());
    for row in rows {
        let (header, cost) = match row {
            Repriced::Call(call, cost) => (&call.header, cost),
            Repriced::Speech(event, _, cost) => (&event.header, cost),
        };
        let cost_of = cost.as_ref().ok();
        let mut entry = json!({
            "trace_id": header.trace_id.to_string(),
            "span_id": header.span_id.to_string(),
            "started_at": rfc3339(header.started_at),
            "cost": cost_of.map(|cost| cost.usd),
            "rule": cost_of.map(|cost| &cost.rule),
            "version": cost_of.map(|cost| &cost.version),
            "unpriced": cost.as_ref().err().map(|why| why.as_str()),
        });
        match row {
            Repriced::Call(..) => calls.push(entry),
            Repriced::Speech(_, id, _) => {
                entry["id"] = (*id).into();
                speech.push(entry);
            }
        }
    }
    let both = calls.iter().chain(&speech).cloned().collect();
    [calls, speech, both].map(|list| Value::Array(list).to_string())
}

macro_rules! recost {
    ($name:ident, $store:ident, $pool:ty) => {
        /// Writes the new costs and the sums that depend on them, all or nothing.
        pub(super) async fn $name(pool: &$pool, rows: &[Repriced<'_>]) -> Result<(), Error> {
            let [calls, speech, both] = arrays(rows);
            let mut tx = pool.begin().await?;
            for (sql, list) in [(CALLS, calls), (SPEECH, speech), (REQUESTS, both)] {
                if list != "[]" {
                    sqlx::query(sql.$store).bind(list).execute(&mut *tx).await?;
                }
            }
            Ok(tx.commit().await?)
        }
    };
}

recost!(sqlite, sqlite, SqlitePool);
recost!(postgres, postgres, PgPool);
