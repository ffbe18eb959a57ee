//! From a [`Config`] to a running [`Service`]: the one way in which `serve`, `demo` and every
//! one-shot command come to be.
//!
//! Not here: what is done with the service (commands, web), reading the file (config).

use crate::config::{Config, DriverEntry, Problems};
use crate::drivers::{self, Drivers};
use crate::head_key::HeadKey;
use crate::vault;
use jiff::tz::TimeZone;
use polymeter_domain::{Currency, LocalTime};
use polymeter_ledger::{Database, LedgerError};
use polymeter_package::{Package, PackageError, Sealed};
use polymeter_runtime::{
    Capability, Compile, Driver, DriverConfig, LoadError, Options, Runtime, Vault, WantedLimits,
    Worker,
};
use polymeter_service::{Clock, Fitting, Parts, Service, ServiceError, UnixMs};
use polymeter_transport::{CardReaders, Line};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use tokio::sync::watch;

/// What the web page and the commands share; cheap to clone.
#[derive(Debug, Clone)]
pub struct App {
    pub service: Service,
    pub drivers: Drivers,
    pub currency: Currency,
    pub time_zone: TimeZone,
    /// Signs day closes.
    pub head_key: HeadKey,
    /// True once the program is to stop: whoever keeps an answer open ends it then.
    pub stop: Arc<watch::Sender<bool>>,
}

#[derive(Debug, thiserror::Error)]
pub enum AppError {
    #[error("the driver engine did not start")]
    Engine(#[source] Box<LoadError>),
    #[error("this program does not find itself")]
    Program(#[source] std::io::Error),
    #[error("{0}")]
    Drivers(Problems),
    #[error("{0}")]
    Vault(Problems),
    #[error("driver `{name}` was not loaded")]
    Driver {
        name: String,
        #[source]
        source: Box<LoadError>,
    },
    /// Says itself which file and why.
    #[error(transparent)]
    Database(#[from] LedgerError),
    #[error("the service did not start")]
    Service(#[source] ServiceError),
}

impl App {
    /// Loads the drivers, opens the database, starts the lines. Nothing is resumed and no candidate
    /// is on trial yet.
    pub async fn open(config: &Config) -> Result<App, AppError> {
        Self::open_with(config, readers(config)).await
    }

    /// The same with other readers than the configured ones.
    pub async fn open_with(config: &Config, readers: CardReaders) -> Result<App, AppError> {
        let runtime = runtime(config)?;
        let fittings = drivers::load(&runtime, config, &[]).await.map_err(AppError::Drivers)?;
        let database = open_database(config).await?;
        let parts = Parts {
            database,
            drivers: fittings,
            lines: config.lines.iter().cloned().map(Line::spawn).collect(),
            currency: config.currency,
            clock: clock(config.time_zone.clone()),
            rules: config.rules.clone(),
            readers,
            marks: config.card_marks.clone(),
        };
        let service = Service::start(parts).await.map_err(AppError::Service)?;
        service.keep_purse_rules(config.purse.rules.clone());
        Ok(App {
            drivers: Drivers::new(runtime, service.clone(), config.clone()),
            service,
            currency: config.currency,
            time_zone: config.time_zone.clone(),
            head_key: HeadKey::beside(&config.control),
            stop: Arc::new(watch::Sender::new(false)),
        })
    }
}

/// The configured card readers, watched from now on. Where no driver may speak to cards nobody wants
/// them.
fn readers(config: &Config) -> CardReaders {
    if !wants_readers(config) {
        return CardReaders::of(Vec::new());
    }
    CardReaders::start(config.readers.clone(), config.reader_profiles.clone())
}

/// Whether a `serve` of this configuration opens its readers.
pub fn wants_readers(config: &Config) -> bool {
    let granted = |entry: &DriverEntry| entry.config.grants.contains(&Capability::CardSlot);
    config.drivers.iter().any(granted)
}

/// The configured database, brought to this program's version, with a backup before.
pub async fn open_database(config: &Config) -> Result<Database, LedgerError> {
    Database::open_keeping(&config.database, &config.upgrades_folder()).await
}

/// Every enabled driver of the configuration, to be looked at.
pub async fn load_drivers(config: &Config) -> Result<Vec<Arc<Driver>>, AppError> {
    let loaded = load_fittings(config).await?;
    Ok(loaded.into_iter().map(|fitting| fitting.current.driver).collect())
}

/// As [`load_drivers`], with where each comes from.
pub async fn load_fittings(config: &Config) -> Result<Vec<Fitting>, AppError> {
    drivers::load(&runtime(config)?, config, &[]).await.map_err(AppError::Drivers)
}

/// An engine whose vault is the configured one.
pub fn runtime(config: &Config) -> Result<Runtime, AppError> {
    let options = Options::apart(vault::open(config)?, worker()?, &config.code_folder());
    Runtime::new(options).map_err(engine)
}

/// This program, which is its own compiler in a process apart.
fn worker() -> Result<Worker, AppError> {
    Worker::this_program().map_err(AppError::Program)
}

fn engine(error: LoadError) -> AppError {
    AppError::Engine(Box::new(error))
}

/// The package `file` for a configured driver, if the pinned keys are content with it.
pub fn open_package(entry: &DriverEntry, file: &Path) -> Result<Package, PackageError> {
    Sealed::read_file(file)?.open(&entry.trust)
}

/// A driver that no configuration names, with empty vault and no line. With `cache`, its native code
/// is kept there for when it serves.
pub async fn load_unconfigured(
    package: &Package,
    cache: Option<PathBuf>,
) -> Result<Arc<Driver>, AppError> {
    at_its_word(&unconfigured_runtime(cache)?, package).await
}

/// An engine with an empty vault.
pub fn unconfigured_runtime(cache: Option<PathBuf>) -> Result<Runtime, AppError> {
    let options = Options { vault: Vault::default(), compile: Compile::Apart(worker()?), cache };
    Runtime::new(options).map_err(engine)
}

/// Nobody has said which vendor the driver is for and which limits it may have, so it is taken at its
/// word; it serves no meter.
pub async fn at_its_word(runtime: &Runtime, package: &Package) -> Result<Arc<Driver>, AppError> {
    let name = package.manifest.name.clone();
    let refused = |error| AppError::Driver { name: name.clone(), source: Box::new(error) };
    let wanted = WantedLimits::of(&package.manifest)
        .map_err(|what| refused(LoadError::BadWanted { driver: name.clone(), what }))?;
    let config = DriverConfig {
        name: name.clone(),
        vendor: None,
        cover: None,
        region: None,
        grants: Capability::ALL.to_vec(),
        limits: wanted.granted(),
        written: wanted.knobs(),
    };
    runtime.load_package(config, package).await.map_err(refused)
}

/// The site's civil time and the operating system's randomness.
pub fn clock(zone: TimeZone) -> Clock {
    let at_site = zone.clone();
    Clock {
        now: Arc::new(move || {
            let now = jiff::Timestamp::now();
            (UnixMs(now.as_millisecond()), local_time(now, &zone))
        }),
        local: Arc::new(move |UnixMs(at)| {
            // Beyond the calendar of jiff there is nothing that a clock has shown.
            let at = jiff::Timestamp::from_millisecond(at).unwrap_or_default();
            local_time(at, &at_site)
        }),
        nonce: Arc::new(|| {
            let mut nonce = [0; 16];
            getrandom::fill(&mut nonce).expect("the operating system gives random bytes");
            nonce
        }),
    }
}

/// Civil fields are positive by jiff's own ranges for any time that a clock of today can show.
fn local_time(at: jiff::Timestamp, zone: &TimeZone) -> LocalTime {
    let civil = zone.to_datetime(at);
    LocalTime {
        year: civil.year().unsigned_abs(),
        month: civil.month().unsigned_abs(),
        day: civil.day().unsigned_abs(),
        hour: civil.hour().unsigned_abs(),
        minute: civil.minute().unsigned_abs(),
        second: civil.second().unsigned_abs(),
    }
}

/// An error with all its sources, joined by colons, for one line of log or terminal.
pub fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(error) = source {
        let cause = error.to_string();
        // Some outside errors repeat their source in their own text.
        if !text.ends_with(&cause) {
            text.push_str(": ");
            text.push_str(&cause);
        }
        source = error.source();
    }
    text
}
