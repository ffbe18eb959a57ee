//! Bringing a database to this program's version (升级): a backup first, then one migration after the
//! other, each its own transaction.
//!
//! Invariant: nothing of a database that holds anything is changed before its backup is whole; killed at
//! any step, the next start goes on from there. Not here: which migrations there are (host/migrations).

use super::Place;
use crate::backup::back_up;
use crate::crash_point::crash_point;
use crate::error::LedgerError;
use sqlx::migrate::{Migrate, MigrateError, Migrator};
use std::path::{Path, PathBuf};
use std::time::{SystemTime, UNIX_EPOCH};

/// `applied` are the versions that the database has had. With `keep`, what it holds is backed up in that
/// folder before anything of it changes.
pub(super) async fn upgrade<C: Migrate>(
    migrator: &Migrator,
    connection: &mut C,
    applied: &[i64],
    place: &Place,
    keep: Option<&Path>,
) -> Result<(), LedgerError> {
    let pending: Vec<i64> =
        migrator.iter().map(|it| it.version).filter(|it| !applied.contains(it)).collect();
    if let (Some(keep), Some(from), false) = (keep, applied.iter().max(), pending.is_empty()) {
        let folder = back_up_before(place, keep, *from).await?;
        tracing::warn!(backup = %folder.display(), from, "the database is upgraded; this is the way back");
    }
    let failed = |source: MigrateError| LedgerError::Migrate {
        database: place.to_string(),
        source: Box::new(source),
    };
    for version in pending {
        crash_point("before-migration");
        migrator.run_direct(Some(version), connection, false).await.map_err(failed)?;
        crash_point("after-migration");
    }
    // That what it has had is what this program would have done, and nothing newer.
    migrator.run_direct(None, connection, false).await.map_err(failed)
}

/// A folder of its own each time: what was kept before an earlier try is not written over.
async fn back_up_before(place: &Place, keep: &Path, from: i64) -> Result<PathBuf, LedgerError> {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |it| it.as_millis());
    let at_ms = i64::try_from(now).unwrap_or(i64::MAX);
    let folder = keep.join(format!("from-{from:04}-at-{at_ms}.backup"));
    match back_up(place, &folder, at_ms).await {
        Ok(_) => Ok(folder),
        Err(source) => {
            let (database, folder) = (place.to_string(), folder.display().to_string());
            Err(LedgerError::NotBackedUp { database, folder, source: Box::new(source) })
        }
    }
}
