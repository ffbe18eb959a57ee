//! P1 to P3 and P5: how many whole reads a second the product makes over one, a hundred and a
//! thousand links, beside the programs that others would use for it.
//!
//! Every contender asks the same far end for the same registers, over as many connections, each
//! with one request under way. The product also decodes, checks and records what it reads, in a
//! sandbox; the others return the registers.

mod peers;
pub mod product;

use crate::far_end::FarEnd;
use crate::figure::{Figure, Row};
use crate::ratio::compare;
use anyhow::{Context, Result};
use peers::Peer;
use product::Product;
use std::path::Path;
use std::time::{Duration, Instant};

/// What the driver of the ADF400L reads of a single-phase user: first register, how many.
pub const BLOCK: (u16, u16) = (0x0300, 0x21);
const PEERS: [(&str, Peer); 3] = [
    ("tokio-modbus", Peer::TokioModbus),
    ("libmodbus", Peer::Libmodbus),
    ("pymodbus", Peer::Pymodbus),
];

/// P1, P2, P3: links, reads of a round, and the least speed against each of `PEERS`.
const ROWS: [(&str, usize, u32, [f64; 3]); 3] = [
    ("P1", 1, 4_000, [0.90, 0.90, 5.0]),
    ("P2", 100, 20_000, [0.80, 1.15, 10.0]),
    ("P3", 1_000, 20_000, [0.65, 1.1, 7.0]),
];

pub async fn run(root: &Path, rounds: usize, wanted: impl Fn(&str) -> bool) -> Result<Vec<Row>> {
    let mut rows = Vec::new();
    let registers = product::registers().await.context("asking a simulated meter")?;
    let far_end = FarEnd::start(&registers, Duration::ZERO).await?;
    for (name, links, reads, speeds) in ROWS.into_iter().filter(|row| wanted(row.0)) {
        let product = Product::start(root, far_end.address, links).await?;
        for ((peer_name, peer), speed) in PEERS.into_iter().zip(speeds) {
            let Some(peer) = peer.start(root, far_end.address, links).await? else {
                rows.push(Row::missing(name, format!("{links} links / {peer_name}"), peer_name));
                continue;
            };
            let comparison = compare(
                rounds,
                async || peer.poll(reads).await,
                async || product.poll(reads).await,
            )
            .await?;
            rows.push(Row {
                name,
                what: format!("whole reads over {links} links / {peer_name}, same registers"),
                target: format!("at most {:.2} (speed at least {speed})", 1.0 / speed),
                figure: Figure::Ratio { comparison, at_most: Some(1.0 / speed) },
            });
        }
    }
    if wanted("P5") {
        rows.extend(paced(root, &registers).await?);
    }
    Ok(rows)
}

/// P5: a thousand links whose answers take 50 ms, so that the wire and not the host sets the pace.
async fn paced(root: &Path, registers: &[u8]) -> Result<[Row; 2]> {
    const LINKS: usize = 1_000;
    const READS: u32 = 100_000;
    let delay = Duration::from_millis(50);
    let far_end = FarEnd::start(registers, delay).await?;
    let product = Product::start(root, far_end.address, LINKS).await?;
    let (begun, cpu_before) = (Instant::now(), cpu()?);
    product.poll(READS).await?;
    let (took, cpu) = (begun.elapsed().as_secs_f64(), cpu()? - cpu_before);
    let possible = LINKS as f64 / delay.as_secs_f64();
    let share = f64::from(READS) / took / possible;
    let cores = cpu.as_secs_f64() / took;
    Ok([
        Row::plain(
            "P5",
            "1,000 links answering after 50 ms: reads a second / the 20,000 possible",
            "at least 0.985",
            format!("{share:.3}"),
            share >= 0.985,
        ),
        Row::plain(
            "P5",
            "the same: cores that the product takes",
            "at most 0.5",
            format!("{cores:.2}"),
            cores <= 0.5,
        ),
    ])
}

/// Processor time of this process so far, in the kernel's ticks of 10 ms.
fn cpu() -> Result<Duration> {
    let stat = std::fs::read_to_string("/proc/self/stat")?;
    // The name in parentheses may hold blanks; utime and stime are the 12th and 13th field after it.
    let fields = stat.rsplit_once(')').context("/proc/self/stat")?.1.split_whitespace();
    let ticks: u64 = fields.skip(11).take(2).filter_map(|field| field.parse::<u64>().ok()).sum();
    Ok(Duration::from_millis(ticks * 10))
}
