//! A ledger of a million transfers in seconds, to be closed and verified: rows as the product would have
//! written them, put into its tables directly, with hashes made by the form that docs and code describe to
//! auditors (host/ledger/src/chain.rs).
//!
//! That they are what the product writes is checked by `verify`, which the close's rows end with. Not here:
//! booking, which the other rows measure.

use super::{Books, FILE};
use anyhow::{Context, Result};
use polymeter_domain::Currency;
use polymeter_ledger::{Database, LedgerError, account};
use sha2::{Digest, Sha256};
use sqlx::sqlite::{SqliteConnectOptions, SqliteSynchronous};
use sqlx::{AssertSqlSafe, Connection, Executor, PgConnection, SqliteConnection};
use std::fmt::Write as _;
use std::path::Path;
use uuid::Uuid;

const ACCOUNTS: usize = 1000;
const ROWS_PER_STATEMENT: u64 = 500;

/// Cash, then a thousand meters.
pub async fn accounts(database: &Database) -> Result<Vec<String>> {
    let made: Result<Vec<String>, LedgerError> = database
        .write(move |tx| {
            Box::pin(async move {
                let mut made = vec![account(tx, "cash", Currency::CNY, 1).await?.to_string()];
                for number in 0..ACCOUNTS {
                    let name = format!("meter-credit/{number}");
                    made.push(account(tx, &name, Currency::CNY, 1).await?.to_string());
                }
                Ok(made)
            })
        })
        .await;
    Ok(made?)
}

/// A connection beside the product, which is not there meanwhile.
enum Direct {
    Sqlite(SqliteConnection),
    Postgres(PgConnection),
}

impl Direct {
    async fn to(books: &Books, folder: &Path) -> Result<Direct> {
        let Some(url) = books.url() else {
            let options = SqliteConnectOptions::new()
                .filename(folder.join(FILE))
                .foreign_keys(false)
                .synchronous(SqliteSynchronous::Off);
            return Ok(Direct::Sqlite(SqliteConnection::connect_with(&options).await?));
        };
        let mut connection = PgConnection::connect(&url).await?;
        // Its triggers and foreign keys would take longer than all else together.
        connection.execute("set session_replication_role = replica").await?;
        Ok(Direct::Postgres(connection))
    }

    async fn tell(&mut self, sql: String) -> Result<()> {
        let sql = AssertSqlSafe(sql);
        match self {
            Direct::Sqlite(connection) => connection.execute(sql).await.map(|_| ())?,
            Direct::Postgres(connection) => connection.execute(sql).await.map(|_| ())?,
        }
        Ok(())
    }

    async fn last(&mut self) -> Result<(i64, String)> {
        const LAST: &str =
            "select sequence, chain_hash from transfer order by sequence desc limit 1";
        let last: Option<(i64, String)> = match self {
            Direct::Sqlite(connection) => sqlx::query_as(LAST).fetch_optional(connection).await?,
            Direct::Postgres(connection) => sqlx::query_as(LAST).fetch_optional(connection).await?,
        };
        Ok(last.unwrap_or_else(|| (0, "0".repeat(64))))
    }

    async fn close(self) -> Result<()> {
        match self {
            Direct::Sqlite(connection) => connection.close().await?,
            Direct::Postgres(connection) => connection.close().await?,
        }
        Ok(())
    }
}

/// Appends `count` transfers from the first account to the others in turn. Nobody else has the database.
pub async fn fill(books: &Books, folder: &Path, accounts: &[String], count: u64) -> Result<()> {
    let mut direct = Direct::to(books, folder).await?;
    let (mut sequence, mut hash) = direct.last().await?;
    let (cash, meters) = accounts.split_first().context("no accounts")?;
    direct.tell("begin".to_owned()).await?;
    let mut done = 0;
    while done < count {
        let some = ROWS_PER_STATEMENT.min(count - done);
        let mut text = String::from(
            "insert into transfer (sequence, transfer_id, kind, debit_account_id, \
             credit_account_id, amount_minor, currency, pending_id, reference, at_ms, chain_hash, \
             form, contra_id, next_id) values ",
        );
        for nth in 0..some {
            sequence += 1;
            let credit = &meters[usize::try_from(done + nth)? % meters.len()];
            let (id, reference) = (Uuid::now_v7(), Uuid::now_v7());
            let form = format!(
                "polymeter-transfer-2\n{hash}\n{sequence}\n{id}\nbook\n{cash}\n{credit}\n100\nCNY\n\
                 -\n{reference}\n1\n-\n-\n"
            );
            hash = hex::encode(Sha256::digest(form));
            let comma = if nth == 0 { "" } else { ", " };
            write!(
                text,
                "{comma}({sequence}, '{id}', 'book', '{cash}', '{credit}', 100, 'CNY', null, \
                 '{reference}', 1, '{hash}', 2, null, null)"
            )?;
        }
        direct.tell(text).await?;
        done += some;
    }
    direct.tell("commit".to_owned()).await?;
    if let Direct::Postgres(_) = direct {
        // What a server knows of its tables comes of itself otherwise, a minute later.
        direct.tell("analyze".to_owned()).await?;
    }
    direct.close().await
}
