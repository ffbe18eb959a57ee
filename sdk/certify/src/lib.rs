//! Certification: a driver against its own device, simulated, on a line that loses, spoils, doubles,
//! delays and misdirects every answer in turn. The driver runs in the very runtime that the host uses.
//!
//! Invariant: a driver is judged by what the simulator says is true, never by what the kit thinks that
//! a protocol means; the same seed makes the same cases. Not here: building (sdk/cli), whether the
//! simulator is like the real device.
//!
//! What is demanded of every call that a driver exports:
//! - no trap, no limit reached with part of the room left;
//! - at most one frame that adds credit;
//! - on a good line it succeeds, and on a bad one it says nothing that is not so: never `confirmed`
//!   where the device did not do it, never `refused` where it did, `unknown` where nobody can know;
//! - `check` tells the truth afterwards;
//! - a used instance answers as a fresh one, and the same call twice is answered alike.

#![deny(missing_docs)]

mod act;
mod case;
mod chance;
mod device;
mod fault;
mod judge;
mod paper;
mod report;
mod settings;
mod suite;
mod wire;

pub use case::Case;
pub use report::Report;
pub use suite::Choice;

use act::Author;
use anyhow::{Context, Result, ensure};
use case::Kit;
use chance::Chance;
use device::Program;
use polymeter_domain::VendorCode;
use polymeter_package::Manifest;
use polymeter_runtime::{
    Capability, Driver, DriverConfig, Limits, Options, Runtime, Vault, WantedLimits,
};
use polymeter_vault::Secret;
use settings::{KeyShape, Settings};
use sha2::{Digest, Sha256};
use std::collections::BTreeMap;
use std::path::PathBuf;
use std::process::Command;
use std::sync::Arc;

/// What is certified.
#[derive(Debug, Clone)]
pub struct Project {
    /// Where driver.toml lies.
    pub folder: PathBuf,
    /// What `{target}` stands for in `[certify]`.
    pub target: PathBuf,
    /// What driver.toml says.
    pub manifest: Manifest,
    /// The bytes of the component, as `polymeter-sdk build` wrote them.
    pub component: Vec<u8>,
}

/// Loads the component as a host does, holds it to its driver.toml, and plays the project's transcripts
/// against it; how many those were. [`certify`] shows how a project is opened.
pub fn test(project: &Project) -> Result<usize> {
    let executor = tokio::runtime::Runtime::new().context("the executor")?;
    executor.block_on(async {
        let manifest = &project.manifest;
        let vendor = vendor(manifest)?;
        let driver = load(project, vendor, &BTreeMap::new(), &BTreeMap::new()).await?;
        let paper = [paper::description(manifest, &driver), paper::imports(manifest, &driver)];
        let wrong: Vec<String> = paper.into_iter().flat_map(|case| case.complaints).collect();
        ensure!(wrong.is_empty(), "{}", wrong.join("\n"));
        let transcripts = paper::files(&project.folder).map_err(anyhow::Error::msg)?;
        let texts = transcripts.iter().map(|(name, text)| (name.as_str(), text.as_str()));
        let coverage = polymeter_runtime::check_transcripts(&driver, texts).await?;
        Ok(coverage.0.values().sum())
    })
}

fn vendor(manifest: &Manifest) -> Result<&VendorCode> {
    manifest.vendors.first().map(|vendor| &vendor.code).context("driver.toml has no [[vendor]]")
}

/// Runs the whole suite, or the part that is chosen.
///
/// ```no_run
/// use polymeter_certify::{Choice, Project, certify};
/// use polymeter_package::Manifest;
/// use std::path::Path;
///
/// let folder = Path::new("acme").canonicalize()?;
/// let face = folder.join("driver.toml");
/// let project = Project {
///     target: folder.join("target"),
///     manifest: Manifest::parse(&face, &std::fs::read_to_string(&face)?)?,
///     component: std::fs::read(folder.join("target/drivers/acme.wasm"))?,
///     folder,
/// };
/// let choice = Choice { only: Some("sell 1".to_owned()), faults: None };
/// let report = certify(&project, 20_260_302, &choice)?;
/// assert!(report.is_good(), "{}", report.summary());
/// # Ok::<(), anyhow::Error>(())
/// ```
pub fn certify(project: &Project, seed: u64, choice: &Choice) -> Result<Report> {
    let executor = tokio::runtime::Runtime::new().context("the executor")?;
    executor.block_on(certified(project, seed, choice))
}

async fn certified(project: &Project, seed: u64, choice: &Choice) -> Result<Report> {
    let manifest = &project.manifest;
    ensure!(
        !manifest.imports.contains(Capability::CardSlot.name()),
        "{} is a driver of cards, and certification is of drivers of meters on a line: \
         `polymeter-sdk test` plays its transcripts",
        manifest.name
    );
    let settings = Settings::read(&manifest.certify).context("in driver.toml")?;
    let vendor = vendor(manifest)?;
    build_simulator(project, &settings)?;
    let keys = keys(seed, manifest, &settings)?;
    let driver = load(project, vendor, &settings.keys, &keys).await?;
    let author = Author {
        seed,
        settings: &settings,
        quantity: driver.description().purse.unwrap_or(polymeter_domain::Quantity::Money),
        step: manifest.purse_step,
        writable: writable(&driver, &settings)?,
        parameters: settings.parameters()?,
        keys,
    };
    let kit = Arc::new(Kit {
        driver: Arc::clone(&driver),
        program: Program {
            folder: project.folder.clone(),
            command: settings.simulator.iter().map(|word| in_target(project, word)).collect(),
        },
        settings: settings.clone(),
        quantity: author.quantity,
    });
    let mut found = suite::run(&kit, &author, choice).await?;
    let mut cases = std::mem::take(&mut found.cases);
    if choice.only.is_none() {
        cases.insert(0, paper::description(manifest, &driver));
        cases.insert(1, paper::imports(manifest, &driver));
        cases.insert(2, paper::transcripts(&project.folder, &found, driver.abilities()));
        cases.insert(3, paper::played(&project.folder, &driver).await);
    }
    let mut report = Report {
        format: 1,
        driver: manifest.name.clone(),
        version: manifest.version.to_string(),
        contract: manifest.contract.to_string(),
        component: hex::encode(Sha256::digest(&project.component)),
        sdk: env!("CARGO_PKG_VERSION").to_owned(),
        seed,
        partial: choice.only.is_some() || choice.faults.is_some(),
        passed: 0,
        failed: 0,
        cases,
    };
    report.count();
    Ok(report)
}

fn in_target(project: &Project, word: &str) -> String {
    word.replace("{target}", &project.target.display().to_string())
}

fn build_simulator(project: &Project, settings: &Settings) -> Result<()> {
    let words: Vec<String> = settings.build.iter().map(|word| in_target(project, word)).collect();
    let Some((program, arguments)) = words.split_first() else { return Ok(()) };
    let shown = || format!("[certify] build: `{}`", words.join(" "));
    let mut command = Command::new(program);
    let status =
        command.args(arguments).current_dir(&project.folder).status().with_context(shown)?;
    ensure!(status.success(), "{} ended with {status}", shown());
    Ok(())
}

/// A key for each label of driver.toml, of the kind that `[certify]` says.
fn keys(seed: u64, manifest: &Manifest, settings: &Settings) -> Result<BTreeMap<String, Vec<u8>>> {
    let mut chance = Chance::new(seed, "keys");
    let mut keys = BTreeMap::new();
    for label in &manifest.keys {
        let shape = settings.keys.get(label).with_context(|| {
            format!(
                "driver.toml wants the key `{label}`; say its kind: [certify] keys = {{ {label} = \
                 \"hmac\" }}"
            )
        })?;
        keys.insert(label.clone(), chance.bytes(shape.bytes));
    }
    let unknown: Vec<&String> =
        settings.keys.keys().filter(|label| !manifest.keys.contains(*label)).collect();
    ensure!(
        unknown.is_empty(),
        "[certify] keys has {unknown:?}, which `keys` of driver.toml lacks"
    );
    Ok(keys)
}

/// The numbers that live in the device, with the range of their values.
fn writable(driver: &Driver, settings: &Settings) -> Result<Vec<(String, i64, i64)>> {
    let mut writable = Vec::new();
    for told in driver.description().parameters.iter().filter(|told| told.writable) {
        let bounds = settings.values.get(&told.name).map(|[from, to]| (*from, *to));
        let described = told.minimum.zip(told.maximum);
        // Without a range it is a flag or a text, of which certify makes up none.
        if let Some((from, to)) = bounds.or(described) {
            writable.push((told.name.clone(), from, to));
        }
    }
    for name in settings.values.keys() {
        let known = writable.iter().any(|(known, ..)| known == name);
        ensure!(known, "[certify] values has `{name}`, which is no writable parameter");
    }
    Ok(writable)
}

/// Loads with less than the driver may have: what it needs here leaves head room in the field.
async fn load(
    project: &Project,
    vendor: &VendorCode,
    shapes: &BTreeMap<String, KeyShape>,
    keys: &BTreeMap<String, Vec<u8>>,
) -> Result<Arc<Driver>> {
    let mut vault = Vault::default();
    for (label, key) in keys {
        let shape = shapes.get(label).context("a key of [certify]")?;
        let key = Secret::new(key.clone());
        vault = vault
            .with(vendor.clone(), label, shape.kind, key)
            .with_context(|| format!("`{label}` is no label of the vault"))?;
    }
    let manifest = &project.manifest;
    let wanted = WantedLimits::of(manifest)?;
    let grants = manifest.imports.iter().map(|import| {
        Capability::from_name(import).with_context(|| format!("there is no import `{import}`"))
    });
    let config = DriverConfig {
        name: manifest.name.clone(),
        vendor: Some(vendor.clone()),
        cover: None,
        region: None,
        grants: grants.collect::<Result<_>>()?,
        limits: with_head_room(wanted.granted()),
        written: wanted.knobs(),
    };
    // The vendor's own component on the vendor's own machine; a host compiles it apart.
    let runtime = Runtime::new(Options::in_process(vault))?;
    Ok(runtime.load(config, &project.component).await?)
}

/// Half of what is counted, three quarters of the memory. Time is left whole: this machine may be a
/// busy one.
fn with_head_room(limits: Limits) -> Limits {
    Limits {
        memory_bytes: limits.memory_bytes / 4 * 3,
        exchanges: limits.exchanges / 2,
        line_bytes: limits.line_bytes / 2,
        vault_requests: limits.vault_requests / 2,
        log_lines: limits.log_lines / 2,
        result_bytes: limits.result_bytes / 2,
        // A trap is a finding, and the cases after it are to be seen too.
        traps: 1_000_000,
        ..limits
    }
}
