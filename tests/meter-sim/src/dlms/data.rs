//! Values as they are written (IEC 62056-6-2, 4.1.5): a byte of type, then big-endian.

use jiff::civil::DateTime;

pub fn null() -> Vec<u8> {
    vec![0x00]
}

pub fn boolean(value: bool) -> Vec<u8> {
    vec![0x03, u8::from(value)]
}

/// Eight bits, the first in the top place.
pub fn bits(byte: u8) -> Vec<u8> {
    vec![0x04, 0x08, byte]
}

pub fn i32(value: i32) -> Vec<u8> {
    with(0x05, &value.to_be_bytes())
}

pub fn u32(value: u32) -> Vec<u8> {
    with(0x06, &value.to_be_bytes())
}

pub fn octets(bytes: &[u8]) -> Vec<u8> {
    counted(0x09, bytes.len(), bytes)
}

pub fn utf8(text: &str) -> Vec<u8> {
    counted(0x0C, text.len(), text.as_bytes())
}

pub fn i8(value: i8) -> Vec<u8> {
    with(0x0F, &value.to_be_bytes())
}

pub fn i16(value: i16) -> Vec<u8> {
    with(0x10, &value.to_be_bytes())
}

pub fn u8(value: u8) -> Vec<u8> {
    vec![0x11, value]
}

pub fn u16(value: u16) -> Vec<u8> {
    with(0x12, &value.to_be_bytes())
}

pub fn u64(value: u64) -> Vec<u8> {
    with(0x15, &value.to_be_bytes())
}

pub fn enumeration(value: u8) -> Vec<u8> {
    vec![0x16, value]
}

pub fn array(elements: &[Vec<u8>]) -> Vec<u8> {
    counted(0x01, elements.len(), &elements.concat())
}

pub fn structure(fields: &[Vec<u8>]) -> Vec<u8> {
    counted(0x02, fields.len(), &fields.concat())
}

/// Local time in twelve octets: day of the week 1 to 7 from Monday, hundredths and deviation from
/// UTC not said, status all good (IEC 62056-6-2, 4.1.6.1).
pub fn clock(at: DateTime) -> Vec<u8> {
    let part = |part: i8| part.unsigned_abs();
    let [high, low] = at.year().to_be_bytes();
    let day_of_week = part(at.weekday().to_monday_one_offset());
    octets(&[
        high,
        low,
        part(at.month()),
        part(at.day()),
        day_of_week,
        part(at.hour()),
        part(at.minute()),
        part(at.second()),
        0xFF,
        0x80,
        0x00,
        0x00,
    ])
}

/// The time in twelve octets, where all of it is said.
pub fn moment(bytes: &[u8]) -> Option<DateTime> {
    let &[high, low, month, day, _, hour, minute, second, _, _, _, _] = bytes else { return None };
    let signed = |byte: u8| i8::try_from(byte).ok();
    DateTime::new(
        i16::from_be_bytes([high, low]),
        signed(month)?,
        signed(day)?,
        signed(hour)?,
        signed(minute)?,
        signed(second)?,
        0,
    )
    .ok()
}

/// A length: one byte below 80H, else how many bytes it takes, and those.
pub fn length(length: usize) -> Vec<u8> {
    let wide = u32::try_from(length).unwrap_or(u32::MAX).to_be_bytes();
    match wide {
        [0, 0, 0, one @ 0..=0x7F] => vec![one],
        [0, 0, 0, one] => vec![0x81, one],
        [0, 0, two, one] => vec![0x82, two, one],
        [four, three, two, one] => vec![0x84, four, three, two, one],
    }
}

/// A length in front of `bytes`, and what follows them.
pub fn take_counted(bytes: &[u8]) -> Option<(&[u8], &[u8])> {
    let (first, rest) = bytes.split_first()?;
    let (length, rest) = match first {
        0..=0x7F => (usize::from(*first), rest),
        0x81 => rest.split_first().map(|(one, rest)| (usize::from(*one), rest))?,
        0x82 => {
            let (two, rest) = rest.split_first_chunk::<2>()?;
            (usize::from(u16::from_be_bytes(*two)), rest)
        }
        _ => return None,
    };
    rest.split_at_checked(length)
}

fn with(kind: u8, bytes: &[u8]) -> Vec<u8> {
    [&[kind], bytes].concat()
}

fn counted(kind: u8, count: usize, bytes: &[u8]) -> Vec<u8> {
    [&[kind], length(count).as_slice(), bytes].concat()
}

/// A value as far as somebody who writes one needs it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Value {
    Number(i64),
    Octets(Vec<u8>),
    /// An array or a structure.
    List(Vec<Value>),
    /// Null.
    Nothing,
}

impl Value {
    pub fn number(&self) -> Option<i64> {
        match self {
            Value::Number(number) => Some(*number),
            _ => None,
        }
    }

    pub fn octets(&self) -> Option<&[u8]> {
        match self {
            Value::Octets(bytes) => Some(bytes),
            _ => None,
        }
    }

    pub fn list(&self) -> Option<&[Value]> {
        match self {
            Value::List(elements) => Some(elements),
            _ => None,
        }
    }
}

/// Values in values, no deeper than any that a client writes.
const DEPTH_MAX: usize = 6;

/// A value with its type, and what follows it.
pub fn take(bytes: &[u8]) -> Option<(Value, &[u8])> {
    take_within(bytes, DEPTH_MAX)
}

fn take_within(bytes: &[u8], depth: usize) -> Option<(Value, &[u8])> {
    let (kind, rest) = bytes.split_first()?;
    let (wide, is_signed) = match kind {
        0x00 => return Some((Value::Nothing, rest)),
        0x01 | 0x02 => {
            let (count, mut rest) = rest.split_first().filter(|(count, _)| **count < 0x80)?;
            let mut elements = Vec::new();
            for _ in 0..*count {
                let (element, behind) = take_within(rest, depth.checked_sub(1)?)?;
                elements.push(element);
                rest = behind;
            }
            return Some((Value::List(elements), rest));
        }
        0x09 | 0x0A | 0x0C => {
            let (octets, rest) = take_counted(rest)?;
            return Some((Value::Octets(octets.to_vec()), rest));
        }
        0x19 => {
            let (octets, rest) = rest.split_at_checked(12)?;
            return Some((Value::Octets(octets.to_vec()), rest));
        }
        0x03 | 0x11 | 0x16 => (1, false),
        0x12 => (2, false),
        0x06 => (4, false),
        0x0F => (1, true),
        0x10 => (2, true),
        0x05 => (4, true),
        _ => return None,
    };
    let (number, rest) = rest.split_at_checked(wide)?;
    let negative = is_signed && number.first().is_some_and(|top| top & 0x80 != 0);
    let start = if negative { -1 } else { 0 };
    let number = number.iter().fold(start, |number: i64, byte| number << 8 | i64::from(*byte));
    Some((Value::Number(number), rest))
}
