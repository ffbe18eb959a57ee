//! Drivers in Rust: cargo for wasm32-unknown-unknown, then the component encoding, in process.

use super::encode;
use anyhow::{Context, Result, bail};
use std::path::Path;
use std::process::Command;

/// The target that has no system interface to import.
pub const TARGET: &str = "wasm32-unknown-unknown";
/// The cargo profile of a driver where the workspace has one of this name, else `release`.
const PROFILE: &str = "guest";

/// The driver's name, which is the crate's without a leading `driver-`, and its component.
pub fn build(manifest: &Path) -> Result<(String, Vec<u8>)> {
    let metadata =
        cargo_metadata::MetadataCommand::new().manifest_path(manifest).no_deps().exec()?;
    let package = metadata
        .packages
        .iter()
        .find(|package| package.manifest_path.as_std_path() == manifest)
        .with_context(|| format!("{} is not a package", manifest.display()))?;
    let library =
        package.targets.iter().find(|target| target.is_cdylib()).with_context(|| {
            format!("{} has no [lib] with crate-type = [\"cdylib\"]", package.name)
        })?;
    let profile = if workspace_has_profile(metadata.workspace_root.as_std_path())? {
        PROFILE
    } else {
        "release"
    };

    // Guests have a target folder of their own, so that building them never waits for the host's build.
    let target_dir = metadata.target_directory.as_std_path().join("guest");
    let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let status = Command::new(cargo)
        .args(["build", "--lib", "--target", TARGET, "--profile", profile, "--manifest-path"])
        .arg(manifest)
        .arg("--target-dir")
        .arg(&target_dir)
        .env("RUSTFLAGS", "-Clink-arg=-zstack-size=65536")
        .env_remove("CARGO_ENCODED_RUSTFLAGS")
        .status()
        .context("cargo did not start")?;
    if !status.success() {
        bail!(
            "cargo build of {} for {TARGET} failed; is the target there? rustup target add {TARGET}",
            package.name
        );
    }

    let module_path = target_dir
        .join(TARGET)
        .join(profile)
        .join(format!("{}.wasm", library.name.replace('-', "_")));
    let module = std::fs::read(&module_path)
        .with_context(|| format!("reading {}", module_path.display()))?;
    let component =
        encode(&module).with_context(|| format!("encoding {} as a component", package.name))?;
    let name = package.name.strip_prefix("driver-").unwrap_or(&package.name).to_owned();
    Ok((name, component))
}

fn workspace_has_profile(root: &Path) -> Result<bool> {
    let manifest = root.join("Cargo.toml");
    let text = std::fs::read_to_string(&manifest)
        .with_context(|| format!("reading {}", manifest.display()))?;
    Ok(text.lines().any(|line| line.trim() == format!("[profile.{PROFILE}]")))
}
