//! What may be written into a meter: each parameter's item and bytes. Everything here is written,
//! read back and compared by `parameters`.
//!
//! Invariant: what does not fit its digits is refused before a byte is sent.

use crate::held::HELD;
use crate::items;
use crate::settings::{bad, name};
use polymeter_codec::bcd;
use polymeter_codec::dlt645::value::{MINUTE, Time};
use polymeter_driver::decimals::scaled;
use polymeter_driver::{Decimal, DriverError, LocalTime, Value, time};

/// Tariffs that prices are given for; steps of a ladder, and one price more (DL/T 645-2007, 2013
/// extension: 040502FF, 040604FF, 040605FF).
const PRICES_MAX: usize = 12;
/// Decimals of a price in yuan, of a step in kWh.
const PRICE_DECIMALS: usize = 4;
const STEP_DECIMALS: usize = 2;

/// Of meters that know prices.
pub const PRICED: &[&str] = &[
    name::RECONNECTION_MINIMUM,
    name::TARIFF_PRICES,
    name::TARIFF_SWITCH_TIME,
    name::LADDER_STEPS,
    name::LADDER_PRICES,
    name::LADDER_SWITCH_TIME,
];

/// How a parameter's value goes into bytes.
enum Shape {
    /// A whole number times `times`, in so many bytes.
    Whole { bytes: usize, times: u64, unit: &'static str },
    /// Decimals between blanks, four bytes each.
    Decimals { decimals: usize },
    /// `mm hh DD MM YY`
    Moment,
}

/// Identifier and bytes of a parameter that lives in the meter.
pub fn item_of((name, value): &(String, Value)) -> Result<(u32, Vec<u8>), DriverError> {
    let limit = Shape::Whole { bytes: 4, times: HELD.limit_times, unit: HELD.limit_name };
    let is_known = HELD.has_prices || !PRICED.contains(&name.as_str());
    let (identifier, shape) = match name.as_str() {
        _ if !is_known => return Err(unknown(name)),
        name::ALARM_1 => (HELD.alarm_1, limit),
        name::ALARM_2 => (HELD.alarm_2, limit),
        name::OVERDRAFT_LIMIT => (HELD.overdraft_limit, limit),
        name::HOARDING_LIMIT => (HELD.hoarding_limit, limit),
        name::RECONNECTION_MINIMUM => (items::RECONNECTION_MINIMUM, limit),
        name::TRIP_DELAY => {
            (items::TRIP_DELAY, Shape::Whole { bytes: 2, times: 1, unit: "minutes" })
        }
        // XX.XXXX kW: a watt is ten of the last digit.
        name::OVERLOAD_POWER => {
            (items::OVERLOAD_POWER, Shape::Whole { bytes: 3, times: 10, unit: "watts" })
        }
        name::TARIFF_PRICES => (items::TARIFF_PRICES, Shape::Decimals { decimals: PRICE_DECIMALS }),
        name::LADDER_STEPS => (items::LADDER_STEPS, Shape::Decimals { decimals: STEP_DECIMALS }),
        name::LADDER_PRICES => (items::LADDER_PRICES, Shape::Decimals { decimals: PRICE_DECIMALS }),
        name::TARIFF_SWITCH_TIME => (items::SWITCH_TIME_PRICES, Shape::Moment),
        name::LADDER_SWITCH_TIME => (items::SWITCH_TIME_LADDER, Shape::Moment),
        other => return Err(unknown(other)),
    };
    let bytes = match shape {
        Shape::Whole { bytes, times, unit } => {
            encoded(name, number(name, value, unit)?.checked_mul(times), bytes)?
        }
        Shape::Decimals { decimals } => list(name, value, decimals)?,
        Shape::Moment => moment(name, value)?,
    };
    Ok((identifier, bytes))
}

fn unknown(name: &str) -> DriverError {
    bad(format!("`{name}` is no parameter that lives in the meter"))
}

fn number(name: &str, value: &Value, unit: &str) -> Result<u64, DriverError> {
    let Value::Number(Decimal { mantissa, scale: 0 }) = value else {
        return Err(bad(format!("{name} must be a whole number of {unit}")));
    };
    u64::try_from(*mantissa).map_err(|_| bad(format!("{name} must not be negative")))
}

fn encoded(name: &str, number: Option<u64>, bytes: usize) -> Result<Vec<u8>, DriverError> {
    let mut encoded = vec![0; bytes];
    let number = number.ok_or_else(|| bad(format!("{name}: the number has too many digits")))?;
    bcd::encode(number, &mut encoded).map_err(|reason| bad(format!("{name}: {reason}")))?;
    Ok(encoded)
}

/// "0.5 0.75 1": as many as there are.
fn list(name: &str, value: &Value, decimals: usize) -> Result<Vec<u8>, DriverError> {
    let Value::Text(text) = value else {
        return Err(bad(format!("{name} must be decimals between blanks")));
    };
    let words: Vec<&str> = text.split_ascii_whitespace().collect();
    if words.is_empty() || words.len() > PRICES_MAX {
        return Err(bad(format!("{name} must be 1 to {PRICES_MAX} decimals between blanks")));
    }
    let mut bytes = Vec::new();
    for word in words {
        let number = scaled(word, decimals).ok_or_else(|| {
            bad(format!("{name}: `{word}` is no decimal with at most {decimals} decimals"))
        })?;
        bytes.extend(encoded(name, Some(number), 4)?);
    }
    Ok(bytes)
}

fn moment(name: &str, value: &Value) -> Result<Vec<u8>, DriverError> {
    let given = match value {
        Value::Time(time) => Some(*time),
        Value::Text(text) => time::typed(text),
        _ => None,
    };
    let wrong = || bad(format!("{name} must be a time, e.g. 2026-03-02 10:15"));
    let LocalTime { year, month, day, hour, minute, .. } = given.ok_or_else(wrong)?;
    let time = Time {
        year: Some(year),
        month: Some(month),
        day: Some(day),
        hour: Some(hour),
        minute: Some(minute),
        second: None,
    };
    let mut bytes = vec![0; MINUTE.len()];
    let this_century = (2000..2100).contains(&year);
    let written = this_century.then(|| time.write(MINUTE, &mut bytes)).flatten();
    written.map(|()| bytes).ok_or_else(wrong)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(name: &str, value: Value, expected: Option<(u32, &[u8])>) {
        let made = item_of(&(name.to_owned(), value)).ok();
        let expected = expected.map(|(identifier, bytes)| (identifier, bytes.to_vec()));
        assert_eq!(made, expected, "{name}");
    }

    fn text(text: &str) -> Value {
        Value::Text(text.to_owned())
    }

    fn number(mantissa: i64) -> Value {
        Value::Number(Decimal { mantissa, scale: 0 })
    }

    #[test]
    fn parameters_as_bytes() {
        check("trip-delay", number(15), Some((0x0400_1401, &[0x15, 0])));
        check("trip-delay", number(10_000), None);
        check("overload-power", number(5_000), Some((0x0409_0B01, &[0, 0, 0x05])));
        check("overload-power", number(100_000), None);
        check("overdraft-limit", number(-1), None);
    }

    /// Energy in whole kWh with two decimals, and no prices at all.
    #[cfg(feature = "energy")]
    #[test]
    fn parameters_of_a_purse_of_energy_as_bytes() {
        check("hoarding-limit", number(123_456), Some((0x0400_0F03, &[0, 0x56, 0x34, 0x12])));
        check("tariff-prices", text("0.5"), None);
    }

    #[cfg(not(feature = "energy"))]
    #[test]
    fn parameters_of_a_purse_of_money_as_bytes() {
        check("hoarding-limit", number(123_456), Some((0x0400_1004, &[0x56, 0x34, 0x12, 0])));
        check(
            "tariff-prices",
            text("0.5 1.2345"),
            Some((0x0405_02FF, &[0, 0x50, 0, 0, 0x45, 0x23, 0x01, 0])),
        );
        check("ladder-steps", text("180"), Some((0x0406_04FF, &[0, 0x80, 0x01, 0])));
        for wrong in ["", "0.12345", "-1", "1,5", ".5", "1 2 3 4 5 6 7 8 9 10 11 12 13"] {
            check("tariff-prices", text(wrong), None);
        }
        check(
            "tariff-switch-time",
            text("2026-03-02 10:15"),
            Some((0x0400_0108, &[0x15, 0x10, 0x02, 0x03, 0x26])),
        );
        for wrong in ["2026-02-30 10:15", "2126-03-02 10:15", "soon", "2026-03-02 10:15:00"] {
            check("tariff-switch-time", text(wrong), None);
        }
    }
}
