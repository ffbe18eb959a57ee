//! Driver for meters that speak DLMS/COSEM by logical names, behind the TCP wrapper or in HDLC, with
//! no, low or high security with GMAC: reads, reads profiles and event logs, finds meters on an HDLC
//! line, switches the supply, sets clock, limits, prices and calendar, enters tokens, tells what an
//! account holds, explains captured frames.
//!
//! Invariant: what changes a meter is asked once; what its objects say afterwards decides, and not its
//! yes. Keys stay in the vault. What is known of these meters, what was chosen and what nobody knows
//! stands in the README beside this crate.
//!
//! Not here: sales, because a credit has no number (README).
#![deny(
    clippy::arithmetic_side_effects,
    clippy::as_conversions,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::string_slice,
    clippy::unreachable,
    clippy::unwrap_used
)]

mod account;
mod association;
mod calendar;
mod cipher;
mod clock;
mod companion;
mod describe;
mod explain;
mod gateway;
mod hdlc;
mod link;
mod measure;
mod parameters;
mod place;
mod prices;
mod profile;
mod read;
mod records;
mod search;
mod session;
mod set;
mod settings;
mod supply;
mod words;

use polymeter_driver::codes::error;
use polymeter_driver::{
    Call, ClockOutcome, ControlOutcome, Description, DriverError, EntryOutcome, Evidence,
    Explanation, Extras, Host, Identity, LocalTime, MeterDriver, Opening, Order, RecordEntries,
    RecordKind, RecordsAsked, SellOutcome, SetOutcome, Snapshot, Step, Way,
};

#[derive(Debug)]
pub struct Dlms;

impl MeterDriver for Dlms {
    fn describe() -> Description {
        describe::describe()
    }
    fn probe(host: &mut dyn Host, call: &Call) -> Result<Identity, DriverError> {
        read::probe(host, call)
    }
    fn read(host: &mut dyn Host, call: &Call) -> Result<Snapshot, DriverError> {
        read::read(host, call)
    }
    fn open(_: &mut dyn Host, _: &Call, _: &Opening) -> Result<SellOutcome, DriverError> {
        Err(no_sale())
    }
    fn sell(_: &mut dyn Host, _: &Call, _: &Order) -> Result<SellOutcome, DriverError> {
        Err(no_sale())
    }
    fn clear(_: &mut dyn Host, _: &Call) -> Result<SellOutcome, DriverError> {
        Err(no_sale())
    }
    fn check(_: &mut dyn Host, _: &Call, _: Option<u32>) -> Result<Evidence, DriverError> {
        Err(no_sale())
    }
    fn control(
        host: &mut dyn Host,
        call: &Call,
        command: u16,
        valid_until: Option<LocalTime>,
    ) -> Result<ControlOutcome, DriverError> {
        supply::control(host, call, command, valid_until)
    }
    fn set_parameters(
        host: &mut dyn Host,
        call: &Call,
        parameters: &Extras,
    ) -> Result<SetOutcome, DriverError> {
        parameters::set(host, call, parameters)
    }
    fn set_clock(host: &mut dyn Host, call: &Call, way: u16) -> Result<ClockOutcome, DriverError> {
        clock::set(host, call, way)
    }
    fn enter(host: &mut dyn Host, call: &Call, digits: &str) -> Result<EntryOutcome, DriverError> {
        gateway::enter(host, call, digits)
    }
    fn record_kinds() -> Vec<RecordKind> {
        records::kinds()
    }
    fn read_records(
        host: &mut dyn Host,
        call: &Call,
        asked: RecordsAsked<'_>,
    ) -> Result<RecordEntries, DriverError> {
        records::read(host, call, asked)
    }
    fn decode(frame: &[u8]) -> Result<Explanation, String> {
        explain::explain(frame)
    }
    fn ways() -> Vec<Way> {
        search::ways()
    }
    fn search(
        host: &mut dyn Host,
        call: &Call,
        way: &str,
        position: Option<&[u8]>,
        questions: u32,
    ) -> Result<Step, DriverError> {
        search::search(host, call, way, position, questions)
    }
}

fn no_sale() -> DriverError {
    DriverError::new(
        error::UNSUPPORTED,
        "a credit of DLMS has no purchase count, so that no sale could be proved: see the README",
    )
}

polymeter_driver::export!(Dlms, with bus, with clock, with records, with entry);
