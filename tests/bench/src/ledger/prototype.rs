//! L1 and L2 on SQLite: whole sales against SQLite alone writing what a sale writes, as durably.
//!
//! The rows are of the number and size of a sale's; each sale is one trip to SQLite's thread, with prepared
//! statements. For many sellers the reference is the *group* prototype: the sales of 32 sellers in each
//! commit. For one it commits every sale, once.

use super::Scale;
use crate::figure::Row;
use crate::program::Program;
use crate::ratio::compare;
use anyhow::Result;
use sqlx::sqlite::{SqliteConnectOptions, SqliteJournalMode, SqliteSynchronous};
use sqlx::{Connection, Executor, SqliteConnection};
use std::path::Path;
use std::time::{Duration, Instant};
use uuid::Uuid;

const SELLERS: usize = 32;
const GROUPS: u32 = 60;
const SINGLE: u32 = 400;
const WHAT_GROUP: &str =
    "whole sale over HTTP, 32 sellers, SQLite / the rows of a sale in group commits of 32";
const WHAT_ONE: &str =
    "whole sale over HTTP, 1 seller, p50, SQLite / the rows of a sale in one commit, p50";
/// Speed at least 0.5 of the group prototype (targets.md, L1) is a time of at most twice its own.
const AT_MOST_GROUP: f64 = 2.0;
const AT_MOST_ONE: f64 = 6.0;

/// As the product's tables are: keys in text, the ledger with three more keys.
const TABLES: &str = "
    create table meter (meter_id text primary key, purchase_count integer);
    insert into meter values ('0190a000-0000-7000-8000-000000000001', 0);
    create table sale (sale_id text primary key, meter_id text not null, state text not null,
                       body text not null);
    create index sale_of_meter on sale (meter_id, state);
    create table sale_event (sale_event_id integer primary key, sale_id text not null, body text);
    create index sale_event_of_sale on sale_event (sale_id);
    create table transfer (sequence integer primary key, transfer_id text not null unique,
                           pending_id text unique, reference text not null, body text not null);
    create index transfer_by_reference on transfer (reference, sequence);
    create table audit (audit_id integer primary key, body text not null);
    create table receipt (number integer primary key, reference text not null unique,
                          body text not null);";

/// $1 is the sale, $2 its reservation, $3 the posting, $4 and $5 texts of about the size of a row.
const SALE: &str = "
    insert into sale values ($1, '0190a000-0000-7000-8000-000000000001', 'reserved', $5);
    insert into sale_event (sale_id, body) values ($1, $4);
    insert into sale_event (sale_id, body) values ($1, $4);
    insert into transfer (transfer_id, pending_id, reference, body) values ($2, null, $1, $4);
    insert into audit (body) values ($4);
    update sale set state = 'dispatched' where sale_id = $1;
    insert into sale_event (sale_id, body) values ($1, $4);
    update sale set state = 'confirmed' where sale_id = $1;
    insert into sale_event (sale_id, body) values ($1, $4);
    insert into transfer (transfer_id, pending_id, reference, body) values ($3, $2, $1, $4);
    update meter set purchase_count = purchase_count + 1
     where meter_id = '0190a000-0000-7000-8000-000000000001';
    insert into receipt (reference, body) values ($1, $5);";

pub async fn run(root: &Path, rounds: usize, scale: Scale) -> Result<Vec<Row>> {
    let folder = tempfile::tempdir_in(root.join("target"))?;
    let mut raw = raw(folder.path()).await?;
    let many = {
        let program = Program::start_on(root, SELLERS, None).await?;
        let reference = async || groups(&mut raw).await;
        let product = async || {
            Ok(super::sellers::drive(&program, SELLERS, scale.sales_per_seller).await?.mean())
        };
        compare(rounds, reference, product).await?
    };
    let one = {
        let program = Program::start_on(root, 1, None).await?;
        let reference = async || single(&mut raw).await;
        let sales = scale.sales_per_seller * 4;
        let product = async || Ok(super::sellers::drive(&program, 1, sales).await?.within(50));
        compare(rounds, reference, product).await?
    };
    Ok(vec![
        Row::ratio("L1", WHAT_GROUP, Some(AT_MOST_GROUP), many),
        Row::ratio("L2", WHAT_ONE, Some(AT_MOST_ONE), one),
    ])
}

/// The mean time of a sale.
async fn groups(raw: &mut SqliteConnection) -> Result<Duration> {
    let begun = Instant::now();
    for _ in 0..GROUPS {
        let mut transaction = raw.begin().await?;
        for _ in 0..SELLERS {
            sale(&mut transaction).await?;
        }
        transaction.commit().await?;
    }
    Ok(begun.elapsed() / (GROUPS * SELLERS as u32))
}

/// Half of the sales took no longer.
async fn single(raw: &mut SqliteConnection) -> Result<Duration> {
    let mut each = Vec::new();
    for _ in 0..SINGLE {
        let begun = Instant::now();
        let mut transaction = raw.begin().await?;
        sale(&mut transaction).await?;
        transaction.commit().await?;
        each.push(begun.elapsed());
    }
    each.sort();
    Ok(each[each.len() / 2])
}

async fn sale(connection: &mut SqliteConnection) -> Result<()> {
    sqlx::query(SALE)
        .bind(Uuid::now_v7().to_string())
        .bind(Uuid::now_v7().to_string())
        .bind(Uuid::now_v7().to_string())
        .bind("x".repeat(200))
        .bind("x".repeat(600))
        .execute(connection)
        .await?;
    Ok(())
}

/// As durable as the product's, on the same disk.
async fn raw(folder: &Path) -> Result<SqliteConnection> {
    let options = SqliteConnectOptions::new()
        .filename(folder.join("raw.db"))
        .create_if_missing(true)
        .journal_mode(SqliteJournalMode::Wal)
        .synchronous(SqliteSynchronous::Full);
    let mut raw = SqliteConnection::connect_with(&options).await?;
    raw.execute(TABLES).await?;
    Ok(raw)
}
