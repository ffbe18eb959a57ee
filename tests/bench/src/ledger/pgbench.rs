//! L3, and L2 on PostgreSQL: whole sales against pgbench with the very statements of a sale, which are
//! taken from the server's log of one (capture).
//!
//! Each client of pgbench's has a database of its own, copied from the one that the sale was made in: the
//! statements number ledger, trail and receipts without a gap, so that two clients in one database would
//! only trip over each other. They share the server, its log and its flushes, as the sellers do.

use super::capture;
use super::{Books, Scale};
use crate::figure::Row;
use crate::program::Program;
use crate::ratio::compare;
use anyhow::{Context, Result, ensure};
use databases::Fresh;
use sqlx::{AssertSqlSafe, Connection, Executor, PgConnection};
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;
use tokio::process::Command;
use tokio::task::JoinSet;

const SELLERS: usize = 8;
const WHAT: &str = "whole sale over HTTP, 8 sellers, PostgreSQL / pgbench with the statements of a sale, 8 clients";
const WHAT_ONE: &str =
    "whole sale over HTTP, 1 seller, p50, PostgreSQL / pgbench with the statements of a sale, mean";
/// Speed at least 0.6 of pgbench's is a time of at most 1 / 0.6.
const AT_MOST: f64 = 1.0 / 0.6;

pub async fn run(root: &Path, rounds: usize, scale: Scale) -> Result<Vec<Row>> {
    let (Some(model), Some(pgbench)) = (Fresh::new().await, found()) else {
        return Ok(vec![Row::missing("L3", WHAT.to_owned(), "PostgreSQL with pgbench")]);
    };
    let folder = tempfile::tempdir_in(root.join("target"))?;
    let script = folder.path().join("sale.sql");
    let text = captured(root, &model).await?;
    let statements = text.matches(";\n").count();
    std::fs::write(&script, text)?;
    let mut clients = Vec::new();
    for _ in 0..SELLERS {
        clients.push(copy_of(&model).await?);
    }
    let mut rows = Vec::new();
    for (name, sellers, at_most) in [("L3", SELLERS, Some(AT_MOST)), ("L2", 1, None)] {
        let Some(books) = Fresh::new().await.map(Books::Postgres) else { break };
        let program = Program::start_on(root, sellers, books.url().as_deref()).await?;
        let clients = &clients[..sellers];
        let reference = async || together(&pgbench, clients, &script, scale).await;
        let product = async || {
            let sold = super::sellers::drive(&program, sellers, scale.sales_per_seller).await?;
            Ok(if sellers == 1 { sold.within(50) } else { sold.mean() })
        };
        let what = if sellers == 1 { WHAT_ONE } else { WHAT };
        let compared = compare(rounds, reference, product).await?;
        rows.push(Row::ratio(
            name,
            &format!("{what} ({statements} statements)"),
            at_most,
            compared,
        ));
    }
    Ok(rows)
}

/// Makes sales in `model`, and a script of the statements of the last one; nobody is in it afterwards.
async fn captured(root: &Path, model: &Fresh) -> Result<String> {
    let mut connection = PgConnection::connect(&model.url()).await?;
    let log = format!("alter database {} set log_statement = 'all'", name_of(model)?);
    connection.execute(AssertSqlSafe(log)).await?;
    let data: String = sqlx::query_scalar("show data_directory").fetch_one(&mut connection).await?;
    connection.close().await?;
    let log = Path::new(&data).parent().context("a data folder in a folder")?.join("log");

    let mut program = Program::start_on(root, 1, Some(&model.url())).await?;
    // What is done once only, at the first sale of a meter or of a day, is no part of a sale.
    super::sellers::drive(&program, 1, 3).await?;
    tokio::time::sleep(Duration::from_millis(500)).await;
    let before = read(&log)?;
    super::sellers::drive(&program, 1, 1).await?;
    tokio::time::sleep(Duration::from_millis(500)).await;
    let after = read(&log)?;
    program.stop().await?;
    let sale = after.strip_prefix(before.as_str()).context("the server's log was begun anew")?;
    let script = capture::script(&before, &capture::statements(sale)?)?;
    // Its copies are not logged.
    let mut connection = PgConnection::connect(&model.url()).await?;
    let quiet = format!("alter database {} reset log_statement", name_of(model)?);
    connection.execute(AssertSqlSafe(quiet)).await?;
    connection.close().await?;
    Ok(script)
}

fn read(log: &Path) -> Result<String> {
    let bytes = std::fs::read(log).with_context(|| format!("reading {}", log.display()))?;
    Ok(String::from_utf8_lossy(&bytes).into_owned())
}

fn name_of(database: &Fresh) -> Result<String> {
    let url = database.url();
    let name = url.split('?').next().and_then(|head| head.rsplit('/').next());
    Ok(name.context("a URL without a database")?.to_owned())
}

/// A database of its own with all that is in `model`, which nobody may be connected to.
async fn copy_of(model: &Fresh) -> Result<Fresh> {
    let copy = Fresh::new().await.context("the server is gone")?;
    let (name, model_name) = (name_of(&copy)?, name_of(model)?);
    let admin = model.url().replace(&format!("/{model_name}?"), "/postgres?");
    let mut connection = PgConnection::connect(&admin).await?;
    // The server takes a moment to end the sessions of a program that was killed.
    connection.execute(AssertSqlSafe(format!("drop database {name}"))).await?;
    let make = format!("create database {name} template {model_name}");
    for _ in 0..50 {
        if connection.execute(AssertSqlSafe(make.clone())).await.is_ok() {
            return Ok(copy);
        }
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    connection.execute(AssertSqlSafe(make)).await?;
    Ok(copy)
}

/// Debian keeps it apart from the PATH.
fn found() -> Option<PathBuf> {
    let mut versions: Vec<PathBuf> = std::fs::read_dir("/usr/lib/postgresql")
        .into_iter()
        .flatten()
        .flatten()
        .map(|entry| entry.path().join("bin/pgbench"))
        .filter(|program| program.is_file())
        .collect();
    versions.sort();
    versions.pop()
}

/// All clients at once; the time of one transaction.
async fn together(
    pgbench: &Path,
    clients: &[Fresh],
    script: &Path,
    scale: Scale,
) -> Result<Duration> {
    let mut running = JoinSet::new();
    for client in clients {
        running.spawn(one(pgbench.to_owned(), client.url(), script.to_owned(), scale.seconds));
    }
    let mut a_second = 0.0;
    while let Some(speed) = running.join_next().await {
        a_second += speed??;
    }
    Ok(Duration::from_secs_f64(1.0 / a_second))
}

async fn one(pgbench: PathBuf, url: String, script: PathBuf, seconds: u32) -> Result<f64> {
    let output = Command::new(pgbench)
        .args(["--no-vacuum", "--protocol=prepared", "--client=1", "--jobs=1", "--time"])
        .arg(seconds.to_string())
        .arg("--file")
        .arg(&script)
        .arg(url)
        .stdin(Stdio::null())
        .output()
        .await
        .context("pgbench did not start")?;
    let said = String::from_utf8_lossy(&output.stdout).into_owned();
    let why = String::from_utf8_lossy(&output.stderr);
    let why: String = why.chars().take(2000).collect();
    let failed = said.lines().find(|line| line.starts_with("number of failed transactions: "));
    let none_failed = failed.is_none_or(|line| line.contains(": 0 "));
    ensure!(output.status.success() && none_failed, "pgbench, {}: {why}", output.status);
    let speed = said.lines().find_map(|line| {
        line.strip_prefix("tps = ")?.split_whitespace().next()?.parse::<f64>().ok()
    });
    speed.with_context(|| format!("pgbench gave no speed: {said}"))
}
