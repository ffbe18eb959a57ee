//! Building a driver: cargo for wasm32-unknown-unknown, then the component encoding, in process.
//!
//! Invariant: what comes out imports the interfaces of `polymeter:driver` that its `driver.toml` names,
//! and nothing else; anything more (WASI above all) is an error here, long before a host refuses it.
//! Not here: packaging and signing.

pub mod contract;
mod face;

use anyhow::{Context, Result, bail};
use std::path::{Path, PathBuf};
use std::process::Command;
use wit_component::ComponentEncoder;

/// The target that has no system interface to import.
pub const TARGET: &str = "wasm32-unknown-unknown";
/// The cargo profile of a driver where the workspace has one of this name, else `release`.
const PROFILE: &str = "guest";

/// Builds the driver crate that `manifest` belongs to and writes its component into `out_dir` as
/// `<driver>.wasm`, where a leading `driver-` of the crate's name is left off. Returns the file.
pub fn build(manifest: &Path, out_dir: &Path) -> Result<PathBuf> {
    let metadata =
        cargo_metadata::MetadataCommand::new().manifest_path(manifest).no_deps().exec()?;
    let manifest = manifest
        .canonicalize()
        .with_context(|| format!("no manifest at {}", manifest.display()))?;
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
        .arg(&manifest)
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

    let folder = manifest.parent().context("a manifest lies in a folder")?;
    face::check(&folder.join("driver.toml"), &component)?;
    let component = contract::seal(&component)?;

    std::fs::create_dir_all(out_dir).with_context(|| format!("creating {}", out_dir.display()))?;
    let name = package.name.strip_prefix("driver-").unwrap_or(&package.name);
    let out = out_dir.join(format!("{name}.wasm"));
    std::fs::write(&out, component).with_context(|| format!("writing {}", out.display()))?;
    Ok(out)
}

/// Core module to component. Fails on any import that the module's own WIT does not name.
pub fn encode(module: &[u8]) -> Result<Vec<u8>> {
    ComponentEncoder::default().module(module)?.validate(true).encode()
}

fn workspace_has_profile(root: &Path) -> Result<bool> {
    let manifest = root.join("Cargo.toml");
    let text = std::fs::read_to_string(&manifest)
        .with_context(|| format!("reading {}", manifest.display()))?;
    Ok(text.lines().any(|line| line.trim() == format!("[profile.{PROFILE}]")))
}
