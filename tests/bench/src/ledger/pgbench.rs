//! L3: whole sales on PostgreSQL by 8 sellers against pgbench, 8 clients, each transaction of it with what a
//! sale writes: as many commits, as many inserts, updates and looks, of rows of the same size.

use super::{Books, Scale};
use crate::figure::Row;
use crate::program::Program;
use crate::ratio::compare;
use anyhow::{Context, Result, ensure};
use databases::Fresh;
use std::path::{Path, PathBuf};
use std::time::Duration;
use tokio::process::Command;

const WHAT: &str = "whole sale over HTTP, 8 sellers, PostgreSQL / pgbench with the statements of a sale, 8 clients";
const SELLERS: usize = 8;
const SECONDS: u32 = 5;

const TABLES: &str = "
    create table mark (writer int primary key, mark text not null);
    insert into mark select n, '' from generate_series(0, 63) as n;
    create table sale (sale_id bigint primary key, state text not null, body text not null);
    create table history (history_id bigint generated always as identity primary key, sale_id bigint not null, body text not null);
    create table transfer (transfer_id bigint primary key, reference bigint not null, body text not null)";

/// The three commits of a sale: reserved, dispatched, confirmed.
const SCRIPT: &str = "\\set sale random(1, 9000000000000000000)
begin;
select body from sale where sale_id = :sale;
insert into sale values (:sale, 'reserved', repeat('x', 600));
insert into transfer values (:sale, :sale, repeat('x', 350));
insert into history (sale_id, body) values (:sale, repeat('x', 60));
insert into history (sale_id, body) values (:sale, repeat('x', 60));
update mark set mark = :sale where writer = :client_id;
commit;
begin;
select * from sale where sale_id = :sale;
update sale set state = 'dispatched' where sale_id = :sale;
insert into history (sale_id, body) values (:sale, repeat('x', 60));
update mark set mark = :sale where writer = :client_id;
commit;
begin;
select * from sale where sale_id = :sale;
update sale set state = 'confirmed' where sale_id = :sale;
insert into transfer values (-:sale, :sale, repeat('x', 350));
insert into history (sale_id, body) values (:sale, repeat('x', 60));
update mark set mark = :sale where writer = :client_id;
commit;
";

/// Speed at least 0.6 of pgbench's is a time of at most 1 / 0.6.
const AT_MOST: f64 = 1.0 / 0.6;

pub async fn run(root: &Path, rounds: usize, scale: Scale) -> Result<Vec<Row>> {
    let (Some(books), Some(raw), Some(pgbench)) = (Fresh::new().await, Fresh::new().await, found())
    else {
        return Ok(vec![Row::missing("L3", WHAT.to_owned(), "PostgreSQL with pgbench")]);
    };
    raw.by_hand(TABLES).await?;
    let folder = tempfile::tempdir_in(root.join("target"))?;
    let script = folder.path().join("sale.sql");
    std::fs::write(&script, SCRIPT)?;
    let books = Books::Postgres(books);
    let program = Program::start_on(root, SELLERS, books.url().as_deref()).await?;
    let reference = async || one_transaction(&pgbench, &raw, &script).await;
    let product = async || {
        let sold = super::sellers::drive(&program, SELLERS, scale.sales_per_seller).await?;
        Ok(Duration::from_secs_f64(1.0 / sold.a_second()))
    };
    Ok(vec![Row::ratio("L3", WHAT, Some(AT_MOST), compare(rounds, reference, product).await?)])
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

async fn one_transaction(pgbench: &Path, raw: &Fresh, script: &Path) -> Result<Duration> {
    let clients = SELLERS.to_string();
    let output = Command::new(pgbench)
        .args(["--no-vacuum", "--protocol=prepared", "--client", &clients, "--jobs", "2"])
        .args(["--time", &SECONDS.to_string(), "--file"])
        .arg(script)
        .arg(raw.url())
        .output()
        .await
        .context("pgbench did not start")?;
    let said = String::from_utf8_lossy(&output.stdout).into_owned();
    let why = String::from_utf8_lossy(&output.stderr);
    ensure!(output.status.success(), "pgbench ended with {}: {why}", output.status);
    let speed = said.lines().find_map(|line| {
        line.strip_prefix("tps = ")?.split_whitespace().next()?.parse::<f64>().ok()
    });
    let speed = speed.with_context(|| format!("pgbench gave no speed: {said}"))?;
    Ok(Duration::from_secs_f64(1.0 / speed))
}
