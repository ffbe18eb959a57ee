//! Drivers in Python: `componentize-py` from PyPI makes the component, the interpreter included.
//!
//! Invariant: WASI is stubbed, so that nothing of it is imported; a module that uses it traps.

use super::{Project, run, wit};
use anyhow::{Context, Result, ensure};
use std::path::{Path, PathBuf};
use std::process::Command;

const TOOL: &str = "componentize-py";
const INSTALL: &str = "drivers in Python need componentize-py from PyPI: \
                       python3 -m venv .venv && .venv/bin/pip install componentize-py==0.25.1";
/// The module that has the classes of the world: `src/driver.py`.
const MODULE: &str = "driver";
const SDK: &str = include_str!("python/polymeter.py");
const LICENCES: &str = include_str!("python/licences.py");

pub fn build(project: &Project, tools: Option<&Path>) -> Result<Vec<u8>> {
    let main = project.source().join(MODULE).with_extension("py");
    ensure!(main.is_file(), "there is no {}", main.display());
    let folder = wit::with_named_imports(project)?;
    let helpers = project.scratch_file("python/polymeter.py", SDK.as_bytes())?;
    let component = project.scratch.join("driver.wasm");
    let program = program(project, tools)?;
    let mut tool = Command::new(&program);
    tool.arg("--wit-path").arg(folder).arg("--world").arg(wit::WORLD).arg("componentize");
    tool.arg("--stub-wasi").arg("--python-path").arg(project.source());
    if let Some(helpers) = helpers.parent() {
        tool.arg("--python-path").arg(helpers);
    }
    // Else the tool looks for packages of the person who builds, and puts what it finds in.
    tool.env_remove("VIRTUAL_ENV").env("PYTHONDONTWRITEBYTECODE", "1");
    tool.arg("--output").arg(&component).arg(MODULE);
    run(&mut tool, INSTALL)?;
    // In an environment the tool's interpreter stands beside it.
    let beside = program.with_file_name("python3");
    let python = if beside.is_file() { beside } else { PathBuf::from("python3") };
    let folder = project.scratch.join("licences");
    run(Command::new(python).args(["-c", LICENCES]).arg(folder), INSTALL)?;
    std::fs::read(&component).with_context(|| format!("reading {}", component.display()))
}

/// The one that was asked for, else that of the project's own environment, else the one on the PATH.
fn program(project: &Project, tools: Option<&Path>) -> Result<PathBuf> {
    let own = project.folder.join(".venv/bin");
    let path = std::env::var_os("PATH").unwrap_or_default();
    let folders = tools.into_iter().map(Path::to_path_buf).chain([own]);
    let mut programs = folders.chain(std::env::split_paths(&path)).map(|folder| folder.join(TOOL));
    programs.find(|path| path.is_file()).with_context(|| format!("{TOOL} is not there: {INSTALL}"))
}

#[cfg(test)]
mod tests {
    use std::process::Command;

    #[test]
    fn a_bug_in_a_driver_is_logged_before_it_traps() {
        let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/src/build/python");
        let output = Command::new("python3")
            .args(["-B", "test_polymeter.py"])
            .current_dir(folder)
            .output()
            .expect("python3 starts");
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    }
}
