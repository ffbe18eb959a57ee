//! L4: flushes to disk for each acknowledged sale of 32 sellers. On SQLite strace counts the program's
//! fsync and fdatasync; on PostgreSQL the server does (pg_stat_wal).

use super::{Books, Scale};
use crate::figure::Row;
use crate::program::Program;
use anyhow::{Context, Result};
use sqlx::{Connection, PgConnection};
use std::path::Path;
use std::process::Stdio;
use std::time::Duration;
use tokio::process::Command;

const SELLERS: usize = 32;
const AT_MOST: f64 = 0.15;
const TARGET: &str = "at most 0.15";

pub async fn run(root: &Path, scale: Scale) -> Result<Vec<Row>> {
    let mut rows = Vec::new();
    for books in Books::both().await {
        let what = format!("flushes to disk a sale, 32 sellers, {}", books.name());
        let program = Program::start_on(root, SELLERS, books.url().as_deref()).await?;
        super::sellers::drive(&program, SELLERS, 1).await?;
        let counted = match books.url() {
            None => by_strace(&program, scale).await?,
            Some(url) => by_server(&program, &url, scale).await?,
        };
        rows.push(match counted {
            Some((flushes, sales)) => {
                let each = flushes as f64 / sales as f64;
                let text = format!("{each:.3} ({flushes} flushes, {sales} sales)");
                Row::plain("L4", what, TARGET, text, each <= AT_MOST)
            }
            None => Row::missing("L4", what, "strace"),
        });
    }
    Ok(rows)
}

async fn by_strace(program: &Program, scale: Scale) -> Result<Option<(u64, u64)>> {
    let folder = tempfile::tempdir()?;
    let log = folder.path().join("calls");
    let process = program.process().context("the program has ended")?.to_string();
    let started = Command::new("strace")
        .args(["-f", "-e", "trace=fsync,fdatasync", "-o"])
        .arg(&log)
        .args(["-p", &process])
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .kill_on_drop(true)
        .spawn();
    let Ok(mut strace) = started else { return Ok(None) };
    // Until it has attached to every thread.
    tokio::time::sleep(Duration::from_secs(2)).await;
    if strace.try_wait()?.is_some() {
        return Ok(None);
    }
    let before = count(&log)?;
    let sold = super::sellers::drive(program, SELLERS, scale.sales_per_seller).await?;
    let flushes = count(&log)? - before;
    strace.kill().await?;
    Ok(Some((flushes, sold.each.len() as u64)))
}

/// Calls that were entered; one that was interrupted by another thread's has a second line.
fn count(log: &Path) -> Result<u64> {
    let text = std::fs::read_to_string(log)?;
    Ok(text.lines().filter(|line| line.contains("sync(") && !line.contains("resumed")).count()
        as u64)
}

async fn by_server(program: &Program, url: &str, scale: Scale) -> Result<Option<(u64, u64)>> {
    let mut connection = PgConnection::connect(url).await?;
    let before = flushes_of(&mut connection).await?;
    let sold = super::sellers::drive(program, SELLERS, scale.sales_per_seller).await?;
    // Backends report what they did at most every second.
    tokio::time::sleep(Duration::from_secs(2)).await;
    let flushes = flushes_of(&mut connection).await? - before;
    Ok(Some((u64::try_from(flushes)?, sold.each.len() as u64)))
}

async fn flushes_of(connection: &mut PgConnection) -> Result<i64> {
    sqlx::query("select pg_stat_clear_snapshot()").execute(&mut *connection).await?;
    Ok(sqlx::query_scalar("select wal_sync from pg_stat_wal").fetch_one(connection).await?)
}
