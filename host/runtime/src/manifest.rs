//! A component held to the package it came in, and that to the configuration: it imports what
//! `driver.toml` says, describes itself as that file does, and does what the transcripts say.
//!
//! Invariant: what an admin reads in a package before loading it is what the loaded driver is.
//! Not here: reading and judging the package (`polymeter_package`), playing (rehearsal).

use crate::contract::PACKAGE;
use crate::description::{Description, Parameter};
use crate::driver::Driver;
use crate::engine::Runtime;
use crate::error::LoadError;
use crate::limits::Limits;
use crate::load::{self, Capability, DriverConfig};
use crate::rehearsal::rehearse;
use crate::wanted::WantedLimits;
use polymeter_package::{Manifest, Package, Parameter as Declared};
use std::collections::BTreeSet;
use std::sync::Arc;

impl Runtime {
    /// The component of a package that was judged already: the manifest's vendors and limits against
    /// the configuration, its imports against those of the component, these against the grant, then as
    /// [`Runtime::load`], then its manifest against what it describes, then its own transcripts against
    /// what it does.
    pub async fn load_package(
        &self,
        mut config: DriverConfig,
        package: &Package,
    ) -> Result<Arc<Driver>, LoadError> {
        let name = config.name.clone();
        let refuse = |what: String| LoadError::NotAsManifest { driver: name.clone(), what };
        hold_vendor(&package.manifest, &config)?;
        hold_dialect(&package.manifest, &config)?;
        let wanted = WantedLimits::of(&package.manifest)
            .map_err(|what| LoadError::BadWanted { driver: name.clone(), what })?;
        config.limits = wanted
            .held_to(&config)
            .map_err(|what| LoadError::TooMuchWanted { driver: name.clone(), what })?;
        let face = load::face(&config, &package.component)?;
        hold_imports(&package.manifest, &face.imports).map_err(refuse)?;
        let driver = self.load(config, &package.component).await?;
        hold_description(&package.manifest, driver.description()).map_err(refuse)?;
        driver.keep_manifest(&package.manifest);
        rehearse(&driver, package).await?;
        Ok(driver)
    }
}

/// What a component imports, read without compiling it, and without asking for any grant.
pub fn imports(name: &str, component: &[u8]) -> Result<Vec<String>, LoadError> {
    let config = DriverConfig {
        name: name.to_owned(),
        vendor: None,
        cover: None,
        region: None,
        grants: Capability::ALL.to_vec(),
        limits: Limits {
            component_bytes: component.len(),
            name_bytes: component.len(),
            ..Limits::default()
        },
        written: BTreeSet::new(),
    };
    load::face(&config, component).map(|face| face.imports)
}

fn vendors(manifest: &Manifest) -> String {
    let codes: Vec<&str> = manifest.vendors.iter().map(|it| it.code.as_str()).collect();
    codes.join(" or ")
}

/// It is configured for one of the vendors that it says it is for; it serves that one alone.
fn hold_vendor(manifest: &Manifest, config: &DriverConfig) -> Result<(), LoadError> {
    let covered = config.cover.as_ref().map(|cover| &cover.of);
    match covered.or(config.vendor.as_ref()) {
        Some(configured) if !manifest.is_for(configured) => Err(LoadError::OtherVendor {
            driver: config.name.clone(),
            says: vendors(manifest),
            configured: configured.to_string(),
        }),
        _ => Ok(()),
    }
}

/// A dialect sets parameters that steer the driver, to values that it takes.
fn hold_dialect(manifest: &Manifest, config: &DriverConfig) -> Result<(), LoadError> {
    let dialect = config.cover.iter().flat_map(|cover| &cover.dialect);
    for (name, value) in dialect {
        let declared = manifest.parameters.iter().find(|it| it.name == *name);
        let wrong = match declared {
            None => Some("is no parameter of it".to_owned()),
            Some(declared) if declared.writable => Some("lives in the device".to_owned()),
            Some(declared) => declared.take(value).err(),
        };
        if let Some(wrong) = wrong {
            let what = format!("{name} {wrong}");
            return Err(LoadError::BadDialect { driver: config.name.clone(), what });
        }
    }
    Ok(())
}

/// Both ways: an import that is not declared, and one that is declared and not there.
fn hold_imports(manifest: &Manifest, imports: &[String]) -> Result<(), String> {
    let types = format!("{PACKAGE}types@");
    let found: BTreeSet<&str> =
        imports.iter().map(String::as_str).filter(|import| !import.starts_with(&types)).collect();
    let declared: Vec<String> = manifest
        .imports
        .iter()
        .map(|import| format!("{PACKAGE}{import}@{}", manifest.contract))
        .collect();
    let declared: BTreeSet<&str> = declared.iter().map(String::as_str).collect();
    if let Some(more) = found.difference(&declared).next() {
        return Err(format!("the component imports {more}, its imports do not name that"));
    }
    if let Some(less) = declared.difference(&found).next() {
        return Err(format!("its imports name {less}, the component does not import that"));
    }
    Ok(())
}

fn hold_description(manifest: &Manifest, said: &Description) -> Result<(), String> {
    let differ = |key: &str, declared: String, said: String| {
        Err(format!("its {key} is {declared}, the component says {said}"))
    };
    if !manifest.is_for(&said.vendor_code) {
        return differ("vendor", vendors(manifest), said.vendor_code.to_string());
    }
    if manifest.version.to_string() != said.version {
        return differ("version", manifest.version.to_string(), said.version.clone());
    }
    if manifest.models != said.models {
        return differ("models", format!("{:?}", manifest.models), format!("{:?}", said.models));
    }
    if manifest.proof != said.proof {
        return differ("proof", manifest.proof.name().to_owned(), said.proof.name().to_owned());
    }
    if manifest.purse != said.purse {
        return differ("purse", format!("{:?}", manifest.purse), format!("{:?}", said.purse));
    }
    let names = |parameters: BTreeSet<&str>| -> String {
        parameters.into_iter().collect::<Vec<_>>().join(", ")
    };
    let declared: BTreeSet<&str> = manifest.parameters.iter().map(|it| it.name.as_str()).collect();
    let described: BTreeSet<&str> = said.parameters.iter().map(|it| it.name.as_str()).collect();
    if declared != described {
        return differ("list of parameters", names(declared), names(described));
    }
    for declared in &manifest.parameters {
        let described = said.parameters.iter().find(|it| it.name == declared.name);
        if let Some(what) = described.and_then(|described| difference(declared, described)) {
            return Err(format!("parameter {}: {what}", declared.name));
        }
    }
    Ok(())
}

fn difference(declared: &Declared, described: &Parameter) -> Option<String> {
    let titles = (&declared.title_en, &declared.title_zh);
    let bounds = (declared.minimum, declared.maximum);
    let (key, declared, described) = if titles != (&described.title_en, &described.title_zh) {
        let said = (&described.title_en, &described.title_zh);
        ("title", format!("{titles:?}"), format!("{said:?}"))
    } else if bounds != (described.minimum, described.maximum) {
        let said = (described.minimum, described.maximum);
        ("range", format!("{bounds:?}"), format!("{said:?}"))
    } else if declared.unit != described.unit {
        ("unit", declared.unit.0.to_string(), described.unit.0.to_string())
    } else if declared.default != described.default {
        ("default", format!("{:?}", declared.default), format!("{:?}", described.default))
    } else if declared.writable != described.writable {
        ("writable", declared.writable.to_string(), described.writable.to_string())
    } else {
        return None;
    };
    Some(format!("its {key} is {declared}, the component says {described}"))
}
