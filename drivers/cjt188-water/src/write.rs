//! The days of settlement and of reading and the price table, written into the meter and read back.
//!
//! Invariant: every parameter is understood before the first is written, and `confirmed` is said only
//! after the meter reads back what was asked. The day from which a price table holds is no parameter
//! that is set: the meter takes it and does not tell it.

use crate::exchange::{Answer, Exchange, device_code};
use crate::settings::{DAY_MAX, Settings, bad, name};
use polymeter_codec::bcd;
use polymeter_codec::cjt188::{PRICES_BYTES, Prices, control, identifier};
use polymeter_driver::codes::refusal;
use polymeter_driver::decimals::scaled;
use polymeter_driver::{Call, Decimal, DriverError, Extras, Host, Refusal, SetOutcome, Value};

/// What is written, and how it is told when it is read.
struct Item {
    name: &'static str,
    write: u16,
    read: u16,
    written: Vec<u8>,
    /// The beginning of `written` that every meter tells; what it tells beyond that has to agree.
    told: usize,
}

pub fn set_parameters(
    host: &mut dyn Host,
    call: &Call,
    parameters: &Extras,
) -> Result<SetOutcome, DriverError> {
    let settings = Settings::one_meter(call)?;
    let items = understood(&settings, parameters)?;
    let mut exchange = Exchange::new(host, call, settings);
    let mut lost = None;
    for (done, item) in items.iter().enumerate() {
        match exchange.ask(control::WRITE, item.write, &item.written) {
            Ok(Answer::Yes(..)) => {}
            Ok(Answer::No(status)) if done == 0 => {
                return Ok(SetOutcome::Refused(Refusal {
                    code: refusal::BAD_VALUE,
                    detail: format!("the meter refused `{}`", item.name),
                    device_code: Some(device_code(&status)),
                }));
            }
            // Those before it may stand in the meter by now, so this is no refusal of the whole.
            Ok(Answer::No(status)) => {
                lost = Some(format!("{} was refused with {}", item.name, device_code(&status)));
            }
            Err(error) => lost = Some(format!("{}: {}", item.name, error.detail)),
        }
    }
    for item in &items {
        let held = match exchange.read(item.read) {
            Ok(held) => held,
            Err(error) => {
                let why = lost.unwrap_or(error.detail);
                return Ok(SetOutcome::Unknown(format!("{} not read back: {why}", item.name)));
            }
        };
        if held.len() < item.told || !item.written.starts_with(&held) {
            let why = lost.unwrap_or_else(|| "the write was acknowledged".to_owned());
            let text = format!("{}: the meter holds {held:02X?}; {why}", item.name);
            return Ok(SetOutcome::Unknown(text));
        }
    }
    Ok(SetOutcome::Confirmed)
}

fn understood(settings: &Settings, parameters: &Extras) -> Result<Vec<Item>, DriverError> {
    if parameters.is_empty() {
        return Err(bad("no parameter to set".to_owned()));
    }
    let mut items: Vec<Item> = Vec::new();
    let (mut prices, mut steps) = (None, None);
    for (name, value) in parameters {
        let twice = || bad(format!("`{name}` stands there twice"));
        match name.as_str() {
            name::LADDER_PRICES => {
                let list = list(name, value, settings.price_places)?;
                prices.replace(list).map_or(Ok(()), |_| Err(twice()))?;
            }
            name::LADDER_STEPS => {
                steps.replace(list(name, value, 0)?).map_or(Ok(()), |_| Err(twice()))?;
            }
            _ => {
                let day = day(name, value)?;
                if items.iter().any(|known| known.name == day.name) {
                    return Err(twice());
                }
                items.push(day);
            }
        }
    }
    match (prices, steps) {
        (None, None) => {}
        (Some(prices), Some(steps)) => items.push(table(settings, &Prices { prices, steps })?),
        (Some(_), None) | (None, Some(_)) => {
            let (prices, steps) = (name::LADDER_PRICES, name::LADDER_STEPS);
            return Err(bad(format!("`{prices}` and `{steps}` are one table: set both")));
        }
    }
    Ok(items)
}

fn table(settings: &Settings, prices: &Prices) -> Result<Item, DriverError> {
    let [to_second, to_third] = prices.steps;
    if to_second >= to_third {
        return Err(bad(format!("`{}` must rise", name::LADDER_STEPS)));
    }
    let bytes = prices.to_wire().map_err(|why| bad(format!("the price table: {why}")))?;
    let mut day = [0];
    bcd::encode(settings.price_start_day.into(), &mut day)
        .map_err(|why| bad(format!("`{}`: {why}", name::PRICE_START_DAY)))?;
    Ok(Item {
        name: name::LADDER_PRICES,
        write: identifier::WRITE_PRICES,
        read: identifier::PRICES,
        written: [&bytes[..], &day].concat(),
        told: PRICES_BYTES,
    })
}

/// Exactly as many decimals as a table has.
fn list<const N: usize>(
    name: &str,
    value: &Value,
    decimals: usize,
) -> Result<[u64; N], DriverError> {
    let wrong = || bad(format!("`{name}` must be {N} numbers between blanks, {decimals} decimals"));
    let Value::Text(text) = value else { return Err(wrong()) };
    let numbers: Option<Vec<u64>> =
        text.split_ascii_whitespace().map(|word| scaled(word, decimals)).collect();
    numbers.and_then(|numbers| <[u64; N]>::try_from(numbers).ok()).ok_or_else(wrong)
}

fn day(name: &str, value: &Value) -> Result<Item, DriverError> {
    let (name, write, read) = match name {
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
    Ok(Item { name, write, read, written: day.to_vec(), told: 1 })
}
