//! The crate's tests. Ledgers are small texts (see `books`); databases are real and temporary: files
//! of SQLite, and where the test run has a PostgreSQL server, databases of that.

mod backup;
mod books;
mod closes;
mod engines;
mod groups;
mod links;
mod migration;
mod moments;
mod tampering;

use crate::writer::Transaction;
use crate::{
    Database, LedgerError, NewContra, NewTransfer, Place, Posting, Server, account, book_linked,
    contra, pending, pending_linked, post, void,
};
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

/// One line of a ledger text, as its own write; a `+` links:
///
/// ```text
/// t1 pending cash meter 50.00
/// t2 post t1
/// t3 void t1
/// t4 book cash fee 1.00
/// t5 contra t4
/// t6 pending cash meter 9.00 + t7 pending cash fee 1.00
/// ```
async fn book(database: &Database, line: &str) -> Result<(), LedgerError> {
    let line = line.to_owned();
    database.write(move |tx| Box::pin(async move { book_in(tx, &line, 1).await })).await
}

async fn book_in(tx: &mut Transaction, line: &str, at_ms: i64) -> Result<(), LedgerError> {
    let mut reserved = Vec::new();
    let mut at_once = Vec::new();
    for part in line.split(" + ") {
        let words: Vec<&str> = part.split_whitespace().collect();
        match words[..] {
            [id, kind @ ("pending" | "book"), debit, credit, amount] => {
                let new = NewTransfer {
                    transfer_id: number(id),
                    debit: account(tx, debit, FEN, 1).await?,
                    credit: account(tx, credit, FEN, 1).await?,
                    amount: Money::parse(amount, FEN).expect("an amount"),
                    reference: Uuid::nil(),
                    at_ms,
                };
                match kind {
                    "pending" => reserved.push(new),
                    _ => at_once.push(Posting::Book(new)),
                }
            }
            [id, "contra", of] => {
                let (transfer_id, of) = (number(id), number(of));
                let new = NewContra { transfer_id, of, reference: Uuid::nil(), at_ms };
                at_once.push(Posting::Contra(new));
            }
            [id, "post", of] => return post(tx, number(id), number(of), at_ms + 1).await,
            [id, "void", of] => return void(tx, number(id), number(of), at_ms + 2).await,
            _ => panic!("not a line of a ledger: {words:?}"),
        }
    }
    match (&reserved[..], &at_once[..]) {
        ([one], []) => pending(tx, one).await,
        (all, []) => pending_linked(tx, all).await,
        ([], [Posting::Book(one)]) => crate::book(tx, one).await,
        ([], [Posting::Contra(one)]) => contra(tx, one).await,
        ([], all) => book_linked(tx, all).await,
        _ => panic!("a link of two kinds: {line}"),
    }
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
