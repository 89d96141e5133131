//! The store: one SQLite file that outlives the process, and the only place that speaks SQL.
//!
//! Written by one connection in transactions that are on disk when they end (WAL, `synchronous=FULL`), read by
//! others, so that a page never waits for a flood. Every table is bounded (`Limits`). A store of a newer program is
//! refused by name and left as it is. Decides nothing: who may read is `access` and `api`.

mod access;
mod closing;
mod read;
#[cfg(test)]
mod tests;
mod write;

use std::{path::Path, time::Duration};

use sqlx::{
    ConnectOptions, Connection, SqlitePool,
    migrate::Migrator,
    sqlite::{SqliteConnectOptions, SqliteJournalMode, SqlitePoolOptions, SqliteSynchronous},
};

use crate::error::{ServerError, StoreError};

pub(crate) use access::Session;
pub(crate) use read::Glance;
pub(crate) use write::Writer;

/// Bounds of what is kept. Past a bound the oldest goes first, closed incidents before open ones.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Limits {
    /// Incidents.
    pub incidents: u32,
    /// Detections, and as many outcomes.
    pub detections: u32,
    /// Bytes of documents in each of these tables.
    pub bytes: u32,
}

impl Limits {
    /// 20,000 incidents and 100,000 detections are years of a sick host; 512 MiB a table, since one incident may
    /// carry 64 findings of some KiB each.
    pub const DEFAULT: Self = Self { incidents: 20_000, detections: 100_000, bytes: 512 * 1024 * 1024 };
}

/// An open store.
#[derive(Clone, Debug)]
pub(crate) struct Store {
    writer: SqlitePool,
    readers: SqlitePool,
    limits: Limits,
}

impl Store {
    /// Opens the store at `path`, or makes it, and brings it to this program's format.
    pub async fn open(path: &Path, limits: Limits) -> Result<Self, ServerError> {
        refuse_foreign(path).await?;
        Self::connect(path, limits)
            .await
            .map_err(|source| ServerError::Store { path: path.to_owned(), source })
    }

    async fn connect(path: &Path, limits: Limits) -> Result<Self, StoreError> {
        let options = SqliteConnectOptions::new()
            .filename(path)
            .create_if_missing(true)
            .journal_mode(SqliteJournalMode::Wal)
            .synchronous(SqliteSynchronous::Full)
            .pragma("journal_size_limit", JOURNAL_LIMIT_BYTES)
            .busy_timeout(PATIENCE)
            .disable_statement_logging();
        let pool =
            || SqlitePoolOptions::new().acquire_timeout(PATIENCE).idle_timeout(None).max_lifetime(None);
        let writer = pool().max_connections(1).connect_with(options.clone()).await?;
        MIGRATIONS.run(&writer).await?;
        sqlx::query(
            "INSERT INTO meta VALUES ('model_format', ?) ON CONFLICT DO UPDATE SET value = excluded.value",
        )
        .bind(minesweep_model::FORMAT.to_string())
        .execute(&writer)
        .await?;
        let readers = pool().max_connections(READERS).connect_with(options.read_only(true)).await?;
        Ok(Self { writer, readers, limits })
    }

    /// Ends all connections; the log is folded into the file.
    pub async fn close(&self) {
        self.readers.close().await;
        self.writer.close().await;
    }
}

/// Refuses, by name and before anything is written, what is not ours or comes from a newer program.
async fn refuse_foreign(path: &Path) -> Result<(), ServerError> {
    let size = match std::fs::metadata(path) {
        Ok(metadata) => metadata.len(),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(()),
        Err(source) => return Err(ServerError::DataFolder { path: path.to_owned(), source }),
    };
    if size == 0 {
        return Ok(());
    }
    let marks = marks(path).await.map_err(|error| match error {
        sqlx::Error::Database(refusal) if refusal.code().as_deref() == Some(NOT_A_DATABASE) => {
            ServerError::StoreForeign(path.to_owned())
        }
        other => ServerError::Store { path: path.to_owned(), source: other.into() },
    })?;
    if marks.application != APPLICATION {
        return Err(ServerError::StoreForeign(path.to_owned()));
    }
    let newer = |found, known| ServerError::StoreNewer { path: path.to_owned(), found, known };
    if marks.schema > SCHEMA {
        return Err(newer(marks.schema, SCHEMA));
    }
    let known = i64::from(minesweep_model::FORMAT);
    if marks.model > known { Err(newer(marks.model, known)) } else { Ok(()) }
}

/// What a store says of itself.
struct Marks {
    application: i64,
    schema: i64,
    model: i64,
}

async fn marks(path: &Path) -> Result<Marks, sqlx::Error> {
    let options = SqliteConnectOptions::new().filename(path).read_only(true).busy_timeout(PATIENCE);
    let mut connection = options.disable_statement_logging().connect().await?;
    let application = sqlx::query_scalar("PRAGMA application_id").fetch_one(&mut connection).await?;
    let schema = sqlx::query_scalar("PRAGMA user_version").fetch_one(&mut connection).await?;
    let model = if application == APPLICATION {
        let query = "SELECT CAST(value AS INTEGER) FROM meta WHERE key = 'model_format'";
        sqlx::query_scalar(query).fetch_optional(&mut connection).await?.unwrap_or(0)
    } else {
        0
    };
    connection.close().await?;
    Ok(Marks { application, schema, model })
}

/// `MSWP`, in the header of the file.
const APPLICATION: i64 = 0x4d53_5750;

/// Newest migration; each one sets it as the file's `user_version`.
const SCHEMA: i64 = 3;

/// SQLite's result code 26: the file is something else.
const NOT_A_DATABASE: &str = "26";

/// A writer's transaction ends in milliseconds; who waited 5 s will not be served by waiting longer.
const PATIENCE: Duration = Duration::from_secs(5);

/// Pages and event streams read through these.
const READERS: u32 = 4;

/// 64 MiB: the log is cut back to this after a flood.
const JOURNAL_LIMIT_BYTES: &str = "67108864";

static MIGRATIONS: Migrator = sqlx::migrate!("./migrations");

/// SQLite's integers are signed; times and counts of this product stay far below their end.
fn signed(number: u64) -> i64 {
    i64::try_from(number).unwrap_or(i64::MAX)
}

/// Back again; what is below nought was never written by us.
fn unsigned(number: i64) -> u64 {
    u64::try_from(number).unwrap_or(0)
}
