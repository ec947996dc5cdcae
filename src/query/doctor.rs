//! What the stored rows tell about the instrumentation of the apps that sent them, service by
//! service.

use chrono::{DateTime, SecondsFormat, Utc};
use sqlx::Row;

use super::{Sql, rows};
use crate::store::Pool;

/// Calls of one service in one dialect. Each pair is how many, and a trace to look at.
#[derive(Debug, Clone, Default)]
pub struct Service {
    /// `service.name`; `None` if the app sets none.
    pub name: Option<String>,
    /// The dialect of its spans.
    pub dialect: String,
    /// Counted calls.
    pub calls: u64,
    /// Rows that don't count.
    pub not_counted: u64,
    /// Streamed calls that ended well without usage.
    pub streams_without_usage: Seen,
    /// Other calls that ended well without usage.
    pub calls_without_usage: Seen,
    /// Chat calls without a session.
    pub without_session: Seen,
    /// Chat calls without a user.
    pub without_user: Seen,
    /// Calls without a model.
    pub without_model: Seen,
    /// Chat calls that ended well without prompt and answer.
    pub without_content: Seen,
    /// Failed calls without a class of error.
    pub without_error_type: Seen,
    /// Calls whose numbers came from deprecated attributes.
    pub deprecated: Seen,
    /// Seconds since the last call was received.
    pub silent_seconds: f64,
}

/// How many, and the trace of one of them.
#[derive(Debug, Clone, Default)]
pub struct Seen {
    /// How many calls.
    pub calls: u64,
    /// A trace with one.
    pub example: Option<String>,
}

/// Calls that have usage and no price.
#[derive(Debug, Clone, Default)]
pub struct Unpriced {
    /// `service.name`.
    pub service: Option<String>,
    /// Normalised provider.
    pub provider: Option<String>,
    /// Requested model.
    pub model: Option<String>,
    /// How many, and where.
    pub seen: Seen,
}

/// Rows of another table that lack something.
#[derive(Debug, Clone, Default)]
pub struct Stage {
    /// `service.name`.
    pub service: Option<String>,
    /// Rows of the table.
    pub rows: u64,
    /// Those that lack it.
    pub lacking: Seen,
}

/// Everything that is known.
#[derive(Debug, Clone, Default)]
pub struct Facts {
    /// By service and dialect.
    pub services: Vec<Service>,
    /// By service, provider and model.
    pub unpriced: Vec<Unpriced>,
    /// Transcriptions without seconds of audio.
    pub speech: Vec<Stage>,
    /// Searches without hits or scores.
    pub retrievals: Vec<Stage>,
}

/// `n` and an example for each condition.
macro_rules! seen {
    ($($condition:literal),+ $(,)?) => {
        concat!($(
            ", count(*) FILTER (WHERE counted AND (", $condition, ")), \
             max(CASE WHEN counted AND (", $condition, ") THEN trace_id END)"
        ),+)
    };
}

macro_rules! services {
    ($metadata:literal, $silent:literal, $since:literal) => {
        concat!(
            "SELECT service_name, coalesce(dialect, 'otel'), count(*) FILTER (WHERE counted), \
             count(*) FILTER (WHERE NOT counted), ",
            $silent,
            seen!(
                "status = 'success' AND streamed AND prompt_tokens IS NULL \
                 AND completion_tokens IS NULL AND total_tokens IS NULL",
                "status = 'success' AND NOT coalesce(streamed, false) AND prompt_tokens IS NULL \
                 AND completion_tokens IS NULL AND total_tokens IS NULL AND call_type <> 'other'",
                "call_type <> 'embedding' AND session_id IS NULL",
                "call_type <> 'embedding' AND user_id IS NULL AND user_hash IS NULL",
                "model IS NULL AND response_model IS NULL",
                "call_type <> 'embedding' AND status = 'success' AND prompt IS NULL \
                 AND response IS NULL",
                "status <> 'success' AND error_type IS NULL",
            ),
            ", count(*) FILTER (WHERE counted AND (",
            $metadata,
            ")), max(CASE WHEN counted AND (",
            $metadata,
            ") THEN trace_id END) FROM llm_calls WHERE started_at >= ",
            $since,
            " GROUP BY 1, 2 ORDER BY 3 DESC"
        )
    };
}

const SERVICES: Sql = Sql {
    sqlite: services!(
        "metadata LIKE '%\"attribute\":\"gen_ai.usage.prompt_tokens\"%' \
         OR metadata LIKE '%\"attribute\":\"llm.usage.%'",
        "CAST((julianday('now') - julianday(max(created_at))) * 86400.0 AS REAL)",
        "$1"
    ),
    postgres: services!(
        "metadata #>> '{spanledger.origin,prompt_tokens,attribute}' \
         IN ('gen_ai.usage.prompt_tokens', 'llm.usage.prompt_tokens')",
        "CAST(extract(epoch FROM now() - max(created_at)) AS double precision)",
        "$1::timestamptz"
    ),
};

macro_rules! unpriced {
    ($since:literal) => {
        concat!(
            "SELECT service_name, provider, model, count(*), max(trace_id) FROM llm_calls \
             WHERE counted AND estimated_cost IS NULL AND prompt_tokens IS NOT NULL \
             AND started_at >= ",
            $since,
            " GROUP BY 1, 2, 3 ORDER BY 4 DESC LIMIT 50"
        )
    };
}
const UNPRICED: Sql = Sql {
    sqlite: unpriced!("$1"),
    postgres: unpriced!("$1::timestamptz"),
};

macro_rules! stage {
    ($table:literal, $lacks:literal, $since:literal) => {
        concat!(
            "SELECT service_name, count(*), count(*) FILTER (WHERE ",
            $lacks,
            "), max(CASE WHEN ",
            $lacks,
            " THEN trace_id END) FROM ",
            $table,
            " WHERE started_at >= ",
            $since,
            " GROUP BY 1"
        )
    };
}
const SPEECH: Sql = Sql {
    sqlite: stage!(
        "stt_logs",
        "event_type = 'complete' AND audio_duration_seconds IS NULL",
        "$1"
    ),
    postgres: stage!(
        "stt_logs",
        "event_type = 'complete' AND audio_duration_seconds IS NULL",
        "$1::timestamptz"
    ),
};
const RETRIEVALS: Sql = Sql {
    sqlite: stage!(
        "retrievals",
        "counted AND status = 'success' AND hits IS NULL AND best_score IS NULL",
        "$1"
    ),
    postgres: stage!(
        "retrievals",
        "counted AND status = 'success' AND hits IS NULL AND best_score IS NULL",
        "$1::timestamptz"
    ),
};

/// Reads the facts about what started since then.
pub async fn facts(pool: &Pool, since: DateTime<Utc>) -> Result<Facts, sqlx::Error> {
    let since = since.to_rfc3339_opts(SecondsFormat::Micros, true);
    let count = |n: i64| n.unsigned_abs();
    macro_rules! seen {
        ($row:expr, $at:expr) => {
            Seen {
                calls: count($row.try_get($at)?),
                example: $row.try_get($at + 1)?,
            }
        };
    }
    macro_rules! stage {
        ($sql:expr) => {
            rows!(pool, $sql, &since, |row| Ok(Stage {
                service: row.try_get(0)?,
                rows: count(row.try_get(1)?),
                lacking: seen!(row, 2),
            }))
        };
    }
    Ok(Facts {
        services: rows!(pool, SERVICES, &since, |row| Ok(Service {
            name: row.try_get(0)?,
            dialect: row.try_get(1)?,
            calls: count(row.try_get(2)?),
            not_counted: count(row.try_get(3)?),
            silent_seconds: row.try_get(4)?,
            streams_without_usage: seen!(row, 5),
            calls_without_usage: seen!(row, 7),
            without_session: seen!(row, 9),
            without_user: seen!(row, 11),
            without_model: seen!(row, 13),
            without_content: seen!(row, 15),
            without_error_type: seen!(row, 17),
            deprecated: seen!(row, 19),
        })),
        unpriced: rows!(pool, UNPRICED, &since, |row| Ok(Unpriced {
            service: row.try_get(0)?,
            provider: row.try_get(1)?,
            model: row.try_get(2)?,
            seen: seen!(row, 3),
        })),
        speech: stage!(SPEECH),
        retrievals: stage!(RETRIEVALS),
    })
}
