//! `backup` and `restore`: the whole database as a folder of text, and back; or a part of it.

use super::Failure;
use crate::config::Config;
use crate::moment;
use jiff::Timestamp;
use polymeter_ledger::{self as ledger, Database, Moment, Part, Place};
use polymeter_service::{UnixMs, settle_restored};
use std::path::Path;

fn failed(doing: &str) -> impl FnOnce(ledger::BackupError) -> Failure {
    let doing = doing.to_owned();
    move |error| match error {
        ledger::BackupError::Refused(why) => Failure::Usage(why),
        error => Failure::while_doing(doing)(error),
    }
}

/// Of the configured database, beside whoever serves it.
pub async fn back_up(config: &Path, folder: &Path) -> Result<(), Failure> {
    let config = super::ledger::existing(config)?;
    let now = Timestamp::now().as_millisecond();
    let manifest = ledger::back_up(&config.database, folder, now)
        .await
        .map_err(failed("the backup was not made"))?;
    println!(
        "backed up {} rows of {} tables, up to transfer {}, into {}",
        manifest.rows(),
        manifest.tables.len(),
        manifest.sequence,
        folder.display()
    );
    Ok(())
}

/// Whether a backup is whole, without restoring it.
pub fn check(folder: &Path) -> Result<(), Failure> {
    let manifest =
        ledger::manifest_of(folder).map_err(failed("the backup cannot be relied upon"))?;
    println!(
        "the backup is whole: {} rows of {} tables, up to transfer {}",
        manifest.rows(),
        manifest.tables.len(),
        manifest.sequence
    );
    Ok(())
}

/// Into the configured database, which is not there yet.
pub async fn restore(config: &Path, folder: &Path) -> Result<(), Failure> {
    let config = Config::read(config)?;
    let restoring =
        ledger::restore(folder, &config.database).await.map_err(failed("nothing was restored"))?;
    let unresolved = settle(restoring.place(), restoring.manifest().at_ms).await?;
    let restored = restoring.finish().await.map_err(failed("nothing was restored"))?;
    println!(
        "restored {} rows; the ledger is whole: {} accounts, {} transfers, head {}",
        restored.manifest.rows(),
        restored.verified.accounts,
        restored.verified.transfers,
        restored.verified.head
    );
    if unresolved > 0 {
        println!(
            "{unresolved} sales may have been sent since the backup: they are unresolved, and \
             `polymeter reconcile` or the next start asks their meters; none is sent again before"
        );
    }
    Ok(())
}

async fn settle(place: &Place, backup_of_ms: i64) -> Result<u64, Failure> {
    let database =
        Database::open(place).await.map_err(Failure::while_doing("opening what was restored"))?;
    let now = UnixMs(Timestamp::now().as_millisecond());
    Ok(settle_restored(&database, UnixMs(backup_of_ms), now).await?)
}

/// What `restore --table` was told.
#[derive(Debug)]
pub struct Chosen {
    pub table: String,
    pub line: Option<String>,
    pub from: Option<String>,
    pub until: Option<String>,
}

/// The missing rows of a part, into the configured database; nothing may serve it meanwhile.
pub async fn restore_part(config: &Path, folder: &Path, chosen: Chosen) -> Result<(), Failure> {
    let config = super::ledger::existing(config)?;
    let time = |name: &str, text: Option<&str>| match text {
        None => Ok(None),
        Some(text) => match moment::begin(text, &config.time_zone) {
            Ok(Moment::Time(at_ms)) => Ok(Some(at_ms)),
            _ => Err(Failure::Usage(format!(
                "--{name}: `{text}` is no time: write 2026-03-02 or 2026-03-02T18:00"
            ))),
        },
    };
    let part = Part {
        from_ms: time("from", chosen.from.as_deref())?,
        until_ms: time("until", chosen.until.as_deref())?,
        table: chosen.table,
        line: chosen.line,
    };
    let database = crate::app::open_database(&config)
        .await
        .map_err(Failure::while_doing("opening the database"))?;
    let done = ledger::restore_part(&database, folder, &part)
        .await
        .map_err(failed("the part was not restored, or only in part: asking again is safe"))?;
    println!(
        "put back {} rows of {}; {} were there already and stay as they are",
        done.put_back, part.table, done.there_already
    );
    Ok(())
}
