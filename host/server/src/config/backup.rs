//! `[backup]`: how often, where to, and how many are kept.
//!
//! Not here: making one (`crate::backup_job`); a folder that is not there yet is made at the first backup.

use super::checks::Checker;
use super::raw;
use std::path::PathBuf;
use std::time::Duration;

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BackupEntry {
    pub every: Duration,
    pub folder: PathBuf,
    /// Another disk or machine.
    pub second_folder: Option<PathBuf>,
    /// In each of the two.
    pub keep: usize,
}

impl Checker<'_> {
    pub(super) fn backup(&mut self, backup: &raw::Backup) -> Option<BackupEntry> {
        let hours = *backup.every_hours.get_ref();
        if !(1..=24 * 366).contains(&hours) {
            let what = format!("every-hours is {hours}");
            let fix = "write 1 to 8784; 24 is once a day".to_owned();
            self.problem(&backup.every_hours, what, fix);
            return None;
        }
        let keep = *backup.keep.get_ref();
        if keep == 0 {
            let fix = "write how many backups stay, e.g. keep = 14".to_owned();
            self.problem(&backup.keep, "keep is 0".to_owned(), fix);
            return None;
        }
        let folder = self.beside(backup.folder.get_ref());
        let second_folder = backup.second_folder.as_ref();
        if second_folder.is_some_and(|second| self.beside(second.get_ref()) == folder) {
            let what = "second-folder is the same as folder".to_owned();
            let fix = "name a folder on another disk or machine".to_owned();
            self.problem(&backup.folder, what, fix);
            return None;
        }
        Some(BackupEntry {
            every: Duration::from_secs(u64::from(hours) * 3600),
            folder,
            second_folder: second_folder.map(|second| self.beside(second.get_ref())),
            keep: usize::try_from(keep).unwrap_or(usize::MAX),
        })
    }
}
