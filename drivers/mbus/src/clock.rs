//! The meter's clock, written as the meter itself tells it and read back.
//!
//! Invariant: the time is sent once. A meter that tells no clock, and an address that may be several
//! meters, are refused before a byte is written.
//!
//! Not here: *adjust*, which EN 13757-3 does not have; whether the clock is right, which the host judges.

use crate::address::Meter;
use crate::exchange::{self, Heard};
use crate::opened::Told;
use crate::read::{QUESTIONS_MAX, begin, telegrams};
use polymeter_codec::mbus::{
    Date, DateTime, Function, Item, Quantity, Record, Time, Value as Said, address,
};
use polymeter_driver::codes::{clock, error};
use polymeter_driver::{Call, ClockOutcome, DriverError, Host, LocalTime, time};

/// 32 and 48 bits (EN 13757-3:2013, table 4), and the code of a date and time.
const DIF_32: u8 = 0x04;
const DIF_48: u8 = 0x06;
const VIF_DATE_AND_TIME: u8 = 0x6D;

pub fn set(host: &mut dyn Host, call: &Call, way: u16) -> Result<ClockOutcome, DriverError> {
    let meter = Meter::parse(&call.address)?;
    let bad = |detail: String| DriverError::new(error::BAD_PARAMETER, detail);
    match way {
        clock::SET => {}
        clock::ADJUST => {
            let detail = "EN 13757-3 has no way to adjust a clock, only to set it";
            return Err(DriverError::new(error::UNSUPPORTED, detail));
        }
        other => return Err(bad(format!("there is no way {other} of setting a clock"))),
    }
    if !meter.is_one() {
        return Err(bad(format!("`{}` may be several meters", call.address)));
    }
    let (before, _) = telegrams(host, call, QUESTIONS_MAX)?;
    let Some(kind) = before.iter().find_map(|(_, told)| shown(told, call.now)) else {
        let detail = "the meter tells no date and time";
        return Err(DriverError::new(error::NO_SUCH_DATA, detail));
    };
    let record = written(call.now, kind.seconds);
    let record = record.ok_or_else(|| bad("the time to set cannot be written".to_owned()))?;
    // Again, so that the next frame count bit is known.
    begin(host, meter)?;
    match exchange::write(host, meter.field(), &record)? {
        // A lost answer is no matter: the clock is read back.
        Heard::Ack | Heard::Silence | Heard::Noise(_) | Heard::Data(_) => {}
    }
    let unread = |why: String| ClockOutcome::Unknown(format!("the clock was not read back: {why}"));
    Ok(match telegrams(host, call, QUESTIONS_MAX) {
        Err(down) if down.code == error::LINE => return Err(down),
        Err(why) => unread(why.detail),
        Ok((after, _)) => match after.iter().find_map(|(_, told)| shown(told, call.now)) {
            Some(Clock { at: Some(at), .. }) => ClockOutcome::Confirmed(at),
            Some(Clock { at: None, .. }) => {
                ClockOutcome::Unknown("the clock shows no time afterwards".to_owned())
            }
            None => unread("the meter tells no date and time".to_owned()),
        },
    })
}

struct Clock {
    /// `None`: marked as invalid, or no time.
    at: Option<LocalTime>,
    seconds: bool,
}

fn shown(told: &Told, now: LocalTime) -> Option<Clock> {
    let items = told.items().ok()?;
    items.iter().find_map(|item| match item {
        Item::Record(record) if is_clock(record) => {
            let seconds = record.data.len() > 4;
            let at = match record.value() {
                Said::DateTime(moment) => local(moment),
                _ => None,
            };
            let at = if seconds { at } else { at.map(|at| nearest(at, now)) };
            Some(Clock { at, seconds })
        }
        _ => None,
    })
}

fn is_clock(record: &Record<'_>) -> bool {
    record.meaning().quantity == Quantity::DateTime
        && record.function == Function::Instantaneous
        && (record.storage, record.tariff, record.subunit) == (0, 0, 0)
        && matches!(record.data.len(), 4 | 6)
        && record.qualifiers().next().is_none()
}

/// Of the minute that the meter shows, the second that is nearest to `now`: no more than what the clock
/// is off by for certain is told.
fn nearest(shown: LocalTime, now: LocalTime) -> LocalTime {
    let first = time::seconds(shown);
    let now = time::seconds(now);
    time::at(now.clamp(first, first.saturating_add(59)))
}

pub fn local(moment: DateTime) -> Option<LocalTime> {
    let DateTime { date, time, .. } = moment;
    Some(LocalTime {
        year: date.year?,
        month: date.month?,
        day: date.day?,
        hour: time.hour?,
        minute: time.minute?,
        second: time.second?,
    })
}

/// The record that sets the clock; `None`: there is no such time, or not in this century.
fn written(now: LocalTime, seconds: bool) -> Option<Vec<u8>> {
    let LocalTime { year, month, day, hour, minute, second } = now;
    let moment = DateTime {
        date: Date { year: Some(year), month: Some(month), day: Some(day) },
        time: Time { hour: Some(hour), minute: Some(minute), second: Some(second) },
        summer: false,
    };
    Some(if seconds {
        [&[DIF_48, VIF_DATE_AND_TIME][..], &moment.to_type_i()?].concat()
    } else {
        [&[DIF_32, VIF_DATE_AND_TIME][..], &moment.to_type_f()?].concat()
    })
}

impl Meter {
    fn is_one(self) -> bool {
        match self {
            Meter::Primary(primary) => primary <= address::DEVICE_MAX,
            Meter::Secondary(pattern) => pattern.is_one_device(),
        }
    }
}
