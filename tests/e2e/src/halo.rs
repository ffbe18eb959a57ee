//! A HALO-1 meter behind a gateway: the simulator of the vendor's example on a TCP line, as
//! docs/device-simulator.md describes it.
//!
//! Not here: the fleet of the product's own drivers (meter-sim).

use crate::root;
use anyhow::{Context, Result};
use serde_json::{Value, json};
use std::process::Stdio;
use std::sync::{Arc, Mutex, PoisonError};
use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::{TcpListener, TcpStream};
use tokio::process::{Child, ChildStdin, ChildStdout, Command};

/// The meter, on its line until it is dropped.
#[derive(Debug)]
pub struct Halo {
    /// "127.0.0.1:4001".
    pub gateway: String,
    truth: Arc<Mutex<Value>>,
    _simulator: Child,
}

impl Halo {
    /// A meter with no account; `key` is its sale key in hexadecimal digits.
    pub async fn start(address: &str, key: &str) -> Result<Halo> {
        let start = json!({
            "address": address, "customer": null, "count": 0, "balance": 0, "last": 0, "supply": 2,
            "readings": { "1.0.1.8.0.255": 1_234_567 }, "keys": { "sale": key },
        });
        let mut simulator = Command::new("python3")
            .arg("simulator.py")
            .arg(start.to_string())
            .current_dir(root().join("vendor-examples/acme-python"))
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .kill_on_drop(true)
            .spawn()
            .context("python3")?;
        let hears = simulator.stdin.take().context("no stdin")?;
        let says = simulator.stdout.take().context("no stdout")?;
        let told = simulator.stderr.take().context("no stderr")?;
        let truth = Arc::new(Mutex::new(Value::Null));
        let newest = Arc::clone(&truth);
        tokio::spawn(async move {
            let mut lines = BufReader::new(told).lines();
            while let Ok(Some(line)) = lines.next_line().await {
                let said = serde_json::from_str(&line).unwrap_or(Value::String(line));
                *newest.lock().unwrap_or_else(PoisonError::into_inner) = said;
            }
        });
        let listener = TcpListener::bind("127.0.0.1:0").await?;
        let gateway = listener.local_addr()?.to_string();
        tokio::spawn(pass_on(listener, hears, says));
        Ok(Halo { gateway, truth, _simulator: simulator })
    }

    /// What the simulator last said of itself.
    pub fn truth(&self) -> Value {
        self.truth.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

/// One connection after the other, as a gateway does. The meter outlives them.
async fn pass_on(
    listener: TcpListener,
    mut hears: ChildStdin,
    mut says: ChildStdout,
) -> std::io::Result<()> {
    loop {
        let (mut stream, _) = listener.accept().await?;
        // Whoever hangs up comes again.
        drop(until_closed(&mut stream, &mut hears, &mut says).await);
    }
}

async fn until_closed(
    stream: &mut TcpStream,
    hears: &mut ChildStdin,
    says: &mut ChildStdout,
) -> std::io::Result<()> {
    let (mut from_host, mut from_meter) = ([0; 512], [0; 512]);
    loop {
        tokio::select! {
            length = stream.read(&mut from_host) => match length? {
                0 => return Ok(()),
                length => {
                    hears.write_all(from_host.get(..length).unwrap_or_default()).await?;
                    hears.flush().await?;
                }
            },
            length = says.read(&mut from_meter) => {
                stream.write_all(from_meter.get(..length?).unwrap_or_default()).await?;
            }
        }
    }
}
