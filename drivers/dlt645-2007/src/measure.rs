//! The bytes of an item as measurements and extras, by its row of the table.
//!
//! Invariant: a number comes out only where every nibble was a digit and the length was right. All
//! FF is "not measured"; the rest is "invalid" and keeps its bytes.

use crate::items::{Format, Found, Place};
use polymeter_codec::bcd;
use polymeter_driver::codes::{quality, unit};
use polymeter_driver::{Decimal, Extras, LocalTime, Measurement, Value};

#[derive(Debug, Default, PartialEq)]
pub struct Measured {
    pub measurements: Vec<Measurement>,
    pub extras: Extras,
}

impl Measured {
    /// The item that `found` describes; a block as many as there are.
    pub fn take(&mut self, found: Found, data: &[u8]) {
        if !found.block {
            self.take_one(found, data);
            return;
        }
        let mut next = found;
        for bytes in data.chunks(found.row.format.bytes()).take(BLOCK_MAX) {
            if next.index >= found.row.count {
                break;
            }
            self.take_one(next, bytes);
            next.index = next.index.saturating_add(1);
        }
    }

    fn take_one(&mut self, found: Found, bytes: &[u8]) {
        let row = found.row;
        let (value, quality) = value(row.format, bytes);
        if row.place == Place::Extra && quality != quality::MEASURED {
            return;
        }
        let register = match row.place {
            Place::Extra => {
                let name = if row.count > 1 {
                    format!("{} {}", row.name, found.index.saturating_add(1))
                } else {
                    row.name.to_owned()
                };
                self.extras.push((name, value));
                return;
            }
            Place::Registers(registers) => usize::try_from(found.index)
                .ok()
                .and_then(|index| registers.get(index))
                .map(|register| (*register).to_owned()),
            Place::Tariffs(group) => Some(tariff_register(group, found)),
            Place::Words => Some(format!("0.0.96.5.{}.255", found.index.saturating_add(1))),
        };
        let Some(register) = register else { return };
        let unit = if row.format == Format::Clock { unit::NONE } else { row.unit };
        self.measurements.push(Measurement { register, value, unit, quality });
    }
}

/// More items than any frame holds.
const BLOCK_MAX: usize = 255;

fn tariff_register(group: &str, found: Found) -> String {
    let settled = if found.settlement == 0 { 255 } else { found.settlement };
    let mut register = String::with_capacity(16);
    register.push_str(group);
    register.push_str(&found.index.to_string());
    if settled == 255 {
        register.push_str(".255");
    } else {
        register.push('.');
        register.push_str(&settled.to_string());
    }
    register
}

fn value(format: Format, bytes: &[u8]) -> (Value, u16) {
    if bytes.len() == format.bytes() {
        if bytes.iter().all(|byte| *byte == 0xFF) {
            return (Value::Bytes(bytes.to_vec()), quality::NOT_MEASURED);
        }
        if let Some(value) = read(format, bytes) {
            return (value, quality::MEASURED);
        }
    }
    (Value::Bytes(bytes.to_vec()), quality::INVALID)
}

fn read(format: Format, bytes: &[u8]) -> Option<Value> {
    match format {
        Format::Number { scale, sign, .. } => {
            let mantissa = bcd::decode(bytes, sign).ok()??;
            Some(Value::Number(Decimal { mantissa, scale }))
        }
        Format::Clock => {
            let [second, minute, hour, _week, day, month, year] = *bytes.first_chunk()?;
            time([year, month, day, hour, minute, second])
        }
        Format::Minute => {
            let [minute, hour, day, month, year] = *bytes.first_chunk()?;
            time([year, month, day, hour, minute, 0])
        }
        Format::Word => {
            let word = u16::from_le_bytes(*bytes.first_chunk()?);
            Some(Value::Number(Decimal { mantissa: word.into(), scale: 0 }))
        }
        Format::Text { .. } => text(bytes).map(Value::Text),
        Format::Digits { .. } => digits(bytes).map(Value::Text),
    }
}

fn time(pairs: [u8; 6]) -> Option<Value> {
    let mut read = [0; 6];
    for (to, from) in read.iter_mut().zip(pairs) {
        *to = bcd::pair(from)?;
    }
    let [year, month, day, hour, minute, second] = read;
    let exists = (1..=12).contains(&month)
        && (1..=31).contains(&day)
        && hour < 24
        && minute < 60
        && second < 60;
    let year = u16::from(year).saturating_add(2000);
    exists.then_some(Value::Time(LocalTime { year, month, day, hour, minute, second }))
}

/// Characters come last first, filled up with zeros or blanks.
pub fn text(bytes: &[u8]) -> Option<String> {
    let characters = bytes.iter().rev().filter(|byte| **byte != 0);
    let text: String = characters.map(|byte| char::from(*byte)).collect();
    let printable = text.chars().all(|character| character == ' ' || character.is_ascii_graphic());
    printable.then(|| text.trim().to_owned())
}

/// Digits, high pair first.
pub fn digits(bytes: &[u8]) -> Option<String> {
    let decimal = bytes.iter().all(|byte| bcd::pair(*byte).is_some());
    decimal.then(|| bytes.iter().rev().map(|byte| format!("{byte:02X}")).collect())
}
