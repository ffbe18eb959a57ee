//! Backups (备份): every table as text, one form for both engines, and what proves it whole.
//!
//! A backup is a folder. `manifest.json` says when, of which schema, and of each table its columns, rows
//! and the SHA-256 of its file; `<table>.jsonl` has a row per line, a JSON array in the order of those
//! columns. What was written on one engine is read on either.
//!
//! Invariant: a backup is of one moment, is written beside its final name and moved there when it is whole
//! and flushed; reading one, nothing is believed before its hash was checked. Memory does not grow with the
//! rows. Not here: when and where to (server), which sales to ask meters about after it (service).

mod catalog;
mod part;
mod read;
mod write;

pub use part::{Part, PartRestored, restore_part};
pub use read::{Restored, Restoring, manifest_of, restore};
pub use write::back_up;

pub(crate) use catalog::{Column, Table};

use crate::error::LedgerError;
use serde_json::{Map, Value, json};
use std::path::PathBuf;

/// The name of this form.
const FORM: &str = "polymeter-backup-1";
const MANIFEST: &str = "manifest.json";

/// Left out: logins, which are no state worth keeping, and marks of connections that are gone.
const LEFT_OUT: [&str; 2] = ["session", "written_group"];

#[derive(Debug, thiserror::Error)]
pub enum BackupError {
    #[error("{path}: {why}")]
    File { path: PathBuf, why: String },
    /// What was found in a backup is not what its manifest promises.
    #[error("the backup {path} is broken: {why}")]
    Broken { path: PathBuf, why: String },
    #[error("{0}")]
    Refused(String),
    #[error(transparent)]
    Ledger(#[from] LedgerError),
}

impl BackupError {
    fn file(path: impl Into<PathBuf>) -> impl FnOnce(std::io::Error) -> BackupError {
        let path = path.into();
        move |error| BackupError::File { path, why: error.to_string() }
    }
}

/// What a backup says of itself.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Manifest {
    pub at_ms: i64,
    /// The versions of the migrations that had made its tables.
    pub migrations: Vec<i64>,
    /// The last transfer and its hash.
    pub sequence: i64,
    pub chain_hash: String,
    pub tables: Vec<SavedTable>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SavedTable {
    pub name: String,
    pub columns: Vec<String>,
    pub rows: u64,
    pub sha256: String,
}

impl Manifest {
    pub fn rows(&self) -> u64 {
        self.tables.iter().map(|table| table.rows).sum()
    }

    fn to_json(&self) -> Value {
        let table = |table: &SavedTable| {
            let SavedTable { name, columns, rows, sha256 } = table;
            json!({ "name": name, "columns": columns, "rows": rows, "sha256": sha256 })
        };
        json!({
            "form": FORM,
            "at_ms": self.at_ms,
            "migrations": self.migrations,
            "sequence": self.sequence,
            "chain_hash": self.chain_hash,
            "tables": self.tables.iter().map(table).collect::<Vec<_>>(),
        })
    }

    fn from_json(json: &Value) -> Option<Manifest> {
        let all: &Map<String, Value> = json.as_object()?;
        (all.get("form")?.as_str()? == FORM).then_some(())?;
        let table = |json: &Value| -> Option<SavedTable> {
            let columns = json.get("columns")?.as_array()?.iter();
            Some(SavedTable {
                name: json.get("name")?.as_str()?.to_owned(),
                columns: columns.map(|it| Some(it.as_str()?.to_owned())).collect::<Option<_>>()?,
                rows: json.get("rows")?.as_u64()?,
                sha256: json.get("sha256")?.as_str()?.to_owned(),
            })
        };
        let versions = all.get("migrations")?.as_array()?.iter().map(Value::as_i64);
        Some(Manifest {
            at_ms: all.get("at_ms")?.as_i64()?,
            migrations: versions.collect::<Option<_>>()?,
            sequence: all.get("sequence")?.as_i64()?,
            chain_hash: all.get("chain_hash")?.as_str()?.to_owned(),
            tables: all.get("tables")?.as_array()?.iter().map(table).collect::<Option<_>>()?,
        })
    }
}
