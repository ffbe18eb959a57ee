//! What a component asks for, read before it is compiled, and what is made of it.
//!
//! Invariant: nothing is compiled whose imports were not all allowed by the contract and granted by
//! the admin. Not here: signatures and packages.

use crate::contract::{self, Outside, PACKAGE, SECTION};
use crate::engines::Shape;
use crate::error::LoadError;
use crate::limits::{Knob, Limits, MODULES_MOST, NESTING_MOST};
use crate::native::Native;
use polymeter_domain::{Region, Value, VendorCode};
use polymeter_vault::Scope;
use std::collections::BTreeSet;
use wasmparser::{Encoding, Instance, KnownCustom, Parser, Payload};

/// The import interfaces an admin may grant, by their config names "line", "vault", "log", "card-slot".
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Capability {
    Line,
    Vault,
    Log,
    CardSlot,
}

impl Capability {
    pub const ALL: [Capability; 4] =
        [Capability::Line, Capability::Vault, Capability::Log, Capability::CardSlot];

    /// The name in config, which is also the interface's name in the contract.
    pub fn name(self) -> &'static str {
        match self {
            Capability::Line => "line",
            Capability::Vault => "vault",
            Capability::Log => "log",
            Capability::CardSlot => "card-slot",
        }
    }

    pub fn from_name(name: &str) -> Option<Self> {
        Capability::ALL.into_iter().find(|capability| capability.name() == name)
    }
}

#[derive(Debug, Clone)]
pub struct DriverConfig {
    /// The name in config, e.g. "dlt645-2007".
    pub name: String,
    /// Whose meters it serves. `None` for a driver that is only looked at.
    pub vendor: Option<VendorCode>,
    /// Where that vendor is none of its package's: whose devices these are like. `None`: it is one of
    /// them.
    pub cover: Option<Cover>,
    /// Beside its vendor's keys for all regions, it sees those of this one.
    pub region: Option<Region>,
    pub grants: Vec<Capability>,
    /// The host's own where the admin wrote nothing.
    pub limits: Limits,
    /// Those of `limits` that the admin wrote: they win over what a package wants.
    pub written: BTreeSet<Knob>,
}

/// A vendor whose devices a driver for another vendor's covers. The keys of the vault are still those
/// of the vendor itself.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Cover {
    /// One of the package's vendors.
    pub of: VendorCode,
    /// How the devices differ: values of the driver's parameters, for all meters that say nothing else.
    pub dialect: Vec<(String, Value)>,
}

impl DriverConfig {
    /// Whose keys the driver may use.
    pub(crate) fn scope(&self) -> Option<Scope> {
        let region = self.region.clone();
        self.vendor.clone().map(|vendor| Scope { vendor, region })
    }
}

/// What a component asks for and what it was built for.
#[derive(Debug)]
pub(crate) struct Face {
    pub(crate) imports: Vec<String>,
    pub(crate) contract: String,
    pub(crate) shape: Shape,
}

impl Face {
    /// A library imports nothing: what it may do is said by the grant alone.
    pub(crate) fn of_library(native: &Native) -> Face {
        Face {
            imports: Vec::new(),
            contract: format!("native, {}", native.library.function()),
            shape: Shape::default(),
        }
    }
}

/// The face of `component`, if its contract is offered and all its imports are allowed and granted.
pub(crate) fn face(config: &DriverConfig, component: &[u8]) -> Result<Face, LoadError> {
    let (outside, shape) = outside(config, component)?;
    contract::refuse_other(&config.name, &outside)?;
    for import in &outside.imports {
        allow(config, import)?;
    }
    for export in &outside.exports {
        contract::refuse_other_name(&config.name, export)?;
    }
    let contract = contract::agreed(&config.name, &outside)?;
    Ok(Face { imports: outside.imports, contract, shape })
}

/// Reads every section header of the file, so a file that is cut short is refused here and not deep
/// in the compiler.
fn outside(config: &DriverConfig, component: &[u8]) -> Result<(Outside, Shape), LoadError> {
    let driver = || config.name.clone();
    within(config, Knob::ComponentBytes, "bytes", component.len())?;
    let garbled = |error: wasmparser::BinaryReaderError| LoadError::Garbled {
        driver: driver(),
        detail: error.to_string(),
    };
    // The parser shows its magic bytes over many lines; this is said in one.
    if !component.starts_with(b"\0asm") {
        let detail = "it does not begin as WebAssembly does".to_owned();
        return Err(LoadError::Garbled { driver: driver(), detail });
    }
    let mut outside = Outside::default();
    let mut measure = Measure::default();
    for payload in Parser::new(0).parse_all(component) {
        let payload = payload.map_err(garbled)?;
        let depth = measure.depth;
        measure.take(config, &payload)?;
        match payload {
            Payload::Version { encoding: Encoding::Module, .. } if depth == 0 => {
                return Err(LoadError::CoreModule { driver: driver() });
            }
            Payload::ComponentImportSection(section) if depth == 0 => {
                for import in section {
                    outside.imports.push(import.map_err(garbled)?.name.name.to_owned());
                }
            }
            Payload::ComponentExportSection(section) if depth == 0 => {
                for export in section {
                    outside.exports.push(export.map_err(garbled)?.name.name.to_owned());
                }
            }
            Payload::CustomSection(section) if depth == 0 && section.name() == SECTION => {
                outside.contracts.push(section.data().to_vec());
            }
            Payload::InstanceSection(section) => {
                for instance in section {
                    if let Instance::Instantiate { .. } = instance.map_err(garbled)? {
                        measure.shape.modules = measure.shape.modules.saturating_add(1);
                    }
                }
            }
            _ => {}
        }
    }
    Ok((outside, measure.shape))
}

/// How large a component is in ways that its bytes do not show.
#[derive(Debug, Default)]
struct Measure {
    depth: usize,
    parts: usize,
    name_bytes: usize,
    shape: Shape,
}

impl Measure {
    fn take(&mut self, config: &DriverConfig, payload: &Payload<'_>) -> Result<(), LoadError> {
        match payload {
            Payload::ModuleSection { .. } | Payload::ComponentSection { .. } => {
                self.depth += 1;
                self.parts += 1;
                sane(config, "components within components", self.depth, NESTING_MOST)?;
                sane(config, "modules and components", self.parts, MODULES_MOST)?;
            }
            Payload::End(_) => self.depth = self.depth.saturating_sub(1),
            Payload::MemorySection(section) => {
                self.shape.memories = self.shape.memories.saturating_add(section.count());
            }
            Payload::TableSection(section) => {
                self.shape.tables = self.shape.tables.saturating_add(section.count());
            }
            Payload::CustomSection(section) => {
                if let KnownCustom::Name(_) | KnownCustom::ComponentName(_) = section.as_known() {
                    self.name_bytes = self.name_bytes.saturating_add(section.data().len());
                    within(config, Knob::NameBytes, "bytes of names", self.name_bytes)?;
                }
            }
            _ => {}
        }
        Ok(())
    }
}

/// Whether the file keeps a limit that the admin may raise.
fn within(
    config: &DriverConfig,
    knob: Knob,
    what: &'static str,
    used: usize,
) -> Result<(), LoadError> {
    let limit = config.limits.get(knob);
    if u64::try_from(used).is_ok_and(|used| used <= limit) {
        return Ok(());
    }
    Err(LoadError::TooLarge {
        driver: config.name.clone(),
        used,
        what,
        name: knob.name(),
        limit,
        config_key: knob.config_key(),
    })
}

/// Whether the file is built as a driver may be, whoever built it.
fn sane(
    config: &DriverConfig,
    what: &'static str,
    used: usize,
    most: usize,
) -> Result<(), LoadError> {
    if used <= most {
        return Ok(());
    }
    Err(LoadError::Misshapen { driver: config.name.clone(), what, most })
}

fn allow(config: &DriverConfig, import: &str) -> Result<(), LoadError> {
    let driver = || config.name.clone();
    contract::refuse_other_name(&config.name, import)?;
    let Some((interface, _)) = import.strip_prefix(PACKAGE).and_then(|rest| rest.split_once('@'))
    else {
        return Err(LoadError::ForeignImport { driver: driver(), import: import.to_owned() });
    };
    if interface == "types" {
        return Ok(()); // Names of shapes; there is nothing in it to grant.
    }
    match Capability::from_name(interface) {
        None => Err(LoadError::UnknownInterface {
            driver: driver(),
            import: import.to_owned(),
            offered: contract::offered(),
        }),
        Some(capability) if !config.grants.contains(&capability) => Err(LoadError::NotGranted {
            driver: driver(),
            import: import.to_owned(),
            grant: capability.name(),
        }),
        Some(_) => Ok(()),
    }
}

/// Whether a native library's file keeps the limit that components' have.
pub(crate) fn check_size(config: &DriverConfig, file: &[u8]) -> Result<(), LoadError> {
    within(config, Knob::ComponentBytes, "bytes", file.len())
}

/// Limits at which a driver could never run, or that no engine could keep.
pub(crate) fn check_limits(config: &DriverConfig) -> Result<(), LoadError> {
    let driver = config.name.clone();
    config.limits.check().map_err(|beyond| LoadError::LimitOutOfRange { driver, beyond })
}
