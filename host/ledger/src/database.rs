//! One database file: its lock, its settings, its pool for reading and the way to its writer.
//!
//! Invariant: one process per file, and in it one connection that writes. Not here: what the writer
//! does with a group (writer), the tables (host/migrations).

use crate::balance::{self, Balance, Entry};
use crate::error::LedgerError;
use crate::limits;
use crate::verify::{self, Verified};
use crate::writer::{self, BoxFuture, Transaction, WriterHandle};
use sqlx::migrate::Migrator;
use sqlx::sqlite::{
    SqliteConnectOptions, SqliteJournalMode, SqlitePool, SqlitePoolOptions, SqliteSynchronous,
};
use sqlx::{ConnectOptions, SqliteConnection};
use std::fs::{File, TryLockError};
use std::path::{Path, PathBuf};
use tokio::time::Instant;
use uuid::Uuid;

pub(crate) static MIGRATOR: Migrator = sqlx::migrate!("../migrations/sqlite");

/// The one database: a pool for reading and one writer task that commits waiting jobs in groups
/// (one BEGIN IMMEDIATE, a savepoint per job, one durable COMMIT; an answer only after it).
/// Cheap to clone. The writer ends, and lets go of the lock, once the last clone is dropped and all
/// accepted jobs are done.
#[derive(Debug, Clone)]
pub struct Database {
    reader: SqlitePool,
    writer: WriterHandle,
}

impl Database {
    /// Opens (creating and migrating where needed) the SQLite file: WAL, synchronous=FULL.
    /// An exclusive lock file beside it keeps a second process out, with a sentence saying so.
    pub async fn open(path: &Path) -> Result<Database, LedgerError> {
        let lock = lock(path).await?;
        let options = SqliteConnectOptions::new()
            .filename(path)
            .create_if_missing(true)
            .journal_mode(SqliteJournalMode::Wal)
            .synchronous(SqliteSynchronous::Full)
            .foreign_keys(true)
            .busy_timeout(limits::BUSY_TIMEOUT)
            .disable_statement_logging();
        let cannot_open = |source| LedgerError::Open { database: path.to_owned(), source };

        let mut connection = options.connect().await.map_err(cannot_open)?;
        check_journal_mode(&mut connection, path).await?;
        migrate(&mut connection, path).await?;

        let reader = SqlitePoolOptions::new()
            .max_connections(limits::READERS_MAX)
            .connect_with(options.clone().pragma("query_only", "on"))
            .await
            .map_err(cannot_open)?;
        let writer = writer::start(options, connection, lock).await.map_err(cannot_open)?;
        Ok(Database { reader, writer })
    }

    /// For queries only (its connections are `query_only`).
    pub fn reader(&self) -> &SqlitePool {
        &self.reader
    }

    /// Runs `job` in the writer task; `Ok` means committed to disk. A job's `Err` rolls back that
    /// job only. Dropping the returned future withdraws nothing: a job once accepted runs.
    ///
    /// A job awaits its own statements and nothing else (all writing waits for it), and returns the
    /// error of a statement that failed.
    pub async fn write<T, E, F>(&self, job: F) -> Result<T, E>
    where
        T: Send + 'static,
        E: From<LedgerError> + Send + 'static,
        F: for<'t> FnOnce(&'t mut Transaction) -> BoxFuture<'t, Result<T, E>> + Send + 'static,
    {
        self.writer.write(job).await
    }

    /// Checks every row, every balance and the hash chain; the error names the first broken row.
    /// What it cannot see is a tail cut off cleanly: compare `head` with one that was kept
    /// elsewhere.
    pub async fn verify(&self) -> Result<Verified, LedgerError> {
        verify::verify(&self.reader).await
    }

    /// Every account, by name, with its sums as of one moment.
    pub async fn trial_balance(&self) -> Result<Vec<Balance>, LedgerError> {
        let mut connection =
            self.reader.acquire().await.map_err(LedgerError::storage("waiting for a reader"))?;
        balance::trial_balance(&mut connection).await
    }

    /// As [`Database::verify`], of a file that another process may be writing: takes no lock, makes
    /// and migrates nothing, and sees what is committed as of one moment.
    pub async fn verify_file(path: &Path) -> Result<Verified, LedgerError> {
        let options = SqliteConnectOptions::new()
            .filename(path)
            .busy_timeout(limits::BUSY_TIMEOUT)
            .disable_statement_logging()
            .pragma("query_only", "on");
        let reader = SqlitePoolOptions::new()
            .connect_with(options)
            .await
            .map_err(|source| LedgerError::Open { database: path.to_owned(), source })?;
        verify::verify(&reader).await
    }

    /// All transfers made under one reference (a sale's id), oldest first.
    pub async fn entries(&self, reference: Uuid) -> Result<Vec<Entry>, LedgerError> {
        balance::entries(&self.reader, reference).await
    }
}

/// The operating system drops the lock when the process ends, however it ends; the file stays,
/// since removing it would let two processes each lock a file of that name.
async fn lock(database: &Path) -> Result<File, LedgerError> {
    let mut name = database.as_os_str().to_owned();
    name.push(".lock");
    let lock = PathBuf::from(name);
    let unusable = |source| LedgerError::LockFile { lock: lock.clone(), source };
    let file =
        File::options().write(true).create(true).truncate(false).open(&lock).map_err(unusable)?;

    let give_up = Instant::now() + limits::LOCK_WAIT;
    loop {
        match file.try_lock() {
            Ok(()) => return Ok(file),
            Err(TryLockError::Error(source)) => return Err(unusable(source)),
            Err(TryLockError::WouldBlock) if Instant::now() < give_up => {
                tokio::time::sleep(limits::LOCK_POLL).await;
            }
            Err(TryLockError::WouldBlock) => {
                return Err(LedgerError::Locked { database: database.to_owned(), lock });
            }
        }
    }
}

/// A migration may have to make a table anew (SQLite cannot drop a column that a check names), which
/// foreign keys on it would forbid half-way: they rest meanwhile and are all checked at the end.
async fn migrate(connection: &mut SqliteConnection, path: &Path) -> Result<(), LedgerError> {
    let failed = |source| LedgerError::Migrate { database: path.to_owned(), source };
    let error = |source: sqlx::Error| failed(source.into());
    let before = migrations(connection).await;
    sqlx::query("pragma foreign_keys = off").execute(&mut *connection).await.map_err(error)?;
    MIGRATOR.run(&mut *connection).await.map_err(failed)?;
    // It reads every row, so only where something was changed.
    if migrations(connection).await != before {
        let check = sqlx::query("pragma foreign_key_check");
        let broken = check.fetch_all(&mut *connection).await.map_err(error)?;
        if !broken.is_empty() {
            let why = format!("{} rows point at rows that do not exist", broken.len());
            return Err(error(sqlx::Error::Protocol(why)));
        }
    }
    sqlx::query("pragma foreign_keys = on").execute(&mut *connection).await.map_err(error)?;
    Ok(())
}

/// How many were applied; a new file has no table that could say.
async fn migrations(connection: &mut SqliteConnection) -> i64 {
    let count = sqlx::query_scalar("select count(*) from _sqlx_migrations");
    count.fetch_one(connection).await.unwrap_or(0)
}

/// SQLite answers a refused WAL with the mode that it kept, not with an error.
async fn check_journal_mode(
    connection: &mut SqliteConnection,
    path: &Path,
) -> Result<(), LedgerError> {
    let mode: String = sqlx::query_scalar("pragma journal_mode")
        .fetch_one(connection)
        .await
        .map_err(|source| LedgerError::Open { database: path.to_owned(), source })?;
    if mode != "wal" {
        return Err(LedgerError::NoWriteAheadLog { database: path.to_owned(), mode });
    }
    Ok(())
}
