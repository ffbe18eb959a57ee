//! The crate's tests. Ledgers are small texts (see `books`); files are real and temporary.

mod books;
mod groups;
mod migration;
mod tampering;

use crate::{Database, LedgerError, NewTransfer, account, pending, post, void};
use polymeter_domain::{Currency, Money, TransferId};
use std::path::{Path, PathBuf};
use tempfile::TempDir;
use uuid::Uuid;

const FEN: Currency = Currency::CNY;

/// A database in a folder that goes with it.
struct Books {
    database: Database,
    path: PathBuf,
    _folder: TempDir,
}

async fn books() -> Books {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let path = folder.path().join("books.db");
    let database = Database::open(&path).await.expect("a new database");
    Books { database, path, _folder: folder }
}

/// `t7` for the id of 7.
fn transfer_id(number: u128) -> TransferId {
    TransferId::new(Uuid::from_u128(number))
}

fn number(word: &str) -> TransferId {
    transfer_id(word.trim_start_matches('t').parse().expect("t and a number"))
}

/// One line of a ledger text, as its own write:
///
/// ```text
/// t1 pending cash meter 50.00
/// t2 post t1
/// t3 void t1
/// ```
async fn book(database: &Database, line: &str) -> Result<(), LedgerError> {
    let words: Vec<String> = line.split_whitespace().map(str::to_owned).collect();
    database
        .write(move |tx| {
            Box::pin(async move {
                let words: Vec<&str> = words.iter().map(String::as_str).collect();
                match words[..] {
                    [id, "pending", debit, credit, amount] => {
                        let new = NewTransfer {
                            transfer_id: number(id),
                            debit: account(tx, debit, FEN, 1).await?,
                            credit: account(tx, credit, FEN, 1).await?,
                            amount: Money::parse(amount, FEN).expect("an amount"),
                            reference: Uuid::nil(),
                            at_ms: 1,
                        };
                        pending(tx, &new).await
                    }
                    [id, "post", of] => post(tx, number(id), number(of), 2).await,
                    [id, "void", of] => void(tx, number(id), number(of), 3).await,
                    _ => panic!("not a line of a ledger: {words:?}"),
                }
            })
        })
        .await
}

/// `t7` again where an id of these tests stands in a message.
fn short(message: &str) -> String {
    (0..100_u128).rev().fold(message.to_owned(), |text, number| {
        text.replace(&Uuid::from_u128(number).to_string(), &format!("t{number}"))
    })
}

/// What a person with a database tool does to a closed file: no lock, no foreign keys.
async fn by_hand(path: &Path, sql: &str) -> Result<(), sqlx::Error> {
    use sqlx::{ConnectOptions, Connection};
    let options = sqlx::sqlite::SqliteConnectOptions::new().filename(path).foreign_keys(false);
    let mut connection = options.connect().await?;
    let done = sqlx::raw_sql(sqlx::AssertSqlSafe(sql.to_owned())).execute(&mut connection).await;
    connection.close().await?;
    done.map(|_| ())
}
