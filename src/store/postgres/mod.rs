//! Postgres: COPY BINARY straight into the tables, a conflict-safe path for what was sent before,
//! day partitions.

mod copy;
mod merge;
mod nodelay;
mod partitions;
mod retention;

use std::{
    collections::BTreeSet,
    str::FromStr,
    sync::atomic::{AtomicU32, Ordering},
    time::Duration,
};

use chrono::NaiveDate;
use sqlx::{
    Connection, Executor, PgConnection, PgPool,
    postgres::{PgConnectOptions, PgPoolOptions},
};

use super::{
    Batch, Committed, Error, Inserted, Refused, Turn, amend, content,
    days::{DaysOf, Keep},
    metrics::Metrics,
    patience::{ANSWER_TIMEOUT, in_time},
    texts::{self, Known},
};

pub(super) use retention::{drop_day, known};

static MIGRATIONS: sqlx::migrate::Migrator = sqlx::migrate!("src/store/postgres/migrations");

/// Long enough for a busy server, short enough that an outage is noticed.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);
/// Each statement has its own limit of a minute, and there are several migrations.
const MIGRATE_TIMEOUT: Duration = Duration::from_secs(600);
/// Prompts and answers compressed by lz4 take a quarter of the CPU time of Postgres' own way, and 1 %
/// more room (COPY of 10,000 rows of 10,000 characters: 1.0 s, not 4.0). Not every server has it.
const HAS_LZ4: &str = "SELECT 'lz4' = ANY(enumvals) FROM pg_settings \
    WHERE name = 'default_toast_compression'";
/// After a batch held rows that were stored already, so many more go the conflict-safe way: resends
/// come in runs.
const STAGED_AFTER_CONFLICT: u32 = 4;

/// Where the server is, and what is known of it.
#[derive(Debug)]
pub(super) struct Postgres {
    options: PgConnectOptions,
    keep: Keep,
    partitions: partitions::Partitions,
    staged: AtomicU32,
}

impl Postgres {
    pub fn new(url: &str, keep: Keep) -> Result<Self, Error> {
        // The parser's own message may repeat parts of the URL, which may hold a password.
        let options = PgConnectOptions::from_str(url)
            .map_err(|_| Error::Url("this one can't be read".into()))?
            .application_name("spanledger")
            .options([("statement_timeout", "60s"), ("timezone", "UTC")]);
        Ok(Self {
            options,
            keep,
            partitions: Default::default(),
            staged: AtomicU32::new(0),
        })
    }

    pub fn describe(&self) -> String {
        let database = self.options.get_database().unwrap_or_default();
        format!(
            "postgres at {}:{}/{database}",
            self.options.get_host(),
            self.options.get_port()
        )
    }

    pub async fn connect(&self) -> Result<PgPool, Error> {
        // The pool's own first connection waits out its timeout and hides why; this one says it.
        let first = in_time(CONNECT_TIMEOUT, self.has_lz4());
        let mut options = self.options.clone();
        if first.await? {
            options = options.options([("default_toast_compression", "lz4")]);
        }
        let port = options.get_port();
        let pool = PgPoolOptions::new()
            .max_connections(5)
            .acquire_timeout(CONNECT_TIMEOUT)
            .after_connect(move |_, _| {
                nodelay::set(port);
                Box::pin(std::future::ready(Ok(())))
            })
            .connect_lazy_with(options);
        let migrate = async { Ok(MIGRATIONS.run(&pool).await?) };
        in_time(MIGRATE_TIMEOUT, migrate).await?;
        self.partitions.forget();
        let ahead = self.ensure_ahead(&pool, chrono::Utc::now());
        match in_time(ANSWER_TIMEOUT, ahead).await {
            // Rows must not wait for as long as somebody reads; the hourly job tries again, and a
            // batch whose day has none goes to the default partitions.
            Err(error) if error.is_locked() => {
                tracing::warn!("a long query keeps partitions from being made; later");
            }
            made => made?,
        }
        Ok(pool)
    }

    /// Asked over a connection of its own.
    async fn has_lz4(&self) -> Result<bool, Error> {
        let mut first = PgConnection::connect_with(&self.options).await?;
        let has_lz4: Option<bool> = sqlx::query_scalar(HAS_LZ4)
            .fetch_optional(&mut first)
            .await?;
        first.close().await?;
        Ok(has_lz4 == Some(true))
    }

    /// Partitions have gone.
    pub fn forget_partitions(&self) {
        self.partitions.forget();
    }

    pub async fn ensure_ahead(
        &self,
        pool: &PgPool,
        now: chrono::DateTime<chrono::Utc>,
    ) -> Result<(), Error> {
        self.partitions.ensure_ahead(pool, now).await
    }

    pub async fn commit(
        &self,
        pool: &PgPool,
        batch: &Batch,
        turn: &mut Turn,
        known: &Known,
        metrics: &Metrics,
    ) -> Result<Committed, Error> {
        let write = self.write(pool, batch, turn, known, metrics);
        in_time(ANSWER_TIMEOUT, write).await
    }

    /// Straight COPY; where that finds a row that exists, or one that is refused, all of it again
    /// the staged way.
    async fn write(
        &self,
        pool: &PgPool,
        batch: &Batch,
        turn: &mut Turn,
        known: &Known,
        metrics: &Metrics,
    ) -> Result<Committed, Error> {
        let mut days = DaysOf::batch(batch, self.keep);
        self.partitions.ensure_for(pool, &mut days).await?;
        let transaction = Transaction {
            pool,
            batch,
            far: days.far,
            known,
            metrics,
        };
        let staged = self.staged.load(Ordering::Relaxed);
        if staged == 0 {
            match transaction.run(Way::Straight, turn).await {
                Err(error) if error.is_about_data() => {}
                ended => return ended,
            }
        }
        let committed = transaction.run(Way::Staged, turn).await?;
        let next = if staged == 0 || committed.duplicates > 0 {
            STAGED_AFTER_CONFLICT
        } else {
            staged - 1
        };
        self.staged.store(next, Ordering::Relaxed);
        Ok(committed)
    }
}

/// How rows get into their table.
#[derive(Clone, Copy)]
enum Way {
    /// COPY; a row that exists, or is refused, fails the transaction.
    Straight,
    /// Around what exists and what is refused.
    Staged,
}

/// What one transaction writes.
struct Transaction<'a> {
    pool: &'a PgPool,
    batch: &'a Batch,
    /// Days of rows from afar.
    far: BTreeSet<NaiveDate>,
    /// Texts that are stored.
    known: &'a Known,
    metrics: &'a Metrics,
}

impl Transaction<'_> {
    async fn run(&self, way: Way, turn: &mut Turn) -> Result<Committed, Error> {
        let batch = self.batch;
        let mut tx = self.pool.begin().await?;
        let mut done: Vec<(&'static str, Inserted)> = Vec::new();
        for rows in batch.rows.tables() {
            if rows.is_empty() {
                continue;
            }
            let inserted = match way {
                Way::Straight => Inserted {
                    inserted: copy::all(&mut tx, rows).await?,
                    ..Inserted::default()
                },
                Way::Staged => merge::staged(&mut tx, rows).await?,
            };
            done.push((rows.name, inserted));
        }
        for refused in done.iter().flat_map(|(_, inserted)| &inserted.refused) {
            bury(&mut tx, refused).await?;
        }
        // What changes rows of earlier batches must find them.
        turn.come_soon().await?;
        amend::postgres(&mut tx, batch).await?;
        content::postgres(&mut tx, &batch.rows.call_keys, &batch.contents).await?;
        retention::came(&mut tx, &self.far).await?;
        // Last: who waits here for another process holds nothing that one still in need of it wants.
        let fresh = self.known.fresh(batch);
        let texts = merge::direct(&mut tx, &texts::packed(&fresh)).await?;
        for refused in &texts.refused {
            bury(&mut tx, refused).await?;
        }
        tx.commit().await?;
        self.known.remember(&fresh);
        self.metrics.texts(&texts);
        let mut committed = Committed::default();
        for (table, inserted) in &done {
            self.metrics.inserted(table, inserted, &mut committed);
        }
        Ok(committed)
    }
}

/// Size of the database, indexes and all.
pub(super) async fn bytes(pool: &PgPool) -> Result<u64, Error> {
    let size: i64 = sqlx::query_scalar("SELECT pg_database_size(current_database())")
        .fetch_one(pool)
        .await?;
    Ok(size.unsigned_abs())
}

/// Keeps a refused row. If what it holds is refused here, too, its ids and the reason are kept: an
/// unknown bad row must never stop the rest.
async fn bury(tx: &mut PgConnection, refused: &Refused) -> Result<(), Error> {
    refused.log();
    tx.execute("SAVEPOINT letter").await?;
    match write_letter(tx, refused, refused.row.to_string()).await {
        Err(error) if error.is_about_data() => {
            tx.execute("ROLLBACK TO SAVEPOINT letter").await?;
            write_letter(tx, refused, "{}".into()).await
        }
        written => written,
    }
}

async fn write_letter(tx: &mut PgConnection, refused: &Refused, row: String) -> Result<(), Error> {
    sqlx::query(
        "INSERT INTO dead_letters (trace_id, span_id, id, table_name, reason, \"row\", created_at) \
         VALUES ($1, $2, $3, $4, $5, $6::jsonb, now()) ON CONFLICT DO NOTHING",
    )
    .bind(refused.field("trace_id"))
    .bind(refused.field("span_id"))
    .bind(refused.id())
    .bind(refused.table)
    .bind(&refused.reason)
    .bind(row)
    .execute(tx)
    .await?;
    Ok(())
}
