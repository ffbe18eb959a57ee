//! A component held to its `driver.toml` when it is built: what the file says it imports is what it
//! imports. Not here: what it says of itself, which a host asks it (host/runtime).

use anyhow::{Context, Result, ensure};
use polymeter_package::Manifest;
use std::collections::BTreeSet;
use std::path::Path;
use wit_component::DecodedWasm;

/// Holds `component` to the file at `path`. A guest without one is checked against nothing but the
/// contract's own package.
pub fn check(path: &Path, component: &[u8]) -> Result<()> {
    let found = imports(component)?;
    for import in &found {
        let ours = import.starts_with("polymeter:driver/");
        ensure!(ours, "the component imports {import}, which no driver may");
    }
    if !path.exists() {
        return Ok(());
    }
    let manifest = read(path)?;
    let wanted: BTreeSet<String> = manifest
        .imports
        .iter()
        .map(|import| format!("polymeter:driver/{import}@{}", manifest.contract))
        .collect();
    ensure!(
        found == wanted,
        "{}: imports and contract say {wanted:?}, the component imports {found:?}",
        path.display()
    );
    Ok(())
}

/// Every problem of the file is in the error, with line and fix.
pub fn read(path: &Path) -> Result<Manifest> {
    let text =
        std::fs::read_to_string(path).with_context(|| format!("reading {}", path.display()))?;
    Ok(Manifest::parse(path, &text)?)
}

/// What the component asks of its host. The interface of types asks nothing.
fn imports(component: &[u8]) -> Result<BTreeSet<String>> {
    let DecodedWasm::Component(resolve, world) = wit_component::decode(component)? else {
        anyhow::bail!("a WIT package is no component");
    };
    let names = resolve.worlds[world].imports.keys().map(|key| resolve.name_world_key(key));
    Ok(names.filter(|name| !name.starts_with("polymeter:driver/types@")).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// An empty component: magic, version 13, layer 1. It imports nothing.
    const EMPTY: &[u8] = b"\0asm\x0d\0\x01\0";

    fn check_face(imports: &str, more: &str, expected: Result<(), &str>) {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let path = folder.path().join("driver.toml");
        let text = format!(
            "name = \"x\"\nmodels = []\nversion = \"1.0.0\"\ncontract = \"1.0.0\"\n\
             imports = [{imports}]\nproof = \"none\"\npurse = \"none\"\n{more}\
             [[vendor]]\ncode = \"X\"\nname-en = \"X\"\nname-zh = \"X\"\n"
        );
        std::fs::write(&path, text).expect("a file");
        let outcome = check(&path, EMPTY).map_err(|error| format!("{error:#}"));
        match (outcome, expected) {
            (Ok(()), Ok(())) => {}
            (Err(error), Err(part)) => assert!(error.contains(part), "{error}"),
            (outcome, expected) => panic!("{outcome:?} instead of {expected:?}"),
        }
    }

    #[test]
    fn a_component_is_what_its_face_says() {
        check_face("", "", Ok(()));
        check_face(
            "\"line\"",
            "",
            Err("imports and contract say {\"polymeter:driver/line@1.0.0\"}"),
        );
        check_face(
            "",
            "import = []\n",
            Err("driver.toml:8: unknown key `import`; did you mean `imports`?"),
        );
    }
}
