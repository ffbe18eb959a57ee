//! What queries run on: one connection, or a pool for reading. Both speak sqlx's `Any`, so that a
//! query is written once, whichever engine is beneath.
//!
//! Invariant: SQL given to either is portable (`$1` placeholders, no function that one engine alone
//! has); what must differ is in `engine`. A statement on a server ends in bounded time, and a
//! connection that was given up on answers nothing any more. Not here: making connections (engine),
//! the order of writes (writer).

use crate::engine::sqlite::CommitGate;
use crate::limits;
use futures_core::future::BoxFuture;
use futures_core::stream::BoxStream;
use futures_util::{FutureExt, StreamExt, TryFutureExt, TryStreamExt, stream};
use sqlx::any::{Any, AnyArguments, AnyQueryResult, AnyRow, AnyStatement, AnyTypeInfo};
use sqlx::postgres::{PgConnection, PgPool, Postgres};
use sqlx::sqlite::{SqliteConnection, SqlitePool};
use sqlx::{Either, Executor, SqlSafeStr, SqlStr};
use sqlx_core::any::AnyConnectionBackend;
use sqlx_core::describe::Describe;
use sqlx_core::executor::Execute;
use sqlx_core::pool::PoolConnection;
use std::future::Future;
use std::io;
use tokio::time::timeout;

type Result<T> = std::result::Result<T, sqlx::Error>;

/// What a query's arguments and text are, once it is on its way.
struct Asked {
    sql: SqlStr,
    persistent: bool,
    arguments: Option<AnyArguments>,
}

impl Asked {
    fn new<'q>(mut query: impl Execute<'q, Any>) -> Result<Asked> {
        let arguments = query.take_arguments().map_err(sqlx::Error::Encode)?;
        let persistent = query.persistent();
        Ok(Asked { sql: query.sql(), persistent, arguments })
    }
}

type Step = Either<AnyQueryResult, AnyRow>;

/// All rows, before the first is handed on.
async fn all(backend: &mut dyn AnyConnectionBackend, asked: Asked) -> Result<Vec<Step>> {
    let Asked { sql, persistent, arguments } = asked;
    backend.fetch_many(sql, persistent, arguments).try_collect().await
}

fn in_turn<'e>(
    all: impl Future<Output = Result<Vec<Step>>> + Send + 'e,
) -> BoxStream<'e, Result<Step>> {
    all.map_ok(|steps| stream::iter(steps).map(Ok)).try_flatten_stream().boxed()
}

fn failed<T: Send + 'static>(error: sqlx::Error) -> BoxStream<'static, Result<T>> {
    stream::iter([Err(error)]).boxed()
}

/// The last rows of an answer, e.g. the one that `fetch_optional` is after.
fn first_row(steps: Vec<Step>) -> Option<AnyRow> {
    steps.into_iter().find_map(Either::right)
}

/// In the time that a server has for one statement.
async fn in_time<T>(answer: impl Future<Output = Result<T>>) -> Result<T> {
    match timeout(limits::STATEMENT_WAIT, answer).await {
        Ok(answer) => answer,
        Err(_) => Err(io::Error::from(io::ErrorKind::TimedOut).into()),
    }
}

/// One connection to the database. Its type is the engine's own, so that the engine's settings and
/// hooks can be reached; its rows and arguments are `Any`'s.
#[derive(Debug)]
pub struct Connection {
    native: Native,
}

#[derive(Debug)]
enum Native {
    Sqlite(SqliteConnection),
    Postgres(Session),
}

/// A connection to a server, as the writer's jobs may use it.
#[derive(Debug)]
struct Session {
    connection: PgConnection,
    /// A statement was given up on in its midst: what comes back next is anybody's guess.
    is_lost: bool,
    /// A job has tried to end the transaction, which is not its to end.
    is_misused: bool,
}

impl Session {
    async fn all(&mut self, asked: Asked) -> Result<Vec<Step>> {
        if self.is_lost {
            return Err(io::Error::from(io::ErrorKind::NotConnected).into());
        }
        // Lost until it has answered: a caller may drop us in between.
        self.is_lost = true;
        let answer = timeout(limits::WRITE_STATEMENT_WAIT, all(&mut self.connection, asked)).await;
        self.is_lost = answer.is_err();
        answer.unwrap_or_else(|_| Err(io::Error::from(io::ErrorKind::TimedOut).into()))
    }

    /// What a job may ask: one statement, and none that begins or ends a transaction. SQLite has a
    /// hook for that; here the text is looked at.
    async fn of_job(&mut self, mut asked: Asked) -> Result<Vec<Step>> {
        if is_control(asked.sql.as_str()) {
            self.is_misused = true;
            let why = "a job begins and ends no transaction; the writer does";
            return Err(sqlx::Error::Protocol(why.to_owned()));
        }
        // With arguments, even none, the server takes no second statement after a `;`.
        asked.arguments.get_or_insert_default();
        self.all(asked).await
    }
}

/// Whether a statement is about transactions.
fn is_control(sql: &str) -> bool {
    const WORDS: [&str; 9] =
        ["begin", "start", "commit", "end", "rollback", "abort", "savepoint", "release", "prepare"];
    let word: String = sql.trim_start().chars().take_while(char::is_ascii_alphabetic).collect();
    WORDS.contains(&word.to_ascii_lowercase().as_str())
}

impl Connection {
    /// Statements without arguments, several where `;` stands between them, those about
    /// transactions too.
    pub(crate) async fn control(&mut self, statements: impl SqlSafeStr) -> Result<()> {
        let sql = statements.into_sql_str();
        let asked = Asked { sql, persistent: false, arguments: None };
        match &mut self.native {
            Native::Sqlite(connection) => all(connection, asked).await.map(|_| ()),
            Native::Postgres(session) => session.all(asked).await.map(|_| ()),
        }
    }

    /// Nothing is committed through a connection to SQLite but while its gate is open.
    pub(crate) async fn commit_gate(&mut self) -> Result<Option<CommitGate>> {
        match &mut self.native {
            Native::Sqlite(connection) => CommitGate::hang(connection).await.map(Some),
            Native::Postgres(_) => Ok(None),
        }
    }

    /// Whether the engine is a server.
    pub(crate) fn is_served(&self) -> bool {
        matches!(self.native, Native::Postgres(_))
    }

    /// A job has done what it must not, and the whole group must go.
    pub(crate) fn is_misused(&self) -> bool {
        matches!(&self.native, Native::Postgres(Session { is_misused: true, .. }))
    }

    pub(crate) async fn close(self) -> Result<()> {
        match self.native {
            Native::Sqlite(connection) => sqlx::Connection::close(connection).await,
            Native::Postgres(Session { connection, is_lost: false, .. }) => {
                in_time(sqlx::Connection::close(connection)).await
            }
            Native::Postgres(_) => Ok(()),
        }
    }
}

impl From<SqliteConnection> for Connection {
    fn from(connection: SqliteConnection) -> Connection {
        Connection { native: Native::Sqlite(connection) }
    }
}

impl From<PgConnection> for Connection {
    fn from(connection: PgConnection) -> Connection {
        let session = Session { connection, is_lost: false, is_misused: false };
        Connection { native: Native::Postgres(session) }
    }
}

/// As sqlx does it for its own `AnyConnection`, which would hide the engine's connection.
impl<'c> Executor<'c> for &'c mut Connection {
    type Database = Any;

    fn fetch_many<'e, 'q: 'e, E>(self, query: E) -> BoxStream<'e, Result<Step>>
    where
        'c: 'e,
        E: 'q + Execute<'q, Any>,
    {
        let asked = match Asked::new(query) {
            Ok(asked) => asked,
            Err(error) => return failed(error),
        };
        match &mut self.native {
            Native::Sqlite(connection) => {
                let Asked { sql, persistent, arguments } = asked;
                AnyConnectionBackend::fetch_many(connection, sql, persistent, arguments)
            }
            Native::Postgres(session) => in_turn(session.of_job(asked)),
        }
    }

    fn fetch_optional<'e, 'q: 'e, E>(self, query: E) -> BoxFuture<'e, Result<Option<AnyRow>>>
    where
        'c: 'e,
        E: 'q + Execute<'q, Any>,
    {
        let asked = match Asked::new(query) {
            Ok(asked) => asked,
            Err(error) => return std::future::ready(Err(error)).boxed(),
        };
        match &mut self.native {
            Native::Sqlite(connection) => {
                let Asked { sql, persistent, arguments } = asked;
                AnyConnectionBackend::fetch_optional(connection, sql, persistent, arguments)
            }
            Native::Postgres(session) => session.of_job(asked).map_ok(first_row).boxed(),
        }
    }

    fn prepare_with<'e>(
        self,
        sql: SqlStr,
        parameters: &'e [AnyTypeInfo],
    ) -> BoxFuture<'e, Result<AnyStatement>>
    where
        'c: 'e,
    {
        self.backend().prepare_with(sql, parameters)
    }

    fn describe<'e>(self, sql: SqlStr) -> BoxFuture<'e, Result<Describe<Any>>>
    where
        'c: 'e,
    {
        self.backend().describe(sql)
    }
}

impl Connection {
    fn backend(&mut self) -> &mut dyn AnyConnectionBackend {
        match &mut self.native {
            Native::Sqlite(connection) => connection,
            Native::Postgres(session) => &mut session.connection,
        }
    }
}

/// A pool of connections that only read; cheap to clone. A reference to it runs queries.
#[derive(Debug, Clone)]
pub struct Reader {
    pool: Pool,
}

#[derive(Debug, Clone)]
enum Pool {
    Sqlite(SqlitePool),
    Postgres(PgPool),
}

impl From<SqlitePool> for Reader {
    fn from(pool: SqlitePool) -> Reader {
        Reader { pool: Pool::Sqlite(pool) }
    }
}

impl From<PgPool> for Reader {
    fn from(pool: PgPool) -> Reader {
        Reader { pool: Pool::Postgres(pool) }
    }
}

impl Reader {
    /// The connection goes back to its pool before the first row is handed on.
    async fn all(&self, asked: Asked) -> Result<Vec<Step>> {
        match &self.pool {
            Pool::Sqlite(pool) => {
                let mut connection = pool.acquire().await?;
                let answer = all(&mut *connection, asked).await;
                // At once and not by a task of its own: the next query finds it there and opens no other,
                // which would have to read the whole schema.
                connection.return_to_pool().await;
                answer
            }
            Pool::Postgres(pool) => {
                let mut connection: PoolConnection<Postgres> = pool.acquire().await?;
                let answer = timeout(limits::STATEMENT_WAIT, all(&mut *connection, asked)).await;
                answer.unwrap_or_else(|_| {
                    // Nobody waits for it, and nobody else is given it.
                    drop(connection.detach());
                    Err(io::Error::from(io::ErrorKind::TimedOut).into())
                })
            }
        }
    }
}

impl<'p> Executor<'p> for &'p Reader {
    type Database = Any;

    fn fetch_many<'e, 'q: 'e, E>(self, query: E) -> BoxStream<'e, Result<Step>>
    where
        'p: 'e,
        E: 'q + Execute<'q, Any>,
    {
        match Asked::new(query) {
            Ok(asked) => in_turn(self.all(asked)),
            Err(error) => failed(error),
        }
    }

    fn fetch_optional<'e, 'q: 'e, E>(self, query: E) -> BoxFuture<'e, Result<Option<AnyRow>>>
    where
        'p: 'e,
        E: 'q + Execute<'q, Any>,
    {
        match Asked::new(query) {
            Ok(asked) => self.all(asked).map_ok(first_row).boxed(),
            Err(error) => std::future::ready(Err(error)).boxed(),
        }
    }

    fn prepare_with<'e>(
        self,
        sql: SqlStr,
        parameters: &'e [AnyTypeInfo],
    ) -> BoxFuture<'e, Result<AnyStatement>>
    where
        'p: 'e,
    {
        Box::pin(async move {
            match &self.pool {
                Pool::Sqlite(pool) => {
                    let mut connection = pool.acquire().await?;
                    AnyConnectionBackend::prepare_with(&mut *connection, sql, parameters).await
                }
                Pool::Postgres(pool) => {
                    let mut connection = pool.acquire().await?;
                    AnyConnectionBackend::prepare_with(&mut *connection, sql, parameters).await
                }
            }
        })
    }

    fn describe<'e>(self, sql: SqlStr) -> BoxFuture<'e, Result<Describe<Any>>>
    where
        'p: 'e,
    {
        Box::pin(async move {
            match &self.pool {
                Pool::Sqlite(pool) => {
                    let mut connection = pool.acquire().await?;
                    AnyConnectionBackend::describe(&mut *connection, sql).await
                }
                Pool::Postgres(pool) => {
                    let mut connection = pool.acquire().await?;
                    AnyConnectionBackend::describe(&mut *connection, sql).await
                }
            }
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn statements_about_transactions_are_known() {
        for sql in ["commit", " ROLLBACK to job", "begin", "end", "\nsavepoint x", "release x"] {
            assert!(is_control(sql), "{sql}");
        }
        for sql in ["select 1", "insert into committed", "update x", "", "endless", "delete from x"]
        {
            assert!(!is_control(sql), "{sql}");
        }
    }
}
