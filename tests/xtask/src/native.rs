//! Native libraries of the repository, for the system's own C compiler: the vendor's example, and the
//! one that misbehaves on request.
//!
//! Not here: drivers (drivers), vendors' examples that are components (examples).

use crate::run;
use anyhow::Result;
use std::path::{Path, PathBuf};
use std::process::Command;

/// The vendor's example, a folder below `vendor-examples/`.
const EXAMPLE: &str = "rdk-native";
/// A folder below `tests/conformance/` whose function stands in for the example's.
const HOSTILE: &str = "native-hostile";

/// Names as `cargo xtask drivers` takes them.
pub const NAMES: &[&str] = &[EXAMPLE, HOSTILE];

/// `<name>.so` in `out_dir` for each; all warnings are errors.
pub fn build(root: &Path, out_dir: &Path, names: &[&str]) -> Result<()> {
    std::fs::create_dir_all(out_dir)?;
    let sources = root.join("vendor-examples").join(EXAMPLE).join("src");
    for name in names {
        let made = out_dir.join(format!("{name}.so"));
        let mut cc = Command::new("cc");
        cc.args(["-std=gnu11", "-O2", "-fPIC", "-shared", "-Wall", "-Wextra", "-Werror"]);
        cc.arg("-I").arg(&sources).arg("-o").arg(&made);
        cc.args(parts(&sources)?);
        if *name == HOSTILE {
            cc.arg("-DRDKIcard=honest");
            cc.args(parts(&root.join("tests/conformance").join(HOSTILE))?);
        }
        run(&mut cc)?;
        println!("driver {}", made.strip_prefix(root).unwrap_or(&made).display());
    }
    Ok(())
}

/// Every C file of a folder, in the order of their names.
fn parts(folder: &Path) -> Result<Vec<PathBuf>> {
    let mut parts = Vec::new();
    for entry in std::fs::read_dir(folder)? {
        let path = entry?.path();
        if path.extension().is_some_and(|extension| extension == "c") {
            parts.push(path);
        }
    }
    parts.sort();
    Ok(parts)
}
