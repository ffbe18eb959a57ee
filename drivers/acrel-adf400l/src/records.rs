//! What the box keeps of a user: the energies of the months before, and the purchases.
//!
//! Invariant: a place that holds nothing has no record; a page never asks more than it may. Not here:
//! the record of a purchase, which is the proof of a sale too (`record`). The box has no list of its
//! trips.

use crate::parameters::number;
use crate::record;
use crate::registers::{MONTHS, MONTHS_KEPT, PURCHASE_REGISTERS, PURCHASES_KEPT};
use crate::user::User;
use polymeter_driver::codes::{error, quality, register, unit};
use polymeter_driver::{
    Call, DriverError, Host, Measurement, RecordEntries, RecordEntry, RecordKind, RecordsAsked,
    time,
};
use polymeter_modbus::face::bad;
use polymeter_modbus::time::of_century;
use polymeter_modbus::{Block, exchange};

const MONTHLY: &str = "monthly";
const PURCHASES: &str = "purchases";
const PURCHASE: &str = "purchase";

pub fn kinds() -> Vec<RecordKind> {
    vec![
        RecordKind::profile(MONTHLY, "Monthly energies", "月冻结电能"),
        RecordKind::events(PURCHASES, "Purchases", "购电记录"),
    ]
}

/// Newest first, until nothing stands there, or it is older than was asked for, or the box has no more.
pub fn read(
    host: &mut dyn Host,
    call: &Call,
    asked: RecordsAsked<'_>,
) -> Result<RecordEntries, DriverError> {
    let kept = match asked.kind {
        MONTHLY => MONTHS_KEPT,
        PURCHASES => PURCHASES_KEPT,
        other => return Err(bad(format!("`{other}` is no kind of records of this box"))),
    };
    let begun = match asked.position {
        None => 0,
        Some(&[age]) if u16::from(age) < kept => age,
        Some(_) => return Err(bad("a position that is none of this kind")),
    };
    let user = User::parse(&call.address)?;
    let mut told = RecordEntries { entries: Vec::new(), damaged: Vec::new(), next: None };
    let questions = u8::try_from(asked.questions).unwrap_or(u8::MAX);
    let end = begun.saturating_add(questions);
    for age in begun..end.min(u8::try_from(kept).unwrap_or(u8::MAX)) {
        let one = match asked.kind {
            MONTHLY => month(host, &user, age.into()),
            _ => purchase(host, &user, age.into()),
        };
        let entry = match one {
            Ok(Some(entry)) => entry,
            Ok(None) => return Ok(told),
            // A box without the list.
            Err(none) if none.code == error::NO_SUCH_DATA => return Ok(told),
            Err(failed) => return Err(failed),
        };
        if entry.at.is_some_and(|at| time::seconds(at) < time::seconds(asked.since)) {
            return Ok(told);
        }
        told.entries.push(entry);
    }
    if u16::from(end) < kept {
        told.next = Some(vec![end]);
    }
    Ok(told)
}

type One = Result<Option<RecordEntry>, DriverError>;

/// Year, month, day and hour of the freeze, then sharp, peak, flat and valley, each u32 in 0.01 kWh.
fn month(host: &mut dyn Host, user: &User, age: u16) -> One {
    let start = MONTHS.saturating_add(age);
    let words = exchange::read(host, user.unit, Block { start, count: PURCHASE_REGISTERS })?;
    if words.is_zero() || words.is_erased() {
        return Ok(None);
    }
    let [year, month] = words.word(start)?.to_be_bytes();
    let [day, hour] = words.word(start.saturating_add(1))?.to_be_bytes();
    let mut measurements = Vec::new();
    let first = start.saturating_add(2);
    for (at, register) in (first..).step_by(2).zip(register::ENERGY_IMPORT_TARIFF) {
        let value = number(i64::from(words.long(at)?), -2);
        measurements.push(measured(register, value, unit::KILOWATT_HOUR));
    }
    Ok(Some(RecordEntry {
        at: of_century([year, month, day, hour, 0, 0]),
        event: String::new(),
        device_code: None,
        measurements,
        extras: Vec::new(),
    }))
}

fn purchase(host: &mut dyn Host, user: &User, age: u16) -> One {
    let Some(bought) = record::read(host, user, age)? else { return Ok(None) };
    let money = |register: &str, fen: i64| measured(register, number(fen, -2), unit::CURRENCY);
    let balance = i64::from(bought.balance);
    let count = number(i64::from(bought.count), 0);
    Ok(Some(RecordEntry {
        at: bought.time,
        event: PURCHASE.to_owned(),
        device_code: None,
        measurements: vec![
            measured(register::PURCHASE_COUNT, count, unit::NONE),
            money(register::CREDIT_REMAINING, balance.max(0)),
            money(register::CREDIT_OVERDRAWN, balance.min(0).saturating_neg()),
            money(register::CREDIT_BOUGHT_TOTAL, i64::from(bought.bought_total)),
        ],
        extras: vec![("amount".to_owned(), number(i64::from(bought.amount), -2))],
    }))
}

fn measured(register: &str, value: polymeter_driver::Value, unit: u16) -> Measurement {
    Measurement { register: register.to_owned(), value, unit, quality: quality::MEASURED }
}
