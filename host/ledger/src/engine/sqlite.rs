//! SQLite: one file, its lock, its settings, and what `verify` asks of SQLite alone.
//!
//! Invariant: one process per file, and in it one connection that writes; WAL, synchronous=FULL.
//! Nothing is committed but while the writer says so: a commit hook turns any other COMMIT into a
//! rollback. Not here: what the writer does with a group (writer).

use super::upgrade::upgrade;
use crate::connection::{Connection, Reader};
use crate::error::LedgerError;
use crate::limits;
use sqlx::migrate::Migrator;
use sqlx::sqlite::{SqliteConnectOptions, SqliteJournalMode, SqlitePoolOptions, SqliteSynchronous};
use sqlx::{ConnectOptions, SqliteConnection};
use std::collections::BTreeMap;
use std::fs::{File, TryLockError};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use tokio::time::Instant;

pub(crate) static MIGRATOR: Migrator = sqlx::migrate!("../migrations/sqlite");

/// How the file that tells of a failed disk ends.
const WORD: &str = ".disk-failed";

/// One file that this process has locked. The operating system drops the lock when the process
/// ends, however it ends.
#[derive(Debug)]
pub(crate) struct Engine {
    path: PathBuf,
    options: Box<SqliteConnectOptions>,
    _lock: File,
}

impl Engine {
    /// Creates and migrates the file where needed; a second process is kept out with a sentence.
    ///
    /// With it comes the connection that has looked at the schema already, to write through.
    pub(crate) async fn open(
        path: &Path,
        keep: Option<&Path>,
    ) -> Result<(Engine, Connection), LedgerError> {
        let lock = lock(path).await?;
        let options = SqliteConnectOptions::new()
            .filename(path)
            .create_if_missing(true)
            .journal_mode(SqliteJournalMode::Wal)
            .synchronous(SqliteSynchronous::Full)
            .foreign_keys(true)
            .busy_timeout(limits::BUSY_TIMEOUT)
            .disable_statement_logging();
        let engine = Engine { path: path.to_owned(), options: Box::new(options), _lock: lock };
        let mut connection = engine.connect().await?;
        check_journal_mode(&mut connection, path).await?;
        migrate(&mut connection, path, keep).await?;
        forget_statistics(&mut connection).await.map_err(|source| cannot_open(path, source))?;
        engine.heed_word().await?;
        Ok((engine, Connection::from(connection)))
    }

    pub(crate) async fn reader(&self) -> Result<Reader, LedgerError> {
        let options = SqliteConnectOptions::clone(&self.options).pragma("query_only", "on");
        let pool = SqlitePoolOptions::new()
            .max_connections(limits::READERS_MAX)
            // Nothing is between us and the file that could be lost while a connection rests.
            .test_before_acquire(false)
            .idle_timeout(None)
            .max_lifetime(None)
            .connect_with(options)
            .await
            .map_err(|source| self.cannot_open(source))?;
        Ok(Reader::from(pool))
    }

    pub(crate) async fn writer(&self) -> Result<Connection, LedgerError> {
        Ok(Connection::from(self.connect().await?))
    }

    /// Beside the file, for the next process: the disk failed under this one. It may fail for this too;
    /// the log has it then.
    pub(crate) fn leave_word(&self) {
        if let Err(error) = File::create(beside(&self.path, WORD)) {
            tracing::error!(%error, "no word could be left that the disk failed");
        }
    }

    /// After a disk that failed nothing is served before every row was looked at.
    async fn heed_word(&self) -> Result<(), LedgerError> {
        let word = beside(&self.path, WORD);
        if !word.exists() {
            return Ok(());
        }
        tracing::warn!("the disk failed under the last process: checking the whole ledger");
        let place = super::Place::File(self.path.clone());
        let checked = crate::verify::verify(super::look(&place).await?, &[]).await?;
        tracing::warn!(transfers = checked.transfers, head = checked.head, "the ledger is whole");
        std::fs::remove_file(&word).map_err(|source| LedgerError::LockFile { lock: word, source })
    }

    async fn connect(&self) -> Result<SqliteConnection, LedgerError> {
        self.options.connect().await.map_err(|source| self.cannot_open(source))
    }

    fn cannot_open(&self, source: sqlx::Error) -> LedgerError {
        cannot_open(&self.path, source)
    }
}

fn beside(database: &Path, end: &str) -> PathBuf {
    let mut name = database.as_os_str().to_owned();
    name.push(end);
    PathBuf::from(name)
}

/// SQLITE_IOERR with whatever more it says, but for memory that was short
/// (<https://www.sqlite.org/rescode.html#ioerr>). A full disk is another code.
pub(crate) fn is_disk_failure(error: &sqlx::Error) -> bool {
    const IOERR: i64 = 10;
    const IOERR_NOMEM: i64 = 3082;
    let code = error.as_database_error().and_then(|error| error.code()?.parse::<i64>().ok());
    code.is_some_and(|code| code & 0xff == IOERR && code != IOERR_NOMEM)
}

pub(super) fn cannot_open(path: &Path, source: sqlx::Error) -> LedgerError {
    LedgerError::Open { database: path.display().to_string(), source: Box::new(source) }
}

/// A migration may have to make a table anew (SQLite cannot drop a column that a check names), which
/// foreign keys on it would forbid half-way: they rest meanwhile and are all checked at the end.
pub(super) async fn migrate(
    connection: &mut SqliteConnection,
    path: &Path,
    keep: Option<&Path>,
) -> Result<(), LedgerError> {
    let error = |source: sqlx::Error| LedgerError::Migrate {
        database: path.display().to_string(),
        source: Box::new(source.into()),
    };
    let before = migrations(connection).await;
    sqlx::query("pragma foreign_keys = off").execute(&mut *connection).await.map_err(error)?;
    let place = super::Place::File(path.to_owned());
    upgrade(&MIGRATOR, &mut *connection, &before, &place, keep).await?;
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

/// What somebody's `analyze` left says of a column that is mostly null, like `pending_id`, that its index
/// does not help, and SQLite then reads all transfers for every new one. Without, it uses the indexes.
async fn forget_statistics(connection: &mut SqliteConnection) -> Result<(), sqlx::Error> {
    let kept = "select count(*) from sqlite_schema where name = 'sqlite_stat1'";
    let kept: i64 = sqlx::query_scalar(kept).fetch_one(&mut *connection).await?;
    if kept > 0 {
        sqlx::query("delete from sqlite_stat1").execute(&mut *connection).await?;
        sqlx::query("analyze sqlite_schema").execute(&mut *connection).await?;
    }
    Ok(())
}

/// The versions that were applied; a new file has no table that could say.
async fn migrations(connection: &mut SqliteConnection) -> Vec<i64> {
    let versions = sqlx::query_scalar("select version from _sqlx_migrations order by version");
    versions.fetch_all(connection).await.unwrap_or_default()
}

/// To look at a file that another process may be writing: takes no lock, makes and migrates
/// nothing.
pub(crate) async fn look(path: &Path) -> Result<Connection, LedgerError> {
    let options = SqliteConnectOptions::new()
        .filename(path)
        .busy_timeout(limits::BUSY_TIMEOUT)
        .disable_statement_logging()
        .pragma("query_only", "on");
    let connection = options.connect().await.map_err(|source| cannot_open(path, source))?;
    Ok(Connection::from(connection))
}

/// Open only while the writer's own COMMIT runs.
#[derive(Debug)]
pub(crate) struct CommitGate(Arc<AtomicBool>);

impl CommitGate {
    /// A statement that fails so badly that SQLite rolls everything back (a full disk) leaves the
    /// rest of its job outside of any transaction, where each statement would commit by itself; the
    /// hook refuses that.
    pub(crate) async fn hang(connection: &mut SqliteConnection) -> Result<CommitGate, sqlx::Error> {
        let open = Arc::new(AtomicBool::new(false));
        let allowed = Arc::clone(&open);
        connection.lock_handle().await?.set_commit_hook(move || allowed.load(Ordering::SeqCst));
        Ok(CommitGate(open))
    }

    pub(crate) fn set(&self, open: bool) {
        self.0.store(open, Ordering::SeqCst);
    }
}

/// The lock file stays when its holder ends, since removing it would let two processes each lock a
/// file of that name.
async fn lock(database: &Path) -> Result<File, LedgerError> {
    let lock = beside(database, ".lock");
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

/// SQLite answers a refused WAL with the mode that it kept, not with an error.
async fn check_journal_mode(
    connection: &mut SqliteConnection,
    path: &Path,
) -> Result<(), LedgerError> {
    let mode: String = sqlx::query_scalar("pragma journal_mode")
        .fetch_one(connection)
        .await
        .map_err(|source| cannot_open(path, source))?;
    if mode != "wal" {
        return Err(LedgerError::NoWriteAheadLog { database: path.to_owned(), mode });
    }
    Ok(())
}

/// "trigger transfer_is_never_updated" and its text, and so on, as they are.
pub(crate) async fn schema(
    connection: &mut Connection,
) -> Result<BTreeMap<String, String>, LedgerError> {
    let objects: Vec<(String, String)> = sqlx::query_as(
        "select type || ' ' || name, coalesce(sql, '') from sqlite_schema
         where tbl_name in ('account', 'transfer', 'day_close', 'day_close_sum', 'audit')",
    )
    .fetch_all(connection)
    .await
    .map_err(LedgerError::storage("reading the schema"))?;
    Ok(objects.into_iter().collect())
}

/// The same of a database that this program's migrations have just made.
pub(crate) async fn schema_as_made() -> Result<BTreeMap<String, String>, LedgerError> {
    let options = SqliteConnectOptions::new().in_memory(true);
    let mut fresh = options
        .connect()
        .await
        .map_err(LedgerError::storage("making a database to compare with"))?;
    MIGRATOR.run(&mut fresh).await.map_err(|source| LedgerError::Migrate {
        database: ":memory:".to_owned(),
        source: Box::new(source),
    })?;
    schema(&mut Connection::from(fresh)).await
}

/// SQLite's own check of the tables (their pages, keys and constraints): what is wrong, and
/// with which.
pub(crate) async fn storage(
    connection: &mut Connection,
) -> Result<Option<(&'static str, String)>, LedgerError> {
    for (table, check) in [
        ("table account", "pragma integrity_check(account)"),
        ("table transfer", "pragma integrity_check(transfer)"),
        ("table day_close", "pragma integrity_check(day_close)"),
        ("table day_close_sum", "pragma integrity_check(day_close_sum)"),
        ("table audit", "pragma integrity_check(audit)"),
    ] {
        let found: Vec<String> = sqlx::query_scalar(check)
            .fetch_all(&mut *connection)
            .await
            .map_err(LedgerError::storage("checking the pages of the ledger"))?;
        if let Some(why) = found.into_iter().find(|message| message != "ok") {
            return Ok(Some((table, why)));
        }
    }
    Ok(None)
}
