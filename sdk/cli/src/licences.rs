//! The licences of what a component contains: of every crate that is linked into it, those that a
//! build in another language left, and whatever the author put into the project's folder `licences`.
//!
//! Not here: judging whether a licence suits.

use crate::pack::files;
use crate::{LICENCES, TARGET};
use anyhow::{Context, Result};
use cargo_metadata::{DependencyKind, Metadata, MetadataCommand, Package, PackageId};
use polymeter_package::Licence;
use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

/// How the names of files begin that hold licences or must go with them.
const BEGINNINGS: [&str; 5] = ["LICENSE", "LICENCE", "COPYING", "NOTICE", "UNLICENSE"];
/// A crate of a workspace often leaves its licence to the workspace's root.
const FOLDERS_UP: usize = 4;

/// Sorted by name.
pub fn gather(project: &Path) -> Result<Vec<Licence>> {
    let mut found = BTreeMap::new();
    let own = files(&project.join("licences"))?;
    for path in own.into_iter().chain(files(&project.join(LICENCES))?) {
        let name = path.file_name().context("a file has a name")?.to_string_lossy().into_owned();
        found.insert(name, read(&path)?);
    }
    let manifest = project.join("Cargo.toml");
    if manifest.is_file() {
        for package in linked(&manifest)? {
            of_crate(&package, &mut found)?;
        }
    }
    Ok(found.into_iter().map(|(name, text)| Licence { name, text }).collect())
}

/// The crates whose code is in the component: normal dependencies for its target, without procedural
/// macros, which run in the compiler. The driver itself is not third-party.
fn linked(manifest: &Path) -> Result<Vec<Package>> {
    let metadata = MetadataCommand::new()
        .manifest_path(manifest)
        .other_options(["--filter-platform".to_owned(), TARGET.to_owned()])
        .exec()
        .with_context(|| format!("cargo metadata of {}", manifest.display()))?;
    let manifest = manifest.canonicalize()?;
    let root = metadata
        .packages
        .iter()
        .find(|package| package.manifest_path.as_std_path() == manifest)
        .with_context(|| format!("{} is not a package", manifest.display()))?;
    let mut seen = BTreeSet::new();
    let mut open = vec![root.id.clone()];
    while let Some(id) = open.pop() {
        for next in dependencies(&metadata, &id) {
            if seen.insert(next.clone()) {
                open.push(next);
            }
        }
    }
    Ok(metadata.packages.iter().filter(|package| seen.contains(&package.id)).cloned().collect())
}

fn dependencies(metadata: &Metadata, id: &PackageId) -> Vec<PackageId> {
    let nodes = metadata.resolve.iter().flat_map(|resolve| &resolve.nodes);
    let node = nodes.into_iter().find(|node| node.id == *id);
    let linked = |package: &PackageId| {
        let found = metadata.packages.iter().find(|known| known.id == *package);
        !found.is_some_and(|known| known.targets.iter().any(|target| target.is_proc_macro()))
    };
    node.into_iter()
        .flat_map(|node| &node.deps)
        .filter(|edge| edge.dep_kinds.iter().any(|kind| kind.kind == DependencyKind::Normal))
        .map(|edge| edge.pkg.clone())
        .filter(linked)
        .collect()
}

fn of_crate(package: &Package, found: &mut BTreeMap<String, String>) -> Result<()> {
    let folder = package.manifest_path.parent().context("a manifest lies in a folder")?;
    // One from a registry brings its own; only a crate in a tree may look up to the tree's root.
    let up = if package.source.is_some() { 1 } else { FOLDERS_UP };
    let stem = format!("{}-{}", package.name, package.version);
    for folder in folder.as_std_path().ancestors().take(up) {
        let mut is_found = false;
        for path in files(folder)? {
            let name = path.file_name().context("a file has a name")?.to_string_lossy();
            let upper = name.to_uppercase();
            if BEGINNINGS.iter().any(|beginning| upper.starts_with(beginning)) {
                found.insert(format!("{stem}--{name}"), read(&path)?);
                is_found = true;
            }
        }
        if is_found {
            return Ok(());
        }
    }
    let licence = package.license.as_deref().unwrap_or("a licence that it does not name");
    let text = format!("{stem} is under {licence}. The crate brings no text of it.\n");
    found.insert(format!("{stem}--none"), text);
    Ok(())
}

/// Some old licences are in Latin-1; their words survive.
fn read(path: &Path) -> Result<String> {
    let bytes = std::fs::read(path).with_context(|| format!("reading {}", path.display()))?;
    Ok(String::from_utf8_lossy(&bytes).into_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_linked_is_licensed_and_what_is_not_is_left_out() {
        let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
        let project = root.join("drivers/dlt645-2007");
        let found = gather(&project).expect("the driver of this tree");
        assert_eq!(found, gather(&project).expect("again"), "the same every time");
        let has = |start: &str| found.iter().any(|licence| licence.name.starts_with(start));
        for linked in ["wit-bindgen-", "polymeter-driver-0.1.0--LICENSE", "polymeter-codec-"] {
            assert!(has(linked), "no {linked} in {found:?}");
        }
        // The driver itself, a procedural macro's crate, a crate of its tests.
        for other in ["driver-dlt645-2007-", "syn-", "polymeter-replay-"] {
            assert!(!has(other), "{other} in {found:?}");
        }
    }
}
