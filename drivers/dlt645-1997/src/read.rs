//! Who is there, and what it reads.

use crate::exchange::Exchange;
use crate::measure::{Measured, local};
use crate::settings::Settings;
use polymeter_codec::dlt645::items_1997::find;
use polymeter_codec::dlt645::value::{Format, Part, SECOND, Time, Value as Read};
use polymeter_driver::codes::{quality, register, supply, unit};
use polymeter_driver::{Call, DriverError, Host, Identity, Measurement, Snapshot, Value};

/// Forward energy in total: what every meter has.
pub const ENERGY: u16 = 0x9010;
const METER_NUMBER: u16 = 0xC032;
const DATE: u16 = 0xC010;
const TIME: u16 = 0xC011;

/// The standard has no question for an address: a meter that is alone answers a reading.
pub fn probe(host: &mut dyn Host, call: &Call) -> Result<Identity, DriverError> {
    let mut exchange = Exchange::new(host, Settings::asking(call)?);
    let (address, _) = exchange.read(ENERGY)?.unwrap_or((exchange.settings.address, Vec::new()));
    let mut extras = Vec::new();
    if let Some((_, bytes)) = exchange.read(METER_NUMBER).ok().flatten()
        && let Ok(Read::Digits(number)) = (Format::Digits { bytes: 6 }).read(&bytes)
    {
        extras.push(("meter number".to_owned(), Value::Text(number.to_string())));
    }
    Ok(Identity { address: address.to_string(), model: String::new(), extras })
}

/// A block, or its items one by one where the meter has no block: the first one and how many.
const WANTED: &[(u16, u16, u16)] = &[
    (0x901F, 0x9010, 5),
    (0x9020, 0x9020, 0),
    (0xB61F, 0xB611, 3),
    (0xB62F, 0xB621, 3),
    (0xB63F, 0xB630, 4),
    (0xB65F, 0xB650, 4),
    (0xC020, 0xC020, 0),
];
/// The same of the last month and the one before.
const PAST: &[(u16, u16, u16)] = &[(0x941F, 0x9410, 5), (0x981F, 0x9810, 5)];

pub fn read(host: &mut dyn Host, call: &Call) -> Result<Snapshot, DriverError> {
    let mut exchange = Exchange::new(host, Settings::asking(call)?);
    let mut measured = Measured::default();
    let months = usize::from(exchange.settings.months);
    for wanted in WANTED.iter().chain(PAST.iter().take(months)) {
        take(&mut exchange, *wanted, &mut measured)?;
    }
    take_clock(&mut exchange, &mut measured)?;
    let Measured { measurements, extras } = measured;
    Ok(Snapshot { measurements, supply: supply::UNKNOWN, extras })
}

fn take(
    exchange: &mut Exchange<'_>,
    (block, first, count): (u16, u16, u16),
    measured: &mut Measured,
) -> Result<(), DriverError> {
    if take_item(exchange, block, measured)? {
        return Ok(());
    }
    for index in 0..count {
        take_item(exchange, first.saturating_add(index), measured)?;
    }
    Ok(())
}

/// Whether the meter has it.
fn take_item(
    exchange: &mut Exchange<'_>,
    identifier: u16,
    measured: &mut Measured,
) -> Result<bool, DriverError> {
    let (Some((_, data)), Some(found)) = (exchange.read(identifier)?, find(identifier)) else {
        return Ok(false);
    };
    measured.take(found, &data);
    Ok(true)
}

/// Date and time are two items; together they are the clock. The date is read before and behind the
/// time where the hour is 0: it may have changed in between.
fn take_clock(exchange: &mut Exchange<'_>, measured: &mut Measured) -> Result<(), DriverError> {
    let Some((_, mut date)) = exchange.read(DATE)? else { return Ok(()) };
    let Some((_, time)) = exchange.read(TIME)? else { return Ok(()) };
    if time.last() == Some(&0) {
        date = exchange.read(DATE)?.map_or(date, |(_, again)| again);
    }
    let clock = clock_of(&date, &time).and_then(local);
    let (value, quality) = match clock {
        Some(clock) => (Value::Time(clock), quality::MEASURED),
        None => (Value::Bytes([time, date].concat()), quality::INVALID),
    };
    let register = register::CLOCK.to_owned();
    measured.measurements.push(Measurement { register, value, unit: unit::NONE, quality });
    Ok(())
}

/// `WW DD MM YY` and `ss mm hh`.
fn clock_of(date: &[u8], time: &[u8]) -> Option<Time> {
    let [_week, day, month, year] = *date.first_chunk()?;
    let [second, minute, hour] = *time.first_chunk()?;
    let whole = date.len() == 4 && time.len() == 3;
    let parts: &[Part] = SECOND;
    whole.then(|| Time::read(parts, &[second, minute, hour, day, month, year]).ok()).flatten()
}
