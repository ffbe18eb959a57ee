//! The bytes of an item of DL/T 645, of either edition, as measurements and extras, by its row of the
//! codec's table.
//!
//! Invariant: a number comes out only where every nibble was a digit and the length was right. All
//! FF is "not measured"; the rest is "invalid" and keeps its bytes.

use crate::codes::quality;
use crate::{Decimal, Extras, LocalTime, Measurement, Value};
use polymeter_codec::dlt645::item::{Found, Item};
use polymeter_codec::dlt645::value::{NoValue, Time, Value as Read};

/// What was read so far.
#[derive(Debug, Default, PartialEq)]
pub struct Measured {
    /// Values with a register.
    pub measurements: Vec<Measurement>,
    /// Values that have a name and no register.
    pub extras: Extras,
}

impl Measured {
    /// The item that `found` describes; of a block as many as there are.
    pub fn take(&mut self, found: Found, data: &[u8]) {
        found.for_each(data, |item| self.take_one(&item));
    }

    fn take_one(&mut self, item: &Item<'_>) {
        let (value, quality) = value(item.value, item.bytes);
        match item.register {
            Some(register) => self.measurements.push(Measurement {
                register: register.to_string(),
                value,
                unit: item.unit.code(),
                quality,
            }),
            None if quality == quality::MEASURED => self.extras.push((name(item), value)),
            None => {}
        }
    }
}

/// "relay opened 2 time", "daily freeze forward energy 1 [0]".
fn name(item: &Item<'_>) -> String {
    let mut name = item.name.to_owned();
    if let Some(nth) = item.nth {
        name.push_str(&format!(" {nth}"));
    }
    if let Some(of_block) = item.of_block {
        name.push_str(&format!(" [{of_block}]"));
    }
    if let Some(field) = item.field {
        name.push_str(&format!(" {field}"));
    }
    name
}

/// A value of the contract, and its quality.
pub fn value(read: Result<Read<'_>, NoValue>, bytes: &[u8]) -> (Value, u16) {
    let value = match read {
        Ok(Read::Number { mantissa, scale }) => Value::Number(Decimal { mantissa, scale }),
        Ok(Read::Bits(bits)) => Value::Number(Decimal { mantissa: bits.into(), scale: 0 }),
        Ok(Read::Time(time)) => {
            local(time).map_or_else(|| Value::Text(time.to_string()), Value::Time)
        }
        Ok(Read::Text(text)) => Value::Text(text.to_string()),
        Ok(Read::Digits(digits)) => Value::Text(digits.to_string()),
        Ok(Read::Raw(bytes)) => Value::Bytes(bytes.to_vec()),
        Err(NoValue::Absent) => return (Value::Bytes(bytes.to_vec()), quality::NOT_MEASURED),
        Err(_) => return (Value::Bytes(bytes.to_vec()), quality::INVALID),
    };
    (value, quality::MEASURED)
}

/// `None`: a time without a date, which is told as text.
pub fn local(time: Time) -> Option<LocalTime> {
    Some(LocalTime {
        year: time.year?,
        month: time.month?,
        day: time.day?,
        hour: time.hour?,
        minute: time.minute?,
        second: time.second.unwrap_or(0),
    })
}
