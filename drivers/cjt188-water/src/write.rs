//! The days of settlement and of reading, written into the meter and read back.
//!
//! Invariant: every parameter is understood before the first is written, and `confirmed` is said only
//! after the meter reads back what was asked.

use crate::describe::DAY_MAX;
use crate::exchange::{Answer, Exchange, device_code};
use crate::settings::{Settings, bad, name};
use polymeter_codec::bcd;
use polymeter_codec::cjt188::{control, identifier};
use polymeter_driver::codes::refusal;
use polymeter_driver::{Call, Decimal, DriverError, Extras, Host, Refusal, SetOutcome, Value};

/// A day of the month, by the identifiers that write and read it.
struct Day {
    name: &'static str,
    write: u16,
    read: u16,
    day: u8,
}

pub fn set_parameters(
    host: &mut dyn Host,
    call: &Call,
    parameters: &Extras,
) -> Result<SetOutcome, DriverError> {
    let settings = Settings::one_meter(call)?;
    let days = understood(parameters)?;
    let mut exchange = Exchange::new(host, call, settings);
    let mut lost = None;
    for (done, day) in days.iter().enumerate() {
        match exchange.ask(control::WRITE, day.write, &[day.day]) {
            Ok(Answer::Yes(..)) => {}
            Ok(Answer::No(status)) if done == 0 => {
                return Ok(SetOutcome::Refused(Refusal {
                    code: refusal::BAD_VALUE,
                    detail: format!("the meter refused `{}`", day.name),
                    device_code: Some(device_code(&status)),
                }));
            }
            // Those before it may stand in the meter by now, so this is no refusal of the whole.
            Ok(Answer::No(status)) => {
                lost = Some(format!("{} was refused with {}", day.name, device_code(&status)));
            }
            Err(error) => lost = Some(format!("{}: {}", day.name, error.detail)),
        }
    }
    for day in &days {
        let held = match exchange.read(day.read) {
            Ok(held) => held,
            Err(error) => {
                let why = lost.unwrap_or(error.detail);
                return Ok(SetOutcome::Unknown(format!("{} not read back: {why}", day.name)));
            }
        };
        if held != [day.day] {
            let why = lost.unwrap_or_else(|| "the write was acknowledged".to_owned());
            let text = format!("{}: the meter holds {held:02X?}; {why}", day.name);
            return Ok(SetOutcome::Unknown(text));
        }
    }
    Ok(SetOutcome::Confirmed)
}

fn understood(parameters: &Extras) -> Result<Vec<Day>, DriverError> {
    if parameters.is_empty() {
        return Err(bad("no parameter to set".to_owned()));
    }
    let mut days: Vec<Day> = Vec::new();
    for (name, value) in parameters {
        if days.iter().any(|known| known.name == name) {
            return Err(bad(format!("`{name}` stands there twice")));
        }
        let (name, write, read) = match name.as_str() {
            name::SETTLEMENT_DAY => {
                (name::SETTLEMENT_DAY, identifier::WRITE_SETTLEMENT_DAY, identifier::SETTLEMENT_DAY)
            }
            name::READING_DAY => {
                (name::READING_DAY, identifier::WRITE_READING_DAY, identifier::READING_DAY)
            }
            _ => return Err(bad(format!("these meters have no parameter `{name}` to set"))),
        };
        let mut day = [0];
        let good = match value {
            Value::Number(Decimal { mantissa, scale: 0 }) if (1..=DAY_MAX).contains(mantissa) => {
                u64::try_from(*mantissa).is_ok_and(|day_of| bcd::encode(day_of, &mut day).is_ok())
            }
            _ => false,
        };
        if !good {
            return Err(bad(format!("`{name}` must be 1 to {DAY_MAX}")));
        }
        let [day] = day;
        days.push(Day { name, write, read, day });
    }
    Ok(days)
}
