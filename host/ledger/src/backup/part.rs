//! Putting back a part (局部恢复): rows of one table that are missing, of one line, of one span.
//!
//! Invariant: a row that is there stays as it is; a table whose rows are money, or prove money, is restored
//! only whole.

use super::catalog::{self, Table, bind};
use super::read::{Rows, broken, in_order_of, manifest_of};
use super::{BackupError, Manifest, SavedTable};
use crate::connection::Connection;
use crate::database::Database;
use crate::error::LedgerError;
use serde_json::Value;
use sqlx::AssertSqlSafe;
use std::collections::HashSet;
use std::path::Path;

/// The tables whose rows can be put back one by one, and what goes with each.
const PARTS: [(&str, Option<&str>); 8] = [
    ("customer", None),
    ("meter", None),
    ("tariff_plan", None),
    ("tariff_version", None),
    ("meter_tariff", None),
    ("reading", Some("measurement")),
    ("recording", None),
    ("setting", None),
];

/// Which rows.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Part {
    pub table: String,
    /// Only what belongs to meters of this line (one site).
    pub line: Option<String>,
    /// Only what is of this time or later, and before that, in milliseconds since 1970 UTC.
    pub from_ms: Option<i64>,
    pub until_ms: Option<i64>,
}

#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct PartRestored {
    pub put_back: u64,
    /// Left as they are.
    pub there_already: u64,
}

/// Puts back the missing rows of a part, a few hundred in one transaction.
pub async fn restore_part(
    database: &Database,
    folder: &Path,
    part: &Part,
) -> Result<PartRestored, BackupError> {
    let Some((name, with)) = PARTS.into_iter().find(|(name, _)| *name == part.table) else {
        let names: Vec<&str> = PARTS.iter().map(|(name, _)| *name).collect();
        return Err(BackupError::Refused(format!(
            "the table {} cannot be put back by itself: money and what proves it are restored only \
             whole. Tables that can: {}",
            part.table,
            names.join(", ")
        )));
    };
    let manifest = manifest_of(folder)?;
    let meters = meters_of(folder, &manifest, part.line.as_deref())?;
    let wanted = Wanted { part, meters: meters.as_ref(), readings: None };
    let mut chosen = HashSet::new();
    let mut restored =
        put_back(database, folder, saved(folder, &manifest, name)?, &wanted, |row, table| {
            if with.is_some() {
                chosen.extend(
                    field(row, table, "reading_id").and_then(Value::as_str).map(str::to_owned),
                );
            }
        })
        .await?;
    if let Some(with) = with {
        let wanted = Wanted { part, meters: None, readings: Some(&chosen) };
        let saved = saved(folder, &manifest, with)?;
        let more = put_back(database, folder, saved, &wanted, |_, _| {}).await?;
        restored.put_back += more.put_back;
        restored.there_already += more.there_already;
    }
    Ok(restored)
}

fn saved<'m>(
    folder: &Path,
    manifest: &'m Manifest,
    name: &str,
) -> Result<&'m SavedTable, BackupError> {
    let saved = manifest.tables.iter().find(|table| table.name == name);
    saved.ok_or_else(|| BackupError::Broken {
        path: folder.to_owned(),
        why: format!("has no table {name}"),
    })
}

/// The meters of a line, as the backup has them.
fn meters_of(
    folder: &Path,
    manifest: &Manifest,
    line: Option<&str>,
) -> Result<Option<HashSet<String>>, BackupError> {
    let Some(line) = line else { return Ok(None) };
    let table = saved(folder, manifest, "meter")?;
    let place = |name: &str| table.columns.iter().position(|column| column == name);
    let (Some(id_at), Some(line_at)) = (place("meter_id"), place("line")) else {
        return Err(broken(folder, table, "has neither meter_id nor line"));
    };
    let mut meters = HashSet::new();
    let mut rows = Rows::open(folder, table)?;
    while let Some(row) = rows.next()? {
        if row.get(line_at).and_then(Value::as_str) == Some(line) {
            meters.extend(row.get(id_at).and_then(Value::as_str).map(str::to_owned));
        }
    }
    if meters.is_empty() {
        let why = format!("the backup {} has no meter on a line {line}", folder.display());
        return Err(BackupError::Refused(why));
    }
    Ok(Some(meters))
}

struct Wanted<'a> {
    part: &'a Part,
    meters: Option<&'a HashSet<String>>,
    readings: Option<&'a HashSet<String>>,
}

fn field<'r>(row: &'r [Value], table: &SavedTable, name: &str) -> Option<&'r Value> {
    row.get(table.columns.iter().position(|column| column == name)?)
}

impl Wanted<'_> {
    fn has(&self, row: &[Value], table: &SavedTable) -> bool {
        let text = |name: &str| field(row, table, name).and_then(Value::as_str).unwrap_or_default();
        if let Some(readings) = self.readings {
            return readings.contains(text("reading_id"));
        }
        let at = field(row, table, "at_ms").or_else(|| field(row, table, "created_at_ms"));
        let at = at.and_then(Value::as_i64);
        let is_of_line = self.meters.is_none_or(|meters| meters.contains(text("meter_id")));
        is_of_line
            && self.part.from_ms.is_none_or(|from| at.is_some_and(|at| at >= from))
            && self.part.until_ms.is_none_or(|until| at.is_some_and(|at| at < until))
    }
}

async fn put_back(
    database: &Database,
    folder: &Path,
    saved: &SavedTable,
    wanted: &Wanted<'_>,
    mut choose: impl FnMut(&[Value], &SavedTable),
) -> Result<PartRestored, BackupError> {
    let name = saved.name.clone();
    let table: Option<Table> = database
        .write(move |tx| {
            Box::pin(async move {
                let tables = catalog::tables(tx.connection()).await?;
                Ok::<_, LedgerError>(tables.into_iter().find(|table| table.name == name))
            })
        })
        .await?;
    let table = table.and_then(|table| in_order_of(&table, saved));
    let table =
        table.ok_or_else(|| broken(folder, saved, "has other columns than this program's"))?;
    let mut restored = PartRestored::default();
    let mut rows = Rows::open(folder, saved)?;
    let mut page = Vec::new();
    loop {
        let row = rows.next()?;
        let is_end = row.is_none();
        if let Some(row) = row.filter(|row| wanted.has(row, saved)) {
            choose(&row, saved);
            page.push(row);
        }
        if page.len() >= 500 || is_end && !page.is_empty() {
            let (table, rows) = (table.clone(), std::mem::take(&mut page));
            let done: Result<PartRestored, LedgerError> = database
                .write(move |tx| {
                    Box::pin(async move { put_back_page(tx.connection(), &table, rows).await })
                })
                .await;
            let done = done?;
            restored.put_back += done.put_back;
            restored.there_already += done.there_already;
        }
        if is_end {
            return Ok(restored);
        }
    }
}

async fn put_back_page(
    connection: &mut Connection,
    table: &Table,
    rows: Vec<Vec<Value>>,
) -> Result<PartRestored, LedgerError> {
    let mut missing = Vec::new();
    let mut there_already = 0;
    for row in rows {
        if is_there(connection, table, &row).await? {
            there_already += 1;
        } else {
            missing.push(row);
        }
    }
    let put_back = table.insert(connection, &missing).await?;
    Ok(PartRestored { put_back, there_already })
}

async fn is_there(
    connection: &mut Connection,
    table: &Table,
    row: &[Value],
) -> Result<bool, LedgerError> {
    let equals: Vec<String> =
        (1..).zip(&table.key).map(|(at, name)| format!("{name} = ${at}")).collect();
    let text =
        format!("select count(*) as found from {} where {}", table.name, equals.join(" and "));
    let mut query = sqlx::query(AssertSqlSafe(text));
    for name in &table.key {
        let place = table.columns.iter().position(|column| column.name == *name);
        if let Some(value) = place.and_then(|at| row.get(at)) {
            query = bind(query, value);
        }
    }
    let doing = "looking for a row that is to be put back";
    let found = query.fetch_one(connection).await.map_err(LedgerError::storage(doing))?;
    let found: i64 = sqlx::Row::try_get(&found, "found").map_err(LedgerError::storage(doing))?;
    Ok(found > 0)
}
