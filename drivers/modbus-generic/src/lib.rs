//! Plain instruments on Modbus RTU, each described by a register map in `driver.toml`. Another
//! `driver.toml` put into this component makes the driver of another instrument, without code
//! (`polymeter-sdk build`, language "data"; ADR 0034).
//!
//! Invariant: nothing is written but a map's relay. Not here: how a map is read (`polymeter_modbus`).
#![forbid(unsafe_code)]
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

use polymeter_driver::{
    Call, ControlOutcome, Description, DriverError, Evidence, Explanation, Extras, Host, Identity,
    LocalTime, MeterDriver, Opening, Order, SellOutcome, SetOutcome, Snapshot, Step, Way, codes,
};
use polymeter_modbus::Embedded;
use polymeter_modbus::instrument::Instrument;

static PLACE: Embedded = Embedded::new(include_bytes!("../driver.toml"));
static INSTRUMENT: Instrument = Instrument::new(&PLACE);

/// The driver; every call stands for itself.
#[derive(Debug)]
pub struct Generic;

impl MeterDriver for Generic {
    fn describe() -> Description {
        INSTRUMENT.describe()
    }

    fn probe(host: &mut dyn Host, call: &Call) -> Result<Identity, DriverError> {
        INSTRUMENT.probe(host, call)
    }

    fn read(host: &mut dyn Host, call: &Call) -> Result<Snapshot, DriverError> {
        INSTRUMENT.read(host, call)
    }

    fn open(_: &mut dyn Host, _: &Call, _: &Opening) -> Result<SellOutcome, DriverError> {
        Err(no_purse())
    }

    fn sell(_: &mut dyn Host, _: &Call, _: &Order) -> Result<SellOutcome, DriverError> {
        Err(no_purse())
    }

    fn clear(_: &mut dyn Host, _: &Call) -> Result<SellOutcome, DriverError> {
        Err(no_purse())
    }

    fn check(_: &mut dyn Host, _: &Call, _: Option<u32>) -> Result<Evidence, DriverError> {
        Err(no_purse())
    }

    fn control(
        host: &mut dyn Host,
        call: &Call,
        command: u16,
        valid_until: Option<LocalTime>,
    ) -> Result<ControlOutcome, DriverError> {
        INSTRUMENT.control(host, call, command, valid_until)
    }

    fn set_parameters(_: &mut dyn Host, _: &Call, _: &Extras) -> Result<SetOutcome, DriverError> {
        let detail = "this driver writes no parameters into an instrument";
        Err(DriverError::new(codes::error::UNSUPPORTED, detail))
    }

    fn decode(frame: &[u8]) -> Result<Explanation, String> {
        INSTRUMENT.decode(frame)
    }

    fn ways() -> Vec<Way> {
        polymeter_modbus::search::ways()
    }

    fn search(
        host: &mut dyn Host,
        call: &Call,
        way: &str,
        position: Option<&[u8]>,
        questions: u32,
    ) -> Result<Step, DriverError> {
        INSTRUMENT.search(host, call, way, position, questions)
    }
}

fn no_purse() -> DriverError {
    DriverError::new(codes::error::UNSUPPORTED, "a plain instrument has no purse")
}

polymeter_driver::export!(Generic, without vault, with bus);
