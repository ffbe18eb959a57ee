//! A driver project on disk: its driver.toml, its language, where things lie.
//!
//! Not here: how each language is built (`build`).

use anyhow::{Context, Result, bail};
use polymeter_package::Manifest;
use std::path::{Path, PathBuf};

/// The name of the file that makes a folder a driver project.
pub const FACE: &str = "driver.toml";

/// What a driver is written in: `[build] language` of driver.toml, Rust where it says nothing.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub enum Language {
    /// `rust`: a library crate, built for wasm32-unknown-unknown.
    Rust,
    /// `c`: built with clang and wasi-libc.
    C,
    /// `python`: built with componentize-py.
    Python,
    /// `data`: no code at all, a `driver.toml` put into another driver's component (ADR 0034). There is
    /// nothing to begin with but that file, so `new` does not offer it.
    #[value(skip)]
    Data,
}

impl Language {
    /// As driver.toml and the command line have it.
    pub fn name(self) -> &'static str {
        match self {
            Language::Rust => "rust",
            Language::C => "c",
            Language::Python => "python",
            Language::Data => "data",
        }
    }

    fn of(manifest: &Manifest) -> Result<Language> {
        match manifest.build.get("language").and_then(toml::Value::as_str) {
            None if !manifest.build.contains_key("language") => Ok(Language::Rust),
            Some("rust") => Ok(Language::Rust),
            Some("c") => Ok(Language::C),
            Some("python") => Ok(Language::Python),
            Some("data") => Ok(Language::Data),
            _ => bail!("[build] language must be \"rust\", \"c\", \"python\" or \"data\""),
        }
    }
}

/// An opened project.
#[derive(Debug, Clone)]
pub struct Project {
    /// Absolute.
    pub folder: PathBuf,
    /// What driver.toml says.
    pub manifest: Manifest,
    /// What the driver is written in.
    pub language: Language,
    /// Cargo's target folder, where the project stands in a workspace of it, else `target` in the project.
    pub target: PathBuf,
}

impl Project {
    /// The project in `folder`.
    pub fn open(folder: &Path) -> Result<Project> {
        let folder = folder
            .canonicalize()
            .with_context(|| format!("there is no folder {}", folder.display()))?;
        let path = folder.join(FACE);
        let text = std::fs::read_to_string(&path).with_context(|| {
            format!(
                "reading {}: a driver project has a {FACE}; `polymeter-sdk new NAME` makes one",
                path.display()
            )
        })?;
        let manifest = Manifest::parse(&path, &text)?;
        let language = Language::of(&manifest).with_context(|| format!("in {}", path.display()))?;
        let mut metadata = cargo_metadata::MetadataCommand::new();
        let target = match metadata.current_dir(&folder).no_deps().exec() {
            Ok(metadata) => metadata.target_directory.into_std_path_buf(),
            Err(error) if language == Language::Rust => return Err(error.into()),
            Err(_) => folder.join("target"),
        };
        Ok(Project { folder, manifest, language, target })
    }

    /// The component that `build` has put into `out_dir`.
    pub fn read_component(&self, out_dir: &Path) -> Result<Vec<u8>> {
        let path = out_dir.join(format!("{}.wasm", self.manifest.name));
        std::fs::read(&path).with_context(|| {
            format!("reading {}: build the driver first, with polymeter-sdk build", path.display())
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_driver_of_data_alone_has_the_target_folder_of_its_workspace() {
        let workspace = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..").canonicalize();
        let workspace = workspace.expect("the workspace");
        let target = |name: &str| {
            let project = Project::open(&workspace.join("drivers").join(name));
            project.expect("a project").target
        };
        assert_eq!(target("acrel-adf300"), target("acrel-dtsy1352"));
        assert!(!target("acrel-adf300").starts_with(workspace.join("drivers")));
    }
}
