//! Writing a backup, beside whoever writes to the database.

use super::catalog::{self, PAGE_ROWS, Table};
use super::{BackupError, MANIFEST, Manifest, SavedTable};
use crate::chain::{GENESIS, hex};
use crate::connection::Connection;
use crate::engine::{self, Place};
use crate::error::LedgerError;
use sha2::{Digest, Sha256};
use std::fs::{self, File};
use std::io::{BufWriter, Write};
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};

/// Backs up a database, as of one moment, into a folder that is not there yet. It may be written to
/// meanwhile.
pub async fn back_up(place: &Place, folder: &Path, at_ms: i64) -> Result<Manifest, BackupError> {
    if folder.exists() {
        let folder = folder.display();
        return Err(BackupError::Refused(format!(
            "{folder} is there already: a backup goes into a folder of its own, which must not be there"
        )));
    }
    let mut name = folder.as_os_str().to_owned();
    name.push(".part");
    let part = PathBuf::from(name);
    if part.exists() {
        // Of a backup that was interrupted.
        fs::remove_dir_all(&part).map_err(BackupError::file(&part))?;
    }
    // It holds everything that the database does: its owner's alone.
    let made = fs::DirBuilder::new().mode(0o700).recursive(true).create(&part);
    made.map_err(BackupError::file(&part))?;
    let mut snapshot = engine::look(place).await?;
    let written = write(&mut snapshot, &part, at_ms).await;
    engine::close(snapshot).await;
    let manifest = written?;
    fs::rename(&part, folder).map_err(BackupError::file(folder))?;
    let parent = folder.parent().filter(|it| !it.as_os_str().is_empty()).unwrap_or(Path::new("."));
    sync(parent)?;
    Ok(manifest)
}

async fn write(
    snapshot: &mut Connection,
    part: &Path,
    at_ms: i64,
) -> Result<Manifest, BackupError> {
    let head: Option<(i64, String)> =
        sqlx::query_as("select sequence, chain_hash from transfer order by sequence desc limit 1")
            .fetch_optional(&mut *snapshot)
            .await
            .map_err(LedgerError::storage("reading the last transfer"))?;
    let (sequence, chain_hash) = head.unwrap_or_else(|| (0, GENESIS.to_owned()));
    let migrations = engine::migrations(snapshot).await?;
    let mut tables = Vec::new();
    for table in catalog::tables(snapshot).await? {
        tables.push(save(snapshot, part, &table).await?);
    }
    let manifest = Manifest { at_ms, migrations, sequence, chain_hash, tables };
    let path = part.join(MANIFEST);
    let text = format!("{:#}\n", manifest.to_json());
    fs::write(&path, text).map_err(BackupError::file(&path))?;
    sync(&path)?;
    sync(part)?;
    Ok(manifest)
}

async fn save(
    snapshot: &mut Connection,
    part: &Path,
    table: &Table,
) -> Result<SavedTable, BackupError> {
    let path = part.join(format!("{}.jsonl", table.name));
    let failed = || BackupError::file(&path);
    let mut file = BufWriter::new(File::create_new(&path).map_err(failed())?);
    let mut hasher = Sha256::new();
    let mut rows = 0;
    let mut last: Option<Vec<serde_json::Value>> = None;
    loop {
        let page = table.page(snapshot, last.as_deref()).await?;
        let is_last = i64::try_from(page.len()).is_ok_and(|rows| rows < PAGE_ROWS);
        for row in page {
            let mut line = serde_json::to_string(&row).unwrap_or_default();
            line.push('\n');
            hasher.update(&line);
            file.write_all(line.as_bytes()).map_err(failed())?;
            rows += 1;
            last = Some(row);
        }
        if is_last {
            break;
        }
    }
    file.flush().map_err(failed())?;
    file.get_ref().sync_all().map_err(failed())?;
    let columns = table.columns.iter().map(|column| column.name.clone()).collect();
    let sha256 = hex(&hasher.finalize());
    Ok(SavedTable { name: table.name.clone(), columns, rows, sha256 })
}

fn sync(path: &Path) -> Result<(), BackupError> {
    let synced = File::open(path).and_then(|file| file.sync_all());
    synced.map_err(BackupError::file(path))
}
