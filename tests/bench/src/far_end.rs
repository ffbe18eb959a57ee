//! The far end of the polling rows: many links, one answer. A process of its own, so that its work
//! is nobody's; it answers any read of holding registers with the bytes that it was given.
//!
//! It speaks Modbus RTU over TCP and, to who begins with its header, Modbus TCP (libmodbus has no
//! other way over a socket). Not here: meters (`meter-sim`).

use anyhow::{Context, Result};
use std::net::{Ipv4Addr, SocketAddr};
use std::process::Stdio;
use std::time::Duration;
use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::{TcpListener, TcpStream};
use tokio::process::{Child, Command};

/// Unit, function, start, quantity, CRC.
const RTU_REQUEST: usize = 8;
/// Transaction, protocol 0, length, then unit to quantity.
const TCP_REQUEST: usize = 12;

/// Killed when dropped.
pub struct FarEnd {
    pub address: SocketAddr,
    _child: Child,
}

impl FarEnd {
    /// `registers`: the data bytes of every answer; `delay`: from the request to the answer.
    pub async fn start(registers: &[u8], delay: Duration) -> Result<FarEnd> {
        let mut child = Command::new(std::env::current_exe()?)
            .arg("far-end")
            .arg(hex::encode(registers))
            .arg(delay.as_millis().to_string())
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .kill_on_drop(true)
            .spawn()
            .context("starting the far end")?;
        let mut lines = BufReader::new(child.stdout.take().context("no stdout")?).lines();
        let line = lines.next_line().await?.context("the far end did not say its address")?;
        Ok(FarEnd { address: line.parse()?, _child: child })
    }
}

/// The process itself: one thread, so that it never takes more than one of the machine's cores.
pub fn run(registers: &str, delay_ms: u64) -> Result<()> {
    let registers: &'static [u8] = hex::decode(registers)?.leak();
    let delay = Duration::from_millis(delay_ms);
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    runtime.block_on(async {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await?;
        println!("{}", listener.local_addr()?);
        loop {
            let (stream, _) = listener.accept().await?;
            tokio::spawn(async move {
                // A link that ends is what links do at the end of a round.
                let _ = answer(stream, registers, delay).await;
            });
        }
    })
}

async fn answer(mut stream: TcpStream, registers: &[u8], delay: Duration) -> std::io::Result<()> {
    stream.set_nodelay(true)?;
    let mut request = [0; TCP_REQUEST];
    loop {
        stream.read_exact(&mut request[..RTU_REQUEST]).await?;
        // An RTU request of ours never has zeros there: its start register is 0300H or above.
        let is_tcp = request[2..4] == [0, 0];
        if is_tcp {
            stream.read_exact(&mut request[RTU_REQUEST..]).await?;
        }
        if !delay.is_zero() {
            tokio::time::sleep(delay).await;
        }
        let unit = if is_tcp { request[6] } else { request[0] };
        let length = u8::try_from(registers.len()).unwrap_or(u8::MAX);
        let mut reply = Vec::with_capacity(registers.len() + 9);
        if is_tcp {
            reply.extend([request[0], request[1], 0, 0, 0, length.wrapping_add(3)]);
        }
        reply.extend([unit, 3, length]);
        reply.extend(registers);
        if !is_tcp {
            reply.extend(crc(&reply).to_le_bytes());
        }
        stream.write_all(&reply).await?;
    }
}

/// Modbus over serial line 1.02, 6.2.2.
fn crc(bytes: &[u8]) -> u16 {
    bytes.iter().fold(0xFFFF, |crc, byte| {
        (0..8).fold(
            crc ^ u16::from(*byte),
            |crc, _| {
                if crc & 1 == 1 { crc >> 1 ^ 0xA001 } else { crc >> 1 }
            },
        )
    })
}

#[cfg(test)]
mod tests {
    #[test]
    fn the_checksum_is_that_of_modbus() {
        // Modbus over serial line 1.02, appendix B: 02 07 has the CRC 41 12.
        assert_eq!(super::crc(&[0x02, 0x07]).to_le_bytes(), [0x41, 0x12]);
    }
}
