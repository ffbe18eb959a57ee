//! The breaker: C=1CH, and status word 3 as its only judge. An accepted command is not an executed
//! one (DL/T 645-2007 lets a meter delay it).

use crate::exchange::{Answer, Exchange};
use crate::items::STATUS_WORD_3;
use crate::settings::{Settings, bad};
use crate::words;
use polymeter_codec::{bcd, dlt645};
use polymeter_driver::codes::{command, error, refusal, supply};
use polymeter_driver::{Call, ControlOutcome, DriverError, Host, LocalTime};

/// Password level of plain control (DL/T 645-2007 leaves it to the vendor; 02 is the usual one).
const LEVEL: u8 = 0x02;
/// How often the state is read before it is called unknown.
const LOOKS: usize = 3;
/// How long a command stays good where the caller gives no end.
const VALID_MINUTES: u32 = 10;

/// Status word 3, as the standard has it: the relay is open; the supply is protected from
/// disconnection. Which bit says that the last command was to open it is the dialect's.
const OPEN: u16 = 1 << 4;
const PROTECTED: u16 = 1 << 12;

pub fn control(
    host: &mut dyn Host,
    call: &Call,
    command: u16,
    valid_until: Option<LocalTime>,
) -> Result<ControlOutcome, DriverError> {
    let settings = Settings::acting(call)?;
    // N1 (DL/T 645-2007 and its 2013 extension: 1A 跳闸, 1B 合闸允许, 1C 直接合闸, 3A 保电, 3B 保电解除).
    let order = match command {
        command::DISCONNECT => 0x1A,
        command::CONNECT => 0x1C,
        command::ALLOW_CONNECTION => 0x1B,
        command::PROTECT => 0x3A,
        command::END_PROTECTION => 0x3B,
        other => return Err(bad(format!("there is no supply command {other}"))),
    };
    let [p0, p1, p2] = settings.password;
    let mut data = vec![LEVEL, p0, p1, p2];
    data.extend(settings.operator_code);
    data.extend([order, 0]);
    data.extend(if settings.clock {
        end_of(valid_until.unwrap_or_else(|| later(call.now, VALID_MINUTES)))?
    } else {
        [0x99; 6]
    });
    let mut exchange = Exchange::new(host, settings);
    match exchange.ask(dlt645::control::RELAY, &data) {
        Ok(Answer::Yes(..)) => Ok(judged(&mut exchange, command, true)),
        Ok(Answer::No(error)) => {
            Ok(ControlOutcome::Refused(refused(&mut exchange, command, &error)))
        }
        // Perhaps only the answer was lost.
        Err(lost) if lost.code != error::LINE => Ok(judged(&mut exchange, command, false)),
        Err(lost) => Ok(ControlOutcome::Unknown(lost.detail)),
    }
}

/// A meter that answers with one byte has no word for "protected"; its status has.
fn refused(exchange: &mut Exchange<'_>, command: u16, error: &[u8]) -> polymeter_driver::Refusal {
    let mut refused = words::relay_refusal(error);
    if command == command::DISCONNECT
        && refused.code == refusal::OTHER
        && status_word(exchange).is_some_and(|word| word & PROTECTED != 0)
    {
        refused.code = refusal::SUPPLY_PROTECTED;
        refused.detail = "the supply is protected".to_owned();
    }
    refused
}

/// Reads the state until it is what was asked for, a few times.
fn judged(exchange: &mut Exchange<'_>, command: u16, accepted: bool) -> ControlOutcome {
    let mut last = None;
    let told_to_open = exchange.settings.dialect.told_to_open;
    for _ in 0..LOOKS {
        last = status_word(exchange);
        if let Some(word) = last
            && done(command, word, accepted, told_to_open)
        {
            return ControlOutcome::Confirmed(supply_of(word, told_to_open));
        }
    }
    let accepted = if accepted { "accepted" } else { "not acknowledged" };
    ControlOutcome::Unknown(match last {
        Some(word) => format!("the command was {accepted}, and status word 3 is {word:04X}"),
        None => format!("the command was {accepted}, and status word 3 could not be read"),
    })
}

fn done(command: u16, word: u16, accepted: bool, told_to_open: u16) -> bool {
    match command {
        // An open relay proves a lost trip command only if the meter says that it was told to: it
        // may have opened for want of money.
        command::DISCONNECT => word & OPEN != 0 && (accepted || word & told_to_open != 0),
        command::CONNECT => word & OPEN == 0,
        command::ALLOW_CONNECTION => word & told_to_open == 0,
        command::PROTECT => word & PROTECTED != 0,
        _ => word & PROTECTED == 0,
    }
}

/// A closed relay is a connected supply; an open one that was told to close waits for the customer.
pub fn supply_of(word: u16, told_to_open: u16) -> u16 {
    match (word & OPEN != 0, word & told_to_open != 0) {
        (false, _) => supply::CONNECTED,
        (true, false) => supply::READY_FOR_RECONNECTION,
        (true, true) => supply::DISCONNECTED,
    }
}

/// All FF is "not measured" (DL/T 645-2007): it would prove every command at once.
fn status_word(exchange: &mut Exchange<'_>) -> Option<u16> {
    let bytes = exchange.read(STATUS_WORD_3).ok()??;
    let word = u16::from_le_bytes(bytes.try_into().ok()?);
    (word != u16::MAX).then_some(word)
}

/// ss mm hh DD MM YY
fn end_of(time: LocalTime) -> Result<[u8; 6], DriverError> {
    let LocalTime { year, month, day, hour, minute, second } = time;
    let year = u8::try_from(year.checked_rem(100).unwrap_or(0)).unwrap_or(0);
    let mut bytes = [0; 6];
    for (byte, number) in bytes.iter_mut().zip([second, minute, hour, day, month, year]) {
        bcd::encode(number.into(), std::slice::from_mut(byte))
            .map_err(|reason| bad(format!("the end of the command's time: {reason}")))?;
    }
    Ok(bytes)
}

/// `minutes`, less than a day, after `time`.
fn later(time: LocalTime, minutes: u32) -> LocalTime {
    let of_day = u32::from(time.hour)
        .saturating_mul(60)
        .saturating_add(time.minute.into())
        .saturating_add(minutes);
    let byte = |number: Option<u32>| number.and_then(|n| u8::try_from(n).ok()).unwrap_or(0);
    let hour = byte(of_day.checked_div(60).and_then(|hours| hours.checked_rem(24)));
    let minute = byte(of_day.checked_rem(60));
    let mut later = LocalTime { hour, minute, ..time };
    if of_day < 24 * 60 {
        return later;
    }
    later.day = time.day.saturating_add(1);
    if later.day > days_of(time.year, time.month) {
        later.day = 1;
        later.month = time.month.saturating_add(1);
    }
    if later.month > 12 {
        later.month = 1;
        later.year = time.year.saturating_add(1);
    }
    later
}

fn days_of(year: u16, month: u8) -> u8 {
    let divides = |by| year.checked_rem(by) == Some(0);
    match month {
        4 | 6 | 9 | 11 => 30,
        2 if divides(400) || (divides(4) && !divides(100)) => 29,
        2 => 28,
        _ => 31,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(now: (u16, u8, u8, u8, u8), expected: (u16, u8, u8, u8, u8)) {
        let time = |(year, month, day, hour, minute)| LocalTime {
            year,
            month,
            day,
            hour,
            minute,
            second: 7,
        };
        assert_eq!(later(time(now), VALID_MINUTES), time(expected));
    }

    #[test]
    fn ten_minutes_later() {
        check((2026, 3, 2, 10, 11), (2026, 3, 2, 10, 21));
        check((2026, 3, 2, 10, 55), (2026, 3, 2, 11, 5));
        check((2026, 12, 31, 23, 50), (2027, 1, 1, 0, 0));
        check((2028, 2, 28, 23, 59), (2028, 2, 29, 0, 9));
        check((2026, 2, 28, 23, 59), (2026, 3, 1, 0, 9));
        check((2026, 4, 30, 23, 59), (2026, 5, 1, 0, 9));
    }
}
