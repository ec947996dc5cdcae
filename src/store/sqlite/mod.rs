//! SQLite: one file, one writer, multi-row INSERT in large transactions.

mod retention;

use std::{
    io,
    ops::Range,
    path::{Path, PathBuf},
    str::FromStr,
    sync::Arc,
    time::Duration,
};

use sqlx::{
    AssertSqlSafe, SqliteConnection, SqlitePool,
    query::Query,
    sqlite::{
        SqliteArguments, SqliteConnectOptions, SqliteJournalMode, SqlitePoolOptions,
        SqliteSynchronous,
    },
};

use super::{
    Batch, Committed, Error, Inserted, Refused, amend, content,
    days::{DaysOf, Keep},
    metrics::Metrics,
    tables::{Field, Packed, rfc3339},
    texts::{self, Known},
};

pub(super) use retention::{drop_day, known};

static MIGRATIONS: sqlx::migrate::Migrator = sqlx::migrate!("src/store/sqlite/migrations");

/// Rows in one INSERT: 62 columns each stay far below SQLite's 32,766 parameters.
const ROWS: usize = 32;

/// Where the file is.
#[derive(Debug)]
pub(super) struct Sqlite {
    path: PathBuf,
    options: SqliteConnectOptions,
}

impl Sqlite {
    pub fn new(url: &str) -> Result<Self, Error> {
        let options = SqliteConnectOptions::from_str(url)
            .map_err(|error| Error::Url(error.to_string()))?
            .create_if_missing(true)
            .journal_mode(SqliteJournalMode::Wal)
            // NORMAL may lose the last commits in a power cut: rows whose checkpoint was told.
            .synchronous(SqliteSynchronous::Full)
            .busy_timeout(Duration::from_secs(30))
            .pragma("cache_size", "-32768")
            // What undoes a failed statement: else each large one makes a file, and deletes it.
            .pragma("temp_store", "MEMORY")
            // Ids are random, so each row changes a page of the index of its own; a log of 64 MB
            // writes such a page to the file once for many of its rows.
            .pragma("wal_autocheckpoint", "16000")
            .pragma("journal_size_limit", "67108864");
        Ok(Self {
            path: options.get_filename().to_owned(),
            options,
        })
    }

    pub fn describe(&self) -> String {
        format!("sqlite at {}", self.path.display())
    }

    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Size of the file and of the log beside it, which SQLite removes when it closes.
    pub fn bytes(&self) -> Result<u64, Error> {
        let size = |path: &Path| path.metadata().map(|found| found.len());
        let mut log = self.path.clone().into_os_string();
        log.push("-wal");
        let log = match size(Path::new(&log)) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(0),
            size => size,
        };
        size(&self.path)
            .and_then(|file| Ok(file + log?))
            .map_err(|error| Error::Unreachable(sqlx::Error::Io(error)))
    }

    pub async fn connect(&self) -> Result<SqlitePool, Error> {
        if let Some(folder) = self.path.parent() {
            std::fs::create_dir_all(folder)
                .map_err(|error| Error::Unreachable(sqlx::Error::Io(error)))?;
        }
        let pool = SqlitePoolOptions::new()
            .max_connections(4)
            .connect_with(self.options.clone())
            .await?;
        MIGRATIONS.run(&pool).await?;
        Ok(pool)
    }
}

pub(super) async fn commit(
    pool: &SqlitePool,
    batch: &Batch,
    keep: Keep,
    known: &Known,
    metrics: &Metrics,
) -> Result<Committed, Error> {
    // A writer from the start: upgrading a reader can fail with SQLITE_BUSY at once.
    let mut tx = pool.begin_with("BEGIN IMMEDIATE").await?;
    let mut done: Vec<(&'static str, Inserted)> = Vec::new();
    for rows in batch.rows.tables() {
        if !rows.is_empty() {
            done.push((rows.name, insert(&mut tx, rows).await?));
        }
    }
    for refused in done.iter().flat_map(|(_, inserted)| &inserted.refused) {
        bury(&mut tx, refused).await?;
    }
    amend::sqlite(&mut tx, batch).await?;
    content::sqlite(&mut tx, &batch.rows.call_keys, &batch.contents).await?;
    retention::came(&mut tx, &DaysOf::batch(batch, keep).far).await?;
    let fresh = known.fresh(batch);
    let texts = insert(&mut tx, &texts::packed(&fresh)).await?;
    for refused in &texts.refused {
        bury(&mut tx, refused).await?;
    }
    tx.commit().await?;
    known.remember(&fresh);
    metrics.texts(&texts);
    let mut committed = Committed::default();
    for (table, inserted) in &done {
        metrics.inserted(table, inserted, &mut committed);
    }
    Ok(committed)
}

/// Inserts what is not there yet, in the order given, around what is refused.
async fn insert(tx: &mut SqliteConnection, rows: &Packed) -> Result<Inserted, Error> {
    let most = ROWS.min(rows.len());
    let whole: Arc<str> = statement(rows, most).into();
    let query_of = |slice: Range<usize>| match slice.len() {
        len if len == most => filled(Arc::clone(&whole), rows, slice),
        len => filled(statement(rows, len).into(), rows, slice),
    };
    let slice_at = |start: usize| {
        let slice = start..(start + ROWS).min(rows.len());
        (!slice.is_empty()).then_some(slice)
    };
    let mut slice = slice_at(0);
    let mut query = slice.clone().map(query_of);
    let mut inserted = Inserted::default();
    while let (Some(current), Some(insert)) = (slice.take(), query.take()) {
        slice = slice_at(current.end);
        // SQLite has a thread of its own: while it works, the next statement is filled.
        let fill = async { slice.clone().map(query_of) };
        let (done, after) = tokio::join!(insert.execute(&mut *tx), fill);
        query = after;
        match done.map_err(Error::from) {
            Ok(done) => {
                inserted.inserted += done.rows_affected();
                inserted.duplicates += current.len() as u64 - done.rows_affected();
            }
            // A failed statement leaves nothing behind, so its rows can be tried one by one.
            Err(error) if error.is_about_data() => {
                for row in current {
                    let single = query_of(row..row + 1);
                    match single.execute(&mut *tx).await.map_err(Error::from) {
                        Ok(done) => {
                            inserted.inserted += done.rows_affected();
                            inserted.duplicates += 1 - done.rows_affected();
                        }
                        Err(error) if error.is_about_data() => inserted.refused.push(Refused {
                            table: rows.name,
                            row: rows.to_json(row),
                            reason: error.to_string(),
                        }),
                        Err(error) => return Err(error),
                    }
                }
            }
            Err(error) => return Err(error),
        }
    }
    Ok(inserted)
}

/// INSERT of so many rows.
fn statement(rows: &Packed, number: usize) -> String {
    let marks = vec!["?"; rows.width()].join(", ");
    let values = vec![format!("({marks})"); number].join(", ");
    let (name, columns) = (rows.name, rows.column_list());
    format!("INSERT INTO {name} ({columns}) VALUES {values} ON CONFLICT DO NOTHING")
}

/// The statement with the rows' values.
fn filled(
    statement: Arc<str>,
    rows: &Packed,
    slice: Range<usize>,
) -> Query<'static, sqlx::Sqlite, SqliteArguments> {
    // Full slices share one statement; the rest is not worth a place in the cache.
    let mut query = sqlx::query(AssertSqlSafe(statement)).persistent(slice.len() == ROWS);
    for field in slice.flat_map(|row| rows.fields(row)) {
        query = match field {
            Field::Null => query.bind(None::<i64>),
            Field::Text(text) | Field::Json(text) => query.bind(text.to_owned()),
            Field::Int(int) => query.bind(int),
            Field::Float(float) => query.bind(float),
            Field::Bool(flag) => query.bind(i64::from(flag)),
            Field::Time(ns) => query.bind(rfc3339(ns)),
        };
    }
    query
}

async fn bury(tx: &mut SqliteConnection, refused: &Refused) -> Result<(), Error> {
    refused.log();
    sqlx::query(
        "INSERT INTO dead_letters (trace_id, span_id, id, table_name, reason, \"row\", created_at) \
         VALUES ($1, $2, $3, $4, $5, $6, strftime('%Y-%m-%dT%H:%M:%f000Z', 'now')) \
         ON CONFLICT DO NOTHING",
    )
    .bind(refused.field("trace_id"))
    .bind(refused.field("span_id"))
    .bind(refused.id())
    .bind(refused.table)
    .bind(&refused.reason)
    .bind(refused.row.to_string())
    .execute(tx)
    .await?;
    Ok(())
}
