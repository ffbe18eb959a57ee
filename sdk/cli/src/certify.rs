//! `test` and `certify`: a built driver in the host's own runtime. The work is in `polymeter-certify`;
//! here are the files it reads and writes.

use crate::project::{Language, Project};
use anyhow::{Context, Result, bail, ensure};
use polymeter_certify::{Choice, Report};
use std::path::{Path, PathBuf};
use std::process::Command;

impl From<&Project> for polymeter_certify::Project {
    fn from(project: &Project) -> Self {
        Self {
            folder: project.folder.clone(),
            target: project.target.clone(),
            manifest: project.manifest.clone(),
            component: Vec::new(),
        }
    }
}

fn built(project: &Project, out_dir: &Path) -> Result<polymeter_certify::Project> {
    let component = project.read_component(out_dir)?;
    Ok(polymeter_certify::Project { component, ..project.into() })
}

/// Plays the project's transcripts: natively where the language can, and against the component. How
/// many were played there.
pub fn test(folder: &Path, out_dir: &Path) -> Result<usize> {
    let project = Project::open(folder)?;
    if project.language == Language::Rust {
        let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
        let mut command = Command::new(cargo);
        let status = command.arg("test").current_dir(&project.folder).status();
        let status = status.context("cargo did not start")?;
        ensure!(status.success(), "cargo test ended with {status}");
    }
    polymeter_certify::test(&built(&project, out_dir)?)
}

/// Certifies the component that `build` has put into `out_dir` and writes both reports beside it. The
/// report tells whether it passed.
pub fn certify(
    folder: &Path,
    out_dir: &Path,
    seed: Option<u64>,
    choice: &Choice,
) -> Result<(Report, PathBuf)> {
    let project = Project::open(folder)?;
    let seed = match seed {
        Some(seed) => seed,
        None => random_seed()?,
    };
    println!("seed {seed}");
    let report = polymeter_certify::certify(&built(&project, out_dir)?, seed, choice)?;
    let json = out_dir.join(format!("{}-{}.certify.json", report.driver, report.version));
    for (path, text) in
        [(&json, report.to_json()?), (&json.with_extension("txt"), report.to_text())]
    {
        std::fs::write(path, text).with_context(|| format!("writing {}", path.display()))?;
    }
    Ok((report, json))
}

/// Short enough to be typed again.
fn random_seed() -> Result<u64> {
    let mut bytes = [0; 4];
    if getrandom::fill(&mut bytes).is_err() {
        bail!("this machine's random source does not answer: give a --seed");
    }
    Ok(u32::from_be_bytes(bytes).into())
}
