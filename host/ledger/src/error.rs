//! What can go wrong between a caller and the books. The first group is about the file, the second
//! about a group of jobs, the third about what was asked, the last about what was found.

use polymeter_domain::{AccountId, TransferId};
use sqlx::error::ErrorKind;
use std::path::PathBuf;
use std::sync::Arc;

#[derive(Debug, thiserror::Error)]
pub enum LedgerError {
    #[error(
        "the database {database} is in use: another polymeter process holds {lock}; stop that \
         process, or give this one another database file"
    )]
    Locked { database: PathBuf, lock: PathBuf },
    #[error("the lock file {lock} cannot be used; is its folder there and writable?")]
    LockFile {
        lock: PathBuf,
        #[source]
        source: std::io::Error,
    },
    #[error("the database {database} cannot be opened")]
    Open {
        database: String,
        #[source]
        source: Box<sqlx::Error>,
    },
    #[error(
        "the database {database} is in use: another polymeter writes to it ({holder}); stop that \
         one, or give this one another database"
    )]
    ServerLocked { database: String, holder: String },
    #[error("the database {database} cannot be used: {why}")]
    Unsuitable { database: String, why: String },
    /// Some network and shared folders have no shared memory, which the write-ahead log needs.
    #[error(
        "the database {database} cannot keep a write-ahead log (journal mode is {mode}); put it on \
         a local disk"
    )]
    NoWriteAheadLog { database: PathBuf, mode: String },
    /// Also where a newer program has already migrated the file.
    #[error("the database {database} cannot be brought to this program's version")]
    Migrate {
        database: String,
        #[source]
        source: Box<sqlx::migrate::MigrateError>,
    },
    #[error(
        "the database {database} is of an older version and was not upgraded, because no backup of it \
         could be made in {folder}"
    )]
    NotBackedUp {
        database: String,
        folder: String,
        #[source]
        source: Box<crate::backup::BackupError>,
    },
    #[error("the database failed while {doing}")]
    Storage {
        doing: &'static str,
        #[source]
        source: sqlx::Error,
    },

    /// The whole group. After a failed fsync nobody knows what the disk holds, so this is neither
    /// yes nor no: ask again under the same id, which is safe.
    #[error("not committed; whether it was stored is known only by asking again with the same id")]
    NotCommitted(#[source] Arc<sqlx::Error>),
    /// The whole group, and for certain: nothing of it is stored.
    #[error("not stored: the database failed before the commit; ask again")]
    NotStored(#[source] Arc<sqlx::Error>),
    /// No connection to write through; nothing was tried.
    #[error("not stored: the database cannot be reached; ask again later")]
    Unreachable(#[source] Arc<LedgerError>),
    /// The job was rolled back; the message of the panic is in the log.
    #[error("a write job panicked and was rolled back")]
    JobPanicked,
    /// The operating system has told the writer that bytes did not reach the disk. What the kernel
    /// holds in memory is no proof of what is stored, so nothing more is written by this process.
    #[error(
        "nothing is written any more: the disk failed to store; see to the disk, then start polymeter \
         again, which checks the whole ledger first"
    )]
    DiskFailed(#[source] Arc<sqlx::Error>),
    /// Only while the process ends.
    #[error("the writer has stopped")]
    WriterStopped,

    #[error("`{0}` cannot name an account: 1 to 200 characters, no control characters")]
    BadName(String),
    #[error("account {name} is kept in {kept}, not in {asked}")]
    AccountDiffers { name: String, kept: String, asked: String },
    #[error("no account {0}")]
    NoAccount(AccountId),
    #[error("account {account_id} is kept in {kept}, the transfer is in {asked}")]
    CurrencyDiffers { account_id: AccountId, kept: String, asked: String },
    #[error("transfer {transfer_id}: the amount must be positive, not {amount_minor}")]
    BadAmount { transfer_id: TransferId, amount_minor: i64 },
    #[error("transfer {0}: debit and credit are the same account")]
    SameAccount(TransferId),
    /// Same transfer id, other content. The same content again is not an error.
    #[error("transfer {0} exists with other content")]
    TransferDiffers(TransferId),
    #[error("no pending transfer {0}")]
    NoPending(TransferId),
    #[error("transfer {0} was already {1}")]
    AlreadyResolved(TransferId, &'static str),
    #[error("transfer {0} is linked to one before it: post or void the first of its link")]
    PartOfLink(TransferId),
    #[error("these transfers cannot be linked: {0}")]
    BadLink(&'static str),
    #[error("transfer {0} has not moved anything that could be taken back")]
    NotPosted(TransferId),
    #[error("transfer {of} was already taken back by transfer {by}")]
    AlreadyTakenBack { of: TransferId, by: TransferId },

    #[error("day {day} cannot be closed: days are closed once and in order, and {last} is closed")]
    DayNotNext { day: String, last: String },
    #[error("day {0} was not closed: another close came in between; ask again")]
    CloseOvertaken(String),

    #[error("the sum of account {account} does not fit 64 bits of minor units")]
    Overflow { account: String },
    #[error("broken at {row}: {why}")]
    Broken { row: String, why: String },
}

impl LedgerError {
    /// The database is not to be had at present; the same again may succeed later.
    pub fn is_passing(&self) -> bool {
        match self {
            LedgerError::NotCommitted(_)
            | LedgerError::NotStored(_)
            | LedgerError::Unreachable(_)
            | LedgerError::DiskFailed(_)
            | LedgerError::WriterStopped => true,
            LedgerError::Storage { source, .. } => is_passing(source),
            _ => false,
        }
    }

    /// For `map_err`: says what was being done when the database failed.
    pub(crate) fn storage(doing: &'static str) -> impl FnOnce(sqlx::Error) -> LedgerError {
        move |source| LedgerError::Storage { doing, source }
    }
}

/// A failure of the database itself, and none of what it was asked: it may have gone, be full or be too
/// busy.
pub fn is_passing(error: &sqlx::Error) -> bool {
    match error {
        sqlx::Error::Io(_)
        | sqlx::Error::PoolTimedOut
        | sqlx::Error::PoolClosed
        | sqlx::Error::WorkerCrashed => true,
        sqlx::Error::Database(error) => error.kind() == ErrorKind::Other,
        _ => false,
    }
}
