//! The meter's clock, put right by broadcast or by writing, and read back either way.
//!
//! Invariant: no broadcast leaves that the standard forbids by what is known here: further off than
//! five minutes, or near midnight by either clock. That a meter takes one a day only shows in what its
//! clock shows afterwards, which the host judges.

use crate::exchange::{Answer, Exchange};
use crate::items;
use crate::parameters::LEVEL_WRITE;
use crate::settings::{Settings, bad};
use crate::words;
use polymeter_codec::dlt645::request::broadcast_time;
use polymeter_codec::dlt645::value::{CLOCK, DATE_AND_WEEK, Part, TIME_OF_DAY, Time};
use polymeter_codec::dlt645::{Address, control};
use polymeter_driver::codes::{clock, error, refusal};
use polymeter_driver::dlt645::local;
use polymeter_driver::{Call, ClockOutcome, DriverError, Host, LocalTime, Refusal, time};

/// What a broadcast mends, and how near midnight it must not come, in seconds (DL/T 645-2007, 7.4:
/// 广播校时; a public firmware keeps both).
const BROADCAST_MOST: i64 = 5 * 60;
/// "No such data" in the error byte.
const NO_SUCH_DATA: u8 = 0x02;

pub fn set(host: &mut dyn Host, call: &Call, way: u16) -> Result<ClockOutcome, DriverError> {
    let settings = Settings::acting(call)?;
    if !settings.clock {
        let detail = "this meter is configured to have no clock";
        return Err(DriverError::new(error::UNSUPPORTED, detail));
    }
    let mut exchange = Exchange::new(host, settings);
    let refused = match way {
        clock::ADJUST => adjust(&mut exchange, call.now)?,
        clock::SET => write(&mut exchange, call.now)?,
        other => return Err(bad(format!("there is no way {other} of setting a clock"))),
    };
    if let Some(refusal) = refused {
        return Ok(ClockOutcome::Refused(refusal));
    }
    Ok(match shown(&mut exchange) {
        Ok(Some(shown)) => ClockOutcome::Confirmed(shown),
        Ok(None) => ClockOutcome::Unknown("the clock shows no time afterwards".to_owned()),
        Err(unread) => {
            ClockOutcome::Unknown(format!("the clock was not read back: {}", unread.detail))
        }
    })
}

/// What the clock shows; `None`: no time.
fn shown(exchange: &mut Exchange<'_>) -> Result<Option<LocalTime>, DriverError> {
    if let Some(bytes) = exchange.read(items::CLOCK)? {
        return Ok(read(CLOCK, &bytes).and_then(local));
    }
    // Meters of the plain standard have the clock in two items. The time is read again where the day
    // ended in between.
    let none = || DriverError::new(error::NO_SUCH_DATA, "the meter tells no date and time");
    for _ in 0..2 {
        let before = exchange.read(items::DATE)?.ok_or_else(none)?;
        let of_day = exchange.read(items::TIME)?.ok_or_else(none)?;
        if exchange.read(items::DATE)?.as_ref() == Some(&before) {
            let (Some(date), Some(time)) =
                (read(DATE_AND_WEEK, &before), read(TIME_OF_DAY, &of_day))
            else {
                return Ok(None);
            };
            let Time { year, month, day, .. } = date;
            return Ok(local(Time { year, month, day, ..time }));
        }
    }
    Ok(None)
}

fn read(parts: &[Part], bytes: &[u8]) -> Option<Time> {
    let whole = parts.len() == bytes.len();
    whole.then(|| Time::read(parts, bytes).ok()).flatten()
}

/// C=08H to every meter of the line, each of which takes it under its own rules. What speaks against
/// it, if anything does.
fn adjust(exchange: &mut Exchange<'_>, now: LocalTime) -> Result<Option<Refusal>, DriverError> {
    let Some(before) = shown(exchange)? else {
        return Ok(Some(no(refusal::BAD_VALUE, "the clock shows no time: set it".to_owned())));
    };
    let ahead = time::ahead(before, now);
    if !(-BROADCAST_MOST..=BROADCAST_MOST).contains(&ahead) {
        let way = if ahead < 0 { "behind" } else { "ahead" };
        let off = ahead.unsigned_abs();
        let detail = format!("the clock is {off} s {way}, and a broadcast mends 300 s: set it");
        return Ok(Some(no(refusal::BAD_VALUE, detail)));
    }
    if [before, now].into_iter().any(near_midnight) {
        let detail = "a broadcast must not come within 5 minutes of midnight".to_owned();
        return Ok(Some(no(refusal::OUT_OF_TIME, detail)));
    }
    let data = broadcast_time(of(now)).map_err(|reason| bad(reason.to_string()))?;
    exchange.tell(Address::BROADCAST, control::BROADCAST_TIME, data)?;
    Ok(None)
}

fn near_midnight(time: LocalTime) -> bool {
    let of_day = time::of_day(time);
    of_day < BROADCAST_MOST || of_day >= time::DAY.saturating_sub(BROADCAST_MOST)
}

/// C=14H under the password: the whole clock where the meter has it as one item, else the date and the
/// time behind it. A lost answer is no matter: the clock is read back.
fn write(exchange: &mut Exchange<'_>, now: LocalTime) -> Result<Option<Refusal>, DriverError> {
    match put(exchange, items::CLOCK, CLOCK, now)? {
        Some(error) if error.first().is_some_and(|bits| bits & NO_SUCH_DATA != 0) => {}
        refused => return Ok(refused.map(|error| words::plain_refusal(&error))),
    }
    for (identifier, parts) in [(items::DATE, DATE_AND_WEEK), (items::TIME, TIME_OF_DAY)] {
        if let Some(error) = put(exchange, identifier, parts, now)? {
            let mut refusal = words::plain_refusal(&error);
            if identifier == items::TIME {
                refusal.detail.push_str("; the date is written, the time is not");
            }
            return Ok(Some(refusal));
        }
    }
    Ok(None)
}

/// The meter's error bytes, where it refused.
fn put(
    exchange: &mut Exchange<'_>,
    identifier: u32,
    parts: &[Part],
    now: LocalTime,
) -> Result<Option<Vec<u8>>, DriverError> {
    let mut value = vec![0; parts.len()];
    of(now).write(parts, &mut value).ok_or_else(|| bad("the time to set does not exist"))?;
    for (byte, part) in value.iter_mut().zip(parts) {
        if *part == Part::Week {
            *byte = time::weekday(now);
        }
    }
    match exchange.ask(control::WRITE, &exchange.settings.written(LEVEL_WRITE, identifier, &value))
    {
        Ok(Answer::Yes(..)) => Ok(None),
        Ok(Answer::No(error)) => Ok(Some(error)),
        Err(lost) if lost.code == error::LINE => Err(lost),
        Err(_) => Ok(None),
    }
}

fn of(time: LocalTime) -> Time {
    let LocalTime { year, month, day, hour, minute, second } = time;
    Time {
        year: Some(year),
        month: Some(month),
        day: Some(day),
        hour: Some(hour),
        minute: Some(minute),
        second: Some(second),
    }
}

fn no(code: u16, detail: String) -> Refusal {
    Refusal { code, detail, device_code: None }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn five_minutes_on_either_side_of_midnight() {
        let time =
            |hour, minute, second| LocalTime { year: 2026, month: 3, day: 2, hour, minute, second };
        for (hour, minute, second, near) in [
            (0, 0, 0, true),
            (0, 4, 59, true),
            (0, 5, 0, false),
            (12, 0, 0, false),
            (23, 54, 59, false),
            (23, 55, 0, true),
            (23, 59, 59, true),
        ] {
            assert_eq!(near_midnight(time(hour, minute, second)), near, "{hour}:{minute}");
        }
    }
}
