//! This repository's own drivers, certified on the simulated fleet's meters, one at a time on standard
//! streams. The components are built by `cargo xtask drivers`, the simulator with the workspace.
//!
//! A fixed number of faults, so that the time is known; `polymeter-sdk certify --project drivers/..`
//! runs all of them.

use polymeter_certify::{Choice, Project, certify};
use polymeter_package::Manifest;
use std::path::Path;

const SEED: u64 = 20_260_302;
const FAULTS: usize = 250;

fn passes(name: &str) {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    let root = root.canonicalize().expect("the workspace");
    let folder = root.join("drivers").join(name);
    let face = folder.join("driver.toml");
    let text = std::fs::read_to_string(&face).expect("driver.toml");
    let manifest = Manifest::parse(&face, &text).expect("a good driver.toml");
    let component = root.join("target/drivers").join(format!("{name}.wasm"));
    let component = std::fs::read(&component)
        .unwrap_or_else(|error| panic!("{}: {error}: cargo xtask drivers", component.display()));
    let project = Project { folder, target: root.join("target"), manifest, component };
    let choice = Choice { only: None, faults: Some(FAULTS) };
    let report = certify(&project, SEED, &choice).expect("the kit runs");
    assert!(report.is_good(), "{}", report.to_text());
    assert!(report.passed > FAULTS, "only {} cases", report.passed);
}

#[test]
fn dlt645_2007() {
    passes("dlt645-2007");
}

#[test]
fn acrel_adf400l() {
    passes("acrel-adf400l");
}
