//! A command of `polymeter` that has ended, and what a test demands of it.

use anyhow::{Context, Result, ensure};
use std::path::Path;
use std::process::Output;

/// What a command came to.
#[derive(Debug)]
pub struct Ended {
    pub code: Option<i32>,
    pub stdout: String,
    pub stderr: String,
}

impl From<Output> for Ended {
    fn from(output: Output) -> Ended {
        Ended {
            code: output.status.code(),
            stdout: String::from_utf8_lossy(&output.stdout).into_owned(),
            stderr: String::from_utf8_lossy(&output.stderr).into_owned(),
        }
    }
}

impl Ended {
    /// Runs `polymeter` with this configuration, which need not be there.
    pub async fn of(config: &Path, words: &[&str]) -> Result<Ended> {
        let config = config.to_str().context("a path that is text")?;
        Ok(Ended::from(crate::run(["--config", config].iter().chain(words)).await?))
    }
}

/// The exit code, and every text in what was printed: on failure to stderr alone, else to stdout.
pub fn check(words: &[&str], ended: &Ended, code: i32, texts: &[&str]) -> Result<()> {
    let Ended { code: came, stdout, stderr } = ended;
    let told = format!("{words:?} ended {came:?}\nstdout: {stdout}\nstderr: {stderr}");
    ensure!(*came == Some(code), "wanted {code}: {told}");
    ensure!(!stderr.contains("panicked") && !stderr.contains("backtrace"), "a panic: {told}");
    let said = if code == 0 { stdout } else { stderr };
    for text in texts {
        ensure!(said.contains(text), "nothing of `{text}`: {told}");
    }
    Ok(())
}
