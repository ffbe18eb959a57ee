//! The scheduled backup of a running `serve`: at its interval into a folder, then into a second place, and
//! the oldest away.
//!
//! Invariant: an old backup goes only after a newer one is whole; nothing is removed that is not named like
//! a backup of ours. Not here: what a backup is (ledger).

use crate::app::chain;
use crate::config::BackupEntry;
use jiff::Timestamp;
use polymeter_ledger::{Place, back_up, manifest_of};
use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;

const PREFIX: &str = "polymeter-";
const ENDING: &str = ".backup";

/// Until the process ends. What fails is told in the log and tried again at the next interval.
pub async fn run(place: Place, entry: BackupEntry) {
    loop {
        let wait = until_due(&entry, Timestamp::now());
        if !wait.is_zero() {
            // Not longer than a minute at a time: clocks jump.
            tokio::time::sleep(wait.min(Duration::from_secs(60))).await;
            continue;
        }
        match once(&place, &entry, Timestamp::now()).await {
            Ok(folder) => tracing::info!(folder = %folder.display(), "backed up"),
            Err(error) => {
                tracing::error!(error, "the backup failed");
                tokio::time::sleep(Duration::from_secs(60)).await;
            }
        }
    }
}

/// How long until the next one, from the newest that is there.
fn until_due(entry: &BackupEntry, now: Timestamp) -> Duration {
    let newest = backups(&entry.folder).unwrap_or_default().pop();
    let taken = newest.as_deref().and_then(taken_at);
    let Some(taken) = taken else { return Duration::ZERO };
    let age = now.duration_since(taken);
    match Duration::try_from(age) {
        Ok(age) => entry.every.saturating_sub(age),
        // Of the future: the clock was set back.
        Err(_) => Duration::ZERO,
    }
}

/// One backup, its copy, and the oldest away.
pub async fn once(place: &Place, entry: &BackupEntry, now: Timestamp) -> Result<PathBuf, String> {
    let name = format!("{PREFIX}{}{ENDING}", now.strftime("%Y%m%dT%H%M%SZ"));
    let folder = entry.folder.join(&name);
    back_up(place, &folder, now.as_millisecond()).await.map_err(|error| chain(&error))?;
    prune(&entry.folder, entry.keep).map_err(|error| of(&entry.folder, &error))?;
    if let Some(second) = &entry.second_folder {
        copy(&folder, &second.join(&name)).map_err(|error| of(second, &error))?;
        // What arrived there is read back before it counts.
        manifest_of(&second.join(&name)).map_err(|error| chain(&error))?;
        prune(second, entry.keep).map_err(|error| of(second, &error))?;
    }
    Ok(folder)
}

fn of(folder: &Path, error: &io::Error) -> String {
    format!("{}: {error}", folder.display())
}

/// The whole ones in a folder, oldest first: their names sort by time.
fn backups(folder: &Path) -> io::Result<Vec<PathBuf>> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir(folder)? {
        let path = entry?.path();
        if taken_at(&path).is_some() {
            found.push(path);
        }
    }
    found.sort();
    Ok(found)
}

/// When a backup was taken, by its name; `None` for anything else.
fn taken_at(path: &Path) -> Option<Timestamp> {
    let name = path.file_name()?.to_str()?;
    let time = name.strip_prefix(PREFIX)?.strip_suffix(ENDING)?;
    let civil = jiff::civil::DateTime::strptime("%Y%m%dT%H%M%SZ", time).ok()?;
    Some(civil.to_zoned(jiff::tz::TimeZone::UTC).ok()?.timestamp())
}

fn prune(folder: &Path, keep: usize) -> io::Result<()> {
    let found = backups(folder)?;
    let surplus = found.len().saturating_sub(keep.max(1));
    found.iter().take(surplus).try_for_each(std::fs::remove_dir_all)
}

/// Under another name until it is whole.
fn copy(from: &Path, to: &Path) -> io::Result<()> {
    let mut part = to.as_os_str().to_owned();
    part.push(".part");
    let part = PathBuf::from(part);
    if part.exists() {
        std::fs::remove_dir_all(&part)?;
    }
    std::fs::create_dir_all(&part)?;
    for entry in std::fs::read_dir(from)? {
        let path = entry?.path();
        let Some(name) = path.file_name() else { continue };
        std::fs::copy(&path, part.join(name))?;
        std::fs::File::open(part.join(name))?.sync_all()?;
    }
    std::fs::rename(&part, to)
}

#[cfg(test)]
mod tests {
    use super::*;
    use polymeter_ledger::Database;

    #[tokio::test]
    async fn backups_are_kept_twice_and_the_oldest_go() {
        let folder = tempfile::tempdir().expect("a folder");
        let place = Place::File(folder.path().join("polymeter.db"));
        drop(Database::open(&place).await.expect("a database"));
        let entry = BackupEntry {
            every: Duration::from_secs(3600),
            folder: folder.path().join("first"),
            second_folder: Some(folder.path().join("second")),
            keep: 2,
        };
        std::fs::create_dir(&entry.folder).expect("a folder");
        let of_others = entry.folder.join("polymeter-notes.backup");
        std::fs::create_dir(&of_others).expect("a folder");
        let start = Timestamp::from_second(1_772_445_600).expect("a time");
        assert_eq!(until_due(&entry, start), Duration::ZERO);
        for hour in 0..4 {
            let now = start + Duration::from_secs(3600 * hour);
            once(&place, &entry, now).await.expect("a backup");
            assert_eq!(until_due(&entry, now), entry.every);
        }
        let names = |folder: &Path| -> Vec<String> {
            let found = backups(folder).expect("a folder");
            found.iter().filter_map(|it| Some(it.file_name()?.to_str()?.to_owned())).collect()
        };
        let expected = ["polymeter-20260302T120000Z.backup", "polymeter-20260302T130000Z.backup"];
        assert_eq!(names(&entry.folder), expected);
        assert_eq!(names(&folder.path().join("second")), expected);
        assert!(of_others.exists());
        let later = start + Duration::from_secs(3600 * 3 + 1000);
        assert_eq!(until_due(&entry, later), Duration::from_secs(2600));
    }
}
