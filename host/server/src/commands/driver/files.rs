//! Commands about the configuration file and the packages that it names.

use super::{client, tell};
use crate::api::drivers::Changed;
use crate::api::system::Driver;
use crate::app;
use crate::commands::package::facts;
use crate::commands::{Failure, print_json};
use crate::config::{Config, Edit};
use crate::control::ControlError;
use polymeter_domain::VendorCode;
use polymeter_runtime::{Capability, Knob};
use serde_json::json;
use std::path::Path;

pub async fn inspect(config: &Path, name: &str) -> Result<(), Failure> {
    let config = Config::read(config)?;
    let drivers = app::load_drivers(&config).await?;
    let names: Vec<&str> = drivers.iter().map(|driver| driver.name()).collect();
    let Some(driver) = drivers.iter().find(|driver| driver.name() == name) else {
        let known = names.join(", ");
        return Err(Failure::Usage(format!(
            "no driver `{name}` in the configuration; it has: {known}"
        )));
    };
    let entry = config.drivers.iter().find(|entry| entry.config.name == name);
    let package = match entry.and_then(|entry| Some((entry, entry.source.package()?))) {
        Some((entry, file)) => Some(facts(&app::open_package(entry, file)?)?),
        None => None,
    };
    print_json(&json!({ "driver": Driver::from(driver.as_ref()), "package": package }))
}

/// What a driver that is installed and not yet configured is enabled with.
#[derive(Debug, Default)]
pub struct New {
    pub vendor: Option<String>,
    pub grants: Vec<String>,
    /// Each `NAME=VALUE`.
    pub limits: Vec<String>,
}

/// Writes `enabled = true` into a driver's table, or with a vendor a new table for the newest
/// installed package of that name.
pub async fn enable(file: &Path, name: &str, new: &New) -> Result<(), Failure> {
    let Some(vendor) = &new.vendor else {
        return change(file, &Edit::Enabled { name, is_enabled: true }).await;
    };
    let config = Config::read(file)?;
    if config.drivers.iter().any(|entry| entry.config.name == name) {
        return Err(Failure::Usage(format!(
            "`{name}` is configured already: leave --vendor and --grant out to enable it"
        )));
    }
    let vendor = VendorCode::new(vendor).map_err(|error| Failure::Usage(error.to_string()))?;
    let grants = new.grants.iter().map(|grant| {
        let unknown = || Failure::Usage(format!("there is no `{grant}` to grant"));
        Capability::from_name(grant).ok_or_else(unknown)
    });
    let grants = grants.collect::<Result<Vec<Capability>, Failure>>()?;
    let Some(package) = super::install::newest_of(&config, name)? else {
        let hint = "`polymeter driver install FILE` brings one";
        return Err(Failure::Usage(format!("no package of `{name}` is installed: {hint}")));
    };
    let limits = new.limits.iter().map(|text| limit(text)).collect::<Result<Vec<_>, _>>()?;
    let (grants, limits) = (grants.as_slice(), limits.as_slice());
    let edit = Edit::New { name, package: &package, vendor: &vendor, grants, limits };
    change(file, &edit).await
}

fn limit(text: &str) -> Result<(Knob, u64), Failure> {
    let parsed = text.split_once('=').and_then(|(name, value)| {
        Some((Knob::from_name(name.trim())?, value.trim().parse().ok()?))
    });
    parsed.ok_or_else(|| {
        Failure::Usage(format!(
            "`{text}` is no limit: write NAME=VALUE with one of {}",
            Knob::NAMES.join(", ")
        ))
    })
}

/// Writes `enabled = false`; the meters of its vendor wait until it is back.
pub async fn disable(config: &Path, name: &str) -> Result<(), Failure> {
    change(config, &Edit::Enabled { name, is_enabled: false }).await
}

/// Edits the file, then has the running program take it. One that refuses it leaves the file as it
/// was.
pub(super) async fn change(file: &Path, edit: &Edit<'_>) -> Result<(), Failure> {
    let config = Config::read(file)?;
    let doing = || Failure::while_doing(format!("reading {}", file.display()));
    let before = std::fs::read_to_string(file).map_err(doing())?;
    crate::config::edit(file, &before, edit)?;
    let reloaded = client(&config).post::<Changed>("/api/v1/reload", &json!({})).await;
    match reloaded {
        Ok(changed) => {
            tell(&changed);
            Ok(())
        }
        Err(ControlError::NobodyServes(_)) => {
            println!("{} is changed; no `polymeter serve` is running to take it", file.display());
            Ok(())
        }
        Err(error) => {
            crate::config::replace(file, &before)
                .map_err(Failure::while_doing(format!("putting {} back", file.display())))?;
            Err(error.into())
        }
    }
}
