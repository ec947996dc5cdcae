//! STATION 6: rows, written.
//!
//! [`Store::commit`] writes rows, amendments and the lane's checkpoint in **one transaction**: a
//! crash leaves both or neither, so a replay stores nothing twice. A row that exists already is
//! left as it is (first wins). A row that the database refuses goes to `dead_letters` with the
//! reason; its neighbours are stored. Everything else that fails leaves nothing behind and can be
//! tried again.
//!
//! | file | what |
//! |---|---|
//! | `tables` | the one list of tables and columns; rows packed |
//! | `rows` | the rows of a batch, by table |
//! | `amend` | changes to stored rows; checkpoints |
//! | `arrays` | rows as JSON, as much as one statement takes |
//! | `content` | content that came apart from its call |
//! | `texts` | which texts of earlier messages are new |
//! | `recent` | what is stored of some traces, for the counter |
//! | `recost` | new prices for stored rows |
//! | `turn` | the order of commits that are under way at once |
//! | `days` | near and far days, when a day goes, when a clock is believed |
//! | `retention` | what may go, and what went |
//! | `postgres` | COPY BINARY, the conflict-safe path, day partitions made and dropped |
//! | `sqlite` | multi-row INSERT, old rows deleted a few at a time |
//! | `patience` | how long an answer may take, and when the store is lost |
//! | `error` `metrics` | what goes wrong, what is counted |

mod amend;
mod arrays;
mod content;
mod days;
mod error;
mod metrics;
mod patience;
mod postgres;
mod recent;
mod recost;
mod retention;
mod rows;
mod sqlite;
mod tables;
mod texts;
mod turn;

use std::{
    num::NonZeroU32,
    sync::{Mutex, PoisonError},
};

use chrono::{DateTime, NaiveDate, Utc};
use secrecy::{ExposeSecret, SecretString};
use sqlx::{PgPool, SqlitePool};

use patience::{ANSWER_TIMEOUT, in_time};

pub use error::Error;
pub use recent::Wanted;
pub use recost::Repriced;
pub use retention::{Due, Gone, Waits};
pub use rows::PackedRows;
pub use tables::row;
pub use turn::{Ended, Turn};

use crate::{
    record::{Amendment, CallContent, MappedSpan, TraceId},
    spool::Position,
};

/// Where rows go.
#[derive(Debug, Clone, Default)]
pub struct Config {
    /// `sqlite://PATH` or `postgres://USER:PASSWORD@HOST/DATABASE`.
    pub url: SecretString,
    /// Days that rows are kept; `None`: for ever.
    pub keep_days: Option<NonZeroU32>,
}

/// What one commit writes.
#[derive(Debug, Clone, Default)]
pub struct Batch {
    /// New rows.
    pub rows: PackedRows,
    /// Content of calls.
    pub contents: Vec<CallContent>,
    /// Changes to stored rows, those of this batch included.
    pub amendments: Vec<Amendment>,
    /// How far the lane is with this.
    pub checkpoint: Option<Checkpoint>,
}

impl Batch {
    /// True if it writes nothing.
    pub fn is_empty(&self) -> bool {
        self.rows.is_empty()
            && self.contents.is_empty()
            && self.amendments.is_empty()
            && self.checkpoint.is_none()
    }

    /// Lets go what it wrote, and keeps the memory for another one.
    pub fn clear(&mut self) {
        self.rows.clear();
        self.contents = Vec::new();
        self.amendments = Vec::new();
        self.checkpoint = None;
    }
}

/// How far a lane is.
#[derive(Debug, Clone)]
pub struct Checkpoint {
    /// Which spool.
    pub spool_id: String,
    /// Which lane.
    pub lane: &'static str,
    /// Everything before this is stored.
    pub position: Position,
}

/// What a commit did.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Committed {
    /// Rows that are new.
    pub inserted: u64,
    /// Rows that existed already.
    pub duplicates: u64,
    /// Rows in `dead_letters`.
    pub quarantined: u64,
}

/// A live connection pool, to ask questions.
#[derive(Debug, Clone)]
pub enum Pool {
    /// SQLite.
    Sqlite(SqlitePool),
    /// Postgres.
    Postgres(PgPool),
}

/// The store. Cheap to build; does no I/O until [`Store::connect`].
#[derive(Debug)]
pub struct Store {
    backend: Backend,
    keep: days::Keep,
    connected: Mutex<Option<Pool>>,
    answered: patience::Answered,
    texts: texts::Known,
    metrics: metrics::Metrics,
}

#[derive(Debug)]
enum Backend {
    Sqlite(Box<sqlite::Sqlite>),
    Postgres(Box<postgres::Postgres>),
}

impl Store {
    /// Reads the URL and registers metrics.
    pub fn new(config: Config, registry: &prometheus::Registry) -> Result<Self, Error> {
        let url = config.url.expose_secret();
        let keep = days::Keep(config.keep_days);
        let backend = match url.split_once("://").map(|(scheme, _)| scheme) {
            Some("sqlite") => Backend::Sqlite(Box::new(sqlite::Sqlite::new(url)?)),
            Some("postgres" | "postgresql") => {
                Backend::Postgres(Box::new(postgres::Postgres::new(url, keep)?))
            }
            _ => return Err(Error::Url("the part before :// says which store".into())),
        };
        Ok(Self {
            backend,
            keep,
            connected: Mutex::new(None),
            answered: patience::Answered::default(),
            texts: texts::Known::default(),
            metrics: metrics::Metrics::new(registry)?,
        })
    }

    /// `sqlite` or `postgres`, and where, without secrets.
    pub fn describe(&self) -> String {
        match &self.backend {
            Backend::Sqlite(sqlite) => sqlite.describe(),
            Backend::Postgres(postgres) => postgres.describe(),
        }
    }

    /// The SQLite file; `None` of a server.
    pub fn file(&self) -> Option<&std::path::Path> {
        match &self.backend {
            Backend::Sqlite(sqlite) => Some(sqlite.path()),
            Backend::Postgres(_) => None,
        }
    }

    /// Bytes that the store takes: the SQLite file with its log, or the Postgres database.
    pub async fn bytes(&self) -> Result<u64, Error> {
        match (&self.backend, self.pool()) {
            (Backend::Sqlite(sqlite), Some(_)) => sqlite.bytes(),
            (Backend::Postgres(_), Some(Pool::Postgres(pool))) => postgres::bytes(&pool).await,
            _ => Err(Error::NotConnected),
        }
    }

    /// Connects and brings the tables up to date. Call again after an outage.
    pub async fn connect(&self) -> Result<(), Error> {
        let connected = match &self.backend {
            Backend::Sqlite(sqlite) => sqlite.connect().await.map(Pool::Sqlite),
            Backend::Postgres(postgres) => postgres.connect().await.map(Pool::Postgres),
        };
        self.metrics.up(connected.is_ok());
        self.texts.forget();
        self.set(Some(connected?));
        self.answered.now();
        Ok(())
    }

    /// True from a successful [`Store::connect`] until a call finds the connection broken.
    pub fn is_connected(&self) -> bool {
        self.pool().is_some()
    }

    /// The pool, while connected.
    pub fn pool(&self) -> Option<Pool> {
        self.connected
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .clone()
    }

    fn set(&self, pool: Option<Pool>) -> Option<Pool> {
        let mut slot = self
            .connected
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        std::mem::replace(&mut *slot, pool)
    }

    /// Writes a batch, whole or not at all.
    pub async fn commit(&self, batch: &Batch) -> Result<Committed, Error> {
        self.commit_in_turn(batch, &mut Turn::default()).await
    }

    /// The same while an earlier batch is still being written: what is committed is always
    /// everything up to some batch. Postgres takes the rows meanwhile; SQLite has one writer.
    pub async fn commit_in_turn(&self, batch: &Batch, turn: &mut Turn) -> Result<Committed, Error> {
        let timer = self.metrics.commit_seconds.start_timer();
        let (texts, metrics) = (&self.texts, &self.metrics);
        let committed = match (&self.backend, self.pool()) {
            (Backend::Sqlite(_), Some(Pool::Sqlite(pool))) => {
                turn.come().await?;
                sqlite::commit(&pool, batch, self.keep, texts, metrics).await
            }
            (Backend::Postgres(postgres), Some(Pool::Postgres(pool))) => {
                postgres.commit(&pool, batch, turn, texts, metrics).await
            }
            _ => Err(Error::NotConnected),
        };
        timer.observe_duration();
        if let Err(Error::OutOfTurn) = committed {
            return committed;
        }
        let committed = self.seen(committed);
        // A store that answers questions and takes no rows (its disk is full) is not up.
        self.metrics.up(committed.is_ok());
        committed
    }

    /// Where a lane resumes; `None` if it never wrote.
    pub async fn checkpoint(&self, spool_id: &str, lane: &str) -> Result<Option<Position>, Error> {
        let question = async |pool| match pool {
            Pool::Sqlite(pool) => amend::checkpoint_sqlite(&pool, spool_id, lane).await,
            Pool::Postgres(pool) => amend::checkpoint_postgres(&pool, spool_id, lane).await,
        };
        self.ask(question).await
    }

    /// What is stored of some spans, as far as the counter needs it.
    pub async fn stored_spans(&self, wanted: Wanted<'_>) -> Result<Vec<MappedSpan>, Error> {
        self.ask(async |pool| recent::spans(&pool, wanted).await)
            .await
    }

    /// Sums the requests of these traces from the rows that are stored of them. For stores that
    /// several processes write to: elsewhere the counter's own sums hold.
    pub async fn sum_requests(&self, traces: &[TraceId]) -> Result<(), Error> {
        let question = async |pool| match pool {
            Pool::Sqlite(_) => Ok(()),
            Pool::Postgres(pool) => amend::sum_requests(&pool, traces).await,
        };
        self.ask(question).await
    }

    /// Joins content whose call another process stored at the same moment.
    pub async fn claim_content(&self) -> Result<(), Error> {
        let question = async |pool| match pool {
            Pool::Sqlite(_) => Ok(()),
            Pool::Postgres(pool) => content::claim(&pool).await,
        };
        self.ask(question).await
    }

    /// Lets others that write to the store know of this spool before it has rows.
    pub async fn announce(&self, spool_id: &str) -> Result<(), Error> {
        let question = async |pool| match pool {
            Pool::Sqlite(_) => Ok(()),
            Pool::Postgres(pool) => amend::announce(&pool, spool_id).await,
        };
        self.ask(question).await
    }

    /// True if a lane of another spool wrote within the last day: then a trace may be stored in
    /// part by somebody else.
    pub async fn is_shared(&self, spool_id: &str) -> Result<bool, Error> {
        let question = async |pool| match pool {
            // A file has one writer.
            Pool::Sqlite(_) => Ok(false),
            Pool::Postgres(pool) => amend::is_shared(&pool, spool_id).await,
        };
        self.ask(question).await
    }

    /// Gives stored rows new costs, and their requests the new sums; whole or not at all.
    pub async fn recost(&self, rows: &[Repriced<'_>]) -> Result<(), Error> {
        let done = match self.pool() {
            Some(Pool::Sqlite(pool)) => recost::sqlite(&pool, rows).await,
            Some(Pool::Postgres(pool)) => recost::postgres(&pool, rows).await,
            None => Err(Error::NotConnected),
        };
        self.seen(done)
    }

    /// Makes day partitions ahead, where the store has partitions.
    pub async fn ensure_partitions(&self, now: DateTime<Utc>) -> Result<(), Error> {
        let question = async |pool| match (&self.backend, pool) {
            (Backend::Postgres(postgres), Pool::Postgres(pool)) => {
                postgres.ensure_ahead(&pool, now).await
            }
            _ => Ok(()),
        };
        self.ask(question).await
    }

    /// Which days may go, by the store's own clock; `now` is this machine's. To be asked about
    /// every hour: it also notes how the clock runs.
    pub async fn days_due(&self, now: DateTime<Utc>) -> Result<Due, Error> {
        let question = async |pool| match pool {
            Pool::Sqlite(pool) => sqlite::known(&pool, self.keep, now).await,
            Pool::Postgres(pool) => postgres::known(&pool, self.keep).await,
        };
        let known = self.ask(question).await?;
        Ok(retention::due(known, self.keep, now))
    }

    /// Lets a day go: one of [`Store::days_due`]. What somebody reads stays; ask again later. Two
    /// processes may do it at once.
    pub async fn drop_day(&self, day: NaiveDate) -> Result<Gone, Error> {
        let gone = match self.pool() {
            Some(Pool::Sqlite(pool)) => sqlite::drop_day(&pool, day, self.keep).await,
            Some(Pool::Postgres(pool)) => postgres::drop_day(&pool, day, self.keep).await,
            None => Err(Error::NotConnected),
        };
        // Its texts and partitions are not there any more.
        self.texts.forget();
        if let Backend::Postgres(postgres) = &self.backend {
            postgres.forget_partitions();
        }
        self.seen(gone)
    }

    /// Lets go of content that was received before `before` (Unix ns) and whose call never came;
    /// says of how many calls.
    pub async fn forget_unclaimed(&self, before: i64) -> Result<u64, Error> {
        let question = async |pool| match pool {
            Pool::Sqlite(pool) => content::forget_sqlite(&pool, before).await,
            Pool::Postgres(pool) => content::forget_postgres(&pool, before).await,
        };
        self.ask(question).await
    }

    /// Lets go of the connections.
    pub async fn close(&self) {
        match self.set(None) {
            Some(Pool::Sqlite(pool)) => pool.close().await,
            Some(Pool::Postgres(pool)) => pool.close().await,
            None => {}
        }
    }

    /// Asks, but not for ever. A file can't vanish, and may be slow.
    async fn ask<T>(
        &self,
        question: impl AsyncFnOnce(Pool) -> Result<T, Error>,
    ) -> Result<T, Error> {
        let outcome = match self.pool() {
            Some(pool @ Pool::Sqlite(_)) => question(pool).await,
            Some(pool @ Pool::Postgres(_)) => in_time(ANSWER_TIMEOUT, question(pool)).await,
            None => Err(Error::NotConnected),
        };
        self.seen(outcome)
    }

    /// Notices a broken connection.
    fn seen<T>(&self, outcome: Result<T, Error>) -> Result<T, Error> {
        match &outcome {
            Ok(_) => {
                self.answered.now();
                self.metrics.up(true);
            }
            // A row it would not take is the row's fault.
            Err(error) => self.metrics.up(error.is_about_data() || error.is_locked()),
        }
        let is_lost = |error: &Error| self.answered.is_lost(error, self.pool().as_ref());
        if outcome.as_ref().is_err_and(is_lost) {
            self.set(None);
        }
        outcome
    }
}

/// A statement for each store.
struct Sql {
    sqlite: &'static str,
    postgres: &'static str,
}

/// What inserting into one table did.
#[derive(Debug, Default)]
struct Inserted {
    inserted: u64,
    duplicates: u64,
    refused: Vec<Refused>,
}

/// A row that the database refused.
#[derive(Debug)]
struct Refused {
    table: &'static str,
    row: serde_json::Value,
    reason: String,
}

impl Refused {
    fn field(&self, name: &str) -> &str {
        self.row[name].as_str().unwrap_or_default()
    }

    /// The row's own id; where its table has none, that of its span.
    fn id(&self) -> String {
        let own = ["id", "hash"].map(|name| self.field(name));
        match own.iter().find(|id| !id.is_empty()) {
            None => format!("{}-{}", self.field("trace_id"), self.field("span_id")),
            Some(id) => (*id).to_owned(),
        }
    }

    fn log(&self) {
        tracing::error!(
            table = self.table,
            reason = self.reason,
            "a row was refused; it is kept in dead_letters"
        );
    }
}
