//! The file's shape as serde reads it. Everything here is checked again by meaning in `checks`.

use crate::vendors::Evidence;
use polymeter_runtime::Knob;
use polymeter_transport::ReaderProfile;
use serde::de::Error;
use serde::{Deserialize, Deserializer};
use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::path::PathBuf;
use toml::Spanned;

#[derive(Debug, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct File {
    #[serde(default)]
    pub server: Server,
    pub database: Database,
    pub site: Site,
    #[serde(default)]
    pub counter: Counter,
    #[serde(default)]
    pub sale: Sale,
    #[serde(default)]
    pub approval: Approval,
    #[serde(default)]
    pub drivers: Drivers,
    #[serde(default)]
    pub driver: Vec<Driver>,
    #[serde(default)]
    pub vendor: Vec<Vendor>,
    #[serde(default)]
    pub line: Vec<Line>,
    #[serde(default)]
    pub card_mark: Vec<CardMark>,
    #[serde(default)]
    pub reader: Vec<Reader>,
    #[serde(default)]
    pub reader_profile: Vec<Spanned<ReaderProfile>>,
    pub vault: Option<Vault>,
    pub backup: Option<Backup>,
    #[serde(default)]
    pub purse: Purse,
}

/// What customers may owe; absent means the service's own rules.
#[derive(Debug, Deserialize)]
#[serde(default, rename_all = "kebab-case", deny_unknown_fields)]
pub struct Purse {
    pub every_seconds: u32,
    pub overdraft: Option<Spanned<String>>,
    pub friendly_hours: Vec<Spanned<String>>,
    pub friendly_weekends: bool,
    pub friendly_days: Vec<Spanned<String>>,
    pub highest_kw: Option<u32>,
    pub highest_m3_per_hour: Option<u32>,
    pub restore: Restore,
}

/// A round every quarter of an hour, as the trade reads meters.
impl Default for Purse {
    fn default() -> Self {
        Purse {
            every_seconds: 900,
            overdraft: None,
            friendly_hours: Vec::new(),
            friendly_weekends: false,
            friendly_days: Vec::new(),
            highest_kw: None,
            highest_m3_per_hour: None,
            restore: Restore::Connect,
        }
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Restore {
    Connect,
    Allow,
}

/// Where cards of a kind say whose they are.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct CardMark {
    pub kind: Spanned<String>,
    #[serde(default = "first_byte")]
    pub offset: Spanned<u32>,
    pub length: Spanned<u32>,
    pub encoding: MarkEncoding,
    /// Of a CPU card: the folders to select.
    #[serde(default)]
    pub select: Vec<Spanned<String>>,
    /// Of a CPU card: the short identifier of the file.
    pub file: Option<Spanned<u8>>,
    /// What stands there and is no vendor code, with the vendor that it means.
    #[serde(default)]
    pub vendors: BTreeMap<String, Spanned<String>>,
}

fn first_byte() -> Spanned<u32> {
    Spanned::new(0..0, 0)
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum MarkEncoding {
    Ascii,
    Hex,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct Backup {
    pub every_hours: Spanned<u32>,
    pub folder: Spanned<PathBuf>,
    pub second_folder: Option<Spanned<PathBuf>>,
    pub keep: Spanned<u32>,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct Server {
    pub listen: SocketAddr,
}

/// This machine only: opening the page to a network is a decision, not a default.
impl Default for Server {
    fn default() -> Self {
        Server { listen: SocketAddr::from(([127, 0, 0, 1], 8645)) }
    }
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct Database {
    /// A file of SQLite's.
    pub path: Option<PathBuf>,
    /// A database of a PostgreSQL server.
    pub url: Option<Spanned<String>>,
    /// Holds the password for it.
    pub password_file: Option<Spanned<PathBuf>>,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct Site {
    pub time_zone: Spanned<String>,
    pub currency: Spanned<String>,
}

/// What a sale may do.
#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct Sale {
    pub max_credit: Option<Spanned<String>>,
    pub arrears_share: Option<Spanned<u32>>,
    pub gift_max: Option<Spanned<String>>,
}

/// Above which amount an act takes a second person.
#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct Approval {
    pub refund: Option<Spanned<String>>,
    pub reversal: Option<Spanned<String>>,
    pub write_off: Option<Spanned<String>>,
    pub clear: Option<Spanned<String>>,
    pub clock_minutes: Option<u32>,
    pub expires_hours: Option<Spanned<u32>>,
}

/// What is done at the counter.
#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct Counter {
    #[serde(default)]
    pub cash_needs_shift: bool,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct Drivers {
    pub folder: PathBuf,
}

impl Default for Drivers {
    fn default() -> Self {
        Drivers { folder: PathBuf::from("drivers") }
    }
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct Driver {
    pub name: Spanned<String>,
    pub package: Option<Spanned<PathBuf>>,
    pub native: Option<Spanned<PathBuf>>,
    pub function: Option<Spanned<String>>,
    pub sha256: Option<Spanned<String>>,
    pub vendor: Spanned<String>,
    pub region: Option<Spanned<String>>,
    pub grant: Vec<Grant>,
    #[serde(default = "yes")]
    pub enabled: bool,
    #[serde(default)]
    pub allow_unsigned: bool,
    #[serde(default)]
    pub limits: Limits,
    pub candidate: Option<Candidate>,
}

/// A version on trial. Absent thresholds mean the service's own.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct Candidate {
    pub package: Spanned<PathBuf>,
    #[serde(default)]
    pub shadow_lines: Vec<Spanned<String>>,
    pub canary: Option<Spanned<u8>>,
    pub shadow_reads: Option<u32>,
    pub canary_reads: Option<u32>,
    pub canary_acts: Option<u32>,
    pub faults_percent: Option<u32>,
    pub faults_least: Option<u32>,
    pub disagreements_percent: Option<u32>,
    pub disagreements_least: Option<u32>,
    pub drift_percent: Option<u32>,
    pub latency_factor: Option<u32>,
    pub latency_samples: Option<u32>,
    pub latency_slack_ms: Option<u64>,
}

/// Whose signature makes a package good for the meters of a vendor; or a vendor whose devices another
/// vendor's driver covers.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct Vendor {
    pub code: Spanned<String>,
    pub signer: Option<Spanned<Vec<Spanned<String>>>>,
    pub counter_signer: Option<Spanned<String>>,
    /// The name of a `[[driver]]`.
    pub driver: Option<Spanned<String>>,
    pub name_en: Option<String>,
    pub name_zh: Option<String>,
    pub models: Option<Vec<String>>,
    pub evidence: Option<Evidence>,
    #[serde(default)]
    pub parameters: BTreeMap<String, Spanned<toml::Value>>,
}

#[derive(Debug, Clone, Copy, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Grant {
    Line,
    Vault,
    Log,
    CardSlot,
}

/// Absent means the runtime's own limit.
pub type Limits = BTreeMap<LimitName, Spanned<u64>>;

/// A key under `[driver.limits]`: whatever limit the runtime has.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct LimitName(pub Knob);

impl<'de> Deserialize<'de> for LimitName {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let name = String::deserialize(deserializer)?;
        let knob = Knob::from_name(&name);
        knob.map(LimitName).ok_or_else(|| D::Error::unknown_field(&name, Knob::NAMES))
    }
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct Line {
    pub name: Spanned<String>,
    pub serial: Option<PathBuf>,
    pub baud: Option<u32>,
    pub parity: Option<Parity>,
    pub stop_bits: Option<Spanned<u8>>,
    pub tcp: Option<Spanned<String>>,
    pub envelope: Option<Spanned<String>>,
    #[serde(default = "inter_frame_ms")]
    pub inter_frame_ms: u64,
    #[serde(default = "reply_timeout_ms")]
    pub reply_timeout_ms: u64,
    #[serde(default = "byte_timeout_ms")]
    pub byte_timeout_ms: u64,
    #[serde(default = "total_timeout_ms")]
    pub total_timeout_ms: u64,
}

/// A card reader.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct Reader {
    pub name: Spanned<String>,
    pub pcsc: Option<Spanned<String>>,
    pub port: Option<Spanned<String>>,
    pub baud: Option<Spanned<u32>>,
}

#[derive(Debug, Clone, Copy, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Parity {
    None,
    Even,
    Odd,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct Vault {
    pub file: Option<Spanned<PathBuf>>,
    pub pkcs11: Option<Spanned<PathBuf>>,
    pub token: Option<Spanned<String>>,
    pub unlock_file: Option<PathBuf>,
    pub unlock_env: Option<String>,
    pub unlock_credential: Option<String>,
}

fn yes() -> bool {
    true
}
// More than Modbus RTU's 3.5 characters at 1200 Bd (32 ms).
fn inter_frame_ms() -> u64 {
    40
}
// DL/T 645-2007, 5: a meter begins its answer within 500 ms; a gateway adds its own delay.
fn reply_timeout_ms() -> u64 {
    1500
}
fn byte_timeout_ms() -> u64 {
    200
}
fn total_timeout_ms() -> u64 {
    30_000
}
