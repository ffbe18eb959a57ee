//! The books under load, on both engines: whole sales by 1, 8, 32 and 64 sellers (L1, L2), against pgbench
//! with the same kinds of statements (L3), flushes to disk a sale (L4), and the close of a day of a million
//! transfers.
//!
//! PostgreSQL's rows need the server that `cargo xtask bench` brings up. Not here: L1 against SQLite alone
//! (sell).

mod close;
mod flushes;
mod pgbench;
mod sellers;

use crate::figure::Row;
use anyhow::Result;
use databases::Fresh;
use std::path::Path;

/// How much of it.
#[derive(Debug, Clone, Copy)]
pub struct Scale {
    pub sales_per_seller: u32,
    pub transfers: u64,
}

impl Scale {
    pub fn of(is_quick: bool) -> Scale {
        if is_quick {
            Scale { sales_per_seller: 5, transfers: 20_000 }
        } else {
            Scale { sales_per_seller: 40, transfers: 1_000_000 }
        }
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
}

pub async fn run(root: &Path, rounds: usize, scale: Scale) -> Result<Vec<Row>> {
    let mut rows = sellers::run(root, scale).await?;
    rows.extend(pgbench::run(root, rounds, scale).await?);
    rows.extend(flushes::run(root, scale).await?);
    rows.extend(close::run(root, scale).await?);
    rows.push(Row::missing(
        "I1",
        "readings into the keyed table".to_owned(),
        "an ingest path with keyed readings",
    ));
    Ok(rows)
}
