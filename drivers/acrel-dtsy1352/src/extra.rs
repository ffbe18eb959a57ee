//! What no register map can say: a clock and a demand that stand across registers, the record of the
//! last event, and the purse's registers where the meter's configuration names them.
//!
//! Invariant: a meter that lacks one of these is no error; what is no time is told as invalid.

use polymeter_driver::codes::{error, quality, register, unit};
use polymeter_driver::{Call, DriverError, Host, LocalTime, Measurement, Snapshot, Value};
use polymeter_modbus::face::{bad, unit as unit_of};
use polymeter_modbus::value::{number, whole};
use polymeter_modbus::{Block, Words, exchange};

/// Time from the upper byte of 0228H: YY MM DD weekday hh mm ss; then, from the lower byte of 022BH,
/// the highest demand and its minute, hour, day and month (Acrel's set-up program).
const CLOCK_AND_DEMAND: Block = Block { start: 0x0228, count: 7 };
/// YY MM DD hh mm ss, event, detail, spare (Acrel DTSD1352 manual, p. 34).
const LAST_EVENT: Block = Block { start: 0x3001, count: 6 };
/// Highest active demand.
const DEMAND: &str = "1.0.1.6.0.255";

/// What a meter's parameters ask for beside its map.
pub struct Wanted {
    balance: Option<u16>,
    count: Option<u16>,
    events: bool,
}

impl Wanted {
    pub fn of(call: &Call) -> Result<Wanted, DriverError> {
        let events = match given(call, "events") {
            None => false,
            Some(Value::Flag(flag)) => *flag,
            Some(_) => return Err(bad("`events` is true or false")),
        };
        Ok(Wanted {
            balance: a_register(call, "balance-register", u16::MAX.saturating_sub(1))?,
            count: a_register(call, "count-register", u16::MAX)?,
            events,
        })
    }
}

fn given<'a>(call: &'a Call, name: &str) -> Option<&'a Value> {
    call.parameters.iter().find(|(known, _)| known == name).map(|(_, value)| value)
}

/// 0 is none: that register holds the energy.
fn a_register(call: &Call, name: &str, most: u16) -> Result<Option<u16>, DriverError> {
    let Some(value) = given(call, name) else { return Ok(None) };
    let number = whole(value).and_then(|number| u16::try_from(number).ok());
    let number = number.filter(|number| *number <= most);
    let number = number.ok_or_else(|| bad(format!("`{name}` must be 0 to {most}")))?;
    Ok((number != 0).then_some(number))
}

pub fn add(
    host: &mut dyn Host,
    call: &Call,
    wanted: &Wanted,
    snapshot: &mut Snapshot,
) -> Result<(), DriverError> {
    let unit_number = unit_of(&call.address)?;
    let mut ask = |block: Block| match exchange::read(host, unit_number, block) {
        Ok(words) => Ok(Some(words)),
        Err(none) if none.code == error::NO_SUCH_DATA => Ok(None),
        Err(failed) => Err(failed),
    };
    if let Some(words) = ask(CLOCK_AND_DEMAND)? {
        clock_and_demand(&bytes(&words), snapshot);
    }
    if let Some(start) = wanted.balance {
        // Configured, so its absence is an error of the configuration that has to be seen.
        let words = exchange_of(ask(Block { start, count: 2 })?, start)?;
        let fen = i64::from(words.signed_long(start)?);
        let owed = fen.min(0).saturating_neg();
        for (name, fen) in
            [(register::CREDIT_REMAINING, fen.max(0)), (register::CREDIT_OVERDRAWN, owed)]
        {
            snapshot.measurements.push(measured(name, number(fen, -2), unit::CURRENCY));
        }
    }
    if let Some(start) = wanted.count {
        let words = exchange_of(ask(Block { start, count: 1 })?, start)?;
        let count = number(i64::from(words.word(start)?), 0);
        snapshot.measurements.push(measured(register::PURCHASE_COUNT, count, unit::NONE));
    }
    if wanted.events
        && let Some(words) = ask(LAST_EVENT)?
    {
        event(&bytes(&words), snapshot);
    }
    Ok(())
}

fn exchange_of(words: Option<Words>, start: u16) -> Result<Words, DriverError> {
    words.ok_or_else(|| {
        let detail = format!("the meter has no register {start:04X}H, which is configured");
        DriverError::new(error::NO_SUCH_DATA, detail)
    })
}

fn bytes(words: &Words) -> Vec<u8> {
    words.each().flat_map(|(_, word)| word.to_be_bytes()).collect()
}

fn measured(register: &str, value: Value, unit: u16) -> Measurement {
    Measurement { register: register.to_owned(), value, unit, quality: quality::MEASURED }
}

fn clock_and_demand(bytes: &[u8], snapshot: &mut Snapshot) {
    let &[
        year,
        month,
        day,
        _,
        hour,
        minute,
        second,
        high,
        low,
        at_minute,
        at_hour,
        at_day,
        at_month,
        _,
    ] = bytes
    else {
        return;
    };
    let time = time([year, month, day, hour, minute, second]);
    snapshot.measurements.push(match time {
        Some(time) => measured(register::CLOCK, Value::Time(time), unit::NONE),
        None => Measurement {
            quality: quality::INVALID,
            ..measured(register::CLOCK, Value::Bytes(bytes.to_vec()), unit::NONE)
        },
    });
    let demand = i64::from(u16::from_be_bytes([high, low]));
    snapshot.measurements.push(measured(DEMAND, number(demand, -3), unit::KILOWATT));
    let at = format!("{at_month:02}-{at_day:02} {at_hour:02}:{at_minute:02}");
    let possible = (1..=12).contains(&at_month)
        && (1..=31).contains(&at_day)
        && at_hour < 24
        && at_minute < 60;
    if possible {
        snapshot.extras.push(("demand-at".to_owned(), Value::Text(at)));
    }
}

fn event(bytes: &[u8], snapshot: &mut Snapshot) {
    let &[year, month, day, hour, minute, second, kind, cause, high, low, _, _] = bytes else {
        return;
    };
    let Some(at) = time([year, month, day, hour, minute, second]) else { return };
    let name = match (kind, cause) {
        (1, 0) => "power-on",
        _ => "other",
    };
    snapshot.extras.extend([
        ("event-at".to_owned(), Value::Time(at)),
        ("event".to_owned(), Value::Text(name.to_owned())),
        ("event-code".to_owned(), Value::Text(format!("{kind:02X}{cause:02X}"))),
        ("event-detail".to_owned(), Value::Text(format!("{high:02X}{low:02X}"))),
    ]);
}

/// Binary, the year of this century; `None` for what is no time.
pub fn time([year, month, day, hour, minute, second]: [u8; 6]) -> Option<LocalTime> {
    let is_leap = year.is_multiple_of(4);
    let days = match month {
        1 | 3 | 5 | 7 | 8 | 10 | 12 => 31,
        4 | 6 | 9 | 11 => 30,
        2 if is_leap => 29,
        2 => 28,
        _ => return None,
    };
    let good = year < 100 && (1..=days).contains(&day) && hour < 24 && minute < 60 && second < 60;
    let year = u16::from(year).saturating_add(2000);
    good.then_some(LocalTime { year, month, day, hour, minute, second })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times() {
        let check = |bytes, good| assert_eq!(time(bytes).is_some(), good, "{bytes:?}");
        check([18, 1, 8, 10, 1, 1], true);
        check([24, 2, 29, 0, 0, 0], true);
        check([25, 2, 29, 0, 0, 0], false);
        check([18, 13, 8, 10, 1, 1], false);
        check([18, 4, 31, 10, 1, 1], false);
        check([18, 1, 8, 24, 0, 0], false);
        check([0, 0, 0, 0, 0, 0], false);
        check([0x99; 6], false);
    }
}
