//! The contract that a component was built for, in a custom section of its own, so that a host can
//! say "built for contract 1.3, this host offers 1.0 to 1.1" before it compiles anything.
//!
//! Invariant: the section is written from the component's own imports and exports, never by hand, so
//! the two cannot disagree. Not here: what a host makes of it (host/runtime).

use anyhow::{Context, Result, bail, ensure};
use std::collections::BTreeSet;
use wasm_encoder::{ComponentSection, CustomSection};
use wit_component::DecodedWasm;

/// The section's name; its content is the version as text, e.g. "1.1.0".
pub const SECTION: &str = "polymeter:contract";
const PACKAGE: &str = "polymeter:driver/";

/// `component` with the section at its end.
pub fn seal(component: &[u8]) -> Result<Vec<u8>> {
    let version = version(component)?;
    let section = CustomSection { name: SECTION.into(), data: version.into_bytes().into() };
    let mut sealed = component.to_vec();
    section.append_to_component(&mut sealed);
    Ok(sealed)
}

/// The one version that every interface of ours carries in this component.
fn version(component: &[u8]) -> Result<String> {
    let DecodedWasm::Component(resolve, world) = wit_component::decode(component)? else {
        bail!("a WIT package is no component");
    };
    let world = &resolve.worlds[world];
    let names = world.imports.keys().chain(world.exports.keys());
    let names: Vec<String> = names.map(|key| resolve.name_world_key(key)).collect();
    let versions: BTreeSet<&str> = names
        .iter()
        .filter_map(|name| name.strip_prefix(PACKAGE))
        .map(|rest| rest.split_once('@').map_or("no version", |(_, version)| version))
        .collect();
    ensure!(
        versions.len() < 2,
        "the component mixes versions of the contract ({}): build it against one folder of wit/",
        versions.into_iter().collect::<Vec<_>>().join(", ")
    );
    let version = versions.into_iter().next().context(
        "the component neither imports nor exports an interface of polymeter:driver: export a world \
         of wit/",
    )?;
    Ok(version.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// An empty component that imports one empty instance under each name.
    fn importing(names: &[&str]) -> Vec<u8> {
        let mut bytes = b"\0asm\x0d\0\x01\0\x07\x03\x01\x42\0".to_vec();
        for name in names {
            let length = u8::try_from(name.len()).expect("short");
            bytes.extend([10, length + 5, 1, 0, length]);
            bytes.extend(name.as_bytes());
            bytes.extend([5, 0]);
        }
        bytes
    }

    #[test]
    fn the_section_says_what_the_imports_say() {
        let names = ["polymeter:driver/line@1.1.0", "polymeter:driver/log@1.1.0"];
        let component = importing(&names);
        let sealed = seal(&component).expect("one version");
        let section = sealed.strip_prefix(component.as_slice()).expect("added at the end");
        assert_eq!(section, b"\0\x18\x12polymeter:contract1.1.0");
        assert_eq!(version(&sealed).expect("still a component"), "1.1.0");
    }

    #[test]
    fn no_version_and_two_versions_are_refused() {
        let check = |names: &[&str], sentence: &str| {
            let error = seal(&importing(names)).expect_err("refused").to_string();
            assert!(error.starts_with(sentence), "{error}");
        };
        check(&["wasi:io/poll@0.2.6"], "the component neither imports nor exports an interface");
        check(
            &["polymeter:driver/line@1.0.0", "polymeter:driver/log@1.1.0"],
            "the component mixes versions of the contract (1.0.0, 1.1.0)",
        );
    }
}
