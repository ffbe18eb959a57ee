//! Driver for electricity meters after DL/T 698.45: reads, reads freezes and events, finds meters,
//! switches the supply where the meter lets an unsecured client do so, sets the clock, explains captured
//! frames.
//!
//! Invariant: what changes a meter is asked once; what it then is decides, and not its yes. What is
//! known of these meters, what was chosen and what nobody knows stands in the README beside this
//! crate.
//!
//! Not here: sales. Such a meter takes money from its security module alone (ESAM), whose commands
//! are not public; the acts of a purse are refused before a byte is sent.
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
mod exchange;
mod explain;
mod measure;
mod read;
mod records;
mod relay;
mod search;
mod settings;

use polymeter_driver::codes::{error, proof, quantity, unit};
use polymeter_driver::{
    Call, ClockOutcome, ControlOutcome, Decimal, Description, DriverError, Evidence, Explanation,
    Extras, Host, Identity, LocalTime, MeterDriver, Opening, Order, Parameter, RecordEntries,
    RecordKind, RecordsAsked, SellOutcome, SetOutcome, Snapshot, Step, Value, Way,
};

#[derive(Debug)]
pub struct Dlt698;

impl MeterDriver for Dlt698 {
    fn describe() -> Description {
        let number = |name: &str, title_en: &str, title_zh: &str, maximum, default| Parameter {
            name: name.to_owned(),
            title_en: title_en.to_owned(),
            title_zh: title_zh.to_owned(),
            unit: unit::NONE,
            minimum: Some(0),
            maximum: Some(maximum),
            default: Some(Value::Number(Decimal { mantissa: default, scale: 0 })),
            writable: false,
        };
        use settings::{CLIENT, CLIENT_DEFAULT, CLIENT_MAX};
        use settings::{WAKE_UP, WAKE_UP_DEFAULT, WAKE_UP_MAX};
        Description {
            vendor_code: "DLT698".to_owned(),
            name: "DL/T 698.45 meter".to_owned(),
            version: env!("CARGO_PKG_VERSION").to_owned(),
            models: vec!["DL/T 698.45".to_owned()],
            proof: proof::NONE,
            purse: quantity::NONE,
            parameters: vec![
                number(CLIENT, "Client address", "客户机地址", CLIENT_MAX, CLIENT_DEFAULT),
                number(WAKE_UP, "Wake-up bytes", "前导字节数", WAKE_UP_MAX, WAKE_UP_DEFAULT),
            ],
        }
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
    fn check(host: &mut dyn Host, call: &Call, _: Option<u32>) -> Result<Evidence, DriverError> {
        read::check(host, call)
    }
    fn control(
        host: &mut dyn Host,
        call: &Call,
        command: u16,
        valid_until: Option<LocalTime>,
    ) -> Result<ControlOutcome, DriverError> {
        relay::control(host, call, command, valid_until)
    }
    fn set_parameters(_: &mut dyn Host, _: &Call, _: &Extras) -> Result<SetOutcome, DriverError> {
        Err(DriverError::new(error::BAD_PARAMETER, "this driver writes no parameter"))
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

fn no_sale() -> DriverError {
    DriverError::new(
        error::UNSUPPORTED,
        "a DL/T 698.45 meter takes money through its security module, which this driver has not",
    )
}

polymeter_driver::export!(Dlt698, without vault, with bus, with clock, with records);
