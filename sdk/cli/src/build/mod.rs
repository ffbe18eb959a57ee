//! From a driver project to a component, in the language that its `driver.toml` names.
//!
//! Invariant: what comes out imports the interfaces of `polymeter:driver` that its `driver.toml` names,
//! and nothing else; anything more (WASI above all) is an error here, long before a host refuses it.
//! Not here: packaging and signing.

mod c;
mod data;
mod python;
mod rust;
mod wit;

pub use rust::TARGET;

use crate::{contract, face};
use anyhow::{Context, Result, bail, ensure};
use serde::Deserialize;
use std::ffi::OsStr;
use std::path::{Path, PathBuf};
use std::process::Command;
use wit_component::ComponentEncoder;

/// What `driver.toml` says that matters to a build, whatever else it says.
#[derive(Deserialize)]
struct Wanted {
    name: String,
    contract: String,
    #[serde(default)]
    imports: Vec<String>,
    #[serde(default)]
    build: Options,
}

/// Its table `[build]`.
#[derive(Deserialize, Default)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
struct Options {
    #[serde(default)]
    language: Language,
    /// C and Python: the optional interfaces that the driver exports; all of its world if not named.
    abilities: Option<Vec<String>>,
    /// Data: the component, or the package, into which this `driver.toml` is put.
    base: Option<PathBuf>,
    /// C: further arguments of the compiler.
    #[serde(default)]
    flags: Vec<String>,
}

#[derive(Deserialize, Default, Clone, Copy, PartialEq, Eq)]
#[serde(rename_all = "lowercase")]
enum Language {
    #[default]
    Rust,
    C,
    Python,
    Data,
}

/// Where a build leaves the licences of what it linked, from the project's folder. Drivers in Rust have
/// cargo to tell.
pub const LICENCES: &str = "target/build/licences";

/// A project whose language is not Rust.
struct Project {
    folder: PathBuf,
    /// For what is made on the way; emptied at the beginning of a build.
    scratch: PathBuf,
    wanted: Wanted,
}

/// Builds the driver project that `project` names (its folder, its `driver.toml`, or the `Cargo.toml`
/// of one in Rust) and writes its component into `out_dir` as `<driver>.wasm`. Returns the file.
pub fn build(project: &Path, out_dir: &Path) -> Result<PathBuf> {
    build_with(project, out_dir, None)
}

/// The same; programs of other languages are looked for in the folder `tools` first.
pub fn build_with(project: &Path, out_dir: &Path, tools: Option<&Path>) -> Result<PathBuf> {
    let folder = if project.is_dir() { project } else { project.parent().unwrap_or(project) };
    let folder = if folder.as_os_str().is_empty() { Path::new(".") } else { folder };
    let folder = folder
        .canonicalize()
        .with_context(|| format!("there is no driver project at {}", project.display()))?;
    let face = folder.join("driver.toml");
    let wanted = if face.exists() { Some(wanted(&face)?) } else { None };
    let language = wanted.as_ref().map_or(Language::Rust, |wanted| wanted.build.language);
    let (name, component) = match (language, wanted) {
        (Language::Rust, _) | (_, None) => rust::build(&folder.join("Cargo.toml"))?,
        (language, Some(wanted)) => {
            let project = Project::new(folder.clone(), wanted)?;
            let component = match language {
                Language::C => c::build(&project)?,
                Language::Data => data::build(&project, &face)?,
                _ => python::build(&project, tools)?,
            };
            (project.wanted.name, component)
        }
    };
    face::check(&face, &component)?;
    // A component that another driver's build made is sealed already.
    let component =
        if language == Language::Data { component } else { contract::seal(&component)? };
    std::fs::create_dir_all(out_dir).with_context(|| format!("creating {}", out_dir.display()))?;
    let out = out_dir.join(format!("{name}.wasm"));
    std::fs::write(&out, component).with_context(|| format!("writing {}", out.display()))?;
    Ok(out)
}

/// Core module to component. Fails on any import that the module's own WIT does not name.
pub fn encode(module: &[u8]) -> Result<Vec<u8>> {
    ComponentEncoder::default().module(module)?.validate(true).encode()
}

fn wanted(face: &Path) -> Result<Wanted> {
    let text =
        std::fs::read_to_string(face).with_context(|| format!("reading {}", face.display()))?;
    toml::from_str(&text).with_context(|| format!("in {}", face.display()))
}

impl Project {
    fn new(folder: PathBuf, wanted: Wanted) -> Result<Project> {
        let usual = |letter: char| letter.is_ascii_alphanumeric() || letter == '-';
        ensure!(
            !wanted.name.is_empty() && wanted.name.chars().all(usual),
            "driver.toml: `{}` is no name of a driver: letters, digits and hyphens",
            wanted.name
        );
        let scratch = folder.join("target/build");
        if scratch.exists() {
            std::fs::remove_dir_all(&scratch)
                .with_context(|| format!("emptying {}", scratch.display()))?;
        }
        std::fs::create_dir_all(&scratch)
            .with_context(|| format!("creating {}", scratch.display()))?;
        Ok(Project { folder, scratch, wanted })
    }

    fn source(&self) -> PathBuf {
        self.folder.join("src")
    }

    fn scratch_file(&self, name: &str, content: &[u8]) -> Result<PathBuf> {
        let path = self.scratch.join(name);
        if let Some(folder) = path.parent() {
            std::fs::create_dir_all(folder)
                .with_context(|| format!("creating {}", folder.display()))?;
        }
        std::fs::write(&path, content).with_context(|| format!("writing {}", path.display()))?;
        Ok(path)
    }
}

/// Runs a tool of the language and shows what it says only when it fails.
fn run(command: &mut Command, missing: &str) -> Result<()> {
    let name = command.get_program().display().to_string();
    let output = match command.output() {
        Ok(output) => output,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
            bail!("{name} is not there: {missing}")
        }
        Err(error) => return Err(error).with_context(|| format!("{name} did not start")),
    };
    if output.status.success() {
        return Ok(());
    }
    let said = [output.stdout, output.stderr].concat();
    bail!("{name} ended with {}\n{}", output.status, String::from_utf8_lossy(&said).trim_end())
}

/// All files below `folder` with that extension, sorted, so that a build does not depend on the disk.
fn files(folder: &Path, extension: &str) -> Result<Vec<PathBuf>> {
    let mut found = Vec::new();
    let mut folders = vec![folder.to_owned()];
    while let Some(folder) = folders.pop() {
        let entries =
            std::fs::read_dir(&folder).with_context(|| format!("reading {}", folder.display()))?;
        for entry in entries {
            let path = entry?.path();
            if path.is_dir() {
                folders.push(path);
            } else if path.extension() == Some(OsStr::new(extension)) {
                found.push(path);
            }
        }
    }
    found.sort();
    Ok(found)
}
