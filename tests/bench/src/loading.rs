//! Drivers as the bench loads them: from target/drivers, with all grants and the limits of a fresh
//! configuration.

use anyhow::{Context, Result};
use polymeter_runtime::{Capability, Driver, DriverConfig, Limits, Options, Runtime, Vault};
use std::collections::BTreeSet;
use std::path::Path;
use std::sync::Arc;

pub fn runtime() -> Result<Runtime> {
    Ok(Runtime::new(Options::in_process(Vault::default()))?)
}

pub async fn driver(runtime: &Runtime, root: &Path, name: &str) -> Result<Arc<Driver>> {
    limited(runtime, root, name, Limits::default()).await
}

pub async fn limited(
    runtime: &Runtime,
    root: &Path,
    name: &str,
    limits: Limits,
) -> Result<Arc<Driver>> {
    let component = component(root, name)?;
    Ok(runtime.load(config(name, limits), &component).await?)
}

pub fn component(root: &Path, name: &str) -> Result<Vec<u8>> {
    let file = root.join("target/drivers").join(format!("{name}.wasm"));
    std::fs::read(&file).with_context(|| format!("reading {}", file.display()))
}

pub fn config(name: &str, limits: Limits) -> DriverConfig {
    DriverConfig {
        name: name.to_owned(),
        vendor: None,
        cover: None,
        region: None,
        grants: vec![Capability::Line, Capability::Vault, Capability::Log],
        limits,
        written: BTreeSet::new(),
    }
}
