//! Driver for electricity meters after DL/T 645-1997: read, found on a line, two settings, captured
//! frames explained.
//!
//! Invariant: nothing here adds credit or moves a relay: the standard of 1997 has neither, and what
//! vendors added to it is not published. What is known, chosen and unknown stands in the README.
//!
//! Not here: meters of 2007 (`dlt645-2007`), whose frames look the same.
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

mod describe;
mod exchange;
mod explain;
mod read;
mod search;
mod settings;
mod writes;

use polymeter_driver::codes::error;
use polymeter_driver::dlt645 as measure;
use polymeter_driver::{
    Call, ControlOutcome, Description, DriverError, Evidence, Explanation, Extras, Host, Identity,
    LocalTime, MeterDriver, Opening, Order, SellOutcome, SetOutcome, Snapshot, Step, Way, walk,
};

#[derive(Debug)]
pub struct Dlt645Of1997;

fn none<T>(what: &str) -> Result<T, DriverError> {
    Err(DriverError::new(error::UNSUPPORTED, format!("DL/T 645-1997 has no {what}")))
}

impl MeterDriver for Dlt645Of1997 {
    fn describe() -> Description {
        describe::description()
    }
    fn probe(host: &mut dyn Host, call: &Call) -> Result<Identity, DriverError> {
        read::probe(host, call)
    }
    fn read(host: &mut dyn Host, call: &Call) -> Result<Snapshot, DriverError> {
        read::read(host, call)
    }
    fn open(_: &mut dyn Host, _: &Call, _: &Opening) -> Result<SellOutcome, DriverError> {
        none("purse")
    }
    fn sell(_: &mut dyn Host, _: &Call, _: &Order) -> Result<SellOutcome, DriverError> {
        none("purse")
    }
    fn clear(_: &mut dyn Host, _: &Call) -> Result<SellOutcome, DriverError> {
        none("purse")
    }
    fn check(_: &mut dyn Host, _: &Call, _: Option<u32>) -> Result<Evidence, DriverError> {
        none("purse")
    }
    fn control(
        _: &mut dyn Host,
        _: &Call,
        _: u16,
        _: Option<LocalTime>,
    ) -> Result<ControlOutcome, DriverError> {
        none("relay")
    }
    fn set_parameters(
        host: &mut dyn Host,
        call: &Call,
        parameters: &Extras,
    ) -> Result<SetOutcome, DriverError> {
        writes::set(host, call, parameters)
    }
    fn decode(frame: &[u8]) -> Result<Explanation, String> {
        explain::explain(frame)
    }
    fn ways() -> Vec<Way> {
        walk::ways()
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

polymeter_driver::export!(Dlt645Of1997, without vault, with bus);
