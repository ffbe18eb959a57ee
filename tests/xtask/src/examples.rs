//! The vendor examples whose language is not Rust: their tools, and their components.
//!
//! Invariant: nothing is installed into the system's Python, and a component that is newer than all
//! that it was made of is not made again, because an interpreter in one takes half a minute.

use crate::set_up::{self, found};
use anyhow::{Context, Result};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::SystemTime;

const C_TOOLS: &[&str] = &["clang-19", "lld-19", "libclang-rt-19-dev-wasm32", "wasi-libc"];
/// The environment that drivers in Python are built with, from the workspace's root.
const PYTHON: &str = "target/python";
const COMPONENTIZE_PY: &str = "componentize-py==0.25.1";

/// Folders below `vendor-examples/`.
pub const EXAMPLES: &[&str] = &["acme-c", "acme-python"];

/// Installs what is missing: Debian's clang and wasi-libc, componentize-py.
pub fn set_up(root: &Path) -> Result<()> {
    let libc = Path::new("/usr/lib/wasm32-wasi/libc.a").is_file();
    if !found("clang-19") || !found("wasm-ld-19") || !libc || !has_builtins()? {
        set_up::apt_install(C_TOOLS)?;
    }
    if found(root.join(PYTHON).join("bin/componentize-py")) {
        return Ok(());
    }
    set_up::pip_install(root, PYTHON, COMPONENTIZE_PY)
}

/// The compiler's own library for wasm, which is a package of its own.
fn has_builtins() -> Result<bool> {
    let output = Command::new("clang-19")
        .args(["--target=wasm32-wasi", "--print-libgcc-file-name"])
        .output()
        .context("clang-19 did not start")?;
    Ok(Path::new(String::from_utf8_lossy(&output.stdout).trim()).is_file())
}

/// The components of these examples, `<name>.wasm` in `out_dir`.
pub fn build(root: &Path, out_dir: &Path, names: &[&str]) -> Result<()> {
    let tools = root.join(PYTHON).join("bin");
    for name in names {
        let project = root.join("vendor-examples").join(name);
        let component = out_dir.join(format!("{name}.wasm"));
        let sources = [project.join("src"), project.join("driver.toml")];
        let sdk = ["sdk/cli/src/build", "wit"].map(|folder| root.join(folder));
        if is_newer(&component, sources.into_iter().chain(sdk))? {
            continue;
        }
        polymeter_sdk::build_with(&project, out_dir, Some(&tools))?;
        println!("driver {}", component.strip_prefix(root).unwrap_or(&component).display());
    }
    Ok(())
}

/// Than every file among and below `sources`.
fn is_newer(made: &Path, sources: impl Iterator<Item = PathBuf>) -> Result<bool> {
    let Ok(made) = std::fs::metadata(made).and_then(|metadata| metadata.modified()) else {
        return Ok(false);
    };
    let mut left: Vec<PathBuf> = sources.collect();
    while let Some(path) = left.pop() {
        if path.is_dir() {
            for entry in std::fs::read_dir(&path)? {
                left.push(entry?.path());
            }
        } else if modified(&path)? >= made {
            return Ok(false);
        }
    }
    Ok(true)
}

fn modified(path: &Path) -> Result<SystemTime> {
    std::fs::metadata(path)
        .and_then(|metadata| metadata.modified())
        .with_context(|| format!("looking at {}", path.display()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    #[test]
    fn what_is_older_than_a_source_is_made_again() {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let file = |name: &str, seconds: u64| {
            let path = folder.path().join(name);
            std::fs::create_dir_all(path.parent().expect("a folder")).expect("a folder");
            let file = std::fs::File::create(&path).expect("a file");
            file.set_modified(SystemTime::UNIX_EPOCH + Duration::from_secs(seconds)).expect("time");
            path
        };
        let source = folder.path().join("src");
        file("src/a", 10);
        file("src/deep/b", 20);
        let newer = |made: &Path| is_newer(made, [source.clone()].into_iter()).expect("looked");
        assert!(newer(&file("made", 21)));
        assert!(!newer(&file("made", 20)), "as old as a source");
        assert!(!newer(&file("made", 15)), "older than one deep below");
        assert!(!newer(&folder.path().join("not there")));
    }
}
