//! Packages of PyPI that decode frames, in processes of their own.
//!
//! Invariant: a peer that is not there is said to be missing. It is told frames on standard input and a
//! count, decodes so many of them in turn, and prints the seconds that the decoding alone took; and once
//! before, which of them it takes at all.

use anyhow::{Context, Result, ensure};
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;
use tokio::io::AsyncWriteExt;
use tokio::process::Command;

#[derive(Debug, Clone, Copy)]
pub enum Peer {
    MeterBus,
    Dlt645,
}

/// A peer that is there, and the frames that it takes.
pub struct Running {
    python: PathBuf,
    script: PathBuf,
    library: &'static str,
    frames: Vec<Vec<u8>>,
}

impl Peer {
    /// `None`: its package is not installed here.
    pub async fn start(self, root: &Path, frames: &[Vec<u8>]) -> Result<Option<Running>> {
        let (environment, library) = match self {
            Peer::MeterBus => ("target/peer-mbus", "meterbus"),
            Peer::Dlt645 => ("target/peer-dlt645", "dlt645"),
        };
        let python = root.join(environment).join("bin/python");
        let import = format!("import {library}");
        let imported = Command::new(&python).args(["-c", import.as_str()]).output().await;
        if !imported.is_ok_and(|output| output.status.success()) {
            return Ok(None);
        }
        let script = root.join("tests/bench/peers/decode.py");
        let mut running = Running { python, script, library, frames: frames.to_vec() };
        let taken = running.ask(0).await?;
        let taken: Vec<bool> = taken.chars().map(|sign| sign == '1').collect();
        ensure!(taken.len() == frames.len(), "{library} said of {} frames", taken.len());
        let each = frames.iter().zip(taken).filter(|(_, taken)| *taken);
        running.frames = each.map(|(frame, _)| frame.clone()).collect();
        ensure!(!running.frames.is_empty(), "{library} takes none of the frames");
        Ok(Some(running))
    }
}

impl Running {
    pub fn frames(&self) -> &[Vec<u8>] {
        &self.frames
    }

    /// For one frame.
    pub async fn time(&self, frames: u32) -> Result<Duration> {
        let text = self.ask(frames).await?;
        let seconds: f64 = text.parse().with_context(|| format!("{}: `{text}`", self.library))?;
        Ok(Duration::from_secs_f64(seconds) / frames)
    }

    async fn ask(&self, count: u32) -> Result<String> {
        let mut child = Command::new(&self.python)
            .arg(&self.script)
            .args([self.library.to_owned(), count.to_string()])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .with_context(|| format!("starting {}", self.python.display()))?;
        let lines: Vec<String> = self.frames.iter().map(hex::encode).collect();
        let mut input = child.stdin.take().context("a pipe")?;
        // It reads all before it says anything.
        input.write_all((lines.join("\n") + "\n").as_bytes()).await?;
        drop(input);
        let output = child.wait_with_output().await?;
        ensure!(output.status.success(), "{} failed", self.library);
        Ok(String::from_utf8(output.stdout)?.trim().to_owned())
    }
}
