//! Evidence about a purchase: the meter's own count and its records of the last ten.

use crate::exchange::Exchange;
use crate::held::HELD;
use crate::purse::status;
use crate::settings::Settings;
use polymeter_codec::bcd::{self, Sign};
use polymeter_driver::codes::error;
use polymeter_driver::{Call, Credit, DriverError, Evidence, Host, Purchase};

/// Records that a meter keeps (2013 extension, 0333nn0k: k = 1 to 10).
const RECORDS: u32 = 10;

pub fn check(
    host: &mut dyn Host,
    call: &Call,
    count: Option<u32>,
) -> Result<Evidence, DriverError> {
    let mut exchange = Exchange::new(host, Settings::asking(call)?);
    let (stored, balance) = match status(&mut exchange)? {
        Some(status) => (status.count, Some(status.balance())),
        None => (last_count(&mut exchange)?, remaining(&mut exchange)?),
    };
    let asked = count.unwrap_or(stored);
    // The k-th last: 1 for the stored count itself.
    let back = stored.checked_sub(asked).and_then(|newer| newer.checked_add(1));
    let purchase = match back {
        Some(back) if back <= RECORDS && asked > 0 => {
            record(&mut exchange, back)?.filter(|purchase| purchase.count == asked)
        }
        _ => None,
    };
    Ok(Evidence { count: stored, purchase, balance })
}

/// For meters that do not tell their purse's status: the count in the latest record.
pub fn last_count(exchange: &mut Exchange<'_>) -> Result<u32, DriverError> {
    let count = number(exchange, exchange.settings.last_count, 1)?;
    let none = || DriverError::new(error::NO_SUCH_DATA, "the meter tells no purchase count");
    count.and_then(|count| u32::try_from(count).ok()).ok_or_else(none)
}

fn record(exchange: &mut Exchange<'_>, back: u32) -> Result<Option<Purchase>, DriverError> {
    let Some(count) = number(exchange, exchange.settings.last_count, back)? else {
        return Ok(None);
    };
    let Some(amount) = number(exchange, exchange.settings.last_amount, back)? else {
        return Ok(None);
    };
    let count = u32::try_from(count).map_err(|_| not_decimal())?;
    Ok(Some(Purchase { count, credit: HELD.credit(amount) }))
}

/// `None`: the meter tells no such thing, or does not measure it.
fn remaining(exchange: &mut Exchange<'_>) -> Result<Option<Credit>, DriverError> {
    let Some(bytes) = exchange.read(HELD.remaining)? else { return Ok(None) };
    let amount = decimal(&bytes)?;
    Ok(amount.map(|amount| HELD.credit(amount)))
}

/// A number of the k-th last record; two bytes or four, by vendor.
fn number(
    exchange: &mut Exchange<'_>,
    identifier: u32,
    back: u32,
) -> Result<Option<u64>, DriverError> {
    let identifier = identifier & !0xFF | back & 0xFF;
    match exchange.read(identifier)? {
        Some(bytes) => decimal(&bytes),
        None => Ok(None),
    }
}

fn decimal(bytes: &[u8]) -> Result<Option<u64>, DriverError> {
    if !matches!(bytes.len(), 2 | 4) {
        return Err(DriverError::new(error::GARBLED, "a number of a strange length"));
    }
    let number = bcd::decode(bytes, Sign::None).map_err(|_| not_decimal())?;
    number.map(|number| u64::try_from(number).map_err(|_| not_decimal())).transpose()
}

fn not_decimal() -> DriverError {
    DriverError::new(error::GARBLED, "a number with a nibble that is no digit")
}
