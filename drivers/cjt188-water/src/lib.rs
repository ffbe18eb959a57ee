//! Water and gas meters of CJ/T 188-2004: reading, the settlements of past months, the valve, the
//! clock, and the purse where a meter has one.
//!
//! Invariant: at most one frame that adds credit leaves per call, and `confirmed` is said only after
//! the meter's own record of its last purchase shows that count with that amount. A reply is judged
//! by type, address, control code, identifier and serial number before a value is taken from it.
//!
//! Not here: frames and values (`polymeter_codec::cjt188`). What of these meters is known and what
//! is chosen stands in README.md.
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

mod clock;
mod describe;
mod exchange;
mod explain;
mod purse;
mod read;
mod records;
mod search;
mod settings;
mod valve;
mod write;

use polymeter_driver::{
    Call, ClockOutcome, ControlOutcome, Description, DriverError, Evidence, Explanation, Extras,
    Host, Identity, LocalTime, MeterDriver, Opening, Order, RecordEntries, RecordKind,
    RecordsAsked, SellOutcome, SetOutcome, Snapshot, Step, Way, codes, walk,
};

/// The driver; every call stands for itself.
#[derive(Debug)]
pub struct Cjt188Water;

impl MeterDriver for Cjt188Water {
    fn describe() -> Description {
        describe::description()
    }

    fn probe(host: &mut dyn Host, call: &Call) -> Result<Identity, DriverError> {
        read::probe(host, call)
    }

    fn read(host: &mut dyn Host, call: &Call) -> Result<Snapshot, DriverError> {
        read::read(host, call)
    }

    fn open(
        host: &mut dyn Host,
        call: &Call,
        opening: &Opening,
    ) -> Result<SellOutcome, DriverError> {
        purse::open(host, call, opening)
    }

    fn sell(host: &mut dyn Host, call: &Call, order: &Order) -> Result<SellOutcome, DriverError> {
        purse::sell(host, call, &order.purchase)
    }

    fn clear(_: &mut dyn Host, _: &Call) -> Result<SellOutcome, DriverError> {
        let detail = "CJ/T 188 has no command that empties a purse";
        Err(DriverError::new(codes::error::UNSUPPORTED, detail))
    }

    fn check(
        host: &mut dyn Host,
        call: &Call,
        count: Option<u32>,
    ) -> Result<Evidence, DriverError> {
        purse::check(host, call, count)
    }

    fn control(
        host: &mut dyn Host,
        call: &Call,
        command: u16,
        valid_until: Option<LocalTime>,
    ) -> Result<ControlOutcome, DriverError> {
        valve::control(host, call, command, valid_until)
    }

    fn set_parameters(
        host: &mut dyn Host,
        call: &Call,
        parameters: &Extras,
    ) -> Result<SetOutcome, DriverError> {
        write::set_parameters(host, call, parameters)
    }

    fn decode(frame: &[u8]) -> Result<Explanation, String> {
        explain::explain(frame)
    }

    fn set_clock(host: &mut dyn Host, call: &Call, way: u16) -> Result<ClockOutcome, DriverError> {
        clock::set(host, call, way)
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

polymeter_driver::export!(Cjt188Water, without vault, with bus, with clock, with records);
