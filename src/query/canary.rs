//! Did a canary arrive?

use super::{Sql, rows};
use crate::{record::TraceId, store::Pool};

const STORED: Sql = Sql {
    sqlite: "SELECT 1 FROM cache_lookups WHERE trace_id = $1",
    postgres: "SELECT 1 FROM cache_lookups WHERE trace_id = $1",
};

/// Whether a look into a cache is stored of this trace.
pub async fn is_stored(pool: &Pool, trace: TraceId) -> Result<bool, sqlx::Error> {
    let id = trace.to_string();
    Ok(!rows!(pool, STORED, &id, |_row| Ok(())).is_empty())
}
