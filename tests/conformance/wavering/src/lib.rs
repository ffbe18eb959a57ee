//! The DL/T 645 driver's own source under other version numbers, each of which goes wrong in a way
//! of its own: what the tests of an upgrade try beside the good one.
//!
//! The version stands in the component as plain bytes after `MARK`'s words, so that a test makes
//! another version of it by changing one digit. It goes wrong only in calls with a nonce that nobody
//! could know beforehand, which a running host's is and a transcript's is not.
//! Not here: any rule of the protocol; all of that is the driver's.
#![allow(dead_code, reason = "the modules are another crate's, which uses all of them")]

#[path = "../../../../drivers/dlt645-2007/src/clock.rs"]
mod clock;
#[path = "../../../../drivers/dlt645-2007/src/describe.rs"]
mod describe;
#[path = "../../../../drivers/dlt645-2007/src/dialect.rs"]
mod dialect;
#[path = "../../../../drivers/dlt645-2007/src/exchange.rs"]
mod exchange;
#[path = "../../../../drivers/dlt645-2007/src/explain.rs"]
mod explain;
#[path = "../../../../drivers/dlt645-2007/src/held.rs"]
mod held;
#[path = "../../../../drivers/dlt645-2007/src/items.rs"]
mod items;
#[path = "../../../../drivers/dlt645-2007/src/measure.rs"]
mod measure;
#[path = "../../../../drivers/dlt645-2007/src/parameters.rs"]
mod parameters;
#[path = "../../../../drivers/dlt645-2007/src/purse.rs"]
mod purse;
#[path = "../../../../drivers/dlt645-2007/src/read.rs"]
mod read;
#[path = "../../../../drivers/dlt645-2007/src/record.rs"]
mod record;
#[path = "../../../../drivers/dlt645-2007/src/records.rs"]
mod records;
#[path = "../../../../drivers/dlt645-2007/src/relay.rs"]
mod relay;
#[path = "../../../../drivers/dlt645-2007/src/settings.rs"]
mod settings;
#[path = "../../../../drivers/dlt645-2007/src/words.rs"]
mod words;
#[path = "../../../../drivers/dlt645-2007/src/writes.rs"]
mod writes;

use polymeter_driver::{
    Call, ClockOutcome, ControlOutcome, Description, DriverError, Evidence, Explanation, Extras,
    Host, Identity, LocalTime, MeterDriver, Opening, Order, RecordEntries, RecordKind,
    RecordsAsked, SellOutcome, SetOutcome, Snapshot, codes,
};

/// Its last byte is the digit of the version that says how it goes wrong.
static MARK: &[u8; 29] = b"wavering driver version 9.0.0";

/// What a version does with a meter.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Manner {
    /// 9.0.0
    Good,
    /// 9.0.1 panics when it is to read.
    PanicsInReads,
    /// 9.0.2 waits for answers to nothing.
    Slow,
    /// 9.0.3 does not know what it counts energy in.
    Disagrees,
    /// 9.0.4 panics after it has sold.
    PanicsInSales,
}

/// Read byte by byte, so that no compiler knows it beforehand.
fn version() -> String {
    let mark = std::hint::black_box(MARK);
    String::from_utf8_lossy(&mark[24..]).into_owned()
}

fn manner(call: &Call) -> Manner {
    // A transcript's nonce, where it names none.
    if call.nonce.iter().copied().eq(0..16) {
        return Manner::Good;
    }
    match version().as_bytes().last() {
        Some(b'1') => Manner::PanicsInReads,
        Some(b'2') => Manner::Slow,
        Some(b'3') => Manner::Disagrees,
        Some(b'4') => Manner::PanicsInSales,
        _ => Manner::Good,
    }
}

#[derive(Debug)]
pub struct Wavering;

impl MeterDriver for Wavering {
    fn describe() -> Description {
        Description { version: version(), ..describe::description() }
    }
    fn probe(host: &mut dyn Host, call: &Call) -> Result<Identity, DriverError> {
        read::probe(host, call)
    }
    fn read(host: &mut dyn Host, call: &Call) -> Result<Snapshot, DriverError> {
        match manner(call) {
            Manner::PanicsInReads => panic!("as version 9.0.1 does"),
            // Each waits for the line's own timeout.
            Manner::Slow => (0..3).for_each(|_| drop(host.receive(1))),
            Manner::Good | Manner::Disagrees | Manner::PanicsInSales => {}
        }
        let mut snapshot = read::read(host, call)?;
        if manner(call) == Manner::Disagrees {
            let energy = codes::register::ENERGY_IMPORT_TOTAL;
            for measurement in &mut snapshot.measurements {
                if measurement.register == energy {
                    measurement.unit = codes::unit::NONE;
                }
            }
        }
        Ok(snapshot)
    }
    fn open(
        host: &mut dyn Host,
        call: &Call,
        opening: &Opening,
    ) -> Result<SellOutcome, DriverError> {
        purse::open(host, call, opening)
    }
    fn sell(host: &mut dyn Host, call: &Call, order: &Order) -> Result<SellOutcome, DriverError> {
        let outcome = purse::sell(host, call, order);
        assert!(manner(call) != Manner::PanicsInSales, "as version 9.0.4 does");
        outcome
    }
    fn refund(host: &mut dyn Host, call: &Call, order: &Order) -> Result<SellOutcome, DriverError> {
        purse::refund(host, call, order)
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
    fn set_clock(host: &mut dyn Host, call: &Call, way: u16) -> Result<ClockOutcome, DriverError> {
        clock::set(host, call, way)
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
    fn decode(frame: &[u8]) -> Result<Explanation, String> {
        explain::explain(frame)
    }
}

polymeter_driver::export!(Wavering, with refund, with clock, with records);
