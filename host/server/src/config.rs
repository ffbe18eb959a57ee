//! The one configuration file: read once, checked whole, handed on by argument.
//!
//! Invariant: a [`Config`] names only files that exist, keys that are well-formed and private, and
//! names that are unique; an error carries file, line, what is wrong and how to mend it.
//! Not here: loading the drivers named in it (app.rs), changing drivers while running
//! (drivers.rs).

mod candidate;
mod checks;
mod edit;
mod raw;

pub use candidate::CandidateEntry;
pub use edit::{Edit, edit, replace};
pub use polymeter_package::{Problem, Problems};

use jiff::tz::TimeZone;
use polymeter_domain::{Currency, VendorCode};
use polymeter_package::problem;
use polymeter_runtime::DriverConfig;
use polymeter_transport::LineSettings;
use std::fmt;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};

#[derive(Debug, Clone)]
pub struct Config {
    /// The file that this was read from; relative paths in it start at its folder.
    pub file: PathBuf,
    pub listen: SocketAddr,
    pub database: PathBuf,
    pub time_zone: TimeZone,
    pub currency: Currency,
    pub drivers: Vec<DriverEntry>,
    pub lines: Vec<LineSettings>,
    pub keys: Vec<KeyEntry>,
}

/// One `[[driver]]`: what the runtime is told, and the component's file.
#[derive(Debug, Clone)]
pub struct DriverEntry {
    pub config: DriverConfig,
    pub component: PathBuf,
    /// `false`: it is left out, and its meters wait.
    pub is_enabled: bool,
    /// On trial beside it.
    pub candidate: Option<CandidateEntry>,
    /// Where it stands in the file, for errors found when it is loaded.
    pub line: usize,
}

/// One `[[key]]`, its file read.
#[derive(Clone)]
pub struct KeyEntry {
    pub vendor: VendorCode,
    pub label: String,
    pub key: [u8; 16],
}

impl fmt::Debug for KeyEntry {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "KeyEntry({}, {}, [redacted])", self.vendor, self.label)
    }
}

impl Config {
    /// Reads and checks `file`; every problem found is in the error, not only the first.
    pub fn read(file: &Path) -> Result<Config, Problems> {
        Config::parse(file, &read_text(file)?)
    }

    /// Where the database is, by a file that need not be good otherwise: a command that asks the
    /// running program for something has to find it also when the file has become bad.
    pub fn database_of(file: &Path) -> Result<PathBuf, Problems> {
        #[derive(serde::Deserialize)]
        struct Site {
            database: raw::Database,
        }
        let text = read_text(file)?;
        let site: Site = toml::from_str(&text)
            .map_err(|error| problem::of_toml(file, &text, &error, "docs/operating.md"))?;
        Ok(file.parent().unwrap_or(Path::new("")).join(site.database.path))
    }

    /// As [`Config::read`], from the text of `file`.
    pub fn parse(file: &Path, text: &str) -> Result<Config, Problems> {
        let raw = toml::from_str(text)
            .map_err(|error| problem::of_toml(file, text, &error, "docs/operating.md"))?;
        checks::check(file, text, raw)
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

#[cfg(test)]
mod tests;
