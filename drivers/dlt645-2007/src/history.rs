//! What a meter keeps of the past: daily freezes, load records, events. Read with a reading where
//! the parameters ask for it, and told as extras.
//!
//! Invariant: a meter that does not keep something is no error; what is damaged is said to be.

use crate::exchange::Exchange;
use crate::items;
use crate::measure::{Measured, value};
use crate::read::take_item;
use polymeter_codec::bcd::{self, Sign};
use polymeter_codec::dlt645::load_record;
use polymeter_codec::dlt645::request::read_records;
use polymeter_codec::dlt645::value::Time;
use polymeter_driver::codes::quality;
use polymeter_driver::{DriverError, LocalTime, Value, time};

/// Where a meter does not tell how far its load records are apart (DL/T 614-2007: 1 to 60 minutes).
const INTERVAL_MINUTES: u32 = 15;

/// The last `count` daily freezes, the latest first, until one is missing.
pub fn freezes(
    exchange: &mut Exchange<'_>,
    count: u32,
    measured: &mut Measured,
) -> Result<(), DriverError> {
    for back in 0..count {
        let time = items::DAILY_FREEZE_TIME.saturating_add(back);
        if !take_item(exchange, time, measured)? {
            break;
        }
        take_item(exchange, items::DAILY_FREEZE_ENERGY.saturating_add(back), measured)?;
    }
    Ok(())
}

/// Counts of events and the latest record of each (DL/T 645-2007, appendix A, DI3 = 03H; 1D and 1E
/// from the 2013 extension).
const EVENTS: &[u32] = &[
    0x0311_0000,
    0x0311_0001,
    0x0330_0D00,
    0x0330_0D01,
    0x0330_0E00,
    0x0330_0E01,
    0x0330_0000,
    0x0330_0001,
    0x0330_0400,
    0x0330_0401,
    0x1D00_0001,
    0x1D00_FF01,
    0x1E00_0001,
    0x1E00_FF01,
];

pub fn events(exchange: &mut Exchange<'_>, measured: &mut Measured) -> Result<(), DriverError> {
    for identifier in EVENTS {
        take_item(exchange, *identifier, measured)?;
    }
    Ok(())
}

/// The last `count` load records before `now`, in as many frames as the meter needs for them.
pub fn load_records(
    exchange: &mut Exchange<'_>,
    count: u8,
    now: LocalTime,
    measured: &mut Measured,
) -> Result<(), DriverError> {
    let interval = exchange.read(items::LOAD_INTERVAL)?;
    let interval = interval.and_then(|bytes| bcd::decode(&bytes, Sign::None).ok().flatten());
    let interval = interval.and_then(|minutes| u32::try_from(minutes).ok());
    let interval = interval.filter(|minutes| *minutes > 0).unwrap_or(INTERVAL_MINUTES);
    let since = before(now, interval.saturating_mul(count.into()));
    let data = read_records(items::LOAD_RECORDS, count, Some(since))
        .map_err(|reason| crate::settings::bad(format!("load records: {reason}")))?;
    let Some(bytes) = exchange.read_with(&data)? else { return Ok(()) };
    let mut rest = bytes.as_slice();
    while !rest.is_empty() {
        match load_record::read(rest) {
            Ok((record, used)) => {
                take_record(&record, measured);
                rest = rest.get(used..).unwrap_or_default();
            }
            Err(damaged) => {
                let told = format!("{damaged}, {} bytes are left out", rest.len());
                measured.extras.push(("load damaged".to_owned(), Value::Text(told)));
                break;
            }
        }
    }
    Ok(())
}

/// "load 2026-03-02 10:15 voltage A"
fn take_record(record: &load_record::LoadRecord<'_>, measured: &mut Measured) {
    let time = match record.time {
        Ok(time) => time.to_string(),
        Err(none) => format!("({none})"),
    };
    record.for_each(|column, read, bytes| {
        let (value, quality) = value(read, bytes);
        if quality == quality::MEASURED {
            measured.extras.push((format!("load {time} {}", column.name), value));
        }
    });
}

/// `minutes` before `time`, to the minute.
fn before(time: LocalTime, minutes: u32) -> Time {
    let seconds = time::seconds(time).saturating_sub(i64::from(minutes).saturating_mul(60));
    let LocalTime { year, month, day, hour, minute, .. } = time::at(seconds);
    Time {
        year: Some(year),
        month: Some(month),
        day: Some(day),
        hour: Some(hour),
        minute: Some(minute),
        second: None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(minutes: u32, expected: &str) {
        let now = LocalTime { year: 2028, month: 3, day: 1, hour: 0, minute: 10, second: 59 };
        assert_eq!(before(now, minutes).to_string(), expected);
    }

    #[test]
    fn minutes_before() {
        check(0, "2028-03-01 00:10");
        check(10, "2028-03-01 00:00");
        check(11, "2028-02-29 23:59");
        check(60 * 24 * 61, "2027-12-31 00:10");
        check(60 * 24 * 366, "2027-03-01 00:10");
    }
}
