//! Who is there, and what it reads.

use crate::exchange::{Answer, Exchange, device_error};
use crate::held::HELD;
use crate::items::{self, find};
use crate::measure::{Measured, text};
use crate::purse;
use crate::record::last_count;
use crate::relay::supply_of;
use crate::settings::Settings;
use polymeter_codec::dlt645::{Address, control, status};
use polymeter_driver::codes::{error, quality, register, supply, unit};
use polymeter_driver::states;
use polymeter_driver::{Call, Decimal, DriverError, Host, Identity, Measurement, Snapshot, Value};

pub fn probe(host: &mut dyn Host, call: &Call) -> Result<Identity, DriverError> {
    let mut exchange = Exchange::new(host, Settings::asking(call)?);
    let address = match exchange.ask(control::READ_ADDRESS, &[])? {
        Answer::Yes(address, data) => own_address(address, &data)?,
        Answer::No(error) => return Err(device_error("to tell its address", &error)),
    };
    exchange.settings.address = address;
    let model = name(&mut exchange, items::MODEL);
    let version = name(&mut exchange, items::PROTOCOL_VERSION);
    let extras = version.map(|text| ("protocol-version".to_owned(), Value::Text(text)));
    Ok(Identity {
        address: address.to_string(),
        model: model.unwrap_or_default(),
        extras: extras.into_iter().collect(),
    })
}

/// The address in the data; the frame's own must be the same, or the wildcard (seen at one meter).
pub fn own_address(frame: Address, data: &[u8]) -> Result<Address, DriverError> {
    let told = data.try_into().ok().and_then(Address::from_wire);
    match told {
        Some(address) if address.is_one_meter() && frame.matches(address) => Ok(address),
        _ => Err(DriverError::new(error::GARBLED, "an answer that tells no address")),
    }
}

/// A name is no reason to fail: a meter may have none, or be silent about it.
fn name(exchange: &mut Exchange<'_>, identifier: u32) -> Option<String> {
    exchange.read(identifier).ok().flatten().and_then(|bytes| text(&bytes))
}

/// What is read: a block, or one by one where the meter has no such block.
struct Wanted {
    block: Option<u32>,
    first: u32,
    step: u32,
    count: u32,
}

const fn single(first: u32) -> Wanted {
    Wanted { block: None, first, step: 0, count: 1 }
}

const WANTED: &[Wanted] = &[
    Wanted { block: Some(items::ENERGY_BLOCK), first: items::ENERGY_TOTAL, step: 0x100, count: 5 },
    single(HELD.remaining),
    single(HELD.overdrawn),
    Wanted { block: Some(items::VOLTAGE_BLOCK), first: items::VOLTAGE, step: 0x100, count: 3 },
    Wanted { block: Some(items::CURRENT_BLOCK), first: items::CURRENT, step: 0x100, count: 3 },
    single(items::POWER_TOTAL),
    single(items::CLOCK),
    Wanted { block: Some(items::STATUS_BLOCK), first: items::STATUS_WORD_1, step: 1, count: 7 },
];

pub fn read(host: &mut dyn Host, call: &Call) -> Result<Snapshot, DriverError> {
    let mut exchange = Exchange::new(host, Settings::asking(call)?);
    let mut measured = Measured::default();
    for wanted in WANTED {
        take(&mut exchange, wanted, &mut measured)?;
    }
    if !measured.measurements.iter().any(|m| m.register == register::ENERGY_IMPORT_TOTAL) {
        take(&mut exchange, &single(items::ENERGY_COMBINED), &mut measured)?;
    }
    take_purse(&mut exchange, &mut measured)?;
    if let Some(block) = exchange.settings.dialect.block {
        take_item(&mut exchange, block, &mut measured)?;
    }
    tell_states(&mut measured);
    let supply = supply(&measured.measurements, exchange.settings.dialect.told_to_open);
    Ok(Snapshot { measurements: measured.measurements, supply, extras: measured.extras })
}

fn take(
    exchange: &mut Exchange<'_>,
    wanted: &Wanted,
    measured: &mut Measured,
) -> Result<(), DriverError> {
    if let Some(block) = wanted.block
        && take_item(exchange, block, measured)?
    {
        return Ok(());
    }
    for index in 0..wanted.count {
        let identifier = wanted.first.saturating_add(wanted.step.saturating_mul(index));
        take_item(exchange, identifier, measured)?;
    }
    Ok(())
}

/// Whether the meter has it.
pub fn take_item(
    exchange: &mut Exchange<'_>,
    identifier: u32,
    measured: &mut Measured,
) -> Result<bool, DriverError> {
    let (Some(data), Some(found)) = (exchange.read(identifier)?, find(identifier)) else {
        return Ok(false);
    };
    measured.take(found, &data);
    Ok(true)
}

/// Count and customer, from the purse or from its latest record; a meter may have neither.
fn take_purse(exchange: &mut Exchange<'_>, measured: &mut Measured) -> Result<(), DriverError> {
    let count = match purse::status(exchange)? {
        Some(status) => {
            let customer = status.customer.map(Value::Text);
            measured.extras.extend(customer.map(|text| ("customer number".to_owned(), text)));
            status.count
        }
        None => match last_count(exchange) {
            Ok(count) => count,
            Err(none) if none.code == error::NO_SUCH_DATA => return Ok(()),
            Err(failed) => return Err(failed),
        },
    };
    measured.measurements.push(count_measured(count));
    Ok(())
}

pub fn count_measured(count: u32) -> Measurement {
    Measurement {
        register: register::PURCHASE_COUNT.to_owned(),
        value: Value::Number(Decimal { mantissa: count.into(), scale: 0 }),
        unit: unit::NONE,
        quality: quality::MEASURED,
    }
}

/// What the status words say is wrong, where any was read.
fn tell_states(measured: &mut Measured) {
    let words: Vec<(u8, u16)> = measured.measurements.iter().filter_map(status_word).collect();
    if !words.is_empty() {
        let standing = words.into_iter().flat_map(|(word, bits)| status::states(word, bits));
        states::tell(&mut measured.extras, standing);
    }
}

/// Its number and its bits, where it is one that was read.
fn status_word(one: &Measurement) -> Option<(u8, u16)> {
    let word = one.register.strip_prefix("0.0.96.5.")?.strip_suffix(".255")?;
    let Value::Number(bits) = &one.value else { return None };
    Some((word.parse().ok()?, u16::try_from(bits.mantissa).ok()?))
}

/// From status word 3, where it was read.
fn supply(measurements: &[Measurement], told_to_open: u16) -> u16 {
    let mut words = measurements.iter().filter_map(status_word);
    let third = words.find(|(word, _)| *word == 3);
    third.map_or(supply::UNKNOWN, |(_, bits)| supply_of(bits, told_to_open))
}
