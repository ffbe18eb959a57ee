//! The driver's verbs, as the host calls them. Money is in `purse`.

use crate::exchange::{Answer, address, ask, bad, no_data, refused};
use crate::frame::{self, numbers};
use crate::purse;
use polymeter_driver::codes::{command, error, proof, quality, quantity, register, supply, unit};
use polymeter_driver::{
    Call, ControlOutcome, Decimal, Description, DriverError, Evidence, Explanation, Extras, Host,
    Identity, LocalTime, Measurement, MeterDriver, Opening, Order, Parameter, SellOutcome,
    SetOutcome, Snapshot, Value,
};

const MODEL: &str = "HALO-1";
/// The parameters that live in the meter, both in fen.
const WRITABLE: [(&str, &str, &str); 2] = [
    ("alarm", "Low credit alarm", "报警金额"),
    ("limit", "Most the purse may hold", "囤积金额限值"),
];
const FEN_MAX: i64 = 99_999_999;

#[derive(Debug)]
pub struct Acme;

impl MeterDriver for Acme {
    fn describe() -> Description {
        Description {
            vendor_code: "ACME".to_owned(),
            name: "acme".to_owned(),
            version: env!("CARGO_PKG_VERSION").to_owned(),
            models: vec![MODEL.to_owned()],
            proof: proof::PURCHASE_COUNT,
            purse: quantity::MONEY,
            parameters: WRITABLE.map(parameter).to_vec(),
        }
    }

    fn probe(host: &mut dyn Host, call: &Call) -> Result<Identity, DriverError> {
        let address = address(call)?;
        match ask(host, address, 'I', "")? {
            Answer::Yes(model) => {
                Ok(Identity { address: address.to_owned(), model, extras: Vec::new() })
            }
            Answer::No(code) => Err(no_data(code)),
        }
    }

    fn read(host: &mut dyn Host, call: &Call) -> Result<Snapshot, DriverError> {
        let Reading { energy, balance, connected } = reading(host, address(call)?)?;
        Ok(Snapshot {
            measurements: vec![
                measured(register::ENERGY_IMPORT_TOTAL, energy, 0, unit::WATT_HOUR),
                measured(register::CREDIT_REMAINING, balance, -2, unit::CURRENCY),
            ],
            supply: supply_of(connected),
            extras: Vec::new(),
        })
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

    fn clear(host: &mut dyn Host, call: &Call) -> Result<SellOutcome, DriverError> {
        purse::clear(host, call)
    }

    fn check(
        host: &mut dyn Host,
        call: &Call,
        count: Option<u32>,
    ) -> Result<Evidence, DriverError> {
        purse::check(host, call, count)
    }

    /// The relay only: what this meter cannot do is said before a byte leaves.
    fn control(
        host: &mut dyn Host,
        call: &Call,
        command: u16,
        _valid_until: Option<LocalTime>,
    ) -> Result<ControlOutcome, DriverError> {
        let connect = match command {
            command::DISCONNECT => false,
            command::CONNECT => true,
            other => {
                let detail = format!("this meter has no supply command {other}");
                return Err(DriverError::new(error::UNSUPPORTED, detail));
            }
        };
        let address = address(call)?;
        let asked = ask(host, address, 'V', if connect { "1" } else { "0" });
        if let Ok(Answer::No(code)) = asked {
            return Ok(ControlOutcome::Refused(refused(code)));
        }
        // Whether the answer came or not: the relay itself tells.
        Ok(match reading(host, address) {
            Ok(reading) if reading.connected == connect => {
                ControlOutcome::Confirmed(supply_of(connect))
            }
            Ok(_) => ControlOutcome::Unknown("the relay did not move".to_owned()),
            Err(error) => ControlOutcome::Unknown(format!("no reading: {}", error.detail)),
        })
    }

    /// Each one is proved by its echo alone: this meter cannot be asked for a parameter.
    fn set_parameters(
        host: &mut dyn Host,
        call: &Call,
        parameters: &Extras,
    ) -> Result<SetOutcome, DriverError> {
        let address = address(call)?;
        let writes = parameters.iter().map(write).collect::<Result<Vec<_>, _>>()?;
        for (done, write) in writes.iter().enumerate() {
            match ask(host, address, 'P', write) {
                Ok(Answer::Yes(echo)) if echo == *write => {}
                Ok(Answer::No(code)) if done == 0 => return Ok(SetOutcome::Refused(refused(code))),
                Ok(_) => return Ok(SetOutcome::Unknown(format!("{write} was not taken"))),
                Err(lost) => return Ok(SetOutcome::Unknown(format!("{write}: {}", lost.detail))),
            }
        }
        Ok(SetOutcome::Confirmed)
    }

    fn decode(frame: &[u8]) -> Result<Explanation, String> {
        let frame = frame::decode(frame).ok_or("not a whole HALO frame")?;
        let text = |name: &str, text: String| (name.to_owned(), Value::Text(text));
        Ok(Explanation {
            address: frame.address,
            measurements: Vec::new(),
            extras: vec![text("command", frame.letter.to_string()), text("data", frame.data)],
        })
    }
}

struct Reading {
    energy: u64,
    balance: u64,
    connected: bool,
}

fn reading(host: &mut dyn Host, address: &str) -> Result<Reading, DriverError> {
    let data = match ask(host, address, 'R', "")? {
        Answer::Yes(data) => data,
        Answer::No(code) => return Err(no_data(code)),
    };
    match numbers(&data, [10, 8, 1]) {
        Some([energy, balance, relay @ (0 | 1)]) => {
            Ok(Reading { energy, balance, connected: relay == 1 })
        }
        _ => Err(DriverError::new(error::GARBLED, "a reading of a wrong shape")),
    }
}

fn supply_of(connected: bool) -> u16 {
    if connected { supply::CONNECTED } else { supply::DISCONNECTED }
}

fn measured(register: &str, number: u64, scale: i8, unit: u16) -> Measurement {
    // The protocol's numbers have ten digits at most.
    let mantissa = i64::try_from(number).unwrap_or(i64::MAX);
    let value = Value::Number(Decimal { mantissa, scale });
    Measurement { register: register.to_owned(), value, unit, quality: quality::MEASURED }
}

fn parameter((name, title_en, title_zh): (&str, &str, &str)) -> Parameter {
    Parameter {
        name: name.to_owned(),
        title_en: title_en.to_owned(),
        title_zh: title_zh.to_owned(),
        unit: unit::CURRENCY,
        minimum: Some(0),
        maximum: Some(FEN_MAX),
        default: None,
        writable: true,
    }
}

/// The data of a `P`: all of them are understood before the first is sent.
fn write((name, value): &(String, Value)) -> Result<String, DriverError> {
    if !WRITABLE.iter().any(|(known, ..)| known == name) {
        return Err(bad(format!("this meter has no parameter `{name}`")));
    }
    match value {
        Value::Number(Decimal { mantissa: fen @ 0..=FEN_MAX, scale: 0 }) => {
            Ok(format!("{name}={fen}"))
        }
        _ => Err(bad(format!("`{name}` is 0 to {FEN_MAX} fen"))),
    }
}
