//! The released contracts, as the tools of other languages want them: folders of WIT with the world
//! that a project's `driver.toml` asks for.
//!
//! Invariant: the texts are those of `wit/`, embedded, so that a vendor needs the SDK and nothing else.

use super::Project;
use anyhow::{Result, bail};
use std::path::PathBuf;

/// The name of the world, whatever it has.
pub const WORLD: &str = "meter-driver";

/// What every driver exports.
const DESCRIBING: &str = "info";
/// What a driver of meters exports too; its abilities come to that.
const METER: &str = "meter";
/// What a driver of cards exports in place of all others.
const CARD: &str = "card";

struct Release {
    contract: &'static str,
    /// File name and text.
    files: &'static [(&'static str, &'static str)],
    imports: &'static [&'static str],
    /// What may stand in `[build] abilities`.
    abilities: &'static [&'static str],
    /// How many of the abilities a driver has whose `driver.toml` does not name them.
    usual: usize,
}

macro_rules! files {
    ($contract:literal, $($name:literal),+) => {
        &[$(($name, include_str!(concat!("../../../../wit/", $contract, "/", $name)))),+]
    };
}

const RELEASES: &[Release] = &[
    Release {
        contract: "1.0.0",
        files: files!("1.0.0", "host.wit", "meter-driver.wit", "types.wit"),
        imports: &["line", "vault", "log"],
        abilities: &["purse", "supply", "settings", "frames"],
        usual: 4,
    },
    Release {
        contract: "1.1.0",
        files: files!(
            "1.1.0",
            "bus.wit",
            "card.wit",
            "clock.wit",
            "entry.wit",
            "host.wit",
            "meter-driver.wit",
            "records.wit",
            "refund.wit",
            "token.wit",
            "types.wit"
        ),
        imports: &["line", "vault", "log", "card-slot"],
        abilities: &[
            "purse", "supply", "settings", "frames", "bus", "refund", "token", "clock", "records",
            "entry", CARD,
        ],
        usual: 4,
    },
];

fn release(project: &Project) -> Result<&'static Release> {
    let contract = &project.wanted.contract;
    let Some(found) = RELEASES.iter().find(|release| release.contract == contract) else {
        let known: Vec<&str> = RELEASES.iter().map(|release| release.contract).collect();
        bail!("driver.toml: contract {contract} is none of this SDK's: {}", known.join(", "))
    };
    Ok(found)
}

/// Imports all that the contract has. For linkers, which leave out what a driver does not use.
pub fn with_all_imports(project: &Project) -> Result<PathBuf> {
    write(project, release(project)?.imports)
}

/// Imports what `driver.toml` names and nothing else. For a language whose components import all
/// that their world has.
pub fn with_named_imports(project: &Project) -> Result<PathBuf> {
    let names: Vec<&str> = project.wanted.imports.iter().map(String::as_str).collect();
    known("imports", &names, release(project)?.imports)?;
    write(project, &names)
}

fn write(project: &Project, imports: &[&str]) -> Result<PathBuf> {
    let release = release(project)?;
    for (name, text) in release.files {
        project.scratch_file(&format!("wit/deps/polymeter/{name}"), text.as_bytes())?;
    }
    let abilities: Vec<&str> = match &project.wanted.build.abilities {
        Some(names) => names.iter().map(String::as_str).collect(),
        None => release.abilities[..release.usual].to_vec(),
    };
    known("[build] abilities", &abilities, release.abilities)?;
    let required = required(&abilities)?;
    let mut world = format!("package vendor:driver;\n\nworld {WORLD} {{\n");
    let imports = imports.iter().map(|name| ("import", name));
    let exports = required.iter().chain(&abilities).map(|name| ("export", name));
    for (verb, interface) in imports.chain(exports) {
        let contract = release.contract;
        world.push_str(&format!("    {verb} polymeter:driver/{interface}@{contract};\n"));
    }
    world.push_str("}\n");
    project.scratch_file("wit/world.wit", world.as_bytes())?;
    Ok(project.scratch.join("wit"))
}

/// A component serves meters or cards; which, is told by its abilities.
fn required(abilities: &[&str]) -> Result<Vec<&'static str>> {
    match abilities {
        [CARD] => Ok(vec![DESCRIBING]),
        several if several.contains(&CARD) => {
            bail!("driver.toml: [build] abilities: a driver of cards has `{CARD}` and no other")
        }
        _ => Ok(vec![DESCRIBING, METER]),
    }
}

fn known(key: &str, names: &[&str], known: &[&str]) -> Result<()> {
    for name in names {
        if !known.contains(name) {
            bail!("driver.toml: {key}: there is no `{name}`; there are: {}", known.join(", "));
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;
    use wit_parser::{Resolve, WorldItem};

    /// Interfaces that the worlds of the folder import or export, and its files.
    #[test]
    fn every_released_folder_is_here_as_it_is() {
        let root = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../../wit");
        let folders = std::fs::read_dir(&root)
            .expect("the contracts")
            .map(|entry| entry.expect("one").path());
        let folders: Vec<PathBuf> = folders.filter(|path| path.is_dir()).collect();
        assert_eq!(
            folders.len(),
            RELEASES.len(),
            "a folder of wit/ without a release, or the other way"
        );
        for release in RELEASES {
            let folder = root.join(release.contract);
            let files: BTreeSet<String> = std::fs::read_dir(&folder)
                .expect("a release")
                .map(|entry| entry.expect("a file").file_name().to_string_lossy().into_owned())
                .collect();
            let embedded: BTreeSet<String> =
                release.files.iter().map(|(name, _)| (*name).to_owned()).collect();
            assert_eq!(files, embedded);

            let mut resolve = Resolve::default();
            resolve.push_dir(&folder).expect("parses");
            let names = |items: Vec<&WorldItem>| -> BTreeSet<String> {
                items
                    .into_iter()
                    .filter_map(|item| match item {
                        WorldItem::Interface { id, .. } => resolve.interfaces[*id].name.clone(),
                        _ => None,
                    })
                    .filter(|name| name != "types")
                    .collect()
            };
            let imports =
                names(resolve.worlds.iter().flat_map(|(_, it)| it.imports.values()).collect());
            let exports =
                names(resolve.worlds.iter().flat_map(|(_, it)| it.exports.values()).collect());
            let owned =
                |names: &[&str]| names.iter().map(|it| (*it).to_owned()).collect::<BTreeSet<_>>();
            assert_eq!(imports, owned(release.imports));
            assert_eq!(exports, owned(&[&[DESCRIBING, METER], release.abilities].concat()));
        }
    }

    #[test]
    fn a_world_is_of_meters_or_of_cards() {
        assert_eq!(required(&["card"]).expect("cards"), ["info"]);
        assert_eq!(required(&["purse"]).expect("meters"), ["info", "meter"]);
        assert_eq!(required(&[]).expect("meters"), ["info", "meter"]);
        let error = required(&["purse", "card"]).expect_err("both").to_string();
        assert!(error.ends_with("a driver of cards has `card` and no other"), "{error}");
    }
}
