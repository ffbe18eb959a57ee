//! What no register map can say: a clock and a demand that stand across registers, the record of the
//! last event, the bits of the status word, and the purse's registers where the meter's configuration
//! names them.
//!
//! Invariant: a meter that lacks one of these is no error; what is no time is told as invalid.

use polymeter_codec::modbus::Unit;
use polymeter_driver::codes::{error, quality, register, unit};
use polymeter_driver::{Call, DriverError, Host, LocalTime, Measurement, Snapshot, Value, states};
use polymeter_modbus::face::{bad, unit as unit_of};
use polymeter_modbus::time::of_century;
use polymeter_modbus::value::{number, whole};
use polymeter_modbus::{Block, Words, exchange};

/// Time from the upper byte of 0228H: YY MM DD weekday hh mm ss; then, from the lower byte of 022BH,
/// the highest demand and its minute, hour, day and month (Acrel's set-up program).
const CLOCK_AND_DEMAND: Block = Block { start: 0x0228, count: 7 };
/// YY MM DD hh mm ss, event, detail, spare (Acrel DTSD1352 manual, p. 34).
const LAST_EVENT: Block = Block { start: 0x3001, count: 6 };
/// Highest active demand.
const DEMAND: &str = "1.0.1.6.0.255";
/// Bits of the status word 0224H (Acrel's set-up program). Those of the purse (5 arrears, 6 and 7 its
/// alarms) say nothing of a meter whose money stays in the platform's purse.
const STATES: [(i64, &str); 2] = [(1 << 4, "overload"), (1 << 8, "fault")];

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
    status(snapshot);
    let mut ask = |block: Block| ask(host, unit_number, block);
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
        && let Some(event) = last_event(host, unit_number)?
    {
        snapshot.extras.extend([
            ("event-at".to_owned(), Value::Time(event.at)),
            ("event".to_owned(), Value::Text(event.name.to_owned())),
            ("event-code".to_owned(), Value::Text(event.code)),
            ("event-detail".to_owned(), Value::Text(event.detail)),
        ]);
    }
    Ok(())
}

/// `None`: the meter has no such registers.
fn ask(host: &mut dyn Host, unit: Unit, block: Block) -> Result<Option<Words>, DriverError> {
    match exchange::read(host, unit, block) {
        Ok(words) => Ok(Some(words)),
        Err(none) if none.code == error::NO_SUCH_DATA => Ok(None),
        Err(failed) => Err(failed),
    }
}

/// What the clock shows; `None`: no time.
pub fn clock(host: &mut dyn Host, unit: Unit) -> Result<Option<LocalTime>, DriverError> {
    let words = exchange::read(host, unit, CLOCK_AND_DEMAND)?;
    Ok(time_in(&bytes(&words)))
}

fn time_in(bytes: &[u8]) -> Option<LocalTime> {
    let &[year, month, day, _, hour, minute, second, ..] = bytes else { return None };
    of_century([year, month, day, hour, minute, second])
}

/// The event of 3001H.
pub struct Event {
    pub at: LocalTime,
    pub name: &'static str,
    pub code: String,
    pub detail: String,
}

/// `None`: no such registers, or no possible time in them.
pub fn last_event(host: &mut dyn Host, unit: Unit) -> Result<Option<Event>, DriverError> {
    let Some(words) = ask(host, unit, LAST_EVENT)? else { return Ok(None) };
    let words = bytes(&words);
    let &[year, month, day, hour, minute, second, kind, cause, high, low, ..] = words.as_slice()
    else {
        return Ok(None);
    };
    let name = match (kind, cause) {
        (1, 0) => "power-on",
        _ => "other",
    };
    let at = of_century([year, month, day, hour, minute, second]);
    Ok(at.map(|at| Event {
        at,
        name,
        code: format!("{kind:02X}{cause:02X}"),
        detail: format!("{high:02X}{low:02X}"),
    }))
}

/// The states that the status word shows, where it was read.
fn status(snapshot: &mut Snapshot) {
    let told = snapshot.measurements.iter().find(|told| told.register == register::STATUS_WORD);
    let Some(told) = told.filter(|told| told.quality == quality::MEASURED) else { return };
    let Some(word) = whole(&told.value) else { return };
    let standing = STATES.into_iter().filter(|(bit, _)| word & bit != 0);
    states::tell(&mut snapshot.extras, standing.map(|(_, name)| name));
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
    let &[.., high, low, at_minute, at_hour, at_day, at_month, _] = bytes else { return };
    let time = time_in(bytes);
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
