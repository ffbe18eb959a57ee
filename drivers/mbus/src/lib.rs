//! Any M-Bus meter of EN 13757: read by its primary or secondary address, over as many telegrams as
//! it has, and found on a line by either; captured telegrams of wires and of radio explained.
//!
//! Invariant: only reads are sent, what selects or resets the link, and the time where the clock is set.
//! A telegram is judged by its
//! control field, address and identity before a value is taken from it; a number that the meter
//! marks as invalid is never told as measured.
//!
//! Not here: telegrams and records (`polymeter_codec::mbus`); keys (the vault). What is known and
//! what is chosen stands in README.md.
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

mod address;
mod clock;
mod exchange;
mod explain;
mod names;
mod opened;
mod radio;
mod read;
mod records;
mod search;

use polymeter_driver::{
    Call, ClockOutcome, ControlOutcome, Description, DriverError, Evidence, Explanation, Extras,
    Host, Identity, LocalTime, MeterDriver, Opening, Order, Parameter, RecordEntries, RecordKind,
    RecordsAsked, SellOutcome, SetOutcome, Snapshot, Step, Value, Way, codes,
};

/// The driver; every call stands for itself.
#[derive(Debug)]
pub struct Mbus;

impl MeterDriver for Mbus {
    fn describe() -> Description {
        Description {
            vendor_code: "MBUS".to_owned(),
            name: "M-Bus meter of EN 13757".to_owned(),
            version: env!("CARGO_PKG_VERSION").to_owned(),
            models: vec!["EN 13757".to_owned()],
            proof: codes::proof::NONE,
            purse: codes::quantity::NONE,
            parameters: vec![Parameter {
                name: opened::KEY_LABEL.to_owned(),
                title_en: "Key label".to_owned(),
                title_zh: "密钥标签".to_owned(),
                unit: codes::unit::NONE,
                minimum: None,
                maximum: None,
                default: Some(Value::Text(opened::KEY_DEFAULT.to_owned())),
                writable: false,
            }],
        }
    }

    fn probe(host: &mut dyn Host, call: &Call) -> Result<Identity, DriverError> {
        read::probe(host, call)
    }

    fn read(host: &mut dyn Host, call: &Call) -> Result<Snapshot, DriverError> {
        read::read(host, call)
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
        _: &mut dyn Host,
        _: &Call,
        _: u16,
        _: Option<LocalTime>,
    ) -> Result<ControlOutcome, DriverError> {
        let detail = "EN 13757 has no record that moves a valve in every meter";
        Err(DriverError::new(codes::error::UNSUPPORTED, detail))
    }

    fn set_parameters(_: &mut dyn Host, _: &Call, _: &Extras) -> Result<SetOutcome, DriverError> {
        let detail = "this driver writes nothing into a meter but its clock";
        Err(DriverError::new(codes::error::UNSUPPORTED, detail))
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
        search::ways()
    }

    fn search(
        host: &mut dyn Host,
        _: &Call,
        way: &str,
        position: Option<&[u8]>,
        questions: u32,
    ) -> Result<Step, DriverError> {
        search::search(host, way, position, questions)
    }
}

fn no_purse() -> DriverError {
    DriverError::new(codes::error::UNSUPPORTED, "EN 13757 knows no purse in the meter")
}

polymeter_driver::export!(Mbus, with bus, with clock, with records);
