//! A database as an older program left it, with real rows: the tables are made by the migrations of then
//! alone, and filled with what a site of today has written, as far as those tables have columns for it.
//!
//! Invariant: nothing of it was made by a migration that came later. Not here: upgrading it
//! (tests/upgrades.rs).

use anyhow::{Context, Result, ensure};
use databases::Fresh;
use sqlx::migrate::Migrator;
use sqlx::postgres::PgConnection;
use sqlx::sqlite::SqliteConnectOptions;
use sqlx::{AssertSqlSafe, ConnectOptions as _, Connection as _, Executor as _, SqliteConnection};
use std::borrow::Cow;
use std::path::Path;

static SQLITE: Migrator = sqlx::migrate!("../../host/migrations/sqlite");
static POSTGRES: Migrator = sqlx::migrate!("../../host/migrations/postgres");

/// Every version that there has been, oldest first; both engines have the same.
pub fn versions() -> Vec<i64> {
    SQLITE.iter().map(|it| it.version).collect()
}

fn until(all: &Migrator, version: i64) -> Migrator {
    let migrations: Vec<_> = all.iter().filter(|it| it.version <= version).cloned().collect();
    Migrator { migrations: Cow::Owned(migrations), ..Migrator::DEFAULT }
}

/// `old` becomes what the file `now` would be if the program had stopped at `version`.
pub async fn file(now: &Path, old: &Path, version: i64) -> Result<()> {
    let options = SqliteConnectOptions::new().filename(old).create_if_missing(true);
    let mut old = options.foreign_keys(false).connect().await?;
    until(&SQLITE, version).run(&mut old).await?;
    let attach = format!("attach '{}' as today", now.display());
    old.execute(AssertSqlSafe(attach)).await?;
    // Triggers guard the tables against exactly this.
    let triggers: Vec<(String, String)> =
        sqlx::query_as("select name, sql from main.sqlite_schema where type = 'trigger'")
            .fetch_all(&mut old)
            .await?;
    for (name, _) in &triggers {
        old.execute(AssertSqlSafe(format!("drop trigger main.{name}"))).await?;
    }
    let tables: Vec<String> = sqlx::query_scalar(
        "select name from main.sqlite_schema
         where type = 'table' and name not like 'sqlite%' and name <> '_sqlx_migrations'",
    )
    .fetch_all(&mut old)
    .await?;
    for table in tables {
        let columns: Vec<String> = sqlx::query_scalar(
            "select old.name from pragma_table_info($1, 'main') as old
             join pragma_table_info($1, 'today') as new on new.name = old.name",
        )
        .bind(&table)
        .fetch_all(&mut old)
        .await?;
        ensure!(!columns.is_empty(), "the table {table} is no more");
        let columns = columns.join(", ");
        let copy = format!(
            "delete from main.{table};
             insert into main.{table} ({columns}) select {columns} from today.{table}"
        );
        old.execute(AssertSqlSafe(copy)).await.with_context(|| table)?;
    }
    for (_, text) in &triggers {
        old.execute(AssertSqlSafe(text.clone())).await?;
    }
    old.execute("detach today").await?;
    Ok(old.close().await?)
}

/// The same of a database on a server; the new one goes with its value.
pub async fn database(server: &str, now: &Fresh, version: i64) -> Result<Fresh> {
    let made = Fresh::on(server).await;
    let mut today = PgConnection::connect(&now.url()).await?;
    let mut old = PgConnection::connect(&made.url()).await?;
    until(&POSTGRES, version).run(&mut old).await?;
    // No triggers and no foreign keys meanwhile.
    old.execute("set session_replication_role = replica").await?;
    let tables: Vec<String> = sqlx::query_scalar(
        "select table_name::text from information_schema.tables
         where table_schema = current_schema() and table_name <> '_sqlx_migrations'",
    )
    .fetch_all(&mut old)
    .await?;
    for table in tables {
        let columns = columns(&mut old, &table).await?;
        let new = self::columns(&mut today, &table).await?;
        let both: Vec<&str> =
            columns.iter().filter(|it| new.contains(it)).map(String::as_str).collect();
        ensure!(!both.is_empty(), "the table {table} is no more");
        let rows = format!("select coalesce(json_agg(t), '[]')::text from {table} as t");
        let rows: String = sqlx::query_scalar(AssertSqlSafe(rows)).fetch_one(&mut today).await?;
        let both = both.join(", ");
        old.execute(AssertSqlSafe(format!("delete from {table}"))).await?;
        let copy = format!(
            "insert into {table} ({both}) overriding system value
             select {both} from json_populate_recordset(null::public.{table}, $1::json)"
        );
        let copied = sqlx::query(AssertSqlSafe(copy)).bind(rows).execute(&mut old).await;
        copied.with_context(|| table.clone())?;
    }
    let counted: Vec<(String, String)> = sqlx::query_as(
        "select table_name::text, column_name::text from information_schema.columns
         where table_schema = current_schema() and is_identity = 'YES'",
    )
    .fetch_all(&mut old)
    .await?;
    for (table, column) in counted {
        let set = format!(
            "select setval(pg_get_serial_sequence('{table}', '{column}'),
                           (select coalesce(max({column}), 0) + 1 from {table}), false)"
        );
        old.execute(AssertSqlSafe(set)).await?;
    }
    old.close().await?;
    today.close().await?;
    Ok(made)
}

async fn columns(connection: &mut PgConnection, table: &str) -> Result<Vec<String>> {
    let columns = sqlx::query_scalar(
        "select column_name::text from information_schema.columns
         where table_schema = current_schema() and table_name = $1",
    );
    Ok(columns.bind(table).fetch_all(connection).await?)
}

/// Which migrations a file has had.
pub async fn version_of_file(path: &Path) -> Result<Vec<i64>> {
    let mut connection: SqliteConnection =
        SqliteConnectOptions::new().filename(path).read_only(true).connect().await?;
    let versions = sqlx::query_scalar(APPLIED).fetch_all(&mut connection).await?;
    connection.close().await?;
    Ok(versions)
}

/// Which a database on a server has had.
pub async fn version_of_database(url: &str) -> Result<Vec<i64>> {
    let mut connection = PgConnection::connect(url).await?;
    let versions = sqlx::query_scalar(APPLIED).fetch_all(&mut connection).await?;
    connection.close().await?;
    Ok(versions)
}

const APPLIED: &str = "select version from _sqlx_migrations where success order by version";
