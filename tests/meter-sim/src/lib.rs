//! Simulated prepayment meters on simulated lines: what `demo`, the acceptance tests, the bench and
//! trainees sell electricity to. Written from the protocol descriptions alone; it shares no code
//! with the drivers and imports none of our crates, so that a mistake is not made twice.
//!
//! A [`Plan`] says which meters hang on which bus, [`Simulator::start`] runs it, a host connects to
//! [`World::endpoint`]. Time stands still until [`World::advance`]. Faults wait in a queue per
//! meter ([`World::fault`]); [`World::state`] tells the truth that tests compare the ledger with.
//!
//! [`card`] has IC cards and the devices that take them.
//!
//! Deliberately not here: modems that dial, payment channels, noise that nobody scripted.

mod acrel1352;
mod adf400l;
mod alone;
mod bus;
pub mod card;
mod cjt188;
mod client;
mod control;
mod device;
mod dlms;
mod dlt645;
mod dlt698;
mod event;
mod fault;
mod keypad;
mod lines;
mod load;
mod mbus;
mod modbus;
mod modem;
mod offline;
mod plan;
mod protocol;
mod rdk;
mod sfere;
mod world;

pub use alone::{Alone, serve as serve_alone};
pub use client::{Control, EventLines};
pub use device::{Purchase, State};
pub use event::{Event, Release};
pub use fault::{Fault, FaultKind, Kind, On};
pub use keypad::{KeyOrigin, Keypad, Shown, sample_tables};
pub use lines::Endpoint;
pub use modem::{ModemAnswers, ModemPlan, ModemState};
pub use offline::Offline;
pub use plan::{
    Acrel1352Kind, Acrel1352Plan, Adf400lPlan, BusKind, BusPlan, Cjt188Plan, DlmsPlan,
    DlmsSecurity, Dlt645Plan, Dlt698Plan, Editions, MbusPlan, MbusStored, Meters, Plan, PurseKind,
    RdkPlan, RelayReplies, SferePlan,
};
pub use world::{Simulator, World};

/// What can go wrong outside the scripts.
#[derive(Debug, thiserror::Error)]
pub enum SimulatorError {
    #[error("the plan is not valid JSON for a plan")]
    PlanSyntax {
        #[source]
        source: serde_json::Error,
    },
    #[error("bus {bus}: {reason}")]
    Plan { bus: String, reason: String },
    #[error("bus {bus} cannot be opened")]
    Open {
        bus: String,
        #[source]
        source: std::io::Error,
    },
    #[error("no bus is named {bus}")]
    UnknownBus { bus: String },
    #[error("no meter, or more than one, is named {meter}; \"bus/address\" is always clear")]
    UnknownMeter { meter: String },
    #[error("{text} is not hex")]
    NotHex { text: String },
    #[error("the control connection failed")]
    Connection {
        #[source]
        source: std::io::Error,
    },
    #[error("the simulator answered: {text}")]
    Answered { text: String },
}
