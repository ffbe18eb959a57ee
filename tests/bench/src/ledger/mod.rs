//! The books under load, on both engines: whole sales by 1, 8, 32 and 64 sellers (L1, L2) beside SQLite
//! alone, and beside pgbench with the statements of a sale (L3), flushes to disk a sale (L4), readings into
//! their tables (I1), and the close of a day of a million transfers.
//!
//! PostgreSQL's rows need the server that `cargo xtask bench` brings up.

mod capture;
mod close;
mod filling;
mod flushes;
mod ingest;
mod pgbench;
mod prototype;
mod sellers;

use crate::figure::Row;
use anyhow::{Context, Result};
use databases::Fresh;
use polymeter_ledger::{Place, Server};
use std::path::Path;

/// Rounds of each ratio: enough for a median, in the minutes that the whole may take.
pub const ROUNDS_MAX: usize = 5;

/// How much of it.
#[derive(Debug, Clone, Copy)]
pub struct Scale {
    pub sales_per_seller: u32,
    /// Of the first day that is closed, and of the second.
    pub transfers: [u64; 2],
    /// How often every meter is read for one figure.
    pub read_rounds: u32,
    /// Of pgbench, each time.
    pub seconds: u32,
}

impl Scale {
    pub fn of(is_quick: bool) -> Scale {
        let (sales_per_seller, transfers, read_rounds, seconds) =
            if is_quick { (5, [5_000, 50_000], 2, 2) } else { (40, [100_000, 1_000_000], 8, 3) };
        Scale { sales_per_seller, transfers, read_rounds, seconds }
    }
}

/// Where the books of a row are.
pub enum Books {
    Sqlite,
    Postgres(Fresh),
}

impl Books {
    /// Both, or SQLite alone where no server was brought up.
    async fn both() -> Vec<Books> {
        let mut books = vec![Books::Sqlite];
        books.extend(Fresh::new().await.map(Books::Postgres));
        books
    }

    fn name(&self) -> &'static str {
        match self {
            Books::Sqlite => "SQLite",
            Books::Postgres(_) => "PostgreSQL",
        }
    }

    fn url(&self) -> Option<String> {
        match self {
            Books::Sqlite => None,
            Books::Postgres(fresh) => Some(fresh.url()),
        }
    }

    /// A file in `folder`, or the database of the server.
    fn place(&self, folder: &Path) -> Result<Place> {
        Ok(match self.url() {
            None => Place::File(folder.join(FILE)),
            Some(url) => Place::Server(Server::parse(&url, None).map_err(anyhow::Error::msg)?),
        })
    }
}

const FILE: &str = "books.db";

pub async fn run(root: &Path, rounds: usize, scale: Scale) -> Result<Vec<Row>> {
    let mut rows = sellers::run(root, scale).await.context("sellers")?;
    rows.extend(prototype::run(root, rounds, scale).await.context("beside SQLite alone")?);
    rows.extend(pgbench::run(root, rounds, scale).await.context("beside pgbench")?);
    rows.extend(flushes::run(root, scale).await.context("flushes")?);
    rows.extend(ingest::run(root, rounds, scale).await.context("readings")?);
    rows.extend(close::run(root, scale).await.context("the close of a day")?);
    Ok(rows)
}
