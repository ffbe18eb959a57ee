//! What queries run on: one connection, or a pool for reading. Both speak sqlx's `Any`, so that a
//! query is written once, whichever engine is beneath.
//!
//! Invariant: SQL given to either is portable (`$1` placeholders, no function that one engine alone
//! has); what must differ is in `engine`. Not here: making connections (engine), the order of
//! writes (writer).

use crate::engine::sqlite::CommitGate;
use futures_core::future::BoxFuture;
use futures_core::stream::BoxStream;
use futures_util::{FutureExt, StreamExt, TryFutureExt, TryStreamExt, stream};
use sqlx::any::{Any, AnyQueryResult, AnyRow, AnyStatement, AnyTypeInfo};
use sqlx::sqlite::{SqliteConnection, SqlitePool};
use sqlx::{Either, Executor, SqlStr};
use sqlx_core::any::AnyConnectionBackend;
use sqlx_core::describe::Describe;
use sqlx_core::executor::Execute;

type Result<T> = std::result::Result<T, sqlx::Error>;

/// One connection to the database. Its type is the engine's own, so that the engine's settings and
/// hooks can be reached; its rows and arguments are `Any`'s.
#[derive(Debug)]
pub struct Connection {
    pub(crate) native: Native,
}

#[derive(Debug)]
pub(crate) enum Native {
    Sqlite(SqliteConnection),
}

impl Connection {
    fn backend(&mut self) -> &mut dyn AnyConnectionBackend {
        match &mut self.native {
            Native::Sqlite(connection) => connection,
        }
    }

    /// Statements without arguments, several where `;` stands between them.
    pub(crate) async fn run(&mut self, statements: &'static str) -> Result<()> {
        self.execute(statements).await.map(|_| ())
    }

    /// Nothing is committed through this connection but while the gate is open.
    pub(crate) async fn commit_gate(&mut self) -> Result<CommitGate> {
        match &mut self.native {
            Native::Sqlite(connection) => CommitGate::hang(connection).await,
        }
    }

    pub(crate) async fn close(self) -> Result<()> {
        match self.native {
            Native::Sqlite(connection) => sqlx::Connection::close(connection).await,
        }
    }
}

impl From<SqliteConnection> for Connection {
    fn from(connection: SqliteConnection) -> Connection {
        Connection { native: Native::Sqlite(connection) }
    }
}

/// As sqlx does it for its own `AnyConnection`, which would hide the engine's connection.
impl<'c> Executor<'c> for &'c mut Connection {
    type Database = Any;

    fn fetch_many<'e, 'q: 'e, E>(
        self,
        query: E,
    ) -> BoxStream<'e, Result<Either<AnyQueryResult, AnyRow>>>
    where
        'c: 'e,
        E: 'q + Execute<'q, Any>,
    {
        fetch_many(self.backend(), query)
    }

    fn fetch_optional<'e, 'q: 'e, E>(self, query: E) -> BoxFuture<'e, Result<Option<AnyRow>>>
    where
        'c: 'e,
        E: 'q + Execute<'q, Any>,
    {
        fetch_optional(self.backend(), query)
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

fn fetch_many<'e, 'q: 'e>(
    backend: &'e mut dyn AnyConnectionBackend,
    mut query: impl Execute<'q, Any>,
) -> BoxStream<'e, Result<Either<AnyQueryResult, AnyRow>>> {
    match query.take_arguments() {
        Ok(arguments) => {
            let persistent = query.persistent();
            backend.fetch_many(query.sql(), persistent, arguments)
        }
        Err(error) => stream::iter([Err(sqlx::Error::Encode(error))]).boxed(),
    }
}

fn fetch_optional<'e, 'q: 'e>(
    backend: &'e mut dyn AnyConnectionBackend,
    mut query: impl Execute<'q, Any>,
) -> BoxFuture<'e, Result<Option<AnyRow>>> {
    match query.take_arguments() {
        Ok(arguments) => {
            let persistent = query.persistent();
            backend.fetch_optional(query.sql(), persistent, arguments)
        }
        Err(error) => std::future::ready(Err(sqlx::Error::Encode(error))).boxed(),
    }
}

/// A pool of connections that only read; cheap to clone. A reference to it runs queries.
#[derive(Debug, Clone)]
pub struct Reader {
    pub(crate) pool: Pool,
}

#[derive(Debug, Clone)]
pub(crate) enum Pool {
    Sqlite(SqlitePool),
}

impl From<SqlitePool> for Reader {
    fn from(pool: SqlitePool) -> Reader {
        Reader { pool: Pool::Sqlite(pool) }
    }
}

/// All rows are fetched before the first is handed on: the connection goes back at once.
async fn fetch_all<'q>(
    backend: &mut dyn AnyConnectionBackend,
    query: impl Execute<'q, Any>,
) -> Result<Vec<Either<AnyQueryResult, AnyRow>>> {
    fetch_many(backend, query).try_collect().await
}

impl<'p> Executor<'p> for &'p Reader {
    type Database = Any;

    fn fetch_many<'e, 'q: 'e, E>(
        self,
        query: E,
    ) -> BoxStream<'e, Result<Either<AnyQueryResult, AnyRow>>>
    where
        'p: 'e,
        E: 'q + Execute<'q, Any>,
    {
        let fetched = async move {
            match &self.pool {
                Pool::Sqlite(pool) => fetch_all(&mut *pool.acquire().await?, query).await,
            }
        };
        fetched.map_ok(|rows| stream::iter(rows).map(Ok)).try_flatten_stream().boxed()
    }

    fn fetch_optional<'e, 'q: 'e, E>(self, query: E) -> BoxFuture<'e, Result<Option<AnyRow>>>
    where
        'p: 'e,
        E: 'q + Execute<'q, Any>,
    {
        Box::pin(async move {
            match &self.pool {
                Pool::Sqlite(pool) => fetch_optional(&mut *pool.acquire().await?, query).await,
            }
        })
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
            }
        })
    }
}
