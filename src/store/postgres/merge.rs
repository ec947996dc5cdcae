//! The conflict-safe path: rows that may be there already, or that the database may refuse.
//!
//! A slice that is refused is halved until the row that is the reason stands alone.

use sqlx::{AssertSqlSafe, Executor, PgConnection};

use super::copy;
use crate::store::{Error, Inserted, Refused, tables::Table};

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
pub(super) async fn staged<R>(
    tx: &mut PgConnection,
    table: &Table<R>,
    rows: &[&R],
) -> Result<Inserted, Error> {
    let (name, columns) = (table.name, table.column_list());
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
    by_halves(tx, table, rows, &way).await
}

/// Inserts what is not there yet, in the order given.
pub(super) async fn direct<R>(
    tx: &mut PgConnection,
    table: &Table<R>,
    rows: &[&R],
) -> Result<Inserted, Error> {
    if rows.is_empty() {
        return Ok(Inserted::default());
    }
    let (name, columns) = (table.name, table.column_list());
    let merge = format!(
        "INSERT INTO {name} ({columns}) SELECT {columns} \
         FROM jsonb_populate_recordset(NULL::{name}, $1::jsonb) ON CONFLICT DO NOTHING"
    );
    by_halves(tx, table, rows, &Way::Direct { merge }).await
}

async fn by_halves<R>(
    tx: &mut PgConnection,
    table: &Table<R>,
    rows: &[&R],
    way: &Way,
) -> Result<Inserted, Error> {
    let mut inserted = Inserted::default();
    let mut open = vec![rows];
    while let Some(slice) = open.pop() {
        tx.execute("SAVEPOINT merge").await?;
        match merge(tx, table, slice, way).await {
            Ok(fresh) => {
                tx.execute("RELEASE SAVEPOINT merge").await?;
                inserted.inserted += fresh;
                inserted.duplicates += slice.len() as u64 - fresh;
            }
            Err(error) if error.is_about_data() => {
                tx.execute("ROLLBACK TO SAVEPOINT merge").await?;
                match slice {
                    [row] => inserted.refused.push(Refused {
                        table: table.name,
                        row: table.to_json(row),
                        reason: error.to_string(),
                    }),
                    _ => {
                        // The first half first: of two rows with one key the first one stays.
                        let (first, second) = slice.split_at(slice.len() / 2);
                        open.extend([second, first]);
                    }
                }
            }
            Err(error) => return Err(error),
        }
    }
    Ok(inserted)
}

/// Says how many rows were not there.
async fn merge<R>(
    tx: &mut PgConnection,
    table: &Table<R>,
    slice: &[&R],
    way: &Way,
) -> Result<u64, Error> {
    let merged = match way {
        Way::Staged {
            stage,
            merge,
            clear,
        } => {
            copy::copy(tx, stage, table, slice).await?;
            let merged = tx.execute(AssertSqlSafe(merge.clone())).await?;
            tx.execute(AssertSqlSafe(clear.clone())).await?;
            merged
        }
        Way::Direct { merge } => {
            let rows = slice.iter().map(|row| table.to_json(row)).collect();
            let rows = serde_json::Value::Array(rows).to_string();
            let query = sqlx::query(AssertSqlSafe(merge.clone())).bind(rows);
            query.execute(tx).await?
        }
    };
    Ok(merged.rows_affected())
}
