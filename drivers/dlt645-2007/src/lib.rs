//! Driver for prepaid electricity meters after DL/T 645-2007 with the 2013 prepayment extension, whose
//! purse holds money, or energy where it is built as `drivers/dlt645-2007-energy`.
//!
//! Invariant: a call sends at most one frame that adds credit, and none after the meter has refused
//! a MAC. What it cannot prove it calls unknown. What is known of these meters, what was chosen and
//! what nobody knows stands in the README beside this crate.
//!
//! Not here: meters that encrypt with SM1 in a box of their own, purchases of other dialects than
//! the 2013 extension, meters of 1997.
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
mod dialect;
mod exchange;
mod explain;
mod held;
mod items;
mod measure;
mod parameters;
mod purse;
mod read;
mod record;
mod records;
mod relay;
mod search;
mod settings;
mod words;
mod writes;

use polymeter_driver::{
    Call, ClockOutcome, ControlOutcome, Description, DriverError, Evidence, Explanation, Extras,
    Host, Identity, LocalTime, MeterDriver, Opening, Order, RecordEntries, RecordKind,
    RecordsAsked, SellOutcome, SetOutcome, Snapshot, Step, Way,
};

#[derive(Debug)]
pub struct Dlt645;

impl MeterDriver for Dlt645 {
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
        purse::sell(host, call, order)
    }
    fn refund(host: &mut dyn Host, call: &Call, order: &Order) -> Result<SellOutcome, DriverError> {
        purse::refund(host, call, order)
    }
    fn clear(host: &mut dyn Host, call: &Call) -> Result<SellOutcome, DriverError> {
        parameters::clear(host, call)
    }
    fn check(
        host: &mut dyn Host,
        call: &Call,
        count: Option<u32>,
    ) -> Result<Evidence, DriverError> {
        record::check(host, call, count)
    }
    fn control(
        host: &mut dyn Host,
        call: &Call,
        command: u16,
        valid_until: Option<LocalTime>,
    ) -> Result<ControlOutcome, DriverError> {
        relay::control(host, call, command, valid_until)
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
        polymeter_driver::walk::ways()
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

#[cfg(not(feature = "energy"))]
polymeter_driver::export!(Dlt645, with bus, with refund, with clock, with records);
// Found by the other one: who searches a line cannot see what a purse holds.
#[cfg(feature = "energy")]
polymeter_driver::export!(Dlt645, with refund, with clock, with records);
