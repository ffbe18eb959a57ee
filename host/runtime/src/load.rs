//! What a component asks for, read before it is compiled, and what is made of it.
//!
//! Invariant: nothing is compiled whose imports were not all allowed by the contract and granted by
//! the admin. Not here: signatures and packages.

use crate::contract::{self, Outside, PACKAGE, SECTION};
use crate::error::LoadError;
use crate::limits::{CALLS, Knob, Limits, MEMORY_BYTES_MOST};
use polymeter_domain::{Region, VendorCode};
use polymeter_vault::Scope;
use wasmparser::{Encoding, Parser, Payload};

/// The import interfaces an admin may grant, by their config names "line", "vault", "log".
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Capability {
    Line,
    Vault,
    Log,
}

impl Capability {
    /// The name in config, which is also the interface's name in the contract.
    pub fn name(self) -> &'static str {
        match self {
            Capability::Line => "line",
            Capability::Vault => "vault",
            Capability::Log => "log",
        }
    }

    pub fn from_name(name: &str) -> Option<Self> {
        [Capability::Line, Capability::Vault, Capability::Log]
            .into_iter()
            .find(|capability| capability.name() == name)
    }
}

#[derive(Debug, Clone)]
pub struct DriverConfig {
    /// The name in config, e.g. "dlt645-2007".
    pub name: String,
    /// The vendor code that it must say it is of; `None` for a driver that is only looked at.
    pub vendor: Option<VendorCode>,
    /// Beside its vendor's keys for all regions, it sees those of this one.
    pub region: Option<Region>,
    pub grants: Vec<Capability>,
    pub limits: Limits,
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
}

/// The face of `component`, if its contract is offered and all its imports are allowed and granted.
pub(crate) fn face(config: &DriverConfig, component: &[u8]) -> Result<Face, LoadError> {
    let outside = outside(config, component)?;
    contract::refuse_other(&config.name, &outside)?;
    for import in &outside.imports {
        allow(config, import)?;
    }
    for export in &outside.exports {
        contract::refuse_other_name(&config.name, export)?;
    }
    let contract = contract::agreed(&config.name, &outside)?;
    Ok(Face { imports: outside.imports, contract })
}

/// Reads every section header of the file, so a file that is cut short is refused here and not deep
/// in the compiler.
fn outside(config: &DriverConfig, component: &[u8]) -> Result<Outside, LoadError> {
    let driver = || config.name.clone();
    if component.len() > config.limits.component_bytes {
        return Err(LoadError::TooLarge {
            driver: driver(),
            used: component.len(),
            limit: config.limits.component_bytes,
        });
    }
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
    let mut depth = 0_usize;
    for payload in Parser::new(0).parse_all(component) {
        match payload.map_err(garbled)? {
            Payload::Version { encoding: Encoding::Module, .. } if depth == 0 => {
                return Err(LoadError::CoreModule { driver: driver() });
            }
            Payload::ModuleSection { .. } | Payload::ComponentSection { .. } => depth += 1,
            Payload::End(_) => depth = depth.saturating_sub(1),
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
            _ => {}
        }
    }
    Ok(outside)
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

/// Limits at which a driver could never run, or that the pool could not keep.
pub(crate) fn check_limits(config: &DriverConfig) -> Result<(), LoadError> {
    let Limits {
        component_bytes,
        memory_bytes,
        cpu_ticks,
        wall,
        result_bytes,
        concurrent_calls,
        ..
    } = config.limits;
    // usize fits u128 on every target.
    let wide = |value: usize| u128::try_from(value).unwrap_or(u128::MAX);
    for (knob, asked, most) in [
        (Knob::ComponentBytes, wide(component_bytes), wide(MEMORY_BYTES_MOST)),
        (Knob::MemoryBytes, wide(memory_bytes), wide(MEMORY_BYTES_MOST)),
        (Knob::CpuTicks, u128::from(cpu_ticks), u128::from(u32::MAX)),
        (Knob::Wall, wall.as_millis(), u128::from(u32::MAX)),
        (Knob::ResultBytes, wide(result_bytes), wide(MEMORY_BYTES_MOST)),
        (Knob::ConcurrentCalls, wide(concurrent_calls), wide(CALLS)),
    ] {
        if asked == 0 || asked > most {
            return Err(LoadError::out_of_range(&config.name, knob, asked, most));
        }
    }
    Ok(())
}
