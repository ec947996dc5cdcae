//! The conflict-safe path: rows that may be there already, or that the database may refuse.
//!
//! A slice that is refused is halved until the row that is the reason stands alone.

use std::ops::Range;

use sqlx::{AssertSqlSafe, Executor, PgConnection};

use super::copy;
use crate::store::{
    Error, Inserted, Refused,
    arrays::{BYTES, ROWS},
    tables::Packed,
};

/// How a slice gets into its table.
enum Way {
    /// COPY into a temporary table, INSERT what is not there yet, clear: for many rows.
    Staged {
        stage: String,
        merge: String,
        clear: String,
    },
    /// One INSERT of a JSON array, without a table to make and drop: for the few of every batch.
    Direct { merge: String },
}

/// Inserts what is not there yet by way of a temporary table.
pub(super) async fn staged(tx: &mut PgConnection, rows: &Packed) -> Result<Inserted, Error> {
    let (name, columns) = (rows.name, rows.column_list());
    let stage = format!("stage_{name}");
    let create = format!("CREATE TEMP TABLE IF NOT EXISTS {stage} (LIKE {name}) ON COMMIT DROP");
    tx.execute(AssertSqlSafe(create)).await?;
    let merge = format!(
        "INSERT INTO {name} ({columns}) SELECT {columns} FROM {stage} ON CONFLICT DO NOTHING"
    );
    let clear = format!("TRUNCATE {stage}");
    let way = Way::Staged {
        stage,
        merge,
        clear,
    };
    by_halves(tx, rows, &way).await
}

/// Inserts what is not there yet, in the order given.
pub(super) async fn direct(tx: &mut PgConnection, rows: &Packed) -> Result<Inserted, Error> {
    if rows.is_empty() {
        return Ok(Inserted::default());
    }
    let (name, columns) = (rows.name, rows.column_list());
    let merge = format!(
        "INSERT INTO {name} ({columns}) SELECT {columns} \
         FROM jsonb_populate_recordset(NULL::{name}, $1::jsonb) ON CONFLICT DO NOTHING"
    );
    by_halves(tx, rows, &Way::Direct { merge }).await
}

async fn by_halves(tx: &mut PgConnection, rows: &Packed, way: &Way) -> Result<Inserted, Error> {
    let mut inserted = Inserted::default();
    let mut open = slices(rows);
    open.reverse();
    while let Some(slice) = open.pop() {
        tx.execute("SAVEPOINT merge").await?;
        match merge(tx, rows, slice.clone(), way).await {
            Ok(fresh) => {
                tx.execute("RELEASE SAVEPOINT merge").await?;
                inserted.inserted += fresh;
                inserted.duplicates += slice.len() as u64 - fresh;
            }
            Err(error) if error.is_about_data() => {
                tx.execute("ROLLBACK TO SAVEPOINT merge").await?;
                if slice.len() <= 1 {
                    inserted.refused.push(Refused {
                        table: rows.name,
                        row: rows.to_json(slice.start),
                        reason: error.to_string(),
                    });
                } else {
                    // The first half first: of two rows with one key the first one stays.
                    let middle = slice.start + slice.len() / 2;
                    open.extend([middle..slice.end, slice.start..middle]);
                }
            }
            Err(error) => return Err(error),
        }
    }
    Ok(inserted)
}

/// As much as is merged at once.
fn slices(rows: &Packed) -> Vec<Range<usize>> {
    let (mut slices, mut start, mut bytes) = (Vec::new(), 0, 0);
    for row in 0..rows.len() {
        bytes += rows.row(row).len();
        if bytes >= BYTES || row + 1 - start >= ROWS {
            slices.push(start..row + 1);
            (start, bytes) = (row + 1, 0);
        }
    }
    if start < rows.len() {
        slices.push(start..rows.len());
    }
    slices
}

/// Says how many rows were not there.
async fn merge(
    tx: &mut PgConnection,
    rows: &Packed,
    slice: Range<usize>,
    way: &Way,
) -> Result<u64, Error> {
    let merged = match way {
        Way::Staged {
            stage,
            merge,
            clear,
        } => {
            copy::some(tx, stage, rows, slice).await?;
            let merged = tx.execute(AssertSqlSafe(merge.clone())).await?;
            tx.execute(AssertSqlSafe(clear.clone())).await?;
            merged
        }
        Way::Direct { merge } => {
            let rows = slice.map(|row| rows.to_json(row)).collect();
            let rows = serde_json::Value::Array(rows).to_string();
            let query = sqlx::query(AssertSqlSafe(merge.clone())).bind(rows);
            query.execute(tx).await?
        }
    };
    Ok(merged.rows_affected())
}
