//! The records of a load profile (DL/T 645-2007, appendix A, DI3 = 06H): a time and six classes of
//! values, each class there or left out.
//!
//! ```text
//! A0 A0  n  mm hh DD MM YY  class 1  AA  class 2  AA .. class 6  AA  CS  E5
//! ```
//!
//! Invariant: a [`LoadRecord`] has both marks, a good sum and six classes of the right length or
//! none. `n` is not judged: what it counts is told differently, and nothing depends on it.

use super::value::{Format, MINUTE, NoValue, Time, Unit};
use crate::Obis;
use crate::bcd::Sign;
use core::fmt;

const MARK: [u8; 2] = [0xA0, 0xA0];
const END: u8 = 0xE5;
const BETWEEN: u8 = 0xAA;
/// Classes in a record.
pub const CLASSES: usize = 6;
/// The same digit pairs as in a frame's data: n and the time.
const HEAD: usize = 8;

/// A value of a class.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Column {
    /// What it is.
    pub name: &'static str,
    /// Its neutral name.
    pub register: Obis,
    /// Its format.
    pub format: Format,
    /// Its unit.
    pub unit: Unit,
}

const fn column(
    name: &'static str,
    register: [u8; 2],
    format: (usize, i8, Sign),
    unit: Unit,
) -> Column {
    let ([c, d], (bytes, scale, sign)) = (register, format);
    let format = Format::Number { bytes, scale, sign };
    Column { name, register: Obis([1, 0, c, d, 0, 255]), format, unit }
}

const VOLT: (usize, i8, Sign) = (2, -1, Sign::None);
const AMPERE: (usize, i8, Sign) = (3, -3, Sign::TopBit);
const POWER: (usize, i8, Sign) = (3, -4, Sign::TopBit);
const FACTOR: (usize, i8, Sign) = (2, -3, Sign::TopBit);
const KWH: (usize, i8, Sign) = (4, -2, Sign::None);
/// Hundredths of a kvarh are tens of a varh.
const KVARH: (usize, i8, Sign) = (4, 1, Sign::TopBit);

/// The values of each class, in their order.
pub static COLUMNS: [&[Column]; CLASSES] = [
    &[
        column("voltage A", [32, 7], VOLT, Unit::Volt),
        column("voltage B", [52, 7], VOLT, Unit::Volt),
        column("voltage C", [72, 7], VOLT, Unit::Volt),
        column("current A", [31, 7], AMPERE, Unit::Ampere),
        column("current B", [51, 7], AMPERE, Unit::Ampere),
        column("current C", [71, 7], AMPERE, Unit::Ampere),
        column("frequency", [14, 7], (2, -2, Sign::None), Unit::Hertz),
    ],
    &[
        column("active power", [1, 7], POWER, Unit::Kilowatt),
        column("active power A", [21, 7], POWER, Unit::Kilowatt),
        column("active power B", [41, 7], POWER, Unit::Kilowatt),
        column("active power C", [61, 7], POWER, Unit::Kilowatt),
        column("reactive power", [3, 7], POWER, Unit::Kilovar),
        column("reactive power A", [23, 7], POWER, Unit::Kilovar),
        column("reactive power B", [43, 7], POWER, Unit::Kilovar),
        column("reactive power C", [63, 7], POWER, Unit::Kilovar),
    ],
    &[
        column("power factor", [13, 7], FACTOR, Unit::None),
        column("power factor A", [33, 7], FACTOR, Unit::None),
        column("power factor B", [53, 7], FACTOR, Unit::None),
        column("power factor C", [73, 7], FACTOR, Unit::None),
    ],
    &[
        column("forward active energy", [1, 8], KWH, Unit::KilowattHour),
        column("reverse active energy", [2, 8], KWH, Unit::KilowattHour),
        column("combined reactive energy 1", [3, 8], KVARH, Unit::VarHour),
        column("combined reactive energy 2", [4, 8], KVARH, Unit::VarHour),
    ],
    &[
        column("reactive energy quadrant 1", [5, 8], KVARH, Unit::VarHour),
        column("reactive energy quadrant 2", [6, 8], KVARH, Unit::VarHour),
        column("reactive energy quadrant 3", [7, 8], KVARH, Unit::VarHour),
        column("reactive energy quadrant 4", [8, 8], KVARH, Unit::VarHour),
    ],
    &[
        column("active demand", [1, 4], POWER, Unit::Kilowatt),
        column("reactive demand", [3, 4], POWER, Unit::Kilovar),
    ],
];

/// One record of a profile.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LoadRecord<'a> {
    /// When it was stored, to the minute.
    pub time: Result<Time, NoValue>,
    /// The bytes of each class; empty where the meter does not keep it.
    pub classes: [&'a [u8]; CLASSES],
}

/// Why bytes are no record.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum BadRecord {
    /// It does not begin with A0 A0.
    NoMark,
    /// It ends before its last class does.
    Cut,
    /// A class, from 1, is neither empty nor of the right length.
    Class(usize),
    /// The sum is wrong.
    Sum,
    /// E5 is missing.
    NoEnd,
}

impl fmt::Display for BadRecord {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            BadRecord::NoMark => f.write_str("a load record that does not begin with A0 A0"),
            BadRecord::Cut => f.write_str("a load record that is cut short"),
            BadRecord::Class(class) => write!(f, "class {class} of a load record is damaged"),
            BadRecord::Sum => f.write_str("the sum of a load record is wrong"),
            BadRecord::NoEnd => f.write_str("a load record that does not end in E5"),
        }
    }
}

impl core::error::Error for BadRecord {}

/// The record that `bytes` begin with, and how many bytes it takes.
///
/// ```
/// use polymeter_codec::dlt645::load_record::read;
///
/// let mut bytes = vec![0xA0, 0xA0, 0x0F, 0x15, 0x10, 0x02, 0x03, 0x26];
/// bytes.extend([0xAA, 0xAA, 0x00, 0x05, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xAA, 0xAA, 0xAA, 0xAA]);
/// let sum = bytes.iter().fold(0_u8, |sum, byte| sum.wrapping_add(*byte));
/// bytes.extend([sum, 0xE5]);
/// let (record, used) = read(&bytes).unwrap();
/// assert_eq!(used, bytes.len());
/// assert_eq!(record.time.unwrap().to_string(), "2026-03-02 10:15");
/// let mut told = Vec::new();
/// record.for_each(|column, value, _| told.push((column.name, value.is_ok())));
/// assert_eq!(told[0], ("power factor", true));
/// assert_eq!(told[1], ("power factor A", false));
/// ```
pub fn read(bytes: &[u8]) -> Result<(LoadRecord<'_>, usize), BadRecord> {
    let Some((head, mut rest)) = bytes.split_first_chunk::<HEAD>() else {
        return Err(if bytes.starts_with(&MARK) { BadRecord::Cut } else { BadRecord::NoMark });
    };
    if !head.starts_with(&MARK) {
        return Err(BadRecord::NoMark);
    }
    let [_, _, _, time @ ..] = head;
    let mut classes: [&[u8]; CLASSES] = [&[]; CLASSES];
    for (number, (class, columns)) in classes.iter_mut().zip(COLUMNS).enumerate() {
        let length =
            columns.iter().fold(0_usize, |sum, column| sum.saturating_add(column.format.bytes()));
        let present = if rest.first() == Some(&BETWEEN) { 0 } else { length };
        let Some((values, [between, behind @ ..])) = rest.split_at_checked(present) else {
            return Err(BadRecord::Cut);
        };
        if *between != BETWEEN {
            return Err(BadRecord::Class(number.saturating_add(1)));
        }
        (*class, rest) = (values, behind);
    }
    let [sum, end, ..] = rest else { return Err(BadRecord::Cut) };
    let summed = bytes.len().saturating_sub(rest.len());
    let right = bytes.iter().take(summed).fold(0_u8, |sum, byte| sum.wrapping_add(*byte));
    match (*sum == right, *end == END) {
        (false, _) => Err(BadRecord::Sum),
        (_, false) => Err(BadRecord::NoEnd),
        _ => {
            let time = Time::read(MINUTE, time);
            Ok((LoadRecord { time, classes }, summed.saturating_add(2)))
        }
    }
}

impl<'a> LoadRecord<'a> {
    /// Gives every value of the classes that are there, with its bytes.
    pub fn for_each(
        &self,
        mut take: impl FnMut(&'static Column, Result<super::Value<'a>, NoValue>, &'a [u8]),
    ) {
        for (class, columns) in self.classes.iter().zip(COLUMNS) {
            let mut rest: &'a [u8] = class;
            for column in columns {
                let length = column.format.bytes();
                let Some((bytes, behind)) = rest.split_at_checked(length) else { break };
                take(column, column.format.read(bytes), bytes);
                rest = behind;
            }
        }
    }
}
