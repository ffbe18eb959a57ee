//! Acrel ADF400L, the Modbus RTU box that meters and sells to several users, each of them a unit on
//! the line.
//!
//! Invariant: at most one frame that adds credit leaves per call, it carries the purchase count
//! that makes a copy of it harmless, and `confirmed` is said only after the box's own list of
//! purchases shows that count with that amount. Every frame that came is judged by unit, function,
//! length and CRC before a value is taken from it.
//!
//! Not here: frames (`polymeter_codec::modbus`), retries of a sale, what a price means. What of the
//! box is known and what is chosen stands in README.md.
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
mod frames;
mod parameters;
mod purse;
mod record;
mod records;
mod registers;
mod search;
mod settings;
mod snapshot;
mod supply;
mod user;

use polymeter_driver::{
    Call, ClockOutcome, ControlOutcome, Description, DriverError, Evidence, Explanation, Extras,
    Host, Identity, LocalTime, MeterDriver, Opening, Order, RecordEntries, RecordKind,
    RecordsAsked, SellOutcome, SetOutcome, Snapshot, Step, Way, codes,
};

/// The driver; every call stands for itself.
#[derive(Debug)]
pub struct Adf400l;

impl MeterDriver for Adf400l {
    fn describe() -> Description {
        Description {
            vendor_code: "ACREL".to_owned(),
            name: "Acrel ADF400L multi-user meter box".to_owned(),
            version: env!("CARGO_PKG_VERSION").to_owned(),
            models: vec![registers::MODEL.to_owned()],
            proof: codes::proof::PURCHASE_LIST,
            purse: codes::quantity::MONEY,
            parameters: parameters::described(),
        }
    }

    fn probe(host: &mut dyn Host, call: &Call) -> Result<Identity, DriverError> {
        snapshot::probe(host, call)
    }

    fn read(host: &mut dyn Host, call: &Call) -> Result<Snapshot, DriverError> {
        snapshot::read(host, call)
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

    fn clear(_: &mut dyn Host, _: &Call) -> Result<SellOutcome, DriverError> {
        let detail = "no register of this box is known that empties a purse";
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
        supply::control(host, call, command, valid_until)
    }

    fn set_parameters(
        host: &mut dyn Host,
        call: &Call,
        parameters: &Extras,
    ) -> Result<SetOutcome, DriverError> {
        settings::set_parameters(host, call, parameters)
    }

    fn decode(frame: &[u8]) -> Result<Explanation, String> {
        frames::decode(frame)
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
        polymeter_modbus::search::ways()
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

polymeter_driver::export!(Adf400l, without vault, with bus, with clock, with records);
