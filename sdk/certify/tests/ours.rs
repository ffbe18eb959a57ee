//! This repository's own drivers, certified on the simulated fleet's meters, one at a time on standard
//! streams. The simulator is built with the workspace.
//!
//! A fixed number of faults, so that the time is known; `polymeter-sdk certify --project drivers/..`
//! runs all of them.

use polymeter_certify::{Choice, Project, certify};
use polymeter_package::Manifest;

const SEED: u64 = 20_260_302;
const FAULTS: usize = 250;

/// Its answers are so long that there are more faults than are played.
fn passes(name: &str) {
    passes_more_than(name, FAULTS);
}

fn passes_more_than(name: &str, least: usize) {
    let root = guests::root();
    let folder = root.join("drivers").join(name);
    let face = folder.join("driver.toml");
    let text = std::fs::read_to_string(&face).expect("driver.toml");
    let manifest = Manifest::parse(&face, &text).expect("a good driver.toml");
    let component = guests::component(name);
    let project = Project { folder, target: root.join("target"), manifest, component };
    let choice = Choice { only: None, faults: Some(FAULTS) };
    let report = certify(&project, SEED, &choice).expect("the kit runs");
    assert!(report.is_good(), "{}", report.to_text());
    assert!(report.passed > least, "only {} cases", report.passed);
}

#[test]
fn dlt645_2007() {
    passes("dlt645-2007");
}

#[test]
fn dlt645_1997() {
    passes("dlt645-1997");
}

#[test]
fn mbus() {
    // It is only read, and half of its answers are one byte.
    passes_more_than("mbus", 90);
}

#[test]
fn acrel_adf400l() {
    passes("acrel-adf400l");
}

#[test]
fn cjt188_water() {
    passes("cjt188-water");
}

#[test]
fn acrel_dtsy1352() {
    passes_more_than("acrel-dtsy1352", 200);
}

#[test]
fn acrel_adf300() {
    passes_more_than("acrel-adf300", 150);
}

#[test]
fn modbus_generic() {
    passes_more_than("modbus-generic", 150);
}

#[test]
fn dlt698() {
    passes_more_than("dlt698", 200);
}

#[test]
fn dlms() {
    passes("dlms");
}

#[test]
fn dlt645_2007_energy() {
    passes("dlt645-2007-energy");
}
