//! Values of attributes as measurements and extras.
//!
//! Invariant: a number of a register comes out only with the scaler and the unit that the meter gave;
//! without them, or of another type, it is "invalid" and no number.

use crate::session::Got;
use crate::settings::Register;
use polymeter_codec::Obis;
use polymeter_codec::dlms::Data;
use polymeter_driver::codes::{quality, unit};
use polymeter_driver::{Decimal, Extras, LocalTime, Measurement, Value, time};

#[derive(Debug, Default)]
pub struct Measured {
    pub measurements: Vec<Measurement>,
    pub extras: Extras,
}

impl Measured {
    /// A register's value and, but for class 1, its scaler and unit.
    pub fn register(&mut self, register: &Register, got: &[Got]) {
        let code = dotted(register.object);
        let name = format!("{}:{code}", register.class);
        let Some(Ok(value)) = got.first().map(Got::data) else {
            return self.push(code, None, unit::NONE, quality::INVALID);
        };
        let value = match value {
            Ok(value) => value,
            Err(why) => return self.refused(&name, why),
        };
        if register.class == 1 {
            let plain = plain(&value);
            let quality = if plain.is_some() { quality::MEASURED } else { quality::INVALID };
            return self.push(code, plain, unit::NONE, quality);
        }
        let scaler = match got.get(1).map(Got::data) {
            Some(Ok(Ok(data))) => scaler(&data),
            Some(Ok(Err(why))) => {
                self.refused(&format!("scaler of {name}"), why);
                None
            }
            _ => None,
        };
        let unit = scaler.map_or(unit::NONE, |(_, unit)| unit.into());
        if matches!(value, Data::Null | Data::DontCare) {
            return self.push(code, None, unit, quality::NOT_MEASURED);
        }
        let number = scaler.and_then(|(scale, _)| number(&value, scale));
        let quality = if number.is_some() { quality::MEASURED } else { quality::INVALID };
        self.push(code, number, unit, quality);
    }

    pub fn push(&mut self, register: String, value: Option<Value>, unit: u16, quality: u16) {
        let value = value.unwrap_or(Value::Bytes(Vec::new()));
        self.measurements.push(Measurement { register, value, unit, quality });
    }

    /// What the meter does not tell, and its reason.
    pub fn refused(&mut self, name: &str, why: u8) {
        self.extras.push((format!("refused {name}"), Value::Text(format!("{why:02X}"))));
    }
}

/// Six numbers with dots.
pub fn dotted(Obis([a, b, c, d, e, f]): Obis) -> String {
    format!("{a}.{b}.{c}.{d}.{e}.{f}")
}

/// A structure of a power of ten and a unit (IEC 62056-6-2, 4.3.2).
pub fn scaler(data: &Data<'_>) -> Option<(i8, u8)> {
    let Data::Structure(fields) = data else { return None };
    let mut fields = fields.iter();
    match (fields.next(), fields.next(), fields.next()) {
        (Some(Data::Signed { value, bytes: 1 }), Some(Data::Enum(unit)), None) => {
            Some((i8::try_from(value).ok()?, unit))
        }
        _ => None,
    }
}

/// A number times ten to this power.
pub fn number(data: &Data<'_>, scale: i8) -> Option<Value> {
    let mantissa = match data {
        Data::Signed { value, .. } => *value,
        Data::Unsigned { value, .. } => i64::try_from(*value).ok()?,
        Data::Enum(value) => i64::from(*value),
        Data::Float32(bits) => return float(f64::from(f32::from_bits(*bits)), 7, scale),
        Data::Float64(bits) => return float(f64::from_bits(*bits), 15, scale),
        _ => return None,
    };
    Some(Value::Number(Decimal { mantissa, scale }))
}

/// With as many digits as its type is good for.
fn float(value: f64, digits: usize, scale: i8) -> Option<Value> {
    if !value.is_finite() {
        return None;
    }
    let written = format!("{value:.*e}", digits.saturating_sub(1));
    let (mantissa, exponent) = written.split_once('e')?;
    let decimals = mantissa.split_once('.').map_or(0, |(_, decimals)| decimals.len());
    let mut mantissa: i64 = mantissa.replace('.', "").parse().ok()?;
    let mut power = exponent.parse::<i32>().ok()?.checked_sub(i32::try_from(decimals).ok()?)?;
    while mantissa != 0 && mantissa.checked_rem(10) == Some(0) {
        mantissa = mantissa.checked_div(10)?;
        power = power.checked_add(1)?;
    }
    if mantissa == 0 {
        power = 0;
    }
    let scale = i8::try_from(power.checked_add(i32::from(scale))?).ok()?;
    Some(Value::Number(Decimal { mantissa, scale }))
}

/// A value that is one number, flag, time or text.
pub fn plain(data: &Data<'_>) -> Option<Value> {
    match data {
        Data::Bool(flag) => Some(Value::Flag(*flag)),
        Data::Visible(bytes) | Data::Utf8(bytes) => text(bytes).map(Value::Text),
        Data::Octets(bytes) => {
            Some(text(bytes).map_or_else(|| Value::Bytes(bytes.to_vec()), Value::Text))
        }
        Data::DateTime(_) => moment(data).map(|(time, _)| Value::Time(time)),
        Data::Bits { bytes, .. } => Some(Value::Bytes(bytes.to_vec())),
        other => number(other, 0),
    }
}

/// What can be printed, and is not empty.
pub fn text(bytes: &[u8]) -> Option<String> {
    let text = core::str::from_utf8(bytes).ok()?;
    let prints = !text.is_empty() && !text.chars().any(char::is_control);
    prints.then(|| text.to_owned())
}

/// A whole local time and its status byte; a part of it that is not said makes it none.
pub fn moment(data: &Data<'_>) -> Option<(LocalTime, u8)> {
    let bytes: [u8; 12] = match data {
        Data::DateTime(bytes) => *bytes,
        Data::Octets(bytes) => (*bytes).try_into().ok()?,
        _ => return None,
    };
    let [high, low, month, day, _, hour, minute, second, _, _, _, status] = bytes;
    let year = u16::from_be_bytes([high, low]);
    let exists = (2000..=2199).contains(&year)
        && (1..=12).contains(&month)
        && (1..=31).contains(&day)
        && hour < 24
        && minute < 60
        && second < 60;
    exists.then_some((LocalTime { year, month, day, hour, minute, second }, status))
}

/// A local time in twelve octets: its day of the week from Monday, no deviation from UTC and no status
/// said (IEC 62056-6-2, 4.1.6.1).
pub fn octets_of(at: LocalTime) -> [u8; 12] {
    let [high, low] = at.year.to_be_bytes();
    let weekday = match time::weekday(at) {
        0 => 7,
        day => day,
    };
    let LocalTime { month, day, hour, minute, second, .. } = at;
    [high, low, month, day, weekday, hour, minute, second, 0, 0x80, 0x00, 0xFF]
}

#[cfg(test)]
mod tests {
    use super::*;

    fn told(data: &Data<'_>, scale: i8) -> Option<(i64, i8)> {
        match number(data, scale) {
            Some(Value::Number(Decimal { mantissa, scale })) => Some((mantissa, scale)),
            _ => None,
        }
    }

    #[test]
    fn numbers_keep_their_digits_and_floats_those_that_they_are_good_for() {
        for (data, scale, expected) in [
            (Data::Unsigned { value: 5_009, bytes: 4 }, 1, Some((5_009, 1))),
            (Data::Signed { value: -3, bytes: 2 }, -3, Some((-3, -3))),
            (Data::Unsigned { value: u64::MAX, bytes: 8 }, 0, None),
            (Data::Float32(230.1_f32.to_bits()), 0, Some((2_301, -1))),
            (Data::Float32((-0.5_f32).to_bits()), 3, Some((-5, 2))),
            (Data::Float64(1e3_f64.to_bits()), 0, Some((1, 3))),
            (Data::Float64(0_f64.to_bits()), -2, Some((0, -2))),
            (Data::Float32(f32::NAN.to_bits()), 0, None),
            (Data::Float64(1e300_f64.to_bits()), 0, None),
            (Data::Null, 0, None),
        ] {
            assert_eq!(told(&data, scale), expected, "{data:?}");
        }
    }

    #[test]
    fn a_time_is_read_as_it_was_written() {
        // A Sunday.
        let at = LocalTime { year: 2026, month: 3, day: 1, hour: 10, minute: 11, second: 12 };
        let octets = octets_of(at);
        assert_eq!(octets, [0x07, 0xEA, 3, 1, 7, 10, 11, 12, 0, 0x80, 0, 0xFF]);
        assert_eq!(moment(&Data::Octets(&octets)), Some((at, 0xFF)));
    }

    #[test]
    fn a_time_with_a_part_that_is_not_said_is_none() {
        let whole = [0x07, 0xEA, 3, 2, 0xFF, 10, 11, 12, 0xFF, 0x80, 0, 0x02];
        let told = moment(&Data::Octets(&whole));
        let told = told.map(|(time, status)| (time.year, time.second, status));
        assert_eq!(told, Some((2026, 12, 2)));
        for at in [0, 2, 3, 5, 6, 7] {
            let mut part = whole;
            part.iter_mut().skip(at).take(1).for_each(|byte| *byte = 0xFF);
            assert_eq!(moment(&Data::DateTime(part)), None, "{at}");
        }
        assert_eq!(moment(&Data::Octets(&whole[..11])), None);
    }
}
