//! The product as a poller: one line and one meter a link, the ADF400L's driver in its sandbox.

use super::BLOCK;
use crate::loading;
use anyhow::{Result, ensure};
use meter_sim::{Adf400lPlan, BusKind, BusPlan, Endpoint, Meters, Plan, Simulator};
use polymeter_domain::{LocalTime, MeterAddress, Value};
use polymeter_runtime::{Device, Driver, Moment, Runtime};
use polymeter_transport::{Line, LineSettings, Priority};
use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};
use tokio::task::JoinSet;
use tokio_modbus::prelude::{Reader, Slave};

pub const MOMENT: Moment = Moment {
    now: LocalTime { year: 2026, month: 1, day: 1, hour: 0, minute: 0, second: 0 },
    nonce: [0; 16],
};

/// What a simulated meter answers to the driver's request, for the far end to repeat.
pub async fn registers() -> Result<Vec<u8>> {
    let meters = Meters::Adf400l(vec![Adf400lPlan::new(1)]);
    let simulator =
        Simulator::start(Plan { buses: vec![BusPlan::new("bench", BusKind::Tcp, meters)] })?;
    let Endpoint::Tcp(address) = simulator.endpoint("bench")? else {
        anyhow::bail!("the simulator gave no TCP line");
    };
    let stream = tokio::net::TcpStream::connect(address).await?;
    let mut client = tokio_modbus::client::rtu::attach_slave(stream, Slave(1));
    let words = client.read_holding_registers(BLOCK.0, BLOCK.1).await??;
    Ok(words.into_iter().flat_map(u16::to_be_bytes).collect())
}

/// A line as the polling rows and those of the sandbox use it: no gap, patience of a second.
pub fn line(address: SocketAddr) -> Line {
    Line::spawn(LineSettings {
        name: "bench".to_owned(),
        endpoint: polymeter_transport::Endpoint::Tcp { address: address.to_string() },
        inter_frame: Duration::ZERO,
        reply_timeout: Duration::from_secs(1),
        byte_timeout: Duration::from_millis(100),
        total_timeout: Duration::from_secs(60),
    })
}

pub fn device(address: &str) -> Result<Device> {
    Ok(Device { address: MeterAddress::new(address)?, parameters: Vec::new() })
}

/// A user of an ADF400L whose whole reading is [`BLOCK`] and nothing beside it, as a peer's is.
pub fn user() -> Result<Device> {
    let without = |name: &str| (name.to_owned(), Value::Flag(false));
    Ok(Device { parameters: ["clock", "tariff-energies"].map(without).to_vec(), ..device("1")? })
}

pub struct Product {
    driver: Arc<Driver>,
    device: Arc<Device>,
    lines: Vec<Line>,
    _runtime: Runtime,
}

impl Product {
    pub async fn start(root: &Path, address: SocketAddr, links: usize) -> Result<Product> {
        let runtime = loading::runtime()?;
        let driver = loading::driver(&runtime, root, "acrel-adf400l").await?;
        let lines: Vec<Line> = (0..links).map(|_| line(address)).collect();
        let product = Product { driver, device: Arc::new(user()?), lines, _runtime: runtime };
        product.poll(u32::try_from(links)?).await?;
        let frames: u64 = product.lines.iter().map(|line| line.counters().frames_sent).sum();
        ensure!(
            frames == links as u64,
            "the driver sends {frames} frames for {links} reads, a peer one each: not the same work"
        );
        Ok(product)
    }

    /// So many reads, shared by the links; the time of one.
    pub async fn poll(&self, reads: u32) -> Result<Duration> {
        let each = reads / u32::try_from(self.lines.len())?;
        let begun = Instant::now();
        let mut links = JoinSet::new();
        for line in &self.lines {
            let line = line.clone();
            let (driver, device) = (Arc::clone(&self.driver), Arc::clone(&self.device));
            links.spawn(async move {
                for _ in 0..each {
                    let mut lease = line.lease(Priority::RoutineRead).await?;
                    std::hint::black_box(driver.read(&mut lease, &device, MOMENT).await?);
                }
                anyhow::Ok(())
            });
        }
        while let Some(link) = links.join_next().await {
            link??;
        }
        Ok(begun.elapsed() / reads)
    }
}
