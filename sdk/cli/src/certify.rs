//! `test` and `certify`: a built driver in the host's own runtime. The work is in `polymeter-certify`;
//! here are the files it reads and writes.

use crate::project::{Language, Project};
use anyhow::{Context, Result, bail, ensure};
use polymeter_certify::{Choice, Report};
use polymeter_package::SecretKey;
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

/// Certifies the component that `build` has put into `out_dir` and writes both reports beside it,
/// signed where there is a key. The report tells whether it passed.
pub fn certify(
    folder: &Path,
    out_dir: &Path,
    seed: Option<u64>,
    choice: &Choice,
    key: Option<&SecretKey>,
) -> Result<(Report, PathBuf)> {
    let project = Project::open(folder)?;
    let seed = match seed {
        Some(seed) => seed,
        None => random_seed()?,
    };
    println!("seed {seed}");
    let report = polymeter_certify::certify(&built(&project, out_dir)?, seed, choice)?;
    let json = write(&report, out_dir, key)?;
    Ok((report, json))
}

/// The report for machines, the one for people, and the signature of the first; its path.
fn write(report: &Report, out_dir: &Path, key: Option<&SecretKey>) -> Result<PathBuf> {
    let json = out_dir.join(format!("{}-{}.certify.json", report.driver, report.version));
    let signature = json.with_extension("json.minisig");
    let text = report.to_json()?;
    let signed = key.map(|key| sign(report, &text, key)).transpose()?;
    let people = json.with_extension("txt");
    for (path, text) in
        [(&json, Some(text)), (&people, Some(report.to_text())), (&signature, signed)]
    {
        let done = match text {
            Some(text) => std::fs::write(path, text),
            // One of an older report: it would not fit this one.
            None if path.exists() => std::fs::remove_file(path),
            None => Ok(()),
        };
        done.with_context(|| format!("writing {}", path.display()))?;
    }
    Ok(json)
}

fn sign(report: &Report, text: &str, key: &SecretKey) -> Result<String> {
    ensure!(!report.partial, "a part of the cases certifies nothing, and is not signed");
    let comment = format!(
        "certification of {} {}, component sha256 {}, {} cases passed, {} failed",
        report.driver, report.version, report.component, report.passed, report.failed
    );
    Ok(key.sign_text(text, &comment)?)
}

/// Short enough to be typed again.
fn random_seed() -> Result<u64> {
    let mut bytes = [0; 4];
    if getrandom::fill(&mut bytes).is_err() {
        bail!("this machine's random source does not answer: give a --seed");
    }
    Ok(u32::from_be_bytes(bytes).into())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn report(partial: bool) -> Report {
        Report {
            format: 1,
            driver: "acme".to_owned(),
            version: "0.1.0".to_owned(),
            contract: "1.1.0".to_owned(),
            component: "00".repeat(32),
            sdk: "0.1.0".to_owned(),
            seed: 1,
            partial,
            passed: 7,
            failed: 0,
            cases: Vec::new(),
        }
    }

    #[test]
    fn a_report_is_signed_with_the_vendors_key() {
        let folder = tempfile::tempdir().expect("a folder");
        let (text, public) = SecretKey::generate(None).expect("a key");
        let key = SecretKey::parse(&text, None).expect("its own text");
        let json = write(&report(false), folder.path(), Some(&key)).expect("written");
        assert_eq!(json, folder.path().join("acme-0.1.0.certify.json"));
        let read = |path: &Path| std::fs::read_to_string(path).expect("a file");
        let signature = folder.path().join("acme-0.1.0.certify.json.minisig");
        let (said, signed) = (read(&json), read(&signature));
        assert!(public.has_signed(&said, &signed), "{signed}");
        let told = "acme 0.1.0, component sha256 0000";
        assert!(signed.contains(told) && signed.contains("7 cases passed, 0 failed"), "{signed}");
        assert!(!public.has_signed(&said.replace("\"failed\": 0", "\"failed\": 1"), &signed));
        let (_, other) = SecretKey::generate(None).expect("a key");
        assert!(!other.has_signed(&said, &signed));

        // The next report is another text, and an old signature beside it would be wrong.
        write(&report(false), folder.path(), None).expect("written");
        assert!(!signature.exists());
    }

    #[test]
    fn a_part_of_the_cases_is_not_signed() {
        let folder = tempfile::tempdir().expect("a folder");
        let (text, _) = SecretKey::generate(None).expect("a key");
        let key = SecretKey::parse(&text, None).expect("its own text");
        let error = write(&report(true), folder.path(), Some(&key)).expect_err("a part");
        assert!(error.to_string().contains("certifies nothing"), "{error}");
        assert!(write(&report(true), folder.path(), None).is_ok());
    }
}
