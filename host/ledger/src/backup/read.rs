//! Reading a backup back, whole, into a database that is not there yet.

use super::catalog::{self, Table};
use super::{BackupError, MANIFEST, Manifest, SavedTable};
use crate::chain::hex;
use crate::connection::Connection;
use crate::database::Database;
use crate::engine::{Fresh, Place};
use crate::verify::Verified;
use serde_json::Value;
use sha2::{Digest, Sha256};
use std::fs::File;
use std::io::{BufRead, BufReader};
use std::path::Path;

/// What was restored, and what `verify` said of it.
#[derive(Debug)]
pub struct Restored {
    pub manifest: Manifest,
    pub verified: Verified,
}

/// A database that has the rows of a backup, and is not yet where it belongs: the last step, once
/// everything else is as it should be, is [`Restoring::finish`].
#[derive(Debug)]
pub struct Restoring {
    fresh: Fresh,
    manifest: Manifest,
}

impl Restoring {
    /// Where it is meanwhile.
    pub fn place(&self) -> &Place {
        self.fresh.place()
    }

    pub fn manifest(&self) -> &Manifest {
        &self.manifest
    }

    /// Verifies it and puts it where it belongs.
    pub async fn finish(self) -> Result<Restored, BackupError> {
        let Restoring { fresh, manifest } = self;
        let verified = Database::verify_at(fresh.place()).await?;
        if (verified.head.as_str(), verified.transfers.cast_signed())
            != (manifest.chain_hash.as_str(), manifest.sequence)
        {
            let why = format!(
                "its books end at transfer {} with {}, and its manifest says {} with {}",
                verified.transfers, verified.head, manifest.sequence, manifest.chain_hash
            );
            return Err(BackupError::Refused(why));
        }
        fresh.finish().await?;
        Ok(Restored { manifest, verified })
    }
}

/// The manifest of a backup, all of whose files are as it says.
pub fn manifest_of(folder: &Path) -> Result<Manifest, BackupError> {
    let path = folder.join(MANIFEST);
    let text = std::fs::read_to_string(&path).map_err(BackupError::file(&path))?;
    let json: Option<Value> = serde_json::from_str(&text).ok();
    let manifest = json.as_ref().and_then(Manifest::from_json);
    let manifest = manifest.ok_or_else(|| BackupError::Broken {
        path: folder.to_owned(),
        why: format!("{MANIFEST} is none of this program's"),
    })?;
    for table in &manifest.tables {
        let mut rows = Rows::open(folder, table)?;
        while rows.next()?.is_some() {}
    }
    Ok(manifest)
}

/// Makes the database `place`, which must not be there (a file) or be empty (on a server), from a backup.
/// A backup of an older program is brought to this one's version; one of a newer program is refused.
pub async fn restore(folder: &Path, place: &Place) -> Result<Restoring, BackupError> {
    let manifest = manifest_of(folder)?;
    let mut fresh = Fresh::make(place, &manifest.migrations).await?;
    let filled = fill(fresh.connection(), folder, &manifest).await;
    match filled {
        Ok(()) => fresh.fill_done().await?,
        Err(error) => {
            fresh.give_up().await;
            return Err(error);
        }
    }
    Ok(Restoring { fresh, manifest })
}

async fn fill(
    connection: &mut Connection,
    folder: &Path,
    manifest: &Manifest,
) -> Result<(), BackupError> {
    let here = catalog::tables(connection).await?;
    for saved in &manifest.tables {
        let table = here.iter().find(|table| table.name == saved.name);
        let table = table.ok_or_else(|| broken(folder, saved, "is no table of this program"))?;
        let table = in_order_of(table, saved)
            .ok_or_else(|| broken(folder, saved, "has other columns than this program's"))?;
        let mut rows = Rows::open(folder, saved)?;
        loop {
            let page = rows.page(&table)?;
            if page.is_empty() {
                break;
            }
            table.insert(connection, &page).await?;
        }
    }
    Ok(())
}

pub(super) fn broken(folder: &Path, table: &SavedTable, why: &str) -> BackupError {
    BackupError::Broken { path: folder.to_owned(), why: format!("table {} {why}", table.name) }
}

/// The table with its columns in the order of the saved rows; `None` where they are not the same ones.
pub(super) fn in_order_of(table: &Table, saved: &SavedTable) -> Option<Table> {
    let column = |name: &String| table.columns.iter().find(|it| it.name == *name).cloned();
    let columns = saved.columns.iter().map(column).collect::<Option<Vec<_>>>()?;
    (columns.len() == table.columns.len()).then(|| Table { columns, ..table.clone() })
}

/// The rows of one saved table. That its file is whole is known after the last one.
pub(super) struct Rows<'a> {
    folder: &'a Path,
    saved: &'a SavedTable,
    lines: BufReader<File>,
    hasher: Sha256,
    count: u64,
    is_done: bool,
}

impl<'a> Rows<'a> {
    pub(super) fn open(folder: &'a Path, saved: &'a SavedTable) -> Result<Rows<'a>, BackupError> {
        let path = folder.join(format!("{}.jsonl", saved.name));
        let file = File::open(&path).map_err(BackupError::file(&path))?;
        let lines = BufReader::new(file);
        Ok(Rows { folder, saved, lines, hasher: Sha256::new(), count: 0, is_done: false })
    }

    pub(super) fn next(&mut self) -> Result<Option<Vec<Value>>, BackupError> {
        if self.is_done {
            return Ok(None);
        }
        let mut line = String::new();
        let read = self.lines.read_line(&mut line);
        read.map_err(|error| broken(self.folder, self.saved, &format!("cannot be read: {error}")))?;
        if line.is_empty() {
            let hash = hex(&std::mem::take(&mut self.hasher).finalize());
            if (self.count, &hash) != (self.saved.rows, &self.saved.sha256) {
                let why = "is not what the manifest says: another SHA-256 or number of rows";
                return Err(broken(self.folder, self.saved, why));
            }
            self.is_done = true;
            return Ok(None);
        }
        self.hasher.update(&line);
        self.count += 1;
        let row: Option<Vec<Value>> = serde_json::from_str(&line).ok();
        let row = row.filter(|row| row.len() == self.saved.columns.len());
        let wrong = || broken(self.folder, self.saved, &format!("has a bad row {}", self.count));
        row.map(Some).ok_or_else(wrong)
    }

    /// Some rows; none after the last.
    fn page(&mut self, table: &Table) -> Result<Vec<Vec<Value>>, BackupError> {
        let mut page = Vec::new();
        while page.len() < 500 {
            let Some(row) = self.next()? else { break };
            let fits = row.iter().zip(&table.columns).all(|(value, column)| match value {
                Value::Null => true,
                Value::Number(number) => column.is_number && number.is_i64(),
                Value::String(_) => !column.is_number,
                _ => false,
            });
            if !fits {
                let why = format!("has a bad row {}", self.count);
                return Err(broken(self.folder, self.saved, &why));
            }
            page.push(row);
        }
        Ok(page)
    }
}
