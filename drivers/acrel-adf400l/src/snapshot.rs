//! What the box measures and holds for one user: one exchange for most of it, one for the energies by
//! tariff, one for the clock of the box; the latter two where they are asked for.

use crate::clock;
use crate::parameters::{CLOCK, PREPAID_MODE, TARIFF_ENERGIES, number};
use crate::registers::{FORCED, MODE, MODEL, Measured, RELAY_OPEN, Shape};
use crate::user::User;
use polymeter_driver::codes::{error, quality, register, supply, unit};
use polymeter_driver::{Call, DriverError, Host, Identity, Measurement, Snapshot, Value};
use polymeter_modbus::{Block, Words, exchange};

/// Hundredths: of a kWh, and of a yuan (the box counts fen).
const HUNDREDTHS: i8 = -2;

/// Asks for the mode, which every user of a box answers under its own address.
pub fn probe(host: &mut dyn Host, call: &Call) -> Result<Identity, DriverError> {
    let user = User::parse(&call.address)?;
    let prepaid_mode = PREPAID_MODE.of(call)?;
    let mode = mode(host, &user)?;
    let prepaid = i64::from(mode) == prepaid_mode;
    Ok(Identity {
        address: user.address(),
        model: MODEL.to_owned(),
        extras: vec![
            ("phases".to_owned(), number(user.phases(), 0)),
            ("mode".to_owned(), number(i64::from(mode), 0)),
            ("prepaid".to_owned(), Value::Flag(prepaid)),
        ],
    })
}

/// Metering or prepaid, as register 0908H has it.
pub fn mode(host: &mut dyn Host, user: &User) -> Result<u16, DriverError> {
    exchange::read(host, user.unit, Block { start: MODE, count: 1 })?.word(MODE)
}

pub fn read(host: &mut dyn Host, call: &Call) -> Result<Snapshot, DriverError> {
    let user = User::parse(&call.address)?;
    let (by_tariff, with_clock) = (TARIFF_ENERGIES.of(call)?, CLOCK.of(call)?);
    let words = exchange::read(host, user.unit, user.map.readings)?;
    let status = words.word(user.map.status)?;
    let over_limit = words.long(user.map.over_limit)?;
    let erased = words.is_erased();
    let flag = |bit: u16| Value::Flag(status & bit != 0);
    let extras = vec![
        ("relay-open".to_owned(), flag(RELAY_OPEN)),
        ("forced".to_owned(), flag(FORCED)),
        ("over-limit".to_owned(), number(i64::from(over_limit), 0)),
    ];
    let mut measurements = measurements(&words, &user)?;
    let energies = user.map.tariff_energies;
    if by_tariff && let Some(words) = there(exchange::read(host, user.unit, energies))? {
        for (at, register) in (energies.start..).step_by(2).zip(register::ENERGY_IMPORT_TARIFF) {
            let energy = i64::from(words.long(at)?);
            let valid = !words.is_erased();
            measurements.push(row(register, energy, HUNDREDTHS, unit::KILOWATT_HOUR, valid));
        }
    }
    if with_clock && let Some(shown) = there(clock::shown(host, user.unit))? {
        measurements.push(Measurement {
            register: register::CLOCK.to_owned(),
            quality: if shown.is_some() { quality::MEASURED } else { quality::INVALID },
            value: shown.map_or(Value::Text(String::new()), Value::Time),
            unit: unit::NONE,
        });
    }
    Ok(Snapshot {
        measurements,
        supply: if erased { supply::UNKNOWN } else { supply_of(status) },
        extras: if erased { Vec::new() } else { extras },
    })
}

/// The relay as the status word has it.
pub fn supply_of(status: u16) -> u16 {
    if status & RELAY_OPEN == 0 { supply::CONNECTED } else { supply::DISCONNECTED }
}

/// A negative balance is nothing remaining and something overdrawn, as the contract's registers
/// have it. Registers that read all ones are erased memory and no values.
fn measurements(words: &Words, user: &User) -> Result<Vec<Measurement>, DriverError> {
    let map = user.map;
    let energy = words.long(map.energy)?;
    let bought = words.long(map.bought_total)?;
    let count = words.word(map.purchase_count)?;
    let balance = i64::from(words.signed_long(map.balance)?);
    let status = words.word(map.status)?;
    let erased = words.is_erased();
    let money = |register: &str, fen: i64, valid: bool| {
        row(register, fen, HUNDREDTHS, unit::CURRENCY, valid)
    };
    let energy_valid = energy != u32::MAX;
    let mut told = vec![
        row(
            register::ENERGY_IMPORT_TOTAL,
            i64::from(energy),
            HUNDREDTHS,
            unit::KILOWATT_HOUR,
            energy_valid,
        ),
        money(register::CREDIT_REMAINING, balance.max(0), !erased),
        money(register::CREDIT_OVERDRAWN, balance.min(0).saturating_neg(), !erased),
        money(register::CREDIT_BOUGHT_TOTAL, i64::from(bought), bought != u32::MAX),
        row(register::PURCHASE_COUNT, i64::from(count), 0, unit::NONE, count != u16::MAX),
        row(register::STATUS_WORD, i64::from(status), 0, unit::NONE, !erased),
    ];
    for &Measured { at, shape, scale, register, unit } in map.measured {
        let value = match shape {
            Shape::Word => i64::from(words.word(at)?),
            Shape::SignedWord => i64::from(words.word(at)?.cast_signed()),
            Shape::Long => i64::from(words.long(at)?),
        };
        told.push(row(register, value, scale, unit, !erased));
    }
    Ok(told)
}

fn row(register: &str, value: i64, scale: i8, unit: u16, valid: bool) -> Measurement {
    Measurement {
        register: register.to_owned(),
        value: number(value, scale),
        unit,
        quality: if valid { quality::MEASURED } else { quality::INVALID },
    }
}

/// `None`: a box without these registers.
fn there<T>(answer: Result<T, DriverError>) -> Result<Option<T>, DriverError> {
    match answer {
        Err(none) if none.code == error::NO_SUCH_DATA => Ok(None),
        answer => answer.map(Some),
    }
}
