//! The formats of DL/T 645 data (both editions, appendix A): decimals, times, bits, characters.
//!
//! Invariant: a [`Value`] comes only of the right number of bytes, every nibble of a decimal a
//! digit, every time one that exists. All FF is "absent", in every format; a date of zeros is too,
//! since that is how a record that was never written reads.

use crate::bcd::{self, Sign};
use core::fmt;

/// How an item's bytes are to be read. Low byte first, always.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Format {
    /// BCD of so many bytes, times ten to the `scale`.
    Number {
        /// Two digits each.
        bytes: usize,
        /// Where the decimal point stands: -2 for XXXXXX.XX.
        scale: i8,
        /// Whether the top bit is a minus.
        sign: Sign,
    },
    /// One pair of digits for each part, the first part first on the wire.
    Time(&'static [Part]),
    /// Two bytes of bits.
    Word,
    /// One byte of bits.
    Bits,
    /// Characters, the last one first.
    Text {
        /// Filled up with zeros or blanks.
        bytes: usize,
    },
    /// Decimal digits that are a name and no number.
    Digits {
        /// Two digits each.
        bytes: usize,
    },
    /// Bytes that are none of these; they are kept as they came.
    Raw {
        /// How many.
        bytes: usize,
    },
    /// Several values in a row, first one first.
    Record(&'static [Field]),
}

/// One value of a [`Format::Record`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Field {
    /// What it is, e.g. "start".
    pub name: &'static str,
    /// Anything but a record.
    pub format: Format,
    /// Of a number.
    pub unit: Unit,
}

/// A part of a time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[expect(missing_docs, reason = "the names say it")]
pub enum Part {
    Second,
    Minute,
    Hour,
    /// 0 for Sunday to 6, or 7 for Sunday.
    Week,
    Day,
    Month,
    /// Of this century: 99 is 2099.
    Year,
}

/// `ss mm hh WW DD MM YY`
pub const CLOCK: &[Part] =
    &[Part::Second, Part::Minute, Part::Hour, Part::Week, Part::Day, Part::Month, Part::Year];
/// `WW DD MM YY`
pub const DATE_AND_WEEK: &[Part] = &[Part::Week, Part::Day, Part::Month, Part::Year];
/// `ss mm hh`
pub const TIME_OF_DAY: &[Part] = &[Part::Second, Part::Minute, Part::Hour];
/// `ss mm hh DD MM YY`
pub const SECOND: &[Part] =
    &[Part::Second, Part::Minute, Part::Hour, Part::Day, Part::Month, Part::Year];
/// `mm hh DD MM YY`
pub const MINUTE: &[Part] = &[Part::Minute, Part::Hour, Part::Day, Part::Month, Part::Year];
/// `mm hh DD MM`: without a year.
pub const MINUTE_OF_YEAR: &[Part] = &[Part::Minute, Part::Hour, Part::Day, Part::Month];
/// `mm hh`
pub const MINUTE_OF_DAY: &[Part] = &[Part::Minute, Part::Hour];
/// `hh DD`
pub const HOUR_OF_MONTH: &[Part] = &[Part::Hour, Part::Day];

/// Units by the COSEM enumeration (IEC 62056-62), and those that it lacks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[expect(missing_docs, reason = "the names say it")]
pub enum Unit {
    None,
    KilowattHour,
    /// For kvarh: hundredths of a kvarh are tens of a varh, so scale 1.
    VarHour,
    /// For kVAh, in the same way.
    VoltAmpereHour,
    Kilowatt,
    Kilovar,
    KilovoltAmpere,
    Volt,
    Ampere,
    Hertz,
    Degree,
    Percent,
    Celsius,
    /// Yuan; prices are yuan per kWh.
    Currency,
    Second,
    Minute,
    Day,
}

impl Unit {
    /// As `measurement.unit` of the contract has it: COSEM's code, from 256 on our own.
    pub fn code(self) -> u16 {
        match self {
            Unit::Day => 4,
            Unit::Minute => 6,
            Unit::Second => 7,
            Unit::Degree => 8,
            Unit::Celsius => 9,
            Unit::Currency => 10,
            Unit::VoltAmpereHour => 31,
            Unit::VarHour => 32,
            Unit::Ampere => 33,
            Unit::Volt => 35,
            Unit::Hertz => 44,
            Unit::Percent => 56,
            Unit::None => 255,
            Unit::KilowattHour => 256,
            Unit::Kilowatt => 257,
            Unit::Kilovar => 258,
            Unit::KilovoltAmpere => 259,
        }
    }
}

/// What stood in the bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Value<'a> {
    /// `mantissa` times ten to the `scale`.
    Number {
        /// All digits.
        mantissa: i64,
        /// Where the decimal point stands.
        scale: i8,
    },
    /// A time, as much of it as the format has.
    Time(Time),
    /// Bits, the lowest byte's lowest bit first.
    Bits(u16),
    /// Characters.
    Text(Text<'a>),
    /// Digits that are a name.
    Digits(Digits<'a>),
    /// As they came, low byte first.
    Raw(&'a [u8]),
}

/// Why there is no value.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum NoValue {
    /// All FF, or a date of zeros: the meter does not measure it, or has not written it yet.
    Absent,
    /// A nibble above 9, or more digits than a number here can have.
    NotDecimal,
    /// Digits that are no time, e.g. month 13.
    NoSuchTime,
    /// Characters that cannot be printed.
    NotText,
    /// The item has so many bytes, but these came.
    Length {
        /// By the standard.
        expected: usize,
        /// In the frame.
        found: usize,
    },
}

impl fmt::Display for NoValue {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            NoValue::Absent => f.write_str("absent"),
            NoValue::NotDecimal => f.write_str("a nibble is not a decimal digit"),
            NoValue::NoSuchTime => f.write_str("there is no such time"),
            NoValue::NotText => f.write_str("characters that cannot be printed"),
            NoValue::Length { expected, found } => {
                write!(f, "{expected} bytes are right, {found} came")
            }
        }
    }
}

impl core::error::Error for NoValue {}

impl Format {
    /// The length of one value, or of a whole record.
    pub fn bytes(self) -> usize {
        match self {
            Format::Number { bytes, .. }
            | Format::Text { bytes }
            | Format::Digits { bytes }
            | Format::Raw { bytes } => bytes,
            Format::Time(parts) => parts.len(),
            Format::Word => 2,
            Format::Bits => 1,
            Format::Record(fields) => {
                fields.iter().fold(0, |sum, field| field.format.bytes().saturating_add(sum))
            }
        }
    }

    /// The value of exactly these bytes; a record has none of its own, and is kept raw.
    ///
    /// ```
    /// use polymeter_codec::dlt645::value::{CLOCK, Format, NoValue, Value};
    ///
    /// let Ok(Value::Time(time)) = Format::Time(CLOCK).read(&[0x26, 6, 0x12, 5, 0x31, 0x10, 0x25])
    /// else {
    ///     panic!("it exists")
    /// };
    /// assert_eq!(time.to_string(), "2025-10-31 12:06:26");
    /// assert_eq!(Format::Word.read(&[0xFF, 0xFF]), Err(NoValue::Absent));
    /// ```
    pub fn read(self, bytes: &[u8]) -> Result<Value<'_>, NoValue> {
        let expected = self.bytes();
        if bytes.len() != expected {
            return Err(NoValue::Length { expected, found: bytes.len() });
        }
        if !bytes.is_empty() && bytes.iter().all(|byte| *byte == 0xFF) {
            return Err(NoValue::Absent);
        }
        match self {
            Format::Number { scale, sign, .. } => match bcd::decode(bytes, sign) {
                Ok(Some(mantissa)) => Ok(Value::Number { mantissa, scale }),
                Ok(None) => Err(NoValue::Absent),
                Err(_) => Err(NoValue::NotDecimal),
            },
            Format::Time(parts) => Time::read(parts, bytes).map(Value::Time),
            Format::Word | Format::Bits => {
                let low = bytes.first().copied().unwrap_or(0);
                let high = bytes.get(1).copied().unwrap_or(0);
                Ok(Value::Bits(u16::from_le_bytes([low, high])))
            }
            Format::Text { .. } => Text::new(bytes).map(Value::Text),
            Format::Digits { .. } => Digits::new(bytes).map(Value::Digits),
            Format::Raw { .. } | Format::Record(_) => Ok(Value::Raw(bytes)),
        }
    }
}

/// A time, as much of it as came.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[expect(missing_docs, reason = "the names say it")]
pub struct Time {
    /// Four digits.
    pub year: Option<u16>,
    pub month: Option<u8>,
    pub day: Option<u8>,
    pub hour: Option<u8>,
    pub minute: Option<u8>,
    pub second: Option<u8>,
}

impl Time {
    /// The parts in their order, each a pair of digits.
    pub fn read(parts: &[Part], bytes: &[u8]) -> Result<Time, NoValue> {
        let dated = parts.contains(&Part::Month) || parts.contains(&Part::Day);
        if dated && bytes.iter().all(|byte| *byte == 0) {
            return Err(NoValue::Absent);
        }
        let mut time = Time::default();
        for (part, byte) in parts.iter().zip(bytes) {
            let number = bcd::pair(*byte).ok_or(NoValue::NotDecimal)?;
            match part {
                Part::Second => time.second = Some(number),
                Part::Minute => time.minute = Some(number),
                Part::Hour => time.hour = Some(number),
                // Told apart from the date it belongs to it says nothing new, and is often wrong.
                Part::Week => {}
                Part::Day => time.day = Some(number),
                Part::Month => time.month = Some(number),
                Part::Year => time.year = Some(u16::from(number).saturating_add(2000)),
            }
        }
        if time.exists() { Ok(time) } else { Err(NoValue::NoSuchTime) }
    }

    fn exists(&self) -> bool {
        let month = self.month.unwrap_or(1);
        (1..=12).contains(&month)
            && (1..=days(self.year, month)).contains(&self.day.unwrap_or(1))
            && self.hour.unwrap_or(0) < 24
            && self.minute.unwrap_or(0) < 60
            && self.second.unwrap_or(0) < 60
    }

    /// The pairs of digits that `parts` ask for; zero for a part that this time does not have, and
    /// for the day of the week. `None`: `out` is not as long as `parts`, or the time does not exist.
    pub fn write(&self, parts: &[Part], out: &mut [u8]) -> Option<()> {
        if parts.len() != out.len() || !self.exists() {
            return None;
        }
        for (part, byte) in parts.iter().zip(out) {
            let number = match part {
                Part::Second => self.second,
                Part::Minute => self.minute,
                Part::Hour => self.hour,
                Part::Week => None,
                Part::Day => self.day,
                Part::Month => self.month,
                Part::Year => {
                    u8::try_from(self.year.unwrap_or(0).checked_rem(100).unwrap_or(0)).ok()
                }
            };
            let number = u64::from(number.unwrap_or(0));
            bcd::encode(number, core::slice::from_mut(byte)).ok()?;
        }
        Some(())
    }
}

fn days(year: Option<u16>, month: u8) -> u8 {
    let divides = |by: u16| year.is_none_or(|year| year.checked_rem(by) == Some(0));
    match month {
        4 | 6 | 9 | 11 => 30,
        2 if divides(400) || (divides(4) && (year.is_none() || !divides(100))) => 29,
        2 => 28,
        _ => 31,
    }
}

/// `2025-10-31 12:06:26`, without the parts that are missing.
impl fmt::Display for Time {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let date = self.year.is_some() || self.month.is_some() || self.day.is_some();
        if let Some(year) = self.year {
            write!(f, "{year:04}-")?;
        }
        if let Some(month) = self.month {
            write!(f, "{month:02}-")?;
        }
        if let Some(day) = self.day {
            write!(f, "{day:02}")?;
        }
        let Some(hour) = self.hour else { return Ok(()) };
        if date {
            f.write_str(" ")?;
        }
        write!(f, "{hour:02}")?;
        if let Some(minute) = self.minute {
            write!(f, ":{minute:02}")?;
        }
        match self.second {
            Some(second) => write!(f, ":{second:02}"),
            None => Ok(()),
        }
    }
}

/// ASCII as it came: the last character first, zeros or blanks around it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Text<'a>(&'a [u8]);

impl<'a> Text<'a> {
    fn new(bytes: &'a [u8]) -> Result<Text<'a>, NoValue> {
        let printable = |byte: &u8| matches!(byte, 0 | b' ') || byte.is_ascii_graphic();
        if !bytes.iter().all(printable) {
            return Err(NoValue::NotText);
        }
        let filler = |byte: &&u8| matches!(**byte, 0 | b' ');
        let before = bytes.iter().take_while(filler).count();
        let after = bytes.iter().rev().take_while(filler).count();
        let end = bytes.len().saturating_sub(after);
        Ok(Text(bytes.get(before..end).unwrap_or_default()))
    }
}

impl fmt::Display for Text<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut characters = self.0.iter().rev().filter(|byte| **byte != 0);
        characters.try_for_each(|byte| fmt::Write::write_char(f, char::from(*byte)))
    }
}

/// Decimal digits as they came: the lowest pair first. Printed as on a plate.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Digits<'a>(&'a [u8]);

impl<'a> Digits<'a> {
    fn new(bytes: &'a [u8]) -> Result<Digits<'a>, NoValue> {
        let decimal = bytes.iter().all(|byte| bcd::pair(*byte).is_some());
        if decimal { Ok(Digits(bytes)) } else { Err(NoValue::NotDecimal) }
    }
}

impl fmt::Display for Digits<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().rev().try_for_each(|byte| write!(f, "{byte:02X}"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(format: Format, bytes: &[u8], expected: Result<Value<'_>, NoValue>) {
        assert_eq!(format.read(bytes), expected, "{format:?} of {bytes:02X?}");
    }

    #[test]
    fn times_exist_or_are_refused() {
        let leap = Time { day: Some(29), month: Some(2), year: Some(2028), ..Time::default() };
        let date = Format::Time(&[Part::Day, Part::Month, Part::Year]);
        check(date, &[0x29, 0x02, 0x28], Ok(Value::Time(leap)));
        check(date, &[0x29, 0x02, 0x27], Err(NoValue::NoSuchTime));
        check(date, &[0x01, 0x13, 0x27], Err(NoValue::NoSuchTime));
        check(date, &[0x0A, 0x01, 0x27], Err(NoValue::NotDecimal));
        check(date, &[0, 0, 0], Err(NoValue::Absent));
        check(date, &[0x99, 0x99, 0x99], Err(NoValue::NoSuchTime));
        check(date, &[1, 1], Err(NoValue::Length { expected: 3, found: 2 }));
        let midnight = Time { second: Some(0), minute: Some(0), hour: Some(0), ..Time::default() };
        check(Format::Time(TIME_OF_DAY), &[0, 0, 0], Ok(Value::Time(midnight)));
    }

    #[test]
    fn a_time_is_written_as_it_is_read() {
        let bytes = [0x26, 0x06, 0x12, 0x31, 0x10, 0x25];
        let time = Time::read(SECOND, &bytes).unwrap_or_default();
        let mut written = [0; 6];
        assert_eq!(time.write(SECOND, &mut written), Some(()));
        assert_eq!(written, bytes);
        assert_eq!(time.write(MINUTE, &mut written), None, "of another length");
        let none = Time { month: Some(13), ..time };
        assert_eq!(none.write(SECOND, &mut written), None);
    }
}
