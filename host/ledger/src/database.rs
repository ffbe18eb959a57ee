//! One database: its pool for reading and the way to its writer.
//!
//! Invariant: one process per database, and in it one connection that writes. Not here: what the
//! writer does with a group (writer), which engine it is (engine), the tables (host/migrations).

use crate::balance::{self, Balance, Balances, Entry, Moment};
use crate::close::{self, DayClose, DayMoved, Head, PreparedClose};
use crate::connection::Reader;
use crate::engine::{self, Engine, Place};
use crate::error::LedgerError;
use crate::verify::{self, Verified};
use crate::writer::{self, BoxFuture, Transaction, WriterHandle};
use std::path::Path;
use uuid::Uuid;

/// The one database: a pool for reading and one writer task that commits waiting jobs in groups
/// (one BEGIN, a savepoint per job, one durable COMMIT; an answer only after it).
/// Cheap to clone. The writer ends, and lets go of the lock, once the last clone is dropped and all
/// accepted jobs are done.
#[derive(Debug, Clone)]
pub struct Database {
    place: Place,
    reader: Reader,
    writer: WriterHandle,
}

impl Database {
    /// Opens (creating and migrating where needed) the SQLite file: WAL, synchronous=FULL, and an
    /// exclusive lock file beside it. Or a database of a PostgreSQL server, which must be there:
    /// synchronous_commit=on, and an advisory lock. Either keeps a second process out, with a sentence
    /// saying so.
    pub async fn open(place: impl Into<Place>) -> Result<Database, LedgerError> {
        Database::open_with(place.into(), None).await
    }

    /// As [`Database::open`]; a database of an older program is backed up into a folder of its own in
    /// `keep` before anything of it is changed. It stays as it was where that fails.
    pub async fn open_keeping(
        place: impl Into<Place>,
        keep: &Path,
    ) -> Result<Database, LedgerError> {
        Database::open_with(place.into(), Some(keep)).await
    }

    async fn open_with(place: Place, keep: Option<&Path>) -> Result<Database, LedgerError> {
        let (engine, session, reader) = Engine::open(&place, keep).await?;
        Ok(Database { place, reader, writer: writer::start(engine, session) })
    }

    /// For queries only: the database itself refuses to write through it.
    pub fn reader(&self) -> &Reader {
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

    /// Checks every row, every balance, the hash chain, every day close and the audit trail; the error
    /// names the first broken row. What it cannot see is a tail that was cut off cleanly after the last
    /// close, or together with closes: compare with a head that was kept elsewhere.
    pub async fn verify(&self) -> Result<Verified, LedgerError> {
        Database::verify_at(&self.place).await
    }

    /// Every account, by name, with its sums as of now.
    pub async fn trial_balance(&self) -> Result<Vec<Balance>, LedgerError> {
        Ok(self.balances(Moment::Now).await?.balances)
    }

    /// The accounts as they stood at a moment.
    pub async fn balances(&self, moment: Moment) -> Result<Balances, LedgerError> {
        let last = balance::last_of(&self.reader, moment).await?;
        let accounts = close::moved_by(&self.reader, last.0).await?;
        balance::balances_by(accounts, last, moment)
    }

    /// As [`Database::balances`], of a database that another process may be writing to; summed from the
    /// first row on, whatever was kept at day closes.
    pub async fn balances_at(place: &Place, moment: Moment) -> Result<Balances, LedgerError> {
        let mut snapshot = engine::look(place).await?;
        let balances = async {
            let last = balance::last_of(&mut snapshot, moment).await?;
            let accounts = balance::moved(&mut snapshot, 0, last.0).await?;
            balance::balances_by(accounts, last, moment)
        };
        let balances = balances.await;
        engine::close(snapshot).await;
        balances
    }

    /// Reckons the close of a day (YYYY-MM-DD) up to the last transfer; [`close_day`] keeps it.
    ///
    /// [`close_day`]: crate::close_day
    pub async fn prepare_close(&self, day: &str, at_ms: i64) -> Result<PreparedClose, LedgerError> {
        close::prepare(&self.reader, day, at_ms).await
    }

    /// The day closes before a number, newest first.
    pub async fn day_closes(
        &self,
        before: i64,
        at_most: i64,
    ) -> Result<Vec<DayClose>, LedgerError> {
        close::closes(&self.reader, before, at_most).await
    }

    /// The close of a day.
    pub async fn day_close(&self, day: &str) -> Result<Option<DayClose>, LedgerError> {
        close::of_day(&self.reader, day).await
    }

    /// The close of a day, or the last one, of a database that another process may be writing to.
    pub async fn day_close_at(
        place: &Place,
        day: Option<&str>,
    ) -> Result<Option<DayClose>, LedgerError> {
        let mut snapshot = engine::look(place).await?;
        let close = match day {
            Some(day) => close::of_day(&mut snapshot, day).await,
            None => close::closes(&mut snapshot, i64::MAX, 1).await.map(|mut it| it.pop()),
        };
        engine::close(snapshot).await;
        close
    }

    /// What accounts have posted in a closed day: since the close before.
    pub async fn day_moved(
        &self,
        number: i64,
        is_wanted: impl Fn(&str) -> bool,
    ) -> Result<Vec<DayMoved>, LedgerError> {
        close::day_moved(&self.reader, number, is_wanted).await
    }

    /// As [`Database::verify`], of a database that another process may be writing to: takes no lock,
    /// makes and migrates nothing, and sees what is committed as of one moment.
    pub async fn verify_at(place: &Place) -> Result<Verified, LedgerError> {
        Database::verify_against(place, &[]).await
    }

    /// As [`Database::verify_at`], and the books must begin as these heads say, which were kept elsewhere.
    pub async fn verify_against(place: &Place, kept: &[Head]) -> Result<Verified, LedgerError> {
        verify::verify(engine::look(place).await?, kept).await
    }

    /// All transfers made under one reference (a sale's id), oldest first.
    pub async fn entries(&self, reference: Uuid) -> Result<Vec<Entry>, LedgerError> {
        balance::entries(&self.reader, reference).await
    }
}
