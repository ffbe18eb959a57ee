//! A driver's face, `driver.toml`, held against the component that was built: what it says it imports
//! is what it imports. Not here: signatures and packages; the rest of the file is for people.

use anyhow::{Context, Result, ensure};
use serde::Deserialize;
use std::collections::BTreeSet;
use std::path::Path;
use wit_component::DecodedWasm;

/// Every key, so that a misspelt one is refused.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
#[expect(dead_code, reason = "the rest is for people and for packages")]
struct Face {
    name: String,
    vendor: toml::Value,
    models: Vec<String>,
    version: String,
    contract: String,
    imports: BTreeSet<String>,
    keys: Option<toml::Value>,
    proof: Option<toml::Value>,
    purse: Option<toml::Value>,
    limits: Option<toml::Value>,
    parameters: Option<toml::Value>,
    errors: Option<toml::Value>,
    build: Option<toml::Value>,
    certify: Option<toml::Value>,
}

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
    let text =
        std::fs::read_to_string(path).with_context(|| format!("reading {}", path.display()))?;
    let face: Face = toml::from_str(&text).with_context(|| format!("in {}", path.display()))?;
    let wanted: BTreeSet<String> = face
        .imports
        .iter()
        .map(|import| format!("polymeter:driver/{import}@{}", face.contract))
        .collect();
    ensure!(
        found == wanted,
        "{}: imports and contract say {wanted:?}, the component imports {found:?}",
        path.display()
    );
    Ok(())
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
            "name = \"x\"\nvendor = \"X\"\nmodels = []\nversion = \"1\"\ncontract = \"1.0.0\"\nimports = [{imports}]\n{more}"
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
        check_face("", "import = []\n", Err("unknown field `import`"));
    }
}
