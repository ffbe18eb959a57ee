//! Components for tests, fresh from their sources, and what stands on a page of the documents.
//!
//! Invariant: every test gets its components through `cargo xtask drivers`, whose program does
//! without the engine: built with features of its own it would compile the engine a second time.
//! As a process, because no crate of the host may depend on the SDK.
//!
//! Not here: packages and programs, which end-to-end tests take from `cargo xtask test`.

pub mod page;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::{Mutex, PoisonError};

/// What this process has built already.
static BUILT: Mutex<BTreeMap<String, Vec<u8>>> = Mutex::new(BTreeMap::new());

/// The workspace's root.
pub fn root() -> PathBuf {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    root.canonicalize().expect("the workspace is there")
}

/// The component of the driver in the folder of that name, below `drivers`, `tests/conformance` or,
/// for other languages than Rust, `vendor-examples`.
/// Built at the first call of a process; cargo knows whether there is anything to do.
pub fn component(name: &str) -> Vec<u8> {
    // A build that failed fails the test that asked; the next one tries again and says it too.
    let mut built = BUILT.lock().unwrap_or_else(PoisonError::into_inner);
    built.entry(name.to_owned()).or_insert_with(|| build(name)).clone()
}

fn build(name: &str) -> Vec<u8> {
    let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let mut command = Command::new(cargo);
    let command = command.args(["xtask", "drivers", name]).current_dir(root());
    let output = command.output().expect("cargo starts");
    assert!(
        output.status.success(),
        "cargo xtask drivers {name}:\n{}",
        String::from_utf8_lossy(&output.stderr)
    );
    let path = root().join("target/drivers").join(name).with_extension("wasm");
    std::fs::read(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}
