//! SQLite's part in backup and restore: which tables there are, how their guards rest while rows come back,
//! and how a file gets its name once it is whole.
//!
//! Not here: rows (backup).

use super::fresh::migrator_of;
use super::sqlite::{MIGRATOR, cannot_open, migrate};
use crate::backup::{BackupError, Table};
use crate::connection::Connection;
use crate::error::LedgerError;
use crate::limits;
use sqlx::ConnectOptions;
use sqlx::sqlite::{SqliteConnectOptions, SqliteJournalMode, SqliteSynchronous};
use std::fs::File;
use std::path::{Path, PathBuf};
use tokio::time::Instant;

/// Tables with their columns and keys, by name.
pub(crate) async fn tables(connection: &mut Connection) -> Result<Vec<Table>, LedgerError> {
    let rows: Vec<(String, String, String, i64)> = sqlx::query_as(
        "select made.name, col.name, lower(col.type), col.pk
         from sqlite_schema as made, pragma_table_info(made.name) as col
         where made.type = 'table' and made.name not like '\\_sqlx%' escape '\\'
           and made.name not like 'sqlite\\_%' escape '\\'
         order by made.name, col.cid",
    )
    .fetch_all(connection)
    .await
    .map_err(LedgerError::storage("reading which tables there are"))?;
    let columns =
        rows.into_iter().map(|(table, column, kind, key)| (table, column, kind == "integer", key));
    Ok(super::tables_of(columns))
}

/// Where a file is until it is whole.
fn restoring_path(path: &Path) -> PathBuf {
    with_ending(path, ".restoring")
}

fn with_ending(path: &Path, ending: &str) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(ending);
    PathBuf::from(name)
}

/// A new file with the tables as some migrations made them, beside the one that it is to become.
pub(super) async fn restoring(
    path: &Path,
    versions: &[i64],
) -> Result<(PathBuf, Connection), BackupError> {
    if path.exists() {
        let path = path.display();
        return Err(BackupError::Refused(format!(
            "{path} is there already: a backup is restored into a database that is not there yet; move \
             it away first"
        )));
    }
    let migrator = migrator_of(&MIGRATOR, versions)?;
    let place = restoring_path(path);
    for ending in ["", "-wal", "-shm", ".lock"] {
        let rest = with_ending(&place, ending);
        match std::fs::remove_file(&rest) {
            Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
                return Err(BackupError::File { path: rest, why: error.to_string() });
            }
            _ => {}
        }
    }
    let options = SqliteConnectOptions::new()
        .filename(&place)
        .create_if_missing(true)
        .journal_mode(SqliteJournalMode::Wal)
        .synchronous(SqliteSynchronous::Full)
        .foreign_keys(false)
        .disable_statement_logging();
    let mut connection = options.connect().await.map_err(|source| cannot_open(&place, source))?;
    migrator.run(&mut connection).await.map_err(|source| LedgerError::Migrate {
        database: place.display().to_string(),
        source: Box::new(source),
    })?;
    Ok((place, Connection::from(connection)))
}

/// What takes everything out of the way of rows that come back, and what puts it there again: SQLite's
/// triggers cannot rest, so they go and come back with their own text.
pub(super) async fn guards(
    connection: &mut Connection,
) -> Result<(Vec<String>, Vec<String>), LedgerError> {
    let triggers: Vec<(String, String)> =
        sqlx::query_as("select name, sql from sqlite_schema where type = 'trigger' order by name")
            .fetch_all(&mut *connection)
            .await
            .map_err(LedgerError::storage("reading the triggers"))?;
    let tables = tables(connection).await?;
    let off = triggers.iter().map(|(name, _)| format!("drop trigger {name}"));
    let empty = tables.iter().map(|table| format!("delete from {}", table.name));
    let on = triggers.iter().map(|(_, sql)| sql.clone()).collect();
    Ok((off.chain(empty).collect(), on))
}

/// Every row must point at one that is there; then the file is brought to this program's version.
pub(super) async fn restored(place: &Path) -> Result<(), BackupError> {
    let options = SqliteConnectOptions::new().filename(place).disable_statement_logging();
    let mut connection = options.connect().await.map_err(|source| cannot_open(place, source))?;
    let broken = sqlx::query("pragma foreign_key_check")
        .fetch_all(&mut connection)
        .await
        .map_err(LedgerError::storage("checking what was restored"))?;
    if !broken.is_empty() {
        let why = format!("{} of its rows point at rows that it does not have", broken.len());
        return Err(BackupError::Refused(why));
    }
    migrate(&mut connection, place, None).await?;
    sqlx::Connection::close(connection).await.map_err(|source| cannot_open(place, source))?;
    Ok(())
}

/// The whole of it into its one file, which then gets its name.
pub(super) async fn put_in_place(from: &Path, to: &Path) -> Result<(), BackupError> {
    let give_up = Instant::now() + limits::BUSY_TIMEOUT;
    loop {
        let options = SqliteConnectOptions::new().filename(from).disable_statement_logging();
        let mut connection = options.connect().await.map_err(|source| cannot_open(from, source))?;
        let mode: Result<String, sqlx::Error> =
            sqlx::query_scalar("pragma journal_mode = delete").fetch_one(&mut connection).await;
        sqlx::Connection::close(connection).await.map_err(|source| cannot_open(from, source))?;
        match mode {
            Ok(mode) if mode == "delete" => break,
            // A connection of ours is still on its way out.
            _ if Instant::now() < give_up => tokio::time::sleep(limits::LOCK_POLL).await,
            Ok(_) => {
                let why = "another program has it open".to_owned();
                return Err(BackupError::File { path: from.to_owned(), why });
            }
            Err(error) => return Err(cannot_open(from, error).into()),
        }
    }
    let failed =
        |error: std::io::Error| BackupError::File { path: to.to_owned(), why: error.to_string() };
    // Never over a database that has come up meanwhile.
    std::fs::hard_link(from, to).and_then(|()| std::fs::remove_file(from)).map_err(failed)?;
    let _ = std::fs::remove_file(with_ending(from, ".lock"));
    let folder = to.parent().filter(|it| !it.as_os_str().is_empty()).unwrap_or(Path::new("."));
    File::open(folder).and_then(|folder| folder.sync_all()).map_err(failed)
}
