//! PostgreSQL's part in backup and restore: which tables there are, and how their guards rest while rows
//! come back.
//!
//! Invariant: the owner of the tables can do all of it; nothing here wants a superuser. Not here: rows
//! (backup).

use super::fresh::migrator_of;
use super::postgres::{Engine, MIGRATOR, Server};
use crate::backup::{BackupError, Table};
use crate::connection::Connection;
use crate::error::LedgerError;

const READING: &str = "reading which tables there are";

/// Tables with their columns and keys, by name.
pub(crate) async fn tables(connection: &mut Connection) -> Result<Vec<Table>, LedgerError> {
    let rows: Vec<(String, String, String, i64)> = sqlx::query_as(
        "select relname::text, attname::text, format_type(atttypid, null),
                coalesce(array_position(pg_index.indkey::int2[], attnum), -1)::bigint + 1
         from pg_class
         join pg_attribute on attrelid = pg_class.oid and attnum > 0 and not attisdropped
         left join pg_index on indrelid = pg_class.oid and indisprimary
         where relnamespace = current_schema()::regnamespace and relkind = 'r'
           and relname not like '\\_sqlx%'
         order by relname::text collate \"C\", attnum",
    )
    .fetch_all(connection)
    .await
    .map_err(LedgerError::storage(READING))?;
    let columns =
        rows.into_iter().map(|(table, column, kind, key)| (table, column, kind == "bigint", key));
    Ok(super::tables_of(columns))
}

impl Server {
    /// A session that holds the writer's lock, on an empty database that some migrations have given their
    /// tables.
    pub(super) async fn restoring(&self, versions: &[i64]) -> Result<Connection, BackupError> {
        let migrator = migrator_of(&MIGRATOR, versions)?;
        let mut connection = Engine::session_of(self).await?;
        let tables: i64 = sqlx::query_scalar(
            "select count(*) from pg_class
             where relnamespace = current_schema()::regnamespace and relkind = 'r'",
        )
        .fetch_one(&mut connection)
        .await
        .map_err(LedgerError::storage(READING))?;
        if tables > 0 {
            return Err(BackupError::Refused(format!(
                "{self} has {tables} tables: a backup is restored into an empty database; make a new one"
            )));
        }
        migrator.run(&mut connection).await.map_err(|source| LedgerError::Migrate {
            database: self.to_string(),
            source: Box::new(source),
        })?;
        Ok(Connection::from(connection))
    }

    /// Brought to this program's version.
    pub(super) async fn migrate(&self) -> Result<(), LedgerError> {
        let (_, connection) = Engine::open(self, None).await?;
        super::close(connection).await;
        Ok(())
    }
}

/// What takes everything out of the way of rows that come back, and what puts it there again.
pub(super) async fn guards(
    connection: &mut Connection,
) -> Result<(Vec<String>, Vec<String>), LedgerError> {
    let keys: Vec<(String, String)> = sqlx::query_as(
        "select relname::text, conname::text from pg_constraint
         join pg_class on pg_class.oid = conrelid
         where relnamespace = current_schema()::regnamespace and contype = 'f'
           and not condeferrable order by 1, 2",
    )
    .fetch_all(&mut *connection)
    .await
    .map_err(LedgerError::storage(READING))?;
    let counted: Vec<(String, String)> = sqlx::query_as(
        "select relname::text, attname::text from pg_attribute
         join pg_class on pg_class.oid = attrelid
         where relnamespace = current_schema()::regnamespace and attidentity <> ''
           and not attisdropped order by 1, 2",
    )
    .fetch_all(&mut *connection)
    .await
    .map_err(LedgerError::storage(READING))?;
    let tables = tables(connection).await?;
    let mut off = Vec::new();
    let mut on = vec!["set constraints all immediate".to_owned()];
    for (table, key) in &keys {
        off.push(format!(
            "alter table {table} alter constraint {key} deferrable initially deferred"
        ));
        on.push(format!("alter table {table} alter constraint {key} not deferrable"));
    }
    for table in &tables {
        off.push(format!("alter table {} disable trigger user", table.name));
        on.push(format!("alter table {} enable trigger user", table.name));
    }
    off.extend(tables.iter().map(|table| format!("delete from {}", table.name)));
    for (table, column) in &counted {
        on.push(format!(
            "select setval(pg_get_serial_sequence('{table}', '{column}'),
                           coalesce((select max({column}) from {table}), 0) + 1, false)"
        ));
    }
    Ok((off, on))
}
