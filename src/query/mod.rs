//! STATION 8: rows, read; one file a question, SQL const beside its function.
//!
//! | file | question |
//! |---|---|
//! | `speech` | what was billed of transcriptions? |
//! | `summary` | what was received lately, and what did it cost? |
//! | `calls` | what do the rows of some calls say of themselves? |
//! | `conversation` | what was a model sent in one call, and what did it answer? |
//! | `examples` | which traces are examples of what an alert is about? |
//! | `canary` | did a canary arrive? |
//! | `day` | what did the last 24 hours sum up to? |
//! | `doctor` | what do the rows tell about the apps' instrumentation? |
//! | `landed` | what do the tables hold of these traces? |
//! | `held` | which rows are there of all traces whose ids begin alike? |

pub mod calls;
pub mod canary;
pub mod conversation;
pub mod day;
pub mod doctor;
pub mod examples;
pub mod held;
pub mod landed;
pub mod speech;
pub mod summary;

use smol_str::SmolStr;
use sqlx::{ColumnIndex, Decode, Row, Type};

/// Runs a statement on whichever store it is and reads each row by column number. `$sql` has a
/// text for each store.
macro_rules! rows {
    ($pool:expr, $sql:expr, $bound:expr, |$row:ident| $read:expr) => {
        match $pool {
            $crate::store::Pool::Sqlite(pool) => sqlx::query($sql.sqlite)
                .bind($bound)
                .fetch_all(pool)
                .await?
                .iter()
                .map(|$row| $read)
                .collect::<Result<Vec<_>, sqlx::Error>>()?,
            $crate::store::Pool::Postgres(pool) => sqlx::query($sql.postgres)
                .bind($bound)
                .fetch_all(pool)
                .await?
                .iter()
                .map(|$row| $read)
                .collect::<Result<Vec<_>, sqlx::Error>>()?,
        }
    };
}
use rows;

/// A name in a row; `None` for NULL.
fn name<'r, R>(row: &'r R, at: usize) -> Result<Option<SmolStr>, sqlx::Error>
where
    R: Row,
    usize: ColumnIndex<R>,
    Option<String>: Decode<'r, R::Database> + Type<R::Database>,
{
    Ok(row.try_get::<Option<String>, _>(at)?.map(SmolStr::from))
}

/// A statement for each store.
struct Sql {
    sqlite: &'static str,
    postgres: &'static str,
}
