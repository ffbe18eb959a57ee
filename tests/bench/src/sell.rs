//! L1: whole sales through the running program (HTTP, session, ledger, driver, simulated meter over
//! TCP) by 32 sellers at once, against SQLite alone writing the rows of a sale durably.
//!
//! Two references: *bare* commits one row at a time; *group* is the best that one writer could do, the
//! rows of 32 sales in each commit. Nothing here is asserted about time.

use crate::figure::Row;
use crate::program::Program;
use crate::ratio::{Comparison, compare};
use anyhow::{Result, ensure};
use sqlx::sqlite::{SqliteConnectOptions, SqliteJournalMode, SqliteSynchronous};
use sqlx::{Connection, Executor, SqliteConnection};
use std::path::Path;
use std::time::{Duration, Instant};

const WHAT_BARE: &str = "whole sale over HTTP, 32 sellers / one bare durable SQLite commit";
const WHAT_GROUP: &str =
    "whole sale over HTTP, 32 sellers / the rows of one sale in group commits of 32";
const SELLERS: usize = 32;
const BARE_COMMITS: u32 = 1_000;
const GROUPS: u32 = 100;
const SALES_PER_SELLER: u32 = 15;
/// Rows that one sale writes: sale, pending, dispatched, posted, and their history and audit.
const ROWS_PER_SALE: u32 = 8;

/// One row of about the size of a transfer, for both references.
const INSERT_ROW: &str =
    "insert into entry (body) values ('a row of about the size of a transfer, with its ids')";

/// Speed at least 0.5 of the group prototype (targets.md, L1) is a time of at most twice its own.
pub async fn run(root: &Path, rounds: usize) -> Result<Vec<Row>> {
    Ok(vec![
        Row::ratio("L1", WHAT_BARE, None, against_bare(root, rounds).await?),
        Row::ratio("L1", WHAT_GROUP, Some(2.0), against_group(root, rounds).await?),
    ])
}

async fn against_bare(root: &Path, rounds: usize) -> Result<Comparison> {
    let folder = tempfile::tempdir_in(root.join("target"))?;
    let mut raw = raw(folder.path()).await?;
    let program = Program::start(root, SELLERS).await?;
    let reference = async || {
        let begun = Instant::now();
        for _ in 0..BARE_COMMITS {
            raw.execute(INSERT_ROW).await?;
        }
        Ok(begun.elapsed() / BARE_COMMITS)
    };
    compare(rounds, reference, async || sales(&program).await).await
}

async fn against_group(root: &Path, rounds: usize) -> Result<Comparison> {
    let folder = tempfile::tempdir_in(root.join("target"))?;
    let mut raw = raw(folder.path()).await?;
    let program = Program::start(root, SELLERS).await?;
    let sellers = SELLERS as u32;
    let reference = async || {
        let begun = Instant::now();
        for _ in 0..GROUPS {
            let mut transaction = raw.begin().await?;
            for _ in 0..sellers * ROWS_PER_SALE {
                transaction.execute(INSERT_ROW).await?;
            }
            transaction.commit().await?;
        }
        Ok(begun.elapsed() / (GROUPS * sellers))
    };
    compare(rounds, reference, async || sales(&program).await).await
}

/// Every seller sells to a meter of its own, one sale after the other; the time that one took.
async fn sales(program: &Program) -> Result<Duration> {
    let begun = Instant::now();
    let mut sellers = tokio::task::JoinSet::new();
    for seller in 0..SELLERS {
        let seller = program.seller(seller);
        sellers.spawn(async move {
            for _ in 0..SALES_PER_SELLER {
                let state = seller.sell("1.00").await?;
                ensure!(state == "confirmed", "a sale ended {state}");
            }
            Ok(())
        });
    }
    while let Some(sold) = sellers.join_next().await {
        sold??;
    }
    Ok(begun.elapsed() / (SELLERS as u32 * SALES_PER_SELLER))
}

/// A database as durable as the product's, on the same disk.
async fn raw(folder: &Path) -> Result<SqliteConnection> {
    let options = SqliteConnectOptions::new()
        .filename(folder.join("raw.db"))
        .create_if_missing(true)
        .journal_mode(SqliteJournalMode::Wal)
        .synchronous(SqliteSynchronous::Full);
    let mut raw = SqliteConnection::connect_with(&options).await?;
    raw.execute("create table entry (entry_id integer primary key, body text not null)").await?;
    Ok(raw)
}
