//! The crate's tests. Ledgers are small texts (see `books`); databases are real and temporary: files
//! of SQLite, and where the test run has a PostgreSQL server, databases of that.

mod books;
mod engines;
mod groups;
mod migration;
mod tampering;

use crate::{Database, LedgerError, NewTransfer, Place, Server, account, pending, post, void};
use databases::Fresh;
use polymeter_domain::{Currency, Money, TransferId};
use tempfile::TempDir;
use uuid::Uuid;

const FEN: Currency = Currency::CNY;

/// A database that goes with what holds it.
struct Books {
    database: Database,
    place: Place,
    keeper: Keeper,
}

enum Keeper {
    Folder(#[expect(dead_code, reason = "it goes with its value")] TempDir),
    Server(Fresh),
}

async fn books() -> Books {
    let (place, keeper) = match Fresh::new().await {
        Some(fresh) => (server(&fresh.url()), Keeper::Server(fresh)),
        None => {
            let folder = tempfile::tempdir().expect("a temporary folder");
            (Place::File(folder.path().join("books.db")), Keeper::Folder(folder))
        }
    };
    let database = Database::open(&place).await.expect("a new database");
    Books { database, place, keeper }
}

fn server(url: &str) -> Place {
    Place::Server(Server::parse(url, None).expect("a URL"))
}

/// What one engine says and what the other.
fn by_engine<T>(sqlite: T, postgres: T) -> T {
    if databases::server().is_some() { postgres } else { sqlite }
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

impl Books {
    /// What a person with a database tool does: no lock, and as one who may do everything.
    async fn by_hand(&self, sql: &str) -> Result<(), sqlx::Error> {
        use sqlx::{AssertSqlSafe, ConnectOptions, Connection, PgConnection};
        let sql = AssertSqlSafe(sql.to_owned());
        match (&self.place, &self.keeper) {
            (Place::File(path), Keeper::Folder(_)) => {
                let options = sqlx::sqlite::SqliteConnectOptions::new();
                let mut connection = options.filename(path).foreign_keys(false).connect().await?;
                let done = sqlx::raw_sql(sql).execute(&mut connection).await;
                connection.close().await?;
                done.map(|_| ())
            }
            (_, Keeper::Server(fresh)) => {
                let mut connection = PgConnection::connect(&fresh.url()).await?;
                let done = sqlx::raw_sql(sql).execute(&mut connection).await;
                connection.close().await?;
                done.map(|_| ())
            }
            (Place::Server(_), Keeper::Folder(_)) => panic!("a server has no folder"),
        }
    }
}
