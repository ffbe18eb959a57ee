//! A database made anew to be filled from a backup: its tables as some migrations made them, and nothing
//! that would refuse rows on their way back, until [`Fresh::fill_done`].
//!
//! Invariant: what is filled is one transaction; a file gets its name only once it is whole, so one that
//! was interrupted is never taken for a database. Not here: rows (backup).

use super::{Place, postgres_tables, sqlite_tables};
use crate::backup::BackupError;
use crate::connection::Connection;
use crate::error::LedgerError;
use sqlx::migrate::Migrator;
use std::borrow::Cow;

#[derive(Debug)]
pub(crate) struct Fresh {
    /// Where it belongs, and where it is meanwhile.
    target: Place,
    place: Place,
    connection: Option<Connection>,
    /// Statements that put back what was taken out of the way of the rows.
    guards: Vec<String>,
}

/// Those migrations of this program that had made a backup's tables.
pub(super) fn migrator_of(all: &Migrator, versions: &[i64]) -> Result<Migrator, BackupError> {
    let newer = versions.iter().find(|version| !all.iter().any(|it| it.version == **version));
    if let Some(newer) = newer {
        return Err(BackupError::Refused(format!(
            "the backup was made by a newer program (migration {newer}): restore it with that one"
        )));
    }
    let migrations: Vec<_> =
        all.iter().filter(|it| versions.contains(&it.version)).cloned().collect();
    Ok(Migrator { migrations: Cow::Owned(migrations), ..Migrator::DEFAULT })
}

impl Fresh {
    pub(crate) async fn make(target: &Place, versions: &[i64]) -> Result<Fresh, BackupError> {
        let (place, mut connection) = match target {
            Place::File(path) => {
                let (path, connection) = sqlite_tables::restoring(path, versions).await?;
                (Place::File(path), connection)
            }
            Place::Server(server) => (target.clone(), server.restoring(versions).await?),
        };
        let (off, on) = match target {
            Place::File(_) => sqlite_tables::guards(&mut connection).await?,
            Place::Server(_) => postgres_tables::guards(&mut connection).await?,
        };
        control(&mut connection, "begin").await?;
        for statement in off {
            control(&mut connection, &statement).await?;
        }
        Ok(Fresh { target: target.clone(), place, connection: Some(connection), guards: on })
    }

    pub(crate) fn place(&self) -> &Place {
        &self.place
    }

    pub(crate) fn connection(&mut self) -> &mut Connection {
        self.connection.as_mut().expect("it is filled before it is done")
    }

    /// Puts the guards back, commits, and brings it to this program's version.
    pub(crate) async fn fill_done(&mut self) -> Result<(), BackupError> {
        let Some(mut connection) = self.connection.take() else { return Ok(()) };
        for statement in &self.guards {
            control(&mut connection, statement).await?;
        }
        control(&mut connection, "commit").await?;
        super::close(connection).await;
        match &self.place {
            Place::File(path) => sqlite_tables::restored(path).await?,
            Place::Server(server) => server.migrate().await?,
        }
        Ok(())
    }

    /// Rolled back; a file's rest is cleared away by the next try.
    pub(crate) async fn give_up(mut self) {
        if let Some(connection) = self.connection.take() {
            super::close(connection).await;
        }
    }

    /// Puts it where it belongs.
    pub(crate) async fn finish(self) -> Result<(), BackupError> {
        match (&self.place, &self.target) {
            (Place::File(from), Place::File(to)) => sqlite_tables::put_in_place(from, to).await,
            _ => Ok(()),
        }
    }
}

async fn control(connection: &mut Connection, text: &str) -> Result<(), LedgerError> {
    let text = sqlx::AssertSqlSafe(text.to_owned());
    connection.control(text).await.map_err(LedgerError::storage("preparing a restore"))
}
