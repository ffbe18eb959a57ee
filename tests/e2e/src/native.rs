//! A site with vendors' native libraries beside its components: RDK's, and the one that misbehaves on
//! request, each with simulated meters on a line of its own.
//!
//! Not here: what the misbehaving one does (tests/conformance/native-hostile).

use crate::{Meter, Program, Site};
use anyhow::{Result, ensure};
use meter_sim::{BusKind, BusPlan, Endpoint, Meters, Plan, RdkPlan, Simulator, State};
use std::path::PathBuf;

/// The line of RDK's meters, and that of the other library's.
pub const LINE: &str = "bus-rdk";
pub const HOSTILE_LINE: &str = "bus-rdx";
/// 1.86 kWh.
pub const ENERGY: u64 = 186;

/// The first 8 bytes of HMAC-SHA-256 over "00000001" under [`crate::PURSE_KEY`], by OpenSSL.
const PASSWORD: &str = "5103C7E9886EBD0C";
/// What a library is given whose driver has no vault: nothing, which RDK's fills with zeros.
const NO_PASSWORD: &str = "\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0";

pub const METER: Meter = Meter {
    serial_number: "R-1",
    vendor: "RDK",
    line: LINE,
    address: "00000001",
    customer: "200001",
};

/// Beside the meters of every site.
#[derive(Debug)]
pub struct Native {
    pub site: Site,
    pub rdk: Simulator,
}

/// A library that `cargo xtask drivers` has built.
pub fn library(name: &str) -> Result<PathBuf> {
    let file = crate::drivers()?.join(format!("{name}.so"));
    ensure!(file.is_file(), "{} is missing: cargo xtask drivers {name}", file.display());
    Ok(file)
}

/// As `sha256sum` prints it.
pub fn sum_of(file: &std::path::Path) -> Result<String> {
    let output = std::process::Command::new("sha256sum").arg(file).output()?;
    let text = String::from_utf8(output.stdout)?;
    Ok(text.split(' ').next().unwrap_or_default().to_owned())
}

/// `[[driver]]` of RDK, pinned.
pub fn pinned() -> Result<String> {
    let file = library("rdk-native")?;
    Ok(format!(
        "[[driver]]\nname = \"rdk\"\nvendor = \"RDK\"\nnative = \"{}\"\nfunction = \"RDKIcard\"\n\
         sha256 = \"{}\"\ngrant = [\"line\", \"vault\", \"log\"]\n",
        file.display(),
        sum_of(&file)?
    ))
}

/// `[[driver]]` of the one that misbehaves: unsigned, without keys.
pub fn hostile() -> Result<String> {
    Ok(format!(
        "[[driver]]\nname = \"rdx\"\nvendor = \"RDX\"\nnative = \"{}\"\nfunction = \"RDKIcard\"\n\
         allow-unsigned = true\ngrant = [\"line\", \"log\"]\n\
         [driver.limits]\nwall-ms = 3000\ntraps = 1000\n",
        library("native-hostile")?.display()
    ))
}

/// RDK's meter with the password that the vault makes for it, and `hostile` meters without one.
pub fn plan(hostile: usize) -> Plan {
    let rdk = |address: String, password: &str| RdkPlan {
        address,
        password: password.to_owned(),
        energy: ENERGY,
        ..RdkPlan::default()
    };
    let others = (1..=hostile).map(|number| rdk(format!("{number:08}"), NO_PASSWORD)).collect();
    let bus = |name, meters| BusPlan::new(name, BusKind::Tcp, Meters::Rdk(meters));
    let own = vec![rdk(METER.address.to_owned(), PASSWORD)];
    Plan { buses: vec![bus(LINE, own), bus(HOSTILE_LINE, others)] }
}

/// `[[line]]` of each of its buses.
fn lines(simulator: &Simulator) -> Result<String> {
    let mut text = String::new();
    for (name, end) in simulator.endpoints() {
        let Endpoint::Tcp(address) = end else { anyhow::bail!("{name} is no TCP line") };
        text += &format!(
            "[[line]]\nname = \"{name}\"\ntcp = \"{address}\"\ninter-frame-ms = 5\n\
             reply-timeout-ms = 400\nbyte-timeout-ms = 100\ntotal-timeout-ms = 8000\n"
        );
    }
    Ok(text)
}

impl Native {
    /// Running, with `drivers` at the end of its configuration and so many hostile meters.
    pub async fn new(drivers: &str, hostile: usize) -> Result<(Native, Program)> {
        let rdk = Simulator::start(plan(hostile))?;
        let more = lines(&rdk)? + drivers;
        let (site, program) = Site::with_more(&more, &[]).await?;
        Ok((Native { site, rdk }, program))
    }

    /// The truth about a meter of either line.
    pub fn state(&self, line: &str, address: &str) -> Result<State> {
        Ok(self.rdk.state(&format!("{line}/{address}"))?)
    }
}
