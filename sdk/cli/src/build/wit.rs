//! The released contracts, as the tools of other languages want them: folders of WIT.
//!
//! Invariant: the texts are those of `wit/`, embedded, so that a vendor needs the SDK and nothing else.

use super::Project;
use anyhow::{Result, bail};
use std::path::PathBuf;

/// The world of the contract for devices on a line.
pub const WORLD: &str = "meter-driver";

struct Release {
    contract: &'static str,
    /// File name and text.
    files: &'static [(&'static str, &'static str)],
    /// What the world exports.
    exports: &'static [&'static str],
}

macro_rules! release {
    ($contract:literal, $exports:expr) => {
        Release {
            contract: $contract,
            files: &[
                ("host.wit", include_str!(concat!("../../../../wit/", $contract, "/host.wit"))),
                (
                    "meter-driver.wit",
                    include_str!(concat!("../../../../wit/", $contract, "/meter-driver.wit")),
                ),
                ("types.wit", include_str!(concat!("../../../../wit/", $contract, "/types.wit"))),
            ],
            exports: $exports,
        }
    };
}

const RELEASES: &[Release] =
    &[release!("1.0.0", &["info", "meter", "purse", "supply", "settings", "frames"])];

fn release(project: &Project) -> Result<&'static Release> {
    let contract = &project.wanted.contract;
    let Some(found) = RELEASES.iter().find(|release| release.contract == contract) else {
        let known: Vec<&str> = RELEASES.iter().map(|release| release.contract).collect();
        bail!(
            "driver.toml: contract {contract} is not one that this SDK knows for this language: {}",
            known.join(", ")
        )
    };
    Ok(found)
}

/// The contract's own package. Linkers leave out what a driver does not use.
pub fn whole(project: &Project) -> Result<PathBuf> {
    for (name, text) in release(project)?.files {
        project.scratch_file(&format!("wit/{name}"), text.as_bytes())?;
    }
    Ok(project.scratch.join("wit"))
}

/// A world of the same name that imports what driver.toml names and nothing else, for a language
/// whose components import all that their world has.
pub fn narrowed(project: &Project) -> Result<PathBuf> {
    let release = release(project)?;
    let contract = release.contract;
    for (name, text) in release.files {
        project.scratch_file(&format!("wit/deps/polymeter/{name}"), text.as_bytes())?;
    }
    let mut world = format!("package vendor:{};\n\nworld {WORLD} {{\n", project.wanted.name);
    for (verb, interfaces) in [
        ("import", project.wanted.imports.iter().map(String::as_str).collect::<Vec<_>>()),
        ("export", release.exports.to_vec()),
    ] {
        for interface in interfaces {
            world.push_str(&format!("    {verb} polymeter:driver/{interface}@{contract};\n"));
        }
    }
    world.push_str("}\n");
    project.scratch_file("wit/world.wit", world.as_bytes())?;
    Ok(project.scratch.join("wit"))
}
