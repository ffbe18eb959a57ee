//! What the tests have in common: one engine, the misbehaving driver, a line and its far end.

use crate::{Capability, Device, Driver, DriverConfig, Limits, Moment, Options, Runtime, Vault};
use polymeter_domain::{
    Credit, CustomerNumber, LocalTime, MeterAddress, Purchase, PurchaseCount, Quantity, VendorCode,
};
use polymeter_transport::{Endpoint, Line, LineLease, LineSettings, Priority};
use polymeter_vault::{Kind, Secret};
use std::collections::BTreeSet;
use std::sync::{Arc, OnceLock};
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;

pub(super) fn vendor() -> VendorCode {
    VendorCode::new("MISBEHAVING").expect("a code")
}

/// One for all tests: its pool reserves address space.
pub(super) fn runtime() -> Runtime {
    static RUNTIME: OnceLock<Runtime> = OnceLock::new();
    let start = || {
        let key = Secret::new(b"0123456789abcdef".to_vec());
        let vault = Vault::default().with(vendor(), "master", Kind::TripleDes, key);
        Runtime::new(Options::in_process(vault.expect("a key"))).expect("an engine")
    };
    RUNTIME.get_or_init(start).clone()
}

/// The misbehaving driver.
pub(super) fn component() -> &'static [u8] {
    static COMPONENT: OnceLock<Vec<u8>> = OnceLock::new();
    COMPONENT.get_or_init(|| guests::component("misbehaving"))
}

/// The driver that was built against the frozen folder `wit/1.0.0`.
pub(super) fn old_component() -> &'static [u8] {
    static COMPONENT: OnceLock<Vec<u8>> = OnceLock::new();
    COMPONENT.get_or_init(|| guests::component("contract-1-0"))
}

/// Limits that no innocent call meets, however busy the machine; and no quarantine, for one driver
/// here does many bad things on purpose.
pub(super) fn ample() -> Limits {
    let wall = Duration::from_secs(60);
    Limits { cpu_ticks: 1_000, wall, traps: 1_000, ..Limits::default() }
}

pub(super) fn config(limits: Limits) -> DriverConfig {
    DriverConfig {
        name: "misbehaving".to_owned(),
        vendor: Some(vendor()),
        cover: None,
        region: None,
        grants: vec![Capability::Line, Capability::Vault, Capability::Log],
        limits,
        written: BTreeSet::new(),
    }
}

pub(super) async fn driver(limits: Limits) -> Arc<Driver> {
    runtime().load(config(limits), component()).await.expect("loads")
}

/// How the far end of a line behaves.
#[derive(Debug, Clone, Copy)]
pub(super) enum FarEnd {
    /// Reads and never answers.
    Silent,
    /// Talks without end.
    Babbling,
    /// One byte for whatever it hears.
    Answering,
}

/// A line to a far end of its own.
pub(super) async fn line(far_end: FarEnd) -> Line {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let address = listener.local_addr().expect("its address").to_string();
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            tokio::spawn(async move {
                let mut buffer = [0; 1024];
                match far_end {
                    FarEnd::Silent => while stream.read(&mut buffer).await.is_ok_and(|n| n > 0) {},
                    FarEnd::Answering => {
                        while stream.read(&mut buffer).await.is_ok_and(|n| n > 0) {
                            if stream.write_all(b"y").await.is_err() {
                                break;
                            }
                        }
                    }
                    FarEnd::Babbling => while stream.write_all(&buffer).await.is_ok() {},
                }
            });
        }
    });
    Line::spawn(LineSettings {
        name: "bench".to_owned(),
        endpoint: Endpoint::Tcp { address },
        inter_frame: Duration::ZERO,
        reply_timeout: Duration::from_millis(30),
        byte_timeout: Duration::from_millis(10),
        total_timeout: Duration::from_secs(60),
    })
}

pub(super) async fn lease(line: &Line) -> LineLease {
    line.lease(Priority::Sale).await.expect("the line is free")
}

pub(super) async fn silent() -> LineLease {
    lease(&line(FarEnd::Silent).await).await
}

pub(super) async fn answering() -> LineLease {
    lease(&line(FarEnd::Answering).await).await
}

/// The address is what the misbehaving driver does.
pub(super) fn device(behaviour: &str) -> Device {
    let address = MeterAddress::new(behaviour).expect("an address");
    Device { address, parameters: vec![] }
}

pub(super) fn moment() -> Moment {
    let now = LocalTime { year: 2026, month: 3, day: 2, hour: 12, minute: 0, second: 0 };
    Moment { now, nonce: [7; 16] }
}

pub(super) fn customer() -> CustomerNumber {
    CustomerNumber::new("000000000001").expect("a number")
}

pub(super) fn purchase() -> Purchase {
    let credit = Credit { quantity: Quantity::Money, amount: 5_000 };
    Purchase { count: PurchaseCount::new(17), credit }
}
