//! The books: double entry on SQLite or PostgreSQL, and the one writer through which the whole host stores
//! anything. An account, and a transfer of one positive amount from one account to one other;
//! reserved (`pending`), then ended by a new row (`post` or `void`); or booked at once (`book`), or taken
//! back (`contra`). Rows of one act are linked: all of them or none. An unbalanced ledger cannot be
//! written, and a changed one is named by [`Database::verify`].
//!
//! Invariant: `Ok` from [`Database::write`] means flushed to disk; rows of account and transfer are written
//! here alone and never changed. Not here: what a transfer is for (service), and the tables of
//! others, which use this crate's writer and reader.

#![cfg_attr(not(test), deny(clippy::unwrap_used, clippy::indexing_slicing, clippy::as_conversions))]

mod backup;
mod balance;
mod book;
mod chain;
mod close;
mod connection;
mod crash_point;
mod database;
mod engine;
mod error;
mod limits;
mod standing;
mod table;
mod trail;
mod verify;
mod writer;

#[cfg(test)]
mod tests;

pub use backup::{
    BackupError, Manifest, Part, PartRestored, Restored, Restoring, SavedTable, back_up,
    manifest_of, restore, restore_part,
};
pub use balance::{Balance, Balances, Entry, Moment};
pub use book::{
    NewContra, NewTransfer, Posting, account, book, book_linked, contra, pending, pending_linked,
    post, void,
};
pub use chain::TransferKind;
pub use close::{DayClose, DayMoved, Head, PreparedClose, close_day};
pub use connection::{Connection, Reader};
pub use crash_point::{CRASH_POINTS, MIGRATION_CRASH_POINTS, crash_point};
pub use database::Database;
pub use engine::{Place, Server, broken_unique};
pub use error::{LedgerError, is_passing};
pub use standing::{Standing, standing};
pub use trail::{TrailRow, audit};
pub use verify::Verified;
pub use writer::{BoxFuture, Transaction};
