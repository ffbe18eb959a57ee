//! Commands that a running program does: reload, upgrade, promote, rollback, release.

use super::tell;
use crate::api::drivers::{Changed, Upgrade};
use crate::commands::Failure;
use crate::config::Config;
use crate::control::Client;
use crate::ui::view;
use serde_json::json;
use std::path::{Path, PathBuf};

/// A configuration that is bad is told by the program itself, which goes on with the old one; the
/// file is read here only for where the program is.
pub async fn reload(config: &Path) -> Result<(), Failure> {
    ask(config, "/api/v1/reload", &json!({})).await
}

/// `package` goes on trial beside the driver `name`.
pub async fn upgrade(
    config: &Path,
    name: &str,
    package: &Path,
    shadow_lines: Vec<String>,
    canary: u8,
) -> Result<(), Failure> {
    let package: PathBuf = package
        .canonicalize()
        .map_err(|error| Failure::Usage(format!("no package {}: {error}", package.display())))?;
    let asked = serde_json::to_value(Upgrade { package, shadow_lines, canary })
        .map_err(Failure::while_doing("asking for the upgrade"))?;
    ask(config, &format!("/control/drivers/{}/upgrade", view::segment(name)), &asked).await
}

pub async fn promote(config: &Path, name: &str) -> Result<(), Failure> {
    ask(config, &format!("/api/v1/drivers/{}/promotion", view::segment(name)), &json!({})).await
}

pub async fn rollback(config: &Path, name: &str) -> Result<(), Failure> {
    ask(config, &format!("/api/v1/drivers/{}/rollback", view::segment(name)), &json!({})).await
}

/// Ends the quarantine of the driver `name`.
pub async fn release(config: &Path, name: &str) -> Result<(), Failure> {
    ask(config, &format!("/api/v1/drivers/{}/release", view::segment(name)), &json!({})).await
}

async fn ask(config: &Path, route: &str, body: &serde_json::Value) -> Result<(), Failure> {
    let control = Config::control_of(config)?;
    let changed: Changed = Client::of(&control).post(route, body).await?;
    tell(&changed);
    Ok(())
}
