//! Values (DL/T 698.45-2017, 7.3.3.1 and appendix C): one byte of type, then big-endian.

use super::{Column, Oad, Selector};
use crate::axdr::{Element, List, Malformed, Reader, Writer};

/// A point in time, to the millisecond. Numbers stand as sent; all ones mean "any" or "unknown".
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct DateTime {
    /// Year, month, day.
    pub date: Date,
    /// Hour, minute, second.
    pub time: Time,
    /// 0 to 999; none where the type has no milliseconds.
    pub millisecond: Option<u16>,
}

/// A day.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Date {
    /// Four digits, or FFFFH.
    pub year: u16,
    /// 1 to 12, or FFH.
    pub month: u8,
    /// 1 to 31, or FFH.
    pub day: u8,
    /// 0 (Sunday) to 6, or FFH; none where the type has no weekday.
    pub weekday: Option<u8>,
}

/// A time of day.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Time {
    /// 0 to 23, or FFH.
    pub hour: u8,
    /// 0 to 59, or FFH.
    pub minute: u8,
    /// 0 to 59, or FFH.
    pub second: u8,
}

impl DateTime {
    /// `date_time`: year, month, day, weekday, hour, minute, second, milliseconds.
    pub(super) fn long(reader: &mut Reader<'_>) -> Result<DateTime, Malformed> {
        let [a, b, month, day, weekday, hour, minute, second, c, d] =
            reader.array("a time of 10 bytes")?;
        let year = u16::from_be_bytes([a, b]);
        let date = Date { year, month, day, weekday: Some(weekday) };
        let millisecond = Some(u16::from_be_bytes([c, d]));
        Ok(DateTime { date, time: Time { hour, minute, second }, millisecond })
    }

    /// `date_time_s`: year, month, day, hour, minute, second.
    pub(super) fn short(reader: &mut Reader<'_>) -> Result<DateTime, Malformed> {
        let [a, b, month, day, hour, minute, second] = reader.array("a time of 7 bytes")?;
        let date = Date { year: u16::from_be_bytes([a, b]), month, day, weekday: None };
        Ok(DateTime { date, time: Time { hour, minute, second }, millisecond: None })
    }

    /// As it is read; with milliseconds the long type, without the short one.
    pub(super) fn write(&self, writer: &mut Writer<'_>) {
        let DateTime { date, time, millisecond } = self;
        writer.bytes(&date.year.to_be_bytes());
        writer.bytes(&[date.month, date.day]);
        if millisecond.is_some() {
            writer.byte(date.weekday.unwrap_or(0xFF));
        }
        writer.bytes(&[time.hour, time.minute, time.second]);
        if let Some(millisecond) = millisecond {
            writer.bytes(&millisecond.to_be_bytes());
        }
    }
}

/// Bounds of a value; which of them belong to it stands in the first byte.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Region<'a> {
    /// 0 from begin to before end, 1 after begin to end, 2 both in, 3 both out.
    pub kind: u8,
    /// Begin and end, two values.
    pub bounds: List<'a, Data<'a>>,
}

/// One value. What is long stands in the frame's own bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Data<'a> {
    /// 0.
    Null,
    /// 1: elements, of one type.
    Array(List<'a, Data<'a>>),
    /// 2: elements of any types.
    Structure(List<'a, Data<'a>>),
    /// 3.
    Bool(bool),
    /// 4: so many bits, the first one in the top bit of the first byte.
    Bits {
        /// How many.
        count: usize,
        /// Filled up at the end.
        bytes: &'a [u8],
    },
    /// 5, 15, 16 and 20: signed, of 4, 1, 2 and 8 bytes.
    Signed {
        /// The number.
        value: i64,
        /// How many bytes it takes.
        bytes: u8,
    },
    /// 6, 17, 18 and 21: unsigned, of 4, 1, 2 and 8 bytes.
    Unsigned {
        /// The number.
        value: u64,
        /// How many bytes it takes.
        bytes: u8,
    },
    /// 9.
    Octets(&'a [u8]),
    /// 10: text in ASCII.
    Visible(&'a [u8]),
    /// 12: text in UTF-8; not checked to be.
    Utf8(&'a [u8]),
    /// 22.
    Enum(u8),
    /// 23: a floating point number of 32 bits, as its bits.
    Float32(u32),
    /// 24: one of 64 bits.
    Float64(u64),
    /// 25 (with milliseconds) and 28.
    DateTime(DateTime),
    /// 26.
    Date(Date),
    /// 27.
    Time(Time),
    /// 80: the identifier of an object.
    Object(u16),
    /// 81: an attribute of one.
    Attribute(Oad),
    /// 82: a record, and attributes of it.
    Record(Oad, List<'a, Oad>),
    /// 91: a column of a table.
    Column(Column<'a>),
    /// 83: a method of an object, written as an attribute.
    Method(Oad),
    /// 84: an interval: 0 seconds, 1 minutes, 2 hours, 3 days, 4 months, 5 years; and how many.
    Interval {
        /// Of what.
        unit: u8,
        /// How many.
        count: u16,
    },
    /// 85: a server's address, length and flag first.
    Server(&'a [u8]),
    /// 86: a MAC.
    Mac(&'a [u8]),
    /// 87: a random number.
    Random(&'a [u8]),
    /// 88.
    Region(Region<'a>),
    /// 89: power of ten and unit.
    ScalerUnit {
        /// The power of ten.
        scaler: i8,
        /// By appendix B of the standard.
        unit: u8,
    },
    /// 90: which rows of a table.
    Selector(Selector<'a>),
    /// 92: which meters.
    Meters(super::Meters<'a>),
    /// 93: what a security module checks.
    SecurityId {
        /// Which key.
        id: u32,
        /// What else it wants to know.
        data: &'a [u8],
    },
    /// 94: that, and a MAC.
    SecurityIdMac {
        /// Which key.
        id: u32,
        /// What else it wants to know.
        data: &'a [u8],
        /// The MAC.
        mac: &'a [u8],
    },
    /// 95: baud rate, parity, data bits, stop bits, flow control, as their enumerations.
    SerialPort([u8; 5]),
    /// 96: the columns of a table.
    Columns(List<'a, Column<'a>>),
}

impl<'a> Element<'a> for Data<'a> {
    const BYTES_MIN: usize = 1;

    fn read(reader: &mut Reader<'a>) -> Result<Data<'a>, Malformed> {
        let before = *reader;
        let kind = reader.byte("a type of data")?;
        Ok(match kind {
            0 => Data::Null,
            1 => Data::Array(reader.counted()?),
            2 => Data::Structure(reader.counted()?),
            3 => Data::Bool(reader.byte("a boolean")? != 0),
            4 => {
                let count = reader.length()?;
                let bytes = reader.take(count.div_ceil(8), "as many bits as their number says")?;
                Data::Bits { count, bytes }
            }
            5 | 15 | 16 | 20 => signed(kind, reader)?,
            6 | 17 | 18 | 21 => unsigned(kind, reader)?,
            9 => Data::Octets(reader.octets()?),
            10 => Data::Visible(reader.octets()?),
            12 => Data::Utf8(reader.octets()?),
            22 => Data::Enum(reader.byte("an enumeration")?),
            23 => Data::Float32(u32::from_be_bytes(reader.array("4 bytes of a number")?)),
            24 => Data::Float64(u64::from_be_bytes(reader.array("8 bytes of a number")?)),
            25 => Data::DateTime(DateTime::long(reader)?),
            26 => {
                let [a, b, month, day, weekday] = reader.array("a date of 5 bytes")?;
                let year = u16::from_be_bytes([a, b]);
                Data::Date(Date { year, month, day, weekday: Some(weekday) })
            }
            27 => {
                let [hour, minute, second] = reader.array("a time of 3 bytes")?;
                Data::Time(Time { hour, minute, second })
            }
            28 => Data::DateTime(DateTime::short(reader)?),
            80..=96 => special(kind, reader, &before)?,
            _ => return Err(before.malformed("a type of data")),
        })
    }
}

fn signed<'a>(kind: u8, reader: &mut Reader<'a>) -> Result<Data<'a>, Malformed> {
    const WHOLE: &str = "all bytes of a number";
    Ok(match kind {
        15 => Data::Signed { value: i64::from(i8::from_be_bytes(reader.array(WHOLE)?)), bytes: 1 },
        16 => Data::Signed { value: i64::from(i16::from_be_bytes(reader.array(WHOLE)?)), bytes: 2 },
        5 => Data::Signed { value: i64::from(i32::from_be_bytes(reader.array(WHOLE)?)), bytes: 4 },
        _ => Data::Signed { value: i64::from_be_bytes(reader.array(WHOLE)?), bytes: 8 },
    })
}

fn unsigned<'a>(kind: u8, reader: &mut Reader<'a>) -> Result<Data<'a>, Malformed> {
    const WHOLE: &str = "all bytes of a number";
    Ok(match kind {
        17 => Data::Unsigned { value: u64::from(reader.byte(WHOLE)?), bytes: 1 },
        18 => {
            Data::Unsigned { value: u64::from(u16::from_be_bytes(reader.array(WHOLE)?)), bytes: 2 }
        }
        6 => {
            Data::Unsigned { value: u64::from(u32::from_be_bytes(reader.array(WHOLE)?)), bytes: 4 }
        }
        _ => Data::Unsigned { value: u64::from_be_bytes(reader.array(WHOLE)?), bytes: 8 },
    })
}

/// The types of the standard's own objects.
fn special<'a>(
    kind: u8,
    reader: &mut Reader<'a>,
    before: &Reader<'a>,
) -> Result<Data<'a>, Malformed> {
    Ok(match kind {
        80 => Data::Object(u16::from_be_bytes(reader.array("an object's identifier")?)),
        81 => Data::Attribute(Oad::read(reader)?),
        82 => Data::Record(Oad::read(reader)?, reader.counted()?),
        83 => Data::Method(Oad::read(reader)?),
        84 => {
            let [unit, a, b] = reader.array("an interval")?;
            Data::Interval { unit, count: u16::from_be_bytes([a, b]) }
        }
        85 => Data::Server(reader.octets()?),
        86 => Data::Mac(reader.octets()?),
        87 => Data::Random(reader.octets()?),
        88 => {
            let kind = reader.byte("the kind of a region")?;
            Data::Region(Region { kind, bounds: reader.list(2)? })
        }
        89 => {
            let [scaler, unit] = reader.array("scaler and unit")?;
            Data::ScalerUnit { scaler: i8::from_be_bytes([scaler]), unit }
        }
        90 => Data::Selector(reader.within(Selector::read)?),
        91 => Data::Column(Column::read(reader)?),
        92 => Data::Meters(reader.within(super::Meters::read)?),
        93 | 94 => {
            let id = u32::from_be_bytes(reader.array("a security identifier")?);
            let data = reader.octets()?;
            if kind == 93 {
                return Ok(Data::SecurityId { id, data });
            }
            Data::SecurityIdMac { id, data, mac: reader.octets()? }
        }
        95 => Data::SerialPort(reader.array("the settings of a serial port")?),
        96 => Data::Columns(reader.counted()?),
        _ => return Err(before.malformed("a type of data")),
    })
}
