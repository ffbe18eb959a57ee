//! Which tables a database has, with columns and keys, in an order in which rows can be put back; and pages
//! of their rows.
//!
//! Invariant: names that become part of a statement are those of the database's own catalog, and are words.

use super::LEFT_OUT;
use crate::connection::Connection;
use crate::engine;
use crate::error::LedgerError;
use serde_json::Value;
use sqlx::any::AnyRow;
use sqlx::query::Query;
use sqlx::{Any, AssertSqlSafe, Row as _};

#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Table {
    pub(crate) name: String,
    pub(crate) columns: Vec<Column>,
    /// Names of the primary key's columns, in its order.
    pub(crate) key: Vec<String>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Column {
    pub(crate) name: String,
    /// Whole numbers; else text.
    pub(crate) is_number: bool,
}

/// Rows at a time: bounded memory, and far fewer than what one statement may bind.
pub(crate) const PAGE_ROWS: i64 = 500;

/// Every table that is backed up, by name.
pub(super) async fn tables(connection: &mut Connection) -> Result<Vec<Table>, LedgerError> {
    let mut tables = engine::tables(connection).await?;
    tables.retain(|table| !LEFT_OUT.contains(&table.name.as_str()));
    for table in &tables {
        let names = table.columns.iter().map(|column| &column.name).chain([&table.name]);
        let mut bad = names.filter(|name| !is_word(name));
        if let Some(bad) = bad.next() {
            let why = format!("`{}` is no name that this program gives", bad.escape_debug());
            return Err(LedgerError::Broken { row: format!("table {}", table.name), why });
        }
        if table.key.is_empty() {
            let why = "it has no primary key".to_owned();
            return Err(LedgerError::Broken { row: format!("table {}", table.name), why });
        }
    }
    Ok(tables)
}

fn is_word(name: &str) -> bool {
    !name.is_empty()
        && name
            .bytes()
            .all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'_')
}

impl Table {
    fn columns_text(&self) -> String {
        let names: Vec<&str> = self.columns.iter().map(|column| column.name.as_str()).collect();
        names.join(", ")
    }

    fn column(&self, name: &str) -> Option<usize> {
        self.columns.iter().position(|column| column.name == name)
    }

    /// The rows after one, by key.
    pub(super) async fn page(
        &self,
        connection: &mut Connection,
        after: Option<&[Value]>,
    ) -> Result<Vec<Vec<Value>>, LedgerError> {
        let columns = self.columns_text();
        let key = self.key.join(", ");
        let from = match after {
            None => String::new(),
            Some(_) => {
                let places: Vec<String> =
                    (2..).take(self.key.len()).map(|at| format!("${at}")).collect();
                format!(" where ({key}) > ({})", places.join(", "))
            }
        };
        let text = format!("select {columns} from {}{from} order by {key} limit $1", self.name);
        let mut query = sqlx::query(AssertSqlSafe(text)).bind(PAGE_ROWS);
        for name in &self.key {
            let value = after.and_then(|row| row.get(self.column(name)?));
            if let Some(value) = value {
                query = bind(query, value);
            }
        }
        let rows = query
            .fetch_all(connection)
            .await
            .map_err(LedgerError::storage("reading a table for a backup"))?;
        let rows: Result<Vec<_>, sqlx::Error> = rows.iter().map(|row| self.values(row)).collect();
        rows.map_err(LedgerError::storage("reading a table for a backup"))
    }

    fn values(&self, row: &AnyRow) -> Result<Vec<Value>, sqlx::Error> {
        let value = |(at, column): (usize, &Column)| -> Result<Value, sqlx::Error> {
            if column.is_number {
                let number: Option<i64> = row.try_get(at)?;
                return Ok(number.map_or(Value::Null, Value::from));
            }
            let text: Option<String> = row.try_get(at)?;
            Ok(text.map_or(Value::Null, Value::from))
        };
        self.columns.iter().enumerate().map(value).collect()
    }

    /// Puts rows in; each has a value for every column. Answers how many.
    pub(super) async fn insert(
        &self,
        connection: &mut Connection,
        rows: &[Vec<Value>],
    ) -> Result<u64, LedgerError> {
        // SQLite binds at most 32766 values, PostgreSQL 65535.
        let at_a_time = (20_000 / self.columns.len().max(1)).max(1);
        let mut inserted = 0;
        for rows in rows.chunks(at_a_time) {
            let mut place = 0_usize;
            let tuples: Vec<String> = rows
                .iter()
                .map(|_| {
                    let places: Vec<String> = self
                        .columns
                        .iter()
                        .map(|column| {
                            place += 1;
                            let kind = if column.is_number { "bigint" } else { "text" };
                            format!("cast(${place} as {kind})")
                        })
                        .collect();
                    format!("({})", places.join(", "))
                })
                .collect();
            let text = format!(
                "insert into {} ({}) values {}",
                self.name,
                self.columns_text(),
                tuples.join(", ")
            );
            let mut query = sqlx::query(AssertSqlSafe(text)).persistent(false);
            for (value, column) in rows.iter().flat_map(|row| row.iter().zip(&self.columns)) {
                query = match (value, column.is_number) {
                    (Value::Null, true) => query.bind(None::<i64>),
                    (Value::Null, false) => query.bind(None::<String>),
                    (value, _) => bind(query, value),
                };
            }
            let done = query
                .execute(&mut *connection)
                .await
                .map_err(LedgerError::storage("putting back the rows of a table"))?;
            inserted += done.rows_affected();
        }
        Ok(inserted)
    }
}

/// Numbers and texts are all that a table holds.
pub(super) fn bind<'q>(
    query: Query<'q, Any, sqlx::any::AnyArguments>,
    value: &Value,
) -> Query<'q, Any, sqlx::any::AnyArguments> {
    match value.as_i64() {
        Some(number) => query.bind(number),
        None => query.bind(value.as_str().unwrap_or_default().to_owned()),
    }
}
