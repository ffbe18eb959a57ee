//! The close of a day of a million transfers, the close of the small day after it, and a whole `verify`, on
//! both engines: how long, and how much memory more than before.

use super::{Books, Scale};
use crate::figure::Row;
use anyhow::{Context, Result};
use polymeter_domain::{Currency, Money, TransferId};
use polymeter_ledger::{
    Database, LedgerError, NewTransfer, Place, Server, account, book, close_day,
};
use std::path::Path;
use std::time::{Duration, Instant};
use uuid::Uuid;

const ACCOUNTS: u64 = 1000;
const AT_A_TIME: u64 = 1000;
const CLOSE_MAX: Duration = Duration::from_secs(10);
/// R26.
const ROWS_A_MINUTE: f64 = 1e6;
const MORE_MIB_MAX: u64 = 64;

pub async fn run(root: &Path, scale: Scale) -> Result<Vec<Row>> {
    let mut rows = Vec::new();
    for books in Books::both().await {
        let folder = tempfile::tempdir_in(root.join("target"))?;
        let place = match books.url() {
            None => Place::File(folder.path().join("close.db")),
            Some(url) => Place::Server(Server::parse(&url, None).map_err(anyhow::Error::msg)?),
        };
        let database = Database::open(&place).await?;
        fill(&database, 0, scale.transfers).await?;
        let (took, more) = measured(close(&database, "2026-03-01")).await?;
        let text = format!("{took:.2?}, {more} MiB more than before");
        let what = format!("close of a day of {} transfers, {}", scale.transfers, books.name());
        let reached = took < CLOSE_MAX && more < MORE_MIB_MAX;
        rows.push(Row::plain("", what, "under 10 s, memory does not grow", text, reached));

        fill(&database, scale.transfers, 1000).await?;
        let (took, _) = measured(close(&database, "2026-03-02")).await?;
        let what = format!("close of the next day, of 1000 transfers, {}", books.name());
        rows.push(Row::plain("", what, "none set", format!("{took:.2?}"), None));

        let (took, more) = measured(async { Ok(database.verify().await.map(|_| ())?) }).await?;
        let a_minute = (scale.transfers + 1000) as f64 / took.as_secs_f64() * 60.0;
        let text = format!("{:.1}M rows/min, {more} MiB more than before", a_minute / 1e6);
        let what = format!("ledger verify, {}", books.name());
        rows.push(Row::plain("R26", what, "1M rows/min", text, a_minute >= ROWS_A_MINUTE));
    }
    Ok(rows)
}

/// Transfers between cash and a thousand meters, many in one commit.
async fn fill(database: &Database, from: u64, count: u64) -> Result<()> {
    let mut done = 0;
    while done < count {
        let first = from + done;
        let some = AT_A_TIME.min(count - done);
        let booked: Result<(), LedgerError> = database
            .write(move |tx| {
                Box::pin(async move {
                    let cash = account(tx, "cash", Currency::CNY, 1).await?;
                    for number in first..first + some {
                        let name = format!("meter-credit/{}", number % ACCOUNTS);
                        let new = NewTransfer {
                            transfer_id: TransferId::new(Uuid::from_u128(u128::from(number) + 1)),
                            debit: cash,
                            credit: account(tx, &name, Currency::CNY, 1).await?,
                            amount: Money::new(100, Currency::CNY),
                            reference: Uuid::from_u128(u128::from(number)),
                            at_ms: 1,
                        };
                        book(tx, &new).await?;
                    }
                    Ok(())
                })
            })
            .await;
        booked?;
        done += some;
    }
    Ok(())
}

async fn close(database: &Database, day: &str) -> Result<()> {
    let prepared = database.prepare_close(day, 1).await?;
    let kept: Result<(), LedgerError> = database
        .write(move |tx| Box::pin(async move { close_day(tx, &prepared, "not signed here").await }))
        .await;
    Ok(kept?)
}

/// How long it took, and how many MiB the process grew at its greatest.
async fn measured(act: impl Future<Output = Result<()>>) -> Result<(Duration, u64)> {
    // The greatest size so far is forgotten (man 5 proc, clear_refs); where that may not be done, the
    // figure is the greatest of the whole run.
    let _ = std::fs::write("/proc/self/clear_refs", "5");
    let before = memory("VmRSS:")?;
    let begun = Instant::now();
    act.await?;
    let took = begun.elapsed();
    Ok((took, memory("VmHWM:")?.saturating_sub(before) / 1024))
}

fn memory(what: &str) -> Result<u64> {
    let status = std::fs::read_to_string("/proc/self/status")?;
    let line = status.lines().find_map(|line| line.strip_prefix(what)).context("no such line")?;
    Ok(line.split_whitespace().next().context("no number")?.parse()?)
}
