//! The contract in `wit/`: released folders stay as they are, to the byte, and each newer one is what
//! a driver of the older one can go on working with.
//!
//! Invariant: a folder named in `wit/FROZEN` never changes again. Compatible means what wasmtime's
//! linker makes of it: names match by semver, types must be equal, so the world `meter-driver` may
//! import more than it did and must export exactly what it did; abilities that came later are worlds
//! of their own. Not here: what the functions mean (docs/contract.md).

use anyhow::{Context, Result, ensure};
use sha2::{Digest, Sha256};
use std::collections::BTreeMap;
use std::path::Path;
use wit_parser::{Resolve, WorldId};

/// Lines as `sha256sum` writes and checks them: `cd wit && sha256sum --check FROZEN`.
const FROZEN: &str = "FROZEN";
/// The world that a driver of any version has.
const WORLD: &str = "meter-driver";

/// What is wrong with the contract in `root/wit`, a sentence each.
pub fn complaints(root: &Path) -> Result<Vec<String>> {
    let wit = root.join("wit");
    let versions = versions(&wit)?;
    let mut complaints = frozen_complaints(&wit, &versions)?;
    for (older, newer) in versions.iter().zip(versions.iter().skip(1)) {
        if let Err(why) = compatible(&wit.join(older), &wit.join(newer)) {
            complaints.push(format!(
                "wit/{newer}: a driver built for {older} could not go on working: {why:#}: put what is \
                 new into a new interface, or into a new world"
            ));
        }
    }
    Ok(complaints)
}

/// The folders, oldest first.
fn versions(wit: &Path) -> Result<Vec<String>> {
    let mut versions = Vec::new();
    for entry in std::fs::read_dir(wit).with_context(|| format!("reading {}", wit.display()))? {
        let entry = entry?;
        if entry.file_type()?.is_dir() {
            let name = entry.file_name().into_string().ok().context("a folder that is no text")?;
            let numbers: Vec<u32> = name
                .split('.')
                .map(|part| part.parse().with_context(|| format!("wit/{name} is no version")))
                .collect::<Result<_>>()?;
            versions.push((numbers, name));
        }
    }
    versions.sort();
    Ok(versions.into_iter().map(|(_, name)| name).collect())
}

/// Every file of a frozen folder is there, equal to the byte, and none was added.
fn frozen_complaints(wit: &Path, versions: &[String]) -> Result<Vec<String>> {
    let list = std::fs::read_to_string(wit.join(FROZEN)).context("reading wit/FROZEN")?;
    let mut frozen: BTreeMap<String, &str> = BTreeMap::new();
    for line in list.lines() {
        let (hash, path) =
            line.split_once("  ").context("wit/FROZEN: not as sha256sum writes it")?;
        frozen.insert(path.to_owned(), hash);
    }
    let is_frozen =
        |version: &str| frozen.keys().any(|path| path.starts_with(&format!("{version}/")));
    let mut complaints = Vec::new();
    // Only the newest may still be in the making.
    for version in versions.iter().rev().skip(1).filter(|version| !is_frozen(version)) {
        complaints.push(format!("wit/FROZEN: does not name wit/{version}, which has a successor"));
    }
    let mut found = BTreeMap::new();
    for version in versions.iter().filter(|version| is_frozen(version)) {
        for entry in std::fs::read_dir(wit.join(version))? {
            let entry = entry?;
            let path = format!("{version}/{}", entry.file_name().to_string_lossy());
            let hash = hex::encode(Sha256::digest(std::fs::read(entry.path())?));
            found.insert(path, hash);
        }
    }
    for (path, hash) in &found {
        match frozen.get(path) {
            None => complaints.push(format!("wit/{path}: was added to a frozen folder")),
            Some(known) if *known != hash => {
                complaints.push(format!("wit/{path}: was changed, but its folder is frozen"));
            }
            Some(_) => {}
        }
    }
    let gone = frozen.keys().filter(|path| !found.contains_key(*path));
    complaints.extend(gone.map(|path| format!("wit/{path}: is gone, but its folder is frozen")));
    Ok(complaints)
}

/// Whether a driver of the world in `older` can be bound as one of the world in `newer`.
fn compatible(older: &Path, newer: &Path) -> Result<()> {
    let mut resolve = Resolve::new();
    let old_world = world(&mut resolve, older)?;
    let new_world = world(&mut resolve, newer)?;
    let exports = |world: WorldId| {
        let keys = resolve.worlds[world].exports.keys();
        keys.map(|key| without_version(&resolve.name_world_key(key))).collect::<Vec<String>>()
    };
    let (mut old, mut new) = (exports(old_world), exports(new_world));
    old.sort();
    new.sort();
    // The check below allows fewer exports; a host that no longer asks for one would drop an ability.
    ensure!(old == new, "world {WORLD} exports {new:?} instead of {old:?}");
    wit_component::semver_check(resolve, old_world, new_world)
}

fn world(resolve: &mut Resolve, folder: &Path) -> Result<WorldId> {
    let (package, _) =
        resolve.push_dir(folder).with_context(|| format!("reading {}", folder.display()))?;
    resolve.select_world(&[package], Some(WORLD))
}

fn without_version(name: &str) -> String {
    name.split('@').next().unwrap_or(name).to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;

    /// A copy of the real folders, with `to` in place of `from` in one file.
    fn changed(file: &str, from: &str, to: &str) -> tempfile::TempDir {
        let copy = tempfile::tempdir().expect("a folder");
        let real = crate::root().join("wit");
        let wit = copy.path().join("wit");
        fs::create_dir(&wit).expect("made");
        fs::copy(real.join(FROZEN), wit.join(FROZEN)).expect("copied");
        for version in versions(&real).expect("folders") {
            fs::create_dir(wit.join(&version)).expect("made");
            for entry in fs::read_dir(real.join(&version)).expect("a folder") {
                let entry = entry.expect("an entry");
                fs::copy(entry.path(), wit.join(&version).join(entry.file_name())).expect("copied");
            }
        }
        let path = wit.join(file);
        let text = fs::read_to_string(&path).expect("text");
        assert!(text.contains(from), "{file} has no `{from}`");
        fs::write(path, text.replacen(from, to, 1)).expect("written");
        copy
    }

    #[track_caller]
    fn check(file: &str, from: &str, to: &str, expected: Option<&str>) {
        let copy = changed(file, from, to);
        let complaints = complaints(copy.path()).expect("readable");
        match (expected, complaints.as_slice()) {
            (None, []) => {}
            (Some(part), [complaint]) => assert!(complaint.contains(part), "{complaint}"),
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn a_frozen_folder_is_frozen_to_the_byte() {
        let host = "1.0.0/host.wit";
        check(host, "half-duplex", "half-duplex ", Some("wit/1.0.0/host.wit: was changed, but"));
        let copy = changed(host, "half-duplex", "half-duplex");
        let wit = copy.path().join("wit");
        fs::write(wit.join("1.0.0/more.wit"), "package polymeter:driver@1.0.0;\n")
            .expect("written");
        fs::remove_file(wit.join("1.0.0/types.wit")).expect("removed");
        let found = frozen_complaints(&wit, &["1.0.0".to_owned()]).expect("readable");
        assert_eq!(
            found,
            [
                "wit/1.0.0/more.wit: was added to a frozen folder",
                "wit/1.0.0/types.wit: is gone, but its folder is frozen",
            ]
        );
        fs::write(wit.join(FROZEN), "").expect("written");
        let found = frozen_complaints(&wit, &["1.0.0".to_owned(), "1.1.0".to_owned()]);
        assert_eq!(
            found.expect("readable"),
            ["wit/FROZEN: does not name wit/1.0.0, which has a successor"]
        );
    }

    #[test]
    fn a_change_that_breaks_old_drivers_is_refused() {
        let broken = Some("a driver built for 1.0.0 could not go on working");
        for (file, from, to) in [
            // A field more, a field less, another type, a case more: values have no subtypes.
            (
                "types.wit",
                "count: u32,\n        credit: credit,",
                "count: u32,\n        credit: credit,\n        more: option<u32>,",
            ),
            ("types.wit", "        scale: s8,\n", ""),
            ("types.wit", "amount: u64", "amount: s64"),
            (
                "types.wit",
                "        unknown(string),\n",
                "        unknown(string),\n        later(string),\n",
            ),
            ("host.wit", "trace, debug,", "trace, fine, debug,"),
            // A function that old drivers call is gone or other; one that they cannot have is asked.
            ("host.wit", "    drain: func() -> result<u32, line-error>;\n", ""),
            ("host.wit", "receive: func(want: u32)", "receive: func(want: u32, wait-ms: u32)"),
            (
                "meter-driver.wit",
                "probe: func(call: call)",
                "touch: func(call: call);\n    probe: func(call: call)",
            ),
            (
                "meter-driver.wit",
                "decode: func(frame: list<u8>)",
                "decode: func(frame: list<u8>, hint: string)",
            ),
            // The world itself.
            ("meter-driver.wit", "    import vault;\n", ""),
            ("meter-driver.wit", "    export frames;\n", ""),
            ("meter-driver.wit", "    export frames;\n", "    export frames;\n    export bus;\n"),
        ] {
            check(&format!("1.1.0/{file}"), from, to, broken);
        }
    }

    #[test]
    fn a_change_that_old_drivers_never_meet_is_fine() {
        for (file, from, to) in [
            ("host.wit", "drain: func()", "pause: func();\n    drain: func()"),
            ("meter-driver.wit", "    import log;\n", "    import log;\n    import line-two;\n"),
            ("types.wit", "5 the device says no", "5 the device says no indeed"),
            (
                "bus.wit",
                "        model: string,\n",
                "        model: string,\n        maker: string,\n",
            ),
        ] {
            if to.contains("line-two") {
                let copy = changed(&format!("1.1.0/{file}"), from, to);
                let more =
                    "package polymeter:driver@1.1.0;\ninterface line-two { ping: func(); }\n";
                fs::write(copy.path().join("wit/1.1.0/more.wit"), more).expect("written");
                assert_eq!(complaints(copy.path()).expect("readable"), Vec::<String>::new());
            } else {
                check(&format!("1.1.0/{file}"), from, to, None);
            }
        }
    }
}
