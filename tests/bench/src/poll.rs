//! P1: one whole `read` of an ADF400L user over loopback TCP, against tokio-modbus asking the same
//! simulator for the same registers.

use crate::ratio::{Comparison, compare};
use anyhow::{Result, ensure};
use meter_sim::{Adf400lPlan, BusKind, BusPlan, Endpoint, Meters, Plan, Simulator};
use polymeter_domain::{LocalTime, MeterAddress, VendorCode};
use polymeter_runtime::{Device, DriverConfig, Limits, Moment, Options, Runtime, Vault};
use polymeter_transport::{Line, LineSettings, Priority};
use std::path::Path;
use std::time::{Duration, Instant};
use tokio_modbus::prelude::{Reader, Slave};

pub const WHAT: &str =
    "one whole read over loopback TCP, simulator at 0 ms / tokio-modbus, same registers";
/// What the driver reads, as (first register, how many): protocols of the ADF400L, single-phase block.
const BLOCKS: &[(u16, u16)] = &[(0x0300, 0x21)];
const ITERATIONS: u32 = 2_000;

pub async fn run(root: &Path, rounds: usize) -> Result<Comparison> {
    let meters = Meters::Adf400l(vec![Adf400lPlan::new(1)]);
    let simulator =
        Simulator::start(Plan { buses: vec![BusPlan::new("bench", BusKind::Tcp, meters)] })?;
    let Endpoint::Tcp(address) = simulator.endpoint("bench")? else {
        anyhow::bail!("the simulator gave no TCP line");
    };
    let component = std::fs::read(root.join("target/drivers/acrel-adf400l.wasm"))?;
    let config = DriverConfig {
        name: "acrel-adf400l".to_owned(),
        vendor: Some(VendorCode::new("ACREL")?),
        region: None,
        grants: crate::all_grants(),
        limits: Limits::default(),
    };
    let driver =
        Runtime::new(Options::in_process(Vault::default()))?.load(config, &component).await?;
    let line = Line::spawn(LineSettings {
        name: "bench".to_owned(),
        endpoint: polymeter_transport::Endpoint::Tcp { address: address.to_string() },
        inter_frame: Duration::ZERO,
        reply_timeout: Duration::from_secs(1),
        byte_timeout: Duration::from_millis(100),
        total_timeout: Duration::from_secs(5),
    });
    let device = Device { address: MeterAddress::new("1")?, parameters: Vec::new() };
    let now = LocalTime { year: 2026, month: 1, day: 1, hour: 0, minute: 0, second: 0 };
    let moment = Moment { now, nonce: [0; 16] };

    let stream = tokio::net::TcpStream::connect(&address).await?;
    stream.set_nodelay(true)?;
    let mut client = tokio_modbus::client::rtu::attach_slave(stream, Slave(1));

    let frames_before = line.counters().frames_sent;
    {
        let mut lease = line.lease(Priority::RoutineRead).await?;
        driver.read(&mut lease, &device, moment).await?;
    }
    let frames = line.counters().frames_sent - frames_before;
    ensure!(
        frames == BLOCKS.len() as u64,
        "the driver sends {frames} frames for a read and the reference {}: not the same work",
        BLOCKS.len()
    );

    let reference = async || {
        let begun = Instant::now();
        for _ in 0..ITERATIONS {
            for &(start, quantity) in BLOCKS {
                let words = client.read_holding_registers(start, quantity).await?;
                std::hint::black_box(words.map_err(|code| anyhow::anyhow!("exception {code}"))?);
            }
        }
        Ok(begun.elapsed() / ITERATIONS)
    };
    let product = async || {
        let begun = Instant::now();
        for _ in 0..ITERATIONS {
            let mut lease = line.lease(Priority::RoutineRead).await?;
            std::hint::black_box(driver.read(&mut lease, &device, moment).await?);
        }
        Ok(begun.elapsed() / ITERATIONS)
    };
    compare(rounds, reference, product).await
}
