//! The programs beside us: tokio-modbus in this process, libmodbus and pymodbus in processes of
//! their own, where their packages are installed.
//!
//! Invariant: a peer that is not there is said to be missing, never left out silently. A foreign
//! process is told links and reads on its command line for each share of a round, connects first,
//! and prints the seconds that the reads alone took.

use super::BLOCK;
use anyhow::{Context, Result, bail, ensure};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};
use tokio::process::Command;
use tokio::sync::Mutex;
use tokio::task::JoinSet;
use tokio_modbus::client::Context as Client;
use tokio_modbus::prelude::{Reader, Slave};

#[derive(Debug, Clone, Copy)]
pub enum Peer {
    TokioModbus,
    Libmodbus,
    Pymodbus,
}

/// A peer that is there and connected, or ready to be started.
pub enum Running {
    TokioModbus(Mutex<Vec<Client>>),
    Process { program: PathBuf, arguments: Vec<String>, links: usize },
}

impl Peer {
    /// `None`: its package is not installed here.
    pub async fn start(
        self,
        root: &Path,
        address: SocketAddr,
        links: usize,
    ) -> Result<Option<Running>> {
        let (ip, port) = (address.ip().to_string(), address.port().to_string());
        Ok(match self {
            Peer::TokioModbus => {
                let mut clients = Vec::new();
                for _ in 0..links {
                    let stream = tokio::net::TcpStream::connect(address).await?;
                    stream.set_nodelay(true)?;
                    clients.push(tokio_modbus::client::rtu::attach_slave(stream, Slave(1)));
                }
                Some(Running::TokioModbus(Mutex::new(clients)))
            }
            Peer::Libmodbus => libmodbus(root).await?.map(|program| Running::Process {
                program,
                arguments: vec![ip, port],
                links,
            }),
            Peer::Pymodbus => pymodbus(root).await.map(|program| {
                let script = root.join("tests/bench/peers/pymodbus_poll.py");
                let arguments = vec![script.display().to_string(), ip, port];
                Running::Process { program, arguments, links }
            }),
        })
    }
}

impl Running {
    pub async fn poll(&self, reads: u32) -> Result<Duration> {
        match self {
            Running::TokioModbus(clients) => {
                let mut clients = clients.lock().await;
                let each = reads / u32::try_from(clients.len())?;
                let begun = Instant::now();
                let mut links = JoinSet::new();
                for mut client in clients.drain(..) {
                    links.spawn(async move {
                        for _ in 0..each {
                            let words = client.read_holding_registers(BLOCK.0, BLOCK.1).await??;
                            std::hint::black_box(words);
                        }
                        anyhow::Ok(client)
                    });
                }
                while let Some(link) = links.join_next().await {
                    clients.push(link??);
                }
                Ok(begun.elapsed() / reads)
            }
            Running::Process { program, arguments, links } => {
                let each = reads / u32::try_from(*links)?;
                let output = Command::new(program)
                    .args(arguments)
                    .args([links.to_string(), each.to_string()])
                    .args([BLOCK.0.to_string(), BLOCK.1.to_string()])
                    .output()
                    .await
                    .with_context(|| format!("starting {}", program.display()))?;
                let text = String::from_utf8_lossy(&output.stdout);
                if !output.status.success() {
                    bail!("{}: {}", program.display(), String::from_utf8_lossy(&output.stderr));
                }
                let seconds: f64 = text.trim().parse().with_context(|| format!("`{text}`"))?;
                Ok(Duration::from_secs_f64(seconds) / reads)
            }
        }
    }
}

/// Compiles our small program against the installed library; `None` where its headers are missing.
async fn libmodbus(root: &Path) -> Result<Option<PathBuf>> {
    let flags = Command::new("pkg-config").args(["--cflags", "--libs", "libmodbus"]).output().await;
    let Ok(flags) = flags else { return Ok(None) };
    if !flags.status.success() {
        return Ok(None);
    }
    let program = root.join("target/bench-libmodbus");
    let status = Command::new("cc")
        .args(["-O2", "-pthread", "-o"])
        .arg(&program)
        .arg(root.join("tests/bench/peers/libmodbus_poll.c"))
        .args(String::from_utf8(flags.stdout)?.split_whitespace())
        .status()
        .await
        .context("starting cc")?;
    ensure!(status.success(), "cc could not build the poller of libmodbus");
    Ok(Some(program))
}

/// The Python that has it: the one that `cargo xtask bench` set up, else the system's.
async fn pymodbus(root: &Path) -> Option<PathBuf> {
    for python in [root.join("target/bench-python/bin/python"), PathBuf::from("python3")] {
        let imported = Command::new(&python).args(["-c", "import pymodbus"]).output().await;
        if imported.is_ok_and(|output| output.status.success()) {
            return Some(python);
        }
    }
    None
}
