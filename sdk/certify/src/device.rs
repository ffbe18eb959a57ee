//! A simulated device: how it starts, the program that plays it, and the truth that it tells.
//!
//! Invariant: what the device answers is known to be whole without waiting, because the program tells
//! its state after each answer. Not here: what happens to the answer on the way (wire).

use anyhow::{Context, Result, anyhow, bail};
use nix::fcntl::{FcntlArg, OFlag, fcntl};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::io::{ErrorKind, Read, Write};
use std::path::PathBuf;
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};
use std::time::Duration;
use tokio::io::{AsyncBufReadExt, BufReader, Lines};
use tokio::net::unix::pipe;

/// For a program to start and tell its first state; an interpreter on a busy machine takes seconds.
const START: Duration = Duration::from_secs(60);
/// Lines for the author that are kept, of one case.
const WORDS: usize = 20;

/// A device before a case; the argument of its program.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Start {
    pub address: String,
    pub customer: Option<String>,
    pub count: u32,
    pub balance: u64,
    pub last: u64,
    pub supply: u16,
    pub now: String,
    pub readings: BTreeMap<String, u64>,
    pub parameters: BTreeMap<String, i64>,
    pub keys: BTreeMap<String, String>,
    pub random: u32,
}

/// What is really in the device.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub struct Truth {
    pub customer: Option<String>,
    pub count: u32,
    pub balance: u64,
    pub last: Option<Last>,
    pub supply: u16,
    #[serde(default)]
    pub parameters: BTreeMap<String, i64>,
    pub readings: Option<BTreeMap<String, u64>>,
    pub credit_frames: u64,
}

/// The device's last purchase.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
pub struct Last {
    pub count: u32,
    pub amount: u64,
}

/// How to start simulators.
#[derive(Debug, Clone)]
pub struct Program {
    pub folder: PathBuf,
    pub command: Vec<String>,
}

/// A running simulator; ended when dropped.
#[derive(Debug)]
pub struct Device {
    child: Child,
    wire_in: ChildStdin,
    wire_out: ChildStdout,
    told: Lines<BufReader<pipe::Receiver>>,
    /// The last truth told.
    pub truth: Truth,
    /// Other lines of its standard error.
    pub words: Vec<String>,
    /// Those of the start, for a device whose readings never change.
    readings: BTreeMap<String, u64>,
}

impl Program {
    /// Starts a device and waits for its first state.
    pub async fn start(&self, start: &Start) -> Result<Device> {
        let shown = || format!("the simulator `{}`", self.command.join(" "));
        let (program, arguments) = self.command.split_first().with_context(shown)?;
        // A path with a slash is the project's; a bare name is looked up as usual.
        let program =
            if program.contains('/') { self.folder.join(program) } else { program.into() };
        let mut child = Command::new(program)
            .args(arguments)
            .arg(serde_json::to_string(start)?)
            .current_dir(&self.folder)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .with_context(shown)?;
        let taken = (child.stdin.take(), child.stdout.take(), child.stderr.take());
        let (Some(wire_in), Some(wire_out), Some(told)) = taken else {
            bail!("{} has no pipes", shown());
        };
        fcntl(&wire_out, FcntlArg::F_SETFL(OFlag::O_NONBLOCK))?;
        let told = pipe::Receiver::from_owned_fd(told.into())?;
        let truth = Truth {
            customer: None,
            count: 0,
            balance: 0,
            last: None,
            supply: 0,
            parameters: BTreeMap::new(),
            readings: None,
            credit_frames: 0,
        };
        let told = BufReader::new(told).lines();
        let mut device = Device {
            child,
            wire_in,
            wire_out,
            told,
            truth,
            words: Vec::new(),
            readings: BTreeMap::new(),
        };
        match tokio::time::timeout(START, device.next_truth()).await {
            Ok(told) => told.with_context(shown)?,
            Err(_) => bail!("{} told no state within {START:?} of its start", shown()),
        }
        device.agrees(start).with_context(shown)?;
        device.readings = start.readings.clone();
        device.keep_readings();
        Ok(device)
    }
}

impl Device {
    /// Puts bytes on its wire. A program that has ended hears nothing, which the case will show.
    pub fn hear(&mut self, bytes: &[u8]) {
        let _ = self.wire_in.write_all(bytes).and_then(|()| self.wire_in.flush());
    }

    /// Waits until it has told its state anew: what it answers is then all there. May be dropped
    /// while it waits.
    pub async fn next_truth(&mut self) -> Result<()> {
        loop {
            let line = self.told.next_line().await.context("reading its standard error")?;
            let Some(line) = line else {
                return Err(anyhow!("it ended: {}", self.words.join(" / ")));
            };
            if line.starts_with('{') {
                self.truth = serde_json::from_str(&line).with_context(|| {
                    format!("its state `{line}` is not as docs/device-simulator.md says")
                })?;
                self.keep_readings();
                return Ok(());
            }
            if self.words.len() < WORDS {
                self.words.push(line);
            }
        }
    }

    fn keep_readings(&mut self) {
        self.truth.readings.get_or_insert_with(|| self.readings.clone());
    }

    /// What it has put on its wire since the last time.
    pub fn said(&mut self) -> Result<Vec<u8>> {
        let mut bytes = Vec::new();
        let mut buffer = [0; 1024];
        loop {
            match self.wire_out.read(&mut buffer) {
                Ok(0) => return Ok(bytes),
                Ok(length) => bytes.extend(buffer.iter().take(length)),
                Err(error) if error.kind() == ErrorKind::WouldBlock => return Ok(bytes),
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) => return Err(error).context("reading the simulator's wire"),
            }
        }
    }

    /// A simulator that does not take its start over would let a driver's guesses pass.
    fn agrees(&self, start: &Start) -> Result<()> {
        let truth = &self.truth;
        // Without an account the device itself may keep its supply open.
        let supply = if start.customer.is_some() { start.supply } else { truth.supply };
        let told = (truth.count, truth.balance, truth.supply, truth.credit_frames);
        if told != (start.count, start.balance, supply, 0) {
            bail!(
                "it was started with count {}, balance {}, supply {} and no credit frame, and tells \
                 {told:?}",
                start.count,
                start.balance,
                start.supply
            );
        }
        let last = truth.last.map_or((0, 0), |last| (last.count, last.amount));
        if last != (start.count, start.last) {
            bail!(
                "it was started with purchase {} of {}, and tells {last:?}",
                start.count,
                start.last
            );
        }
        let kept = |(name, value): (&String, &i64)| truth.parameters.get(name) == Some(value);
        if !start.parameters.iter().all(kept) {
            bail!(
                "it was started with parameters {:?}, and tells {:?}",
                start.parameters,
                truth.parameters
            );
        }
        Ok(())
    }
}

impl Drop for Device {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
