//! Acrel DDSY1352 and DTSY1352: energies, electrical values, demand, clock, the last event, the relay
//! and the tariff plans of the prepaid meters of this family.
//!
//! Invariant: nothing is written but the relay, the end of its forcing, the clock and the plans, and each is
//! confirmed only as it was read back. No credit is sold: the meter's own command for that is known by
//! one source alone and shows no last purchase, so money stays in the platform's purse.
//!
//! Not here: the register maps (`driver.toml`) and how they are read (`polymeter_modbus`). What is
//! known, assumed and unknown stands in README.md.
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
mod envelope;
mod extra;
mod records;
mod settings;

use polymeter_driver::{
    Call, ClockOutcome, ControlOutcome, Description, DriverError, Evidence, Explanation, Extras,
    Host, Identity, LocalTime, MeterDriver, Opening, Order, RecordEntries, RecordKind,
    RecordsAsked, SellOutcome, SetOutcome, Snapshot, Step, Way, codes,
};
use polymeter_modbus::Embedded;
use polymeter_modbus::instrument::Instrument;

static PLACE: Embedded = Embedded::new(include_bytes!("../driver.toml"));
static INSTRUMENT: Instrument = Instrument::new(&PLACE);

/// The driver; every call stands for itself.
#[derive(Debug)]
pub struct Acrel1352;

impl MeterDriver for Acrel1352 {
    fn describe() -> Description {
        INSTRUMENT.describe()
    }

    fn probe(host: &mut dyn Host, call: &Call) -> Result<Identity, DriverError> {
        INSTRUMENT.probe(host, call)
    }

    fn read(host: &mut dyn Host, call: &Call) -> Result<Snapshot, DriverError> {
        let wanted = extra::Wanted::of(call)?;
        let mut snapshot = INSTRUMENT.read(host, call)?;
        extra::add(host, call, &wanted, &mut snapshot)?;
        Ok(snapshot)
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

    fn set_parameters(
        host: &mut dyn Host,
        call: &Call,
        parameters: &Extras,
    ) -> Result<SetOutcome, DriverError> {
        let model = &INSTRUMENT.face()?.map(call)?.model;
        settings::set_parameters(host, call, model, parameters)
    }

    fn decode(frame: &[u8]) -> Result<Explanation, String> {
        let modbus = |frame: &[u8]| INSTRUMENT.decode(frame);
        envelope::explain(frame, modbus).map_or_else(|| modbus(frame), Ok)
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
        INSTRUMENT.search(host, call, way, position, questions)
    }
}

fn no_purse() -> DriverError {
    let detail = "this meter's purse is not used: its sale shows no last purchase to prove it by";
    DriverError::new(codes::error::UNSUPPORTED, detail)
}

polymeter_driver::export!(Acrel1352, without vault, with bus, with clock, with records);
