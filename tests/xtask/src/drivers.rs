//! Builds, packs and signs every driver of the repository, and builds the guests that tests load, with
//! the vendor's own tool.
//!
//! The key is a developer's: made once beside the packages, without a password, worth nothing
//! elsewhere. Demo and tests pin it.

use crate::{examples, native};
use anyhow::{Context, Result, ensure};
use polymeter_package::Role;
use polymeter_sdk::keys;
use std::path::{Path, PathBuf};

/// Where components and packages go, from the workspace's root.
pub const OUT_DIR: &str = "target/drivers";
/// The two files of the key in there, without their ends.
const DEVELOPER: &str = "developer";

/// Every folder below `drivers/`, then the guests of the conformance tests and of the bench.
pub fn build_all(root: &Path) -> Result<()> {
    build(root, &[])
}

/// Those of these names, examples in other languages too, or all of Rust and all native libraries
/// where there is none. What has a `driver.toml` and a README becomes a signed package.
pub fn build(root: &Path, names: &[String]) -> Result<()> {
    let out_dir = root.join(OUT_DIR);
    let (examples, names): (Vec<&str>, Vec<&str>) =
        names.iter().map(String::as_str).partition(|name| examples::EXAMPLES.contains(name));
    let (native, names): (Vec<&str>, Vec<&str>) =
        names.into_iter().partition(|name| native::NAMES.contains(name));
    examples::build(root, &out_dir, &examples)?;
    native::build(root, &out_dir, &native)?;
    let is_all = names.is_empty() && examples.is_empty() && native.is_empty();
    if is_all {
        native::build(root, &out_dir, native::NAMES)?;
    } else if names.is_empty() {
        return Ok(());
    }
    let key = developer_key(&out_dir)?;
    let all = manifests(root)?;
    for manifest in with_bases(chosen(all.clone(), &names)?, &all)? {
        let mut made = polymeter_sdk::build(&manifest, &out_dir)?;
        let project = manifest.parent().context("a manifest lies in a folder")?;
        if ["driver.toml", "README.md"].iter().all(|name| project.join(name).is_file()) {
            made = polymeter_sdk::pack(project, &out_dir)?;
            keys::sign(&made, Role::Vendor, &key)?;
        }
        println!("driver {}", made.strip_prefix(root).unwrap_or(&made).display());
    }
    Ok(())
}

fn developer_key(folder: &Path) -> Result<polymeter_package::SecretKey> {
    let stem = folder.join(DEVELOPER);
    let secret = stem.with_extension("key");
    if !secret.is_file() {
        std::fs::create_dir_all(folder)
            .with_context(|| format!("creating {}", folder.display()))?;
        keys::generate(&stem, None)?;
    }
    keys::read(&secret, || anyhow::bail!("the developer's key has no password"))
}

fn chosen(manifests: Vec<PathBuf>, names: &[&str]) -> Result<Vec<PathBuf>> {
    let is_in = |manifest: &PathBuf, name: &&str| {
        manifest.parent().is_some_and(|folder| folder.ends_with(name))
    };
    for name in names {
        ensure!(
            manifests.iter().any(|manifest| is_in(manifest, name)),
            "there is no driver {name} below drivers or tests/conformance"
        );
    }
    let wanted =
        |manifest: &PathBuf| names.is_empty() || names.iter().any(|name| is_in(manifest, name));
    Ok(manifests.into_iter().filter(wanted).collect())
}

/// Drivers without code last, and before each the one that it is put into.
fn with_bases(chosen: Vec<PathBuf>, all: &[PathBuf]) -> Result<Vec<PathBuf>> {
    let (data, mut ordered): (Vec<PathBuf>, Vec<PathBuf>) =
        chosen.into_iter().partition(|manifest| manifest.ends_with("driver.toml"));
    for manifest in data {
        let text = std::fs::read_to_string(&manifest)?;
        let face: toml::Table = text.parse().with_context(|| manifest.display().to_string())?;
        let base = face.get("build").and_then(|build| build.get("base")?.as_str());
        let base = base.with_context(|| format!("{}: no base", manifest.display()))?;
        let base = Path::new(base).file_stem().context("a base is a file")?;
        let of_base = |it: &&PathBuf| it.parent().is_some_and(|folder| folder.ends_with(base));
        let base = all.iter().find(of_base).context("a base of this tree")?;
        for needed in [base, &manifest] {
            if !ordered.contains(needed) {
                ordered.push(needed.clone());
            }
        }
    }
    Ok(ordered)
}

/// The `Cargo.toml` of each driver in Rust, the `driver.toml` of each without code.
fn manifests(root: &Path) -> Result<Vec<PathBuf>> {
    let mut manifests = Vec::new();
    for folder in ["drivers", "tests/conformance", "tests/bench"] {
        let folder = root.join(folder);
        let entries =
            std::fs::read_dir(&folder).with_context(|| format!("reading {}", folder.display()))?;
        for entry in entries {
            let project = entry?.path();
            let found = ["Cargo.toml", "driver.toml"].map(|name| project.join(name));
            manifests.extend(found.into_iter().find(|manifest| manifest.is_file()));
        }
    }
    manifests.sort();
    Ok(manifests)
}
