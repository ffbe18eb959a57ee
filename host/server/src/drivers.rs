//! The drivers of a running program: loaded as the configuration says, and changed without a
//! restart.
//!
//! Invariant: a reload is whole or not at all: the configuration is read and every new driver
//! loaded before anything is swapped, and what serves goes on serving until then. Where a step has
//! to last beyond a restart, the configuration file is written first. Not here: which version a call
//! takes (service), who may ask for a change (api, control).

use crate::app::{self, chain};
use crate::config::{CandidateEntry, Config, DriverEntry, Edit, Native, Problem, Problems, Source};
use crate::vault;
use polymeter_runtime::{Driver, LogLine, Metrics, Runtime, Standing};
use polymeter_service::{Actor, Change, Edition, Fitting, Service, ServiceError, Slot};
use polymeter_transport::Line;
use sha2::{Digest, Sha256};
use std::collections::BTreeSet;
use std::io::Read;
use std::path::Path;
use std::sync::Arc;
use tokio::sync::Mutex;

/// Cheap to clone.
#[derive(Debug, Clone)]
pub struct Drivers {
    inner: Arc<Inner>,
}

#[derive(Debug)]
struct Inner {
    runtime: Runtime,
    service: Service,
    /// What the running program was last made of. Held while a change is made, so that changes come
    /// one after the other.
    in_force: Mutex<Config>,
}

/// What vouches for a native library, where a package has the id of a key.
const PINNED: &str = "sha256";
/// In the audit trail.
const RELEASED: &str = "driver-released";
const REREAD: &str = "vault-reread";

/// What a change came to.
#[derive(Debug, Default)]
pub struct Report {
    pub changes: Vec<Change>,
    /// Sentences about what did not change, and why.
    pub notes: Vec<String>,
}

#[derive(Debug, thiserror::Error)]
pub enum DriversError {
    /// Nothing was changed.
    #[error("{0}")]
    Config(#[from] Problems),
    #[error("no driver `{name}` serves; there are: {known}")]
    NoDriver { name: String, known: String },
    #[error("{0}")]
    Cannot(String),
    #[error(transparent)]
    Service(#[from] ServiceError),
}

impl Drivers {
    pub fn new(runtime: Runtime, service: Service, config: Config) -> Drivers {
        Drivers { inner: Arc::new(Inner { runtime, service, in_force: Mutex::new(config) }) }
    }

    fn service(&self) -> &Service {
        &self.inner.service
    }

    /// The configuration read anew; what is new is loaded beside the old and takes its place.
    pub async fn reload(&self, actor: &Actor) -> Result<Report, DriversError> {
        let mut in_force = self.inner.in_force.lock().await;
        self.reload_into(&mut in_force, actor).await
    }

    async fn reload_into(
        &self,
        in_force: &mut Config,
        actor: &Actor,
    ) -> Result<Report, DriversError> {
        let wanted = Config::read(&in_force.file)?;
        let mut notes = needs_restart(in_force, &wanted);
        notes.extend(pins_changed(in_force, &wanted));
        let live = self.service().slots();
        let mut fittings = load(&self.inner.runtime, &wanted, &live).await?;
        notes.extend(self.candidates(&wanted, &live, &mut fittings).await?);
        let new = wanted
            .lines
            .iter()
            .filter(|line| in_force.lines.iter().all(|present| present.name != line.name));
        let new: Vec<_> = new.cloned().collect();
        let changes = self.service().refit(fittings, actor).await?;
        self.service().keep_purse_rules(wanted.purse.rules.clone());
        self.service().keep_card_marks(wanted.card_marks.clone());
        for line in &new {
            notes.push(format!("line {} is new and in use", line.name));
        }
        self.service().add_lines(new.iter().cloned().map(Line::spawn).collect())?;
        in_force.drivers = wanted.drivers;
        in_force.pins = wanted.pins;
        in_force.lines.extend(new);
        for change in &changes {
            tracing::info!(
                act = change.act,
                object = change.object,
                detail = change.detail,
                "reloaded"
            );
        }
        Ok(Report { changes, notes })
    }

    /// Adds to `fittings` the candidates that are wanted and not refused.
    async fn candidates(
        &self,
        wanted: &Config,
        live: &[Slot],
        fittings: &mut [Fitting],
    ) -> Result<Vec<String>, DriversError> {
        let mut notes = Vec::new();
        let mut problems = Vec::new();
        for entry in &wanted.drivers {
            let Some(candidate) = &entry.candidate else { continue };
            let found =
                fittings.iter_mut().find(|it| it.current.driver.name() == entry.config.name);
            let Some(fitting) = found else { continue };
            match one(&self.inner.runtime, entry, &candidate.package, live).await {
                Err(what) => problems.push(refused(wanted, entry, candidate.line, &what)),
                Ok(edition) if edition.is_same(&fitting.current) => {
                    notes.push(format!("the candidate of {} serves already", entry.config.name));
                }
                Ok(edition) => match self.service().sent_back(&edition.digest).await? {
                    Some(why) => notes.push(format!(
                        "the candidate of {0} stays refused ({why}); `polymeter driver upgrade {0} \
                         FILE` asks for it again",
                        entry.config.name
                    )),
                    None => fitting.candidate = Some((edition, candidate.plan.clone())),
                },
            }
        }
        if problems.is_empty() { Ok(notes) } else { Err(Problems(problems).into()) }
    }

    /// A package on trial beside the driver `name`, from its first stage, whatever became of it
    /// before.
    pub async fn upgrade(
        &self,
        name: &str,
        candidate: &CandidateEntry,
        actor: &Actor,
    ) -> Result<Report, DriversError> {
        let mut in_force = self.inner.in_force.lock().await;
        packaged(&self.slot(name)?.current)?;
        let before = write(&in_force.file, &Edit::Candidate { name, candidate })?;
        let entry = in_force.drivers.iter().find(|entry| entry.config.name == name);
        let loaded = match entry {
            Some(entry) => {
                one(&self.inner.runtime, entry, &candidate.package, &self.service().slots())
                    .await
                    .map_err(DriversError::Cannot)
            }
            None => Err(DriversError::Cannot(format!("`{name}` has left the configuration"))),
        };
        let done = match loaded {
            Ok(edition) => {
                self.service().ask_for(&edition.digest, name, actor).await?;
                self.reload_into(&mut in_force, actor).await
            }
            Err(error) => Err(error),
        };
        if done.is_err() {
            put_back(&in_force.file, &before);
        }
        done
    }

    /// The candidate takes the place of the current version.
    pub async fn promote(&self, name: &str, actor: &Actor) -> Result<Report, DriversError> {
        let mut in_force = self.inner.in_force.lock().await;
        let slot = self.slot(name)?;
        let Some(rollout) = &slot.candidate else {
            return Err(DriversError::Cannot(format!("`{name}` has no candidate to promote")));
        };
        self.point_at(&mut in_force, name, &rollout.edition.file, actor).await
    }

    /// With a candidate: it is sent back. Without: the version before the current one serves again.
    pub async fn roll_back(&self, name: &str, actor: &Actor) -> Result<Report, DriversError> {
        let mut in_force = self.inner.in_force.lock().await;
        let slot = self.slot(name)?;
        if slot.candidate.is_some() {
            write(&in_force.file, &Edit::NoCandidate { name })?;
            let vendor = slot.current.vendor();
            let sent_back = self.service().send_back(vendor, "rolled back by hand", actor).await?;
            let mut report = self.reload_into(&mut in_force, actor).await?;
            report.changes.splice(0..0, sent_back);
            return Ok(report);
        }
        let Some(previous) = slot.previous else {
            return Err(DriversError::Cannot(format!(
                "no version served before this one since the start; install the package that is \
                 wanted, and write it as `package` of [[driver]] {name}"
            )));
        };
        packaged(&slot.current).and_then(|()| packaged(&previous))?;
        self.point_at(&mut in_force, name, &previous.file, actor).await
    }

    /// Ends the rest or quarantine of all versions of `name`.
    pub async fn release(&self, name: &str, actor: &Actor) -> Result<Report, DriversError> {
        let slot = self.slot(name)?;
        let mut report = Report::default();
        for edition in editions(&slot) {
            let version = edition.version();
            let detail = match edition.driver.health().standing {
                Standing::Serving => continue,
                Standing::Resting { .. } => format!("{version}, which rested after a trap"),
                Standing::Quarantined { reason, .. } => {
                    format!("{version}, which was in quarantine: {reason}")
                }
            };
            edition.driver.release();
            let object = format!("driver/{name}");
            report.changes.push(Change { act: RELEASED, object, detail });
        }
        if report.changes.is_empty() {
            report.notes.push(format!("{name} is called already: nothing held it back"));
        }
        for Change { act, detail, .. } in &report.changes {
            tracing::info!(driver = name, act, detail, "released");
        }
        self.service().note_changes(report.changes.clone(), actor).await?;
        Ok(report)
    }

    /// The keys read anew from where they were at the start. If they cannot be, drivers keep those
    /// that they have.
    pub async fn reread_vault(&self, actor: &Actor) -> Result<Report, DriversError> {
        let in_force = self.inner.in_force.lock().await;
        let config = in_force.clone();
        // A passphrase is slow to check on purpose.
        let opened = tokio::task::spawn_blocking(move || vault::open(&config)).await;
        let opened = opened.map_err(|error| DriversError::Cannot(error.to_string()))?;
        let vault = opened.map_err(|error| DriversError::Cannot(chain(&error)))?;
        let detail = format!("{} keys", vault.len());
        self.inner.runtime.replace_vault(vault);
        tracing::info!(detail, "the vault was read anew");
        let change = Change { act: REREAD, object: "vault".to_owned(), detail };
        self.service().note_changes(vec![change.clone()], actor).await?;
        Ok(Report { changes: vec![change], notes: Vec::new() })
    }

    /// The last lines of all versions of `name`, each with the version that wrote it, oldest first.
    pub fn log(&self, name: &str) -> Result<Vec<(String, LogLine)>, DriversError> {
        let slot = self.slot(name)?;
        let of = |edition: &Edition| {
            let version = edition.version().to_owned();
            edition.driver.log().into_iter().map(move |line| (version.clone(), line))
        };
        let mut lines: Vec<_> = editions(&slot).flat_map(of).collect();
        lines.sort_by_key(|(_, line)| line.at);
        Ok(lines)
    }

    /// Of everything that is loaded.
    pub fn metrics(&self) -> Metrics {
        self.inner.runtime.metrics()
    }

    pub fn slot(&self, name: &str) -> Result<Slot, DriversError> {
        let slots = self.service().slots();
        let known: Vec<&str> = slots.iter().map(Slot::name).collect();
        let known = if known.is_empty() { "none".to_owned() } else { known.join(", ") };
        let found = slots.iter().find(|slot| slot.name() == name).cloned();
        found.ok_or_else(|| DriversError::NoDriver { name: name.to_owned(), known })
    }

    /// Writes `package` as the driver's own, and reloads.
    async fn point_at(
        &self,
        in_force: &mut Config,
        name: &str,
        package: &Path,
        actor: &Actor,
    ) -> Result<Report, DriversError> {
        let before = write(&in_force.file, &Edit::Package { name, package })?;
        let done = self.reload_into(in_force, actor).await;
        if done.is_err() {
            put_back(&in_force.file, &before);
        }
        done
    }
}

/// Edits the file and returns what it held.
fn write(file: &Path, edit: &Edit<'_>) -> Result<String, DriversError> {
    let before = std::fs::read_to_string(file).map_err(|error| {
        DriversError::Cannot(format!("{} cannot be read: {error}", file.display()))
    })?;
    crate::config::edit(file, &before, edit)?;
    Ok(before)
}

/// After a change that was not to be: the file says again what serves.
fn put_back(file: &Path, before: &str) {
    if let Err(error) = crate::config::replace(file, before) {
        let file = file.display().to_string();
        tracing::error!(file, %error, "the configuration could not be put back as it was");
    }
}

/// What is tried and rolled back is written into the configuration as a package.
fn packaged(edition: &Edition) -> Result<(), DriversError> {
    if !edition.driver.is_native() {
        return Ok(());
    }
    Err(DriversError::Cannot(format!(
        "{0} {1} is a native library, which has no versions on trial: write native, function and sha256 \
         of [[driver]] {0} as wanted, then `polymeter driver reload`",
        edition.driver.name(),
        edition.version()
    )))
}

fn editions(slot: &Slot) -> impl Iterator<Item = &Edition> {
    let candidate = slot.candidate.iter().map(|rollout| &rollout.edition);
    candidate.chain([&slot.current]).chain(&slot.previous)
}

/// One version of a driver: as `live` has it, or loaded.
async fn one(
    runtime: &Runtime,
    entry: &DriverEntry,
    file: &Path,
    live: &[Slot],
) -> Result<Edition, String> {
    let package = app::open_package(entry, file).map_err(|error| chain(&error))?;
    let digest = package.digest.to_string();
    let settings = format!("{:?} {:?}", entry.config, entry.trust);
    let mut known = live.iter().flat_map(editions);
    if let Some(known) = known.find(|it| it.is_of(&digest, &settings)) {
        return Ok(Edition { file: file.to_owned(), ..known.clone() });
    }
    let signer = package.verdict.signer().map(|key| key.to_string());
    if signer.is_none() {
        tracing::warn!(driver = entry.config.name, "UNSIGNED: allow-unsigned lets it run");
    }
    let driver = runtime.load_package(entry.config.clone(), &package).await;
    let driver = driver.map_err(|error| chain(&error))?;
    Ok(Edition { driver, digest, file: file.to_owned(), signer, settings })
}

/// A configured driver without its candidate.
async fn current(runtime: &Runtime, entry: &DriverEntry, live: &[Slot]) -> Result<Edition, String> {
    match &entry.source {
        Source::Package(file) => one(runtime, entry, file, live).await,
        Source::Native(native) => library(runtime, entry, native, live).await,
    }
}

/// A vendor's native library: as `live` has it, or read, judged and loaded.
async fn library(
    runtime: &Runtime,
    entry: &DriverEntry,
    native: &Native,
    live: &[Slot],
) -> Result<Edition, String> {
    let file = read_library(entry, native)?;
    let sum = Sha256::digest(&file);
    let digest = hex::encode(sum);
    if let Some(wanted) = &native.sha256
        && sum.as_slice() != wanted
    {
        let wanted = hex::encode(wanted);
        let file = native.file.display();
        return Err(format!("{file} has the SHA-256 {digest}, not {wanted} as its sha256 says"));
    }
    let settings = format!("{:?} {} {:?}", entry.config, native.function, native.sha256);
    let mut known = live.iter().flat_map(editions);
    if let Some(known) = known.find(|it| it.is_of(&digest, &settings)) {
        return Ok(Edition { file: native.file.clone(), ..known.clone() });
    }
    let signer = native.sha256.map(|_| PINNED.to_owned());
    if signer.is_none() {
        tracing::warn!(driver = entry.config.name, "UNSIGNED: allow-unsigned lets it run");
    }
    let driver = runtime.load_native(entry.config.clone(), &file, &native.function).await;
    let driver = driver.map_err(|error| chain(&error))?;
    Ok(Edition { driver, digest, file: native.file.clone(), signer, settings })
}

/// At most a byte more than its limit, which the runtime then refuses with a sentence.
fn read_library(entry: &DriverEntry, native: &Native) -> Result<Vec<u8>, String> {
    let most = u64::try_from(entry.config.limits.component_bytes).unwrap_or(u64::MAX);
    let mut bytes = Vec::new();
    std::fs::File::open(&native.file)
        .and_then(|file| file.take(most.saturating_add(1)).read_to_end(&mut bytes))
        .map_err(|error| format!("{} cannot be read: {error}", native.file.display()))?;
    Ok(bytes)
}

/// A driver for a command that needs no more than one, with the keys of its configuration.
pub async fn of_entry(runtime: &Runtime, entry: &DriverEntry) -> Result<Arc<Driver>, String> {
    Ok(current(runtime, entry, &[]).await?.driver)
}

/// Every enabled driver of the configuration without its candidate; all that are refused are named.
/// What `live` holds already is not loaded again.
pub async fn load(
    runtime: &Runtime,
    config: &Config,
    live: &[Slot],
) -> Result<Vec<Fitting>, Problems> {
    let mut fittings = Vec::new();
    let mut problems = Vec::new();
    for entry in config.drivers.iter().filter(|entry| entry.is_enabled) {
        match current(runtime, entry, live).await {
            Ok(current) => fittings.push(Fitting { current, candidate: None }),
            Err(what) => problems.push(refused(config, entry, entry.line, &what)),
        }
    }
    if problems.is_empty() { Ok(fittings) } else { Err(Problems(problems)) }
}

fn refused(config: &Config, entry: &DriverEntry, line: usize, what: &str) -> Problem {
    Problem {
        file: config.file.clone(),
        line: Some(line),
        what: format!("driver `{}` is refused: {what}", entry.config.name),
        fix: "mend the package or its grant, or take the driver out".to_owned(),
    }
}

/// Pins are read anew with the drivers, each of which was just judged by them.
fn pins_changed(in_force: &Config, wanted: &Config) -> Vec<String> {
    let codes = in_force.pins.vendors().chain(wanted.pins.vendors()).collect::<BTreeSet<_>>();
    let trust = |config: &Config, code| config.pins.trust(code, false);
    let differ = codes.into_iter().filter(|code| trust(in_force, code) != trust(wanted, code));
    differ
        .map(|code| format!("[[vendor]] {code}: its pinned keys changed and are in force"))
        .collect()
}

/// The changes that a running program cannot take, each in a sentence.
fn needs_restart(in_force: &Config, wanted: &Config) -> Vec<String> {
    let mut left = Vec::new();
    let mut tell = |what: &str| {
        left.push(format!("{what} changed in the file and stays as it is until a restart"));
    };
    if in_force.database != wanted.database {
        tell("database");
    }
    if in_force.listen != wanted.listen {
        tell("server.listen");
    }
    if in_force.time_zone != wanted.time_zone || in_force.currency != wanted.currency {
        tell("site");
    }
    if in_force.purse.every != wanted.purse.every {
        tell("purse.every-seconds");
    }
    if in_force.readers != wanted.readers {
        tell("[[reader]]");
    }
    if in_force.reader_profiles != wanted.reader_profiles {
        tell("[[reader-profile]]");
    }
    if in_force.drivers_folder != wanted.drivers_folder {
        tell("drivers.folder");
    }
    match (&in_force.vault, &wanted.vault) {
        (None, None) => {}
        (Some(old), Some(new)) => {
            if old.store != new.store {
                tell("the place of the keys in [vault]");
            }
            if old.unlock != new.unlock {
                tell("what unlocks [vault]");
            }
        }
        (None, Some(_)) | (Some(_), None) => tell("[vault]"),
    }
    for line in &in_force.lines {
        match wanted.lines.iter().find(|it| it.name == line.name) {
            Some(same) if same == line => {}
            Some(_) => tell(&format!("line {}", line.name)),
            None => tell(&format!("the removal of line {}", line.name)),
        }
    }
    if app::wants_readers(wanted) && !app::wants_readers(in_force) {
        left.push("the first driver of cards: card readers are watched after a restart".to_owned());
    }
    left
}
