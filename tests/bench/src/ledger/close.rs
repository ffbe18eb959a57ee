//! The close of a day of a million transfers beside one of a tenth, the close of the small day after it, and
//! a whole `verify`, on both engines: how long, and how much memory more than before.

use super::filling::{accounts, fill};
use super::{Books, Scale};
use crate::figure::Row;
use anyhow::{Context, Result};
use polymeter_ledger::{Database, LedgerError, close_day};
use std::path::Path;
use std::time::{Duration, Instant};

const CLOSE_MAX: Duration = Duration::from_secs(10);
/// R26.
const ROWS_A_MINUTE: f64 = 1e6;
/// By how much the process may grow more in a day of ten times as many transfers.
const MORE_MIB_MAX: u64 = 8;
const LAST_DAY: u64 = 1000;

pub async fn run(root: &Path, scale: Scale) -> Result<Vec<Row>> {
    let mut rows = Vec::new();
    for books in Books::both().await {
        let folder = tempfile::tempdir_in(root.join("target"))?;
        rows.extend(of(&books, folder.path(), scale).await.context(books.name())?);
    }
    Ok(rows)
}

async fn of(books: &Books, folder: &Path, scale: Scale) -> Result<Vec<Row>> {
    let place = books.place(folder)?;
    let database = Database::open(&place).await?;
    let accounts = accounts(&database).await?;
    drop(database);
    let days = [scale.transfers[0], scale.transfers[1], LAST_DAY];
    let mut measures = Vec::new();
    for (day, transfers) in (1..).zip(days) {
        fill(books, folder, &accounts, transfers).await.context("filling the ledger")?;
        let database = Database::open(&place).await?;
        measures.push(measured(close(&database, &format!("2026-03-0{day}"))).await?);
    }
    let database = Database::open(&place).await?;
    let verified = measured(async { Ok(database.verify().await.map(|_| ())?) }).await?;
    let [(small, small_more), (large, large_more), (last, _)] = measures[..] else {
        unreachable!("three days were closed")
    };

    let name = books.name();
    let what = format!("close of a day of {} transfers, {name}", days[1]);
    let close = Row::plain("", what, "under 10 s", format!("{large:.2?}"), large < CLOSE_MAX);
    let what = format!("the same with {} transfers, and with {LAST_DAY} after it, {name}", days[0]);
    let others = Row::plain("", what, "none set", format!("{small:.2?}, {last:.2?}"), None);
    let what = format!("memory that the closes of {} and {} take, {name}", days[0], days[1]);
    let text = format!("{small_more} MiB and {large_more} MiB");
    let is_flat = large_more <= small_more + MORE_MIB_MAX;
    let memory = Row::plain("", what, "does not grow with transfers", text, is_flat);
    let (took, more) = verified;
    let a_minute = days.iter().sum::<u64>() as f64 / took.as_secs_f64() * 60.0;
    let text = format!("{:.1}M rows/min, {more} MiB more than before", a_minute / 1e6);
    let what = format!("ledger verify, {name}");
    let verify = Row::plain("R26", what, "1M rows/min", text, a_minute >= ROWS_A_MINUTE);
    Ok(vec![close, others, memory, verify])
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
