//! Everything in which one database engine differs from another: making connections, keeping a
//! second process out, beginning and ending a group of writes, and the engine's own checks.
//!
//! Invariant: no other file of the host asks which engine it is on, but for `connection`, which holds
//! the engines' connections. Not here: queries.

mod fresh;
pub(crate) mod postgres;
mod postgres_tables;
pub(crate) mod sqlite;
mod sqlite_tables;
mod upgrade;

pub(crate) use fresh::Fresh;
pub use postgres::Server;

use crate::backup::{Column, Table};
use crate::connection::{Connection, Reader};
use crate::error::LedgerError;
use crate::limits;
use crate::verify::check_tail;
use postgres::Mark;
use sqlite::CommitGate;
use std::collections::BTreeMap;
use std::fmt;
use std::path::{Path, PathBuf};
use tokio::time::Instant;

/// Where a database is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Place {
    /// A file of SQLite's.
    File(PathBuf),
    /// PostgreSQL.
    Server(Server),
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Place::File(path) => path.display().fmt(f),
            Place::Server(server) => server.fmt(f),
        }
    }
}

impl From<&Path> for Place {
    fn from(path: &Path) -> Place {
        Place::File(path.to_owned())
    }
}

impl From<&PathBuf> for Place {
    fn from(path: &PathBuf) -> Place {
        Place::File(path.clone())
    }
}

impl From<&Place> for Place {
    fn from(place: &Place) -> Place {
        place.clone()
    }
}

/// A database that this process has for itself to write to.
#[derive(Debug)]
pub(crate) enum Engine {
    Sqlite(sqlite::Engine),
    Postgres(postgres::Engine),
}

/// A connection for the writer, and how its groups end.
#[derive(Debug)]
pub(crate) struct Session {
    pub(crate) connection: Connection,
    ending: Ending,
}

#[derive(Debug)]
enum Ending {
    Sqlite(CommitGate),
    Postgres(Mark),
}

/// What became of a group that failed.
#[derive(Debug)]
pub(crate) enum Outcome {
    Stored(Session),
    NotStored,
    Unknown,
}

impl Engine {
    /// Creates and upgrades where needed, with a backup in `keep` before. A second process is kept out
    /// with a sentence.
    pub(crate) async fn open(
        place: &Place,
        keep: Option<&Path>,
    ) -> Result<(Engine, Session, Reader), LedgerError> {
        match place {
            Place::File(path) => {
                let (engine, connection) = sqlite::Engine::open(path, keep).await?;
                let reader = engine.reader().await?;
                let session = Session::new(connection, None).await?;
                Ok((Engine::Sqlite(engine), session, reader))
            }
            Place::Server(server) => {
                let (engine, connection) = postgres::Engine::open(server, keep).await?;
                let (reader, mark) = (engine.reader(), engine.mark());
                let session = Session::new(connection, Some(mark)).await?;
                Ok((Engine::Postgres(engine), session, reader))
            }
        }
    }

    /// A connection to write through, once the tail of the chain is known to be whole.
    pub(crate) async fn writer(&self) -> Result<Session, LedgerError> {
        match self {
            Engine::Sqlite(engine) => Session::new(engine.writer().await?, None).await,
            Engine::Postgres(engine) => {
                Session::new(engine.writer().await?, Some(engine.mark())).await
            }
        }
    }

    /// Whether another try on a new connection makes sense for a group of which nothing has run:
    /// a server may have ended an idle connection.
    pub(crate) fn is_served(&self) -> bool {
        matches!(self, Engine::Postgres(_))
    }

    /// Whether bytes did not reach the disk. The next process is told to check everything.
    pub(crate) fn is_disk_failure(&self, error: &sqlx::Error) -> bool {
        let Engine::Sqlite(engine) = self else { return false };
        let is_it = sqlite::is_disk_failure(error);
        if is_it {
            engine.leave_word();
        }
        is_it
    }

    /// What became of the group that `session` could not end. Where COMMIT was never sent nothing is
    /// stored on a server, and after a COMMIT its mark tells. A file that failed to be flushed holds
    /// nobody knows what.
    pub(crate) async fn outcome(&self, session: Session) -> Outcome {
        let Session { connection, ending } = session;
        close(connection).await;
        match (self, ending) {
            (Engine::Sqlite(_), _) | (_, Ending::Sqlite(_)) => Outcome::Unknown,
            (Engine::Postgres(_), Ending::Postgres(mark)) if !mark.was_sent() => Outcome::NotStored,
            (Engine::Postgres(_), Ending::Postgres(mark)) => self.outcome_of(&mark).await,
        }
    }

    async fn outcome_of(&self, mark: &Mark) -> Outcome {
        let give_up = Instant::now() + limits::OUTCOME_WAIT;
        loop {
            let looked = async {
                let mut session = self.writer().await?;
                let is_there = mark.is_there(&mut session.connection).await?;
                Ok::<_, LedgerError>((session, is_there))
            };
            match looked.await {
                Ok((session, true)) => return Outcome::Stored(session),
                Ok((session, false)) => {
                    close(session.connection).await;
                    return Outcome::NotStored;
                }
                Err(error) if Instant::now() >= give_up => {
                    tracing::error!(error = chain(&error), "the outcome of a commit is not known");
                    return Outcome::Unknown;
                }
                Err(_) => tokio::time::sleep(limits::OUTCOME_POLL).await,
            }
        }
    }
}

impl Session {
    async fn new(mut connection: Connection, mark: Option<Mark>) -> Result<Session, LedgerError> {
        check_tail(&mut connection).await?;
        let gate = connection.commit_gate().await;
        let ending = match (gate.map_err(LedgerError::storage("opening the writer"))?, mark) {
            (Some(gate), _) => Ending::Sqlite(gate),
            (None, Some(mark)) => Ending::Postgres(mark),
            (None, None) => unreachable!("a server's session is made with a mark"),
        };
        Ok(Session { connection, ending })
    }

    /// Begins a transaction and its first savepoint, `job`.
    pub(crate) async fn begin(&mut self) -> Result<(), sqlx::Error> {
        let begin = match &mut self.ending {
            Ending::Sqlite(_) => "begin immediate; savepoint job",
            Ending::Postgres(mark) => {
                mark.renew();
                "begin; savepoint job"
            }
        };
        self.connection.control(begin).await
    }

    /// Keeps what was done since the last savepoint, or takes it back, and sets the next.
    pub(crate) async fn end_job(&mut self, keep: bool) -> Result<(), sqlx::Error> {
        if self.connection.is_misused() {
            let why = "a job tried to end the transaction of its group".to_owned();
            return Err(sqlx::Error::Protocol(why));
        }
        let next = if keep { "release job; savepoint job" } else { "rollback to job" };
        self.connection.control(next).await
    }

    /// Durable once it is `Ok`.
    pub(crate) async fn commit(&mut self) -> Result<(), sqlx::Error> {
        match &mut self.ending {
            Ending::Sqlite(gate) => {
                gate.set(true);
                let committed = self.connection.control("commit").await;
                gate.set(false);
                committed
            }
            Ending::Postgres(mark) => mark.commit(&mut self.connection).await,
        }
    }
}

/// What is open is rolled back; that this fails on a broken disk or line changes nothing.
pub(crate) async fn close(connection: Connection) {
    if let Err(error) = connection.close().await {
        tracing::warn!(error = chain(&error), "the writer's connection did not close cleanly");
    }
}

/// To look at a database beside whoever writes to it: takes no lock, makes and migrates nothing, and
/// sees one moment until it is closed.
pub(crate) async fn look(place: &Place) -> Result<Connection, LedgerError> {
    let (mut connection, begin) = match place {
        Place::File(path) => (sqlite::look(path).await?, "begin"),
        Place::Server(server) => {
            (server.look().await?, "begin isolation level repeatable read, read only")
        }
    };
    connection.control(begin).await.map_err(LedgerError::storage("taking a snapshot"))?;
    Ok(connection)
}

type Objects = BTreeMap<String, String>;

/// The ledger's tables and all that belongs to them, as they are and as this program makes them.
pub(crate) async fn schemas(snapshot: &mut Connection) -> Result<(Objects, Objects), LedgerError> {
    if snapshot.is_served() {
        Ok((postgres::schema(snapshot).await?, postgres::schema_as_made()))
    } else {
        Ok((sqlite::schema(snapshot).await?, sqlite::schema_as_made().await?))
    }
}

/// The engine's own check of the ledger's tables: what is wrong, and with which. PostgreSQL has none
/// that everybody may run; its administrator has pg_amcheck.
pub(crate) async fn storage(
    snapshot: &mut Connection,
) -> Result<Option<(&'static str, String)>, LedgerError> {
    if snapshot.is_served() { Ok(None) } else { sqlite::storage(snapshot).await }
}

/// Every table with its columns and key, by name.
pub(crate) async fn tables(snapshot: &mut Connection) -> Result<Vec<Table>, LedgerError> {
    if snapshot.is_served() {
        postgres_tables::tables(snapshot).await
    } else {
        sqlite_tables::tables(snapshot).await
    }
}

/// From the catalog's rows, by table: a column, whether it is of numbers, and its place in the key or 0.
fn tables_of(rows: impl Iterator<Item = (String, String, bool, i64)>) -> Vec<Table> {
    let mut tables: Vec<Table> = Vec::new();
    let mut keys: Vec<Vec<(i64, String)>> = Vec::new();
    for (name, column, is_number, place) in rows {
        if tables.last().is_none_or(|table| table.name != name) {
            tables.push(Table { name, columns: Vec::new(), key: Vec::new() });
            keys.push(Vec::new());
        }
        if let (Some(table), Some(key)) = (tables.last_mut(), keys.last_mut()) {
            table.columns.push(Column { name: column.clone(), is_number });
            if place > 0 {
                key.push((place, column));
            }
        }
    }
    for (table, mut key) in tables.iter_mut().zip(keys) {
        key.sort();
        table.key = key.into_iter().map(|(_, column)| column).collect();
    }
    tables
}

/// The versions of the migrations that have made the tables.
pub(crate) async fn migrations(snapshot: &mut Connection) -> Result<Vec<i64>, LedgerError> {
    sqlx::query_scalar("select version from _sqlx_migrations where success order by version")
        .fetch_all(snapshot)
        .await
        .map_err(LedgerError::storage("reading which migrations were applied"))
}

/// Which unique constraint a statement broke: its name, or from SQLite, which does not tell names,
/// its columns ("meter.line, meter.address";
/// <https://www.sqlite.org/rescode.html#constraint_unique>).
pub fn broken_unique(error: &sqlx::Error) -> Option<&str> {
    let error = error.as_database_error()?;
    if !error.is_unique_violation() {
        return None;
    }
    error.constraint().or_else(|| error.message().strip_prefix("UNIQUE constraint failed: "))
}

pub(crate) fn chain(error: &dyn std::error::Error) -> String {
    std::iter::successors(error.source(), |cause| cause.source())
        .fold(error.to_string(), |text, cause| format!("{text}: {cause}"))
}
