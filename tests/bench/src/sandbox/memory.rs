//! W7: what a driver costs that waits for its line: resident memory of a thousand of them.

use crate::far_end::FarEnd;
use crate::figure::Row;
use crate::loading;
use crate::polling::product::{MOMENT, device, line};
use anyhow::{Context, Result};
use polymeter_runtime::Limits;
use polymeter_transport::{Line, Priority};
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;
use tokio::task::JoinSet;

const LINKS: u32 = 1_000;

pub async fn run(root: &Path) -> Result<[Row; 2]> {
    // Nobody answers, so that every driver waits for as long as it is let.
    let far_end = FarEnd::start(&[], Duration::ZERO).await?;
    let runtime = loading::runtime()?;
    let limits = Limits { wall: Duration::from_secs(600), ..Limits::default() };
    let limits = Limits { concurrent_calls: LINKS as usize, ..limits };
    let driver = loading::limited(&runtime, root, "bench", limits).await?;
    let device = Arc::new(device(driver_bench::WAITING)?);
    let lines: Vec<Line> = (0..LINKS).map(|_| line(far_end.address)).collect();
    let mut leases = Vec::new();
    for line in &lines {
        let mut lease = line.lease(Priority::RoutineRead).await?;
        // Connects now, so that only the instances are counted below.
        lease.drain().await?;
        leases.push(lease);
    }
    let before = resident_bytes()?;
    let mut waiting = JoinSet::new();
    for mut lease in leases {
        let (driver, device) = (Arc::clone(&driver), Arc::clone(&device));
        waiting.spawn(async move {
            let _ = driver.read(&mut lease, &device, MOMENT).await;
        });
    }
    // All have been entered once their reply timeouts begin; a second is a hundred times enough.
    tokio::time::sleep(Duration::from_secs(2)).await;
    let after = resident_bytes()?;
    waiting.abort_all();
    while waiting.join_next().await.is_some() {}
    let each_kib = after.saturating_sub(before) / u64::from(LINKS) / 1024;
    let all_mib = after / (1 << 20);
    Ok([
        Row::plain(
            "W7",
            "resident memory of a driver that waits for its line, mean of 1,000",
            "at most 48 KiB",
            format!("{each_kib} KiB"),
            each_kib <= 48,
        ),
        Row::plain(
            "W7",
            "the whole process with 1,000 links and as many waiting drivers",
            "at most 96 MiB",
            format!("{all_mib} MiB"),
            all_mib <= 96,
        ),
    ])
}

fn resident_bytes() -> Result<u64> {
    let status = std::fs::read_to_string("/proc/self/status")?;
    let line = status.lines().find(|line| line.starts_with("VmRSS:")).context("no VmRSS")?;
    let kib: u64 = line.split_whitespace().nth(1).context("no VmRSS")?.parse()?;
    Ok(kib * 1024)
}
