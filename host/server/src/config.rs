//! The one configuration file: read once, checked whole, handed on by argument.
//!
//! Invariant: a [`Config`] names only files that exist, and names that are unique; an error carries
//! file, line, what is wrong and how to mend it.
//! Not here: loading the drivers named in it (app.rs), changing drivers while running
//! (drivers.rs), opening the vault (vault.rs).

mod backup;
mod candidate;
mod card_mark;
mod checks;
mod database;
mod edit;
mod native;
mod pins;
mod purse;
mod raw;
mod readers;
mod rules;
mod vault;
mod vendors;

pub use backup::BackupEntry;
pub use candidate::CandidateEntry;
pub use edit::{Edit, edit, replace};
pub use native::{Native, Source};
pub use pins::Pins;
pub use polymeter_package::{Problem, Problems};
pub use purse::PurseEntry;
pub use vault::{Store, VaultEntry};
pub(crate) use vendors::whole;

use crate::vendors::Vendor;
use jiff::tz::TimeZone;
use polymeter_domain::Currency;
use polymeter_ledger::Place;
use polymeter_package::{Trust, problem};
use polymeter_runtime::DriverConfig;
use polymeter_service::{Mark, Rules};
use polymeter_transport::{LineSettings, ReaderProfiles, ReaderSettings};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};

#[derive(Debug, Clone)]
pub struct Config {
    /// The file that this was read from; relative paths in it start at its folder.
    pub file: PathBuf,
    pub listen: SocketAddr,
    pub database: Place,
    /// What the control socket stands beside: the database's file or, where that is on a server, the
    /// configuration.
    pub control: PathBuf,
    /// Where installed drivers and their native code lie.
    pub drivers_folder: PathBuf,
    pub time_zone: TimeZone,
    pub currency: Currency,
    pub drivers: Vec<DriverEntry>,
    /// Those that another vendor's driver covers; their drivers stand in `drivers`.
    pub vendors: Vec<Vendor>,
    /// The other `[[vendor]]` tables: whose signatures count.
    pub pins: Pins,
    pub lines: Vec<LineSettings>,
    /// Where cards have their vendors' codes.
    pub card_marks: Vec<Mark>,
    /// Empty: every card reader that is plugged in.
    pub readers: Vec<ReaderSettings>,
    pub reader_profiles: ReaderProfiles,
    /// `None`: no driver has a key.
    pub vault: Option<VaultEntry>,
    /// `[counter]` and what else decides about selling.
    pub rules: Rules,
    pub purse: PurseEntry,
    /// `None`: nothing is backed up by itself.
    pub backup: Option<BackupEntry>,
}

/// One `[[driver]]`: what the runtime is told, where it comes from, and who must have signed it.
#[derive(Debug, Clone)]
pub struct DriverEntry {
    pub config: DriverConfig,
    pub source: Source,
    pub trust: Trust,
    /// `false`: it is left out, and its meters wait.
    pub is_enabled: bool,
    /// On trial beside it.
    pub candidate: Option<CandidateEntry>,
    /// Where it stands in the file, for errors found when it is loaded.
    pub line: usize,
}

impl Config {
    /// For native code; nobody but this program's user may have a hand in it.
    pub fn code_folder(&self) -> PathBuf {
        self.drivers_folder.join("cache")
    }

    /// For the backups that are made before an upgrade.
    pub fn upgrades_folder(&self) -> PathBuf {
        let mut name = self.control.as_os_str().to_owned();
        name.push(".upgrades");
        PathBuf::from(name)
    }

    /// For packages that `driver install` has taken.
    pub fn installed_folder(&self) -> PathBuf {
        self.drivers_folder.join("installed")
    }

    /// Reads and checks `file`; every problem found is in the error, not only the first.
    pub fn read(file: &Path) -> Result<Config, Problems> {
        Config::parse(file, &read_text(file)?)
    }

    /// [`Config::control`] of a file that need not be good otherwise: a command that asks the running
    /// program for something has to find it also when the file has become bad.
    pub fn control_of(file: &Path) -> Result<PathBuf, Problems> {
        #[derive(serde::Deserialize)]
        struct Site {
            database: raw::Database,
        }
        let text = read_text(file)?;
        let site: Site = toml::from_str(&text)
            .map_err(|error| problem::of_toml(file, &text, &error, "docs/operating.md"))?;
        Ok(control_beside(file, &site.database))
    }

    /// As [`Config::read`], from the text of `file`.
    pub fn parse(file: &Path, text: &str) -> Result<Config, Problems> {
        checks::check(file, text, shape_of(file, text)?)
    }
}

fn control_beside(file: &Path, database: &raw::Database) -> PathBuf {
    match &database.path {
        Some(path) => file.parent().unwrap_or(Path::new("")).join(path),
        None => file.to_owned(),
    }
}

fn read_text(file: &Path) -> Result<String, Problem> {
    std::fs::read_to_string(file).map_err(|error| {
        Problem::of_file(
            file,
            format!("cannot be read: {error}"),
            "name the configuration with --config FILE",
        )
    })
}

impl VaultEntry {
    /// `[vault]` of `file`, which may still name drivers that are not there: keys come first.
    pub fn read(file: &Path) -> Result<VaultEntry, Problems> {
        let text = read_text(file)?;
        checks::vault(file, &text, &shape_of(file, &text)?)
    }
}

fn shape_of(file: &Path, text: &str) -> Result<raw::File, Problems> {
    let problem = |error| problem::of_toml(file, text, &error, "docs/operating.md");
    Ok(toml::from_str(text).map_err(problem)?)
}

#[cfg(test)]
mod tests;
