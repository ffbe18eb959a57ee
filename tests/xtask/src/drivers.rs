//! Builds every driver of the repository, and the guests that tests load, with the vendor's own tool.

use anyhow::{Context, Result};
use std::path::{Path, PathBuf};

/// Where the components go, from the workspace's root.
pub const OUT_DIR: &str = "target/drivers";

/// Every folder below `drivers/`, then the guests of the conformance tests.
pub fn build_all(root: &Path) -> Result<()> {
    for manifest in manifests(root)? {
        let component = polymeter_sdk::build(&manifest, &root.join(OUT_DIR))?;
        println!("driver {}", component.strip_prefix(root).unwrap_or(&component).display());
    }
    Ok(())
}

fn manifests(root: &Path) -> Result<Vec<PathBuf>> {
    let mut manifests = Vec::new();
    for folder in ["drivers", "tests/conformance"] {
        let folder = root.join(folder);
        let entries =
            std::fs::read_dir(&folder).with_context(|| format!("reading {}", folder.display()))?;
        for entry in entries {
            let manifest = entry?.path().join("Cargo.toml");
            if manifest.is_file() {
                manifests.push(manifest);
            }
        }
    }
    manifests.sort();
    Ok(manifests)
}
