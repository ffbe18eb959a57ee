//! What a simulator is made of, as plain data: buses, the meters on them and how each one starts.
//! A plan is read from JSON or built in code. Nothing here changes once the simulator runs: the meters keep their own state.

mod mbus;
mod meters;
mod water;

use serde::{Deserialize, Serialize};

use crate::SimulatorError;
use crate::modem::ModemPlan;

pub use mbus::{MbusPlan, MbusStored};
pub use meters::{
    Acrel1352Kind, Acrel1352Plan, Adf400lPlan, DlmsPlan, DlmsSecurity, Dlt645Plan, Dlt698Plan,
    Editions, PurseKind, RdkPlan, RelayReplies, SferePlan,
};
pub use water::Cjt188Plan;

/// All that one simulator runs.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Plan {
    pub buses: Vec<BusPlan>,
}

/// One line with its meters.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct BusPlan {
    /// Unique in the plan; `Simulator::endpoint` asks by it.
    pub name: String,
    pub kind: BusKind,
    /// Port of a TCP bus on the loopback; 0 lets the system choose.
    #[serde(default)]
    pub port: u16,
    /// Quiet time between a request's last byte and the reply's first one, milliseconds.
    #[serde(default)]
    pub reply_delay_ms: u64,
    /// Bits per second of the imitated wire; none: bytes take no time.
    #[serde(default)]
    pub baud: Option<u32>,
    /// The modem of a 4G meter before the bus, which has to be TCP and without a baud rate.
    #[serde(default)]
    pub modem: Option<ModemPlan>,
    pub meters: Meters,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum BusKind {
    /// A transparent gateway on the loopback.
    Tcp,
    /// A pseudo-terminal that a host opens as a serial port.
    Pty,
}

/// The meters of one bus.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Meters {
    Dlt645(Vec<Dlt645Plan>),
    Adf400l(Vec<Adf400lPlan>),
    Rdk(Vec<RdkPlan>),
    Cjt188(Vec<Cjt188Plan>),
    Acrel1352(Vec<Acrel1352Plan>),
    Mbus(Vec<MbusPlan>),
    /// Behind the TCP wrapper.
    DlmsWrapper(Vec<DlmsPlan>),
    /// In HDLC frames.
    DlmsHdlc(Vec<DlmsPlan>),
    Sfere(Vec<SferePlan>),
    Dlt698(Vec<Dlt698Plan>),
    /// Meters of several protocols on the same two wires; not a mix of mixes.
    Mixed(Vec<Meters>),
}

impl BusPlan {
    /// A bus that answers at once.
    pub fn new(name: &str, kind: BusKind, meters: Meters) -> Self {
        Self {
            name: name.into(),
            kind,
            port: 0,
            reply_delay_ms: 0,
            baud: None,
            modem: None,
            meters,
        }
    }
}

impl Plan {
    /// A plan from its JSON text.
    pub fn from_json(text: &str) -> Result<Self, SimulatorError> {
        serde_json::from_str(text).map_err(|source| SimulatorError::PlanSyntax { source })
    }

    /// The demonstration: `bus-tcp` with ADF400L users 1 to 4, `bus-serial` (a pseudo-terminal)
    /// with DL/T 645 meters 000000000001 to 4. Of each four the first two are in use, with energy
    /// and some factory-set credit; the others are new and their relays open for lack of money. No
    /// account is opened and every purchase count is 0, so that a demonstration may open them all.
    pub fn demo() -> Self {
        let users = (1..=4u8).map(demo_user).collect();
        let meters = (1..=4u32).map(demo_meter).collect();
        // The standard's shortest reply delay (protocols.md 1.1).
        let delayed = |bus: BusPlan| BusPlan { reply_delay_ms: 20, ..bus };
        Self {
            buses: vec![
                delayed(BusPlan::new("bus-tcp", BusKind::Tcp, Meters::Adf400l(users))),
                delayed(BusPlan::new("bus-serial", BusKind::Pty, Meters::Dlt645(meters))),
            ],
        }
    }

    /// The same plan with every reply sent at once: for tests and measurements.
    pub fn without_delays(mut self) -> Self {
        for bus in &mut self.buses {
            bus.reply_delay_ms = 0;
            bus.baud = None;
        }
        self
    }
}

fn demo_user(unit: u8) -> Adf400lPlan {
    let user = Adf400lPlan::new(unit);
    if unit > 2 {
        return user;
    }
    Adf400lPlan {
        balance_fen: 3_500 * i32::from(unit),
        energy: 61_234 * u64::from(unit),
        load_watts: 420 * u32::from(unit),
        ..user
    }
}

fn demo_meter(number: u32) -> Dlt645Plan {
    let meter = Dlt645Plan::new(&format!("{number:012}"));
    if number > 2 {
        return Dlt645Plan { relay_open: true, ..meter };
    }
    let energy = u64::from(number) * 10_000;
    Dlt645Plan {
        money_fen: 2_000 * number,
        tariff_energies: [energy + 186, 3 * energy + 52, 7 * energy + 340, 4 * energy + 8],
        load_watts: 650 * number,
        ..meter
    }
}
