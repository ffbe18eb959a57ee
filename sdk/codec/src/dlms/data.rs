//! Values (IEC 62056-6-2, 4.1.5): one byte of type, then big-endian.

use super::CompactArray;
use crate::NoRoom;
use crate::axdr::{Element, List, Malformed, Reader, Writer};

/// One value. What is long stands in the APDU's own bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Data<'a> {
    /// 00.
    Null,
    /// 01: elements of one type.
    Array(List<'a, Data<'a>>),
    /// 02: elements of any types.
    Structure(List<'a, Data<'a>>),
    /// 03.
    Bool(bool),
    /// 04: so many bits, the first one in the top bit of the first byte.
    Bits {
        /// How many.
        count: usize,
        /// Filled up at the end.
        bytes: &'a [u8],
    },
    /// 05, 0F, 10 and 14: signed, of 4, 1, 2 and 8 bytes.
    Signed {
        /// The number.
        value: i64,
        /// How many bytes it takes.
        bytes: u8,
    },
    /// 06, 11, 12 and 15: unsigned, of 4, 1, 2 and 8 bytes.
    Unsigned {
        /// The number.
        value: u64,
        /// How many bytes it takes.
        bytes: u8,
    },
    /// 09.
    Octets(&'a [u8]),
    /// 0A: text in ASCII; not checked to be.
    Visible(&'a [u8]),
    /// 0C: text in UTF-8; not checked to be.
    Utf8(&'a [u8]),
    /// 0D: two digits, as they stand.
    Bcd(u8),
    /// 13: elements of one type that is said once.
    Compact(CompactArray<'a>),
    /// 16.
    Enum(u8),
    /// 17: a floating point number of 32 bits, as its bits.
    Float32(u32),
    /// 18: one of 64 bits.
    Float64(u64),
    /// 19: a time of 12 bytes, as it stands.
    DateTime([u8; 12]),
    /// 1A.
    Date([u8; 5]),
    /// 1B.
    Time([u8; 4]),
    /// FF.
    DontCare,
}

impl<'a> Element<'a> for Data<'a> {
    const BYTES_MIN: usize = 1;

    fn read(reader: &mut Reader<'a>) -> Result<Data<'a>, Malformed> {
        let before = *reader;
        match reader.byte("a type of data")? {
            0x01 => Ok(Data::Array(reader.counted()?)),
            0x02 => Ok(Data::Structure(reader.counted()?)),
            0x13 => Ok(Data::Compact(reader.within(CompactArray::read)?)),
            kind => match simple(kind, reader)? {
                Some(data) => Ok(data),
                None => Err(before.malformed("a type of data")),
            },
        }
    }
}

/// A value without others in it, behind its type; `None` for a type that is none.
pub(super) fn simple<'a>(kind: u8, reader: &mut Reader<'a>) -> Result<Option<Data<'a>>, Malformed> {
    const WHOLE: &str = "all bytes of a number";
    let signed = |value: i64, bytes: u8| Data::Signed { value, bytes };
    let unsigned = |value: u64, bytes: u8| Data::Unsigned { value, bytes };
    Ok(Some(match kind {
        0x00 => Data::Null,
        0x03 => Data::Bool(reader.byte("a boolean")? != 0),
        0x04 => {
            let count = reader.length()?;
            let bytes = reader.take(count.div_ceil(8), "as many bits as their number says")?;
            Data::Bits { count, bytes }
        }
        0x05 => signed(i64::from(i32::from_be_bytes(reader.array(WHOLE)?)), 4),
        0x06 => unsigned(u64::from(u32::from_be_bytes(reader.array(WHOLE)?)), 4),
        0x09 => Data::Octets(reader.octets()?),
        0x0A => Data::Visible(reader.octets()?),
        0x0C => Data::Utf8(reader.octets()?),
        0x0D => Data::Bcd(reader.byte("two digits")?),
        0x0F => signed(i64::from(i8::from_be_bytes(reader.array(WHOLE)?)), 1),
        0x10 => signed(i64::from(i16::from_be_bytes(reader.array(WHOLE)?)), 2),
        0x11 => unsigned(u64::from(reader.byte(WHOLE)?), 1),
        0x12 => unsigned(u64::from(u16::from_be_bytes(reader.array(WHOLE)?)), 2),
        0x14 => signed(i64::from_be_bytes(reader.array(WHOLE)?), 8),
        0x15 => unsigned(u64::from_be_bytes(reader.array(WHOLE)?), 8),
        0x16 => Data::Enum(reader.byte("an enumeration")?),
        0x17 => Data::Float32(u32::from_be_bytes(reader.array(WHOLE)?)),
        0x18 => Data::Float64(u64::from_be_bytes(reader.array(WHOLE)?)),
        0x19 => Data::DateTime(reader.array("a time of 12 bytes")?),
        0x1A => Data::Date(reader.array("a date of 5 bytes")?),
        0x1B => Data::Time(reader.array("a time of 4 bytes")?),
        0xFF => Data::DontCare,
        _ => return Ok(None),
    }))
}

impl<'a> Data<'a> {
    /// Of bytes that hold one value and nothing else.
    pub fn decode(bytes: &'a [u8]) -> Result<Data<'a>, Malformed> {
        let mut reader = Reader::new(bytes);
        let data = Data::read(&mut reader)?;
        reader.end()?;
        Ok(data)
    }

    /// Writes the value with its type; returns how many bytes it takes.
    pub fn encode(&self, out: &mut [u8]) -> Result<usize, NoRoom> {
        let mut writer = Writer::new(out);
        self.write(&mut writer);
        writer.finish()
    }

    pub(super) fn write(&self, writer: &mut Writer<'_>) {
        match self {
            Data::Null => writer.byte(0x00),
            Data::Array(list) => tagged(writer, 0x01, list.len(), list.bytes()),
            Data::Structure(list) => tagged(writer, 0x02, list.len(), list.bytes()),
            Data::Bool(bool) => writer.bytes(&[0x03, u8::from(*bool)]),
            Data::Bits { count, bytes } => tagged(writer, 0x04, *count, bytes),
            Data::Signed { value, bytes } => {
                let kind = [(1, 0x0F), (2, 0x10), (4, 0x05)];
                let kind = kind.into_iter().find(|(wide, _)| wide == bytes);
                number(writer, kind.map_or(0x14, |(_, kind)| kind), *bytes, value.to_be_bytes());
            }
            Data::Unsigned { value, bytes } => {
                let kind = [(1, 0x11), (2, 0x12), (4, 0x06)];
                let kind = kind.into_iter().find(|(wide, _)| wide == bytes);
                number(writer, kind.map_or(0x15, |(_, kind)| kind), *bytes, value.to_be_bytes());
            }
            Data::Octets(bytes) => tagged(writer, 0x09, bytes.len(), bytes),
            Data::Visible(bytes) => tagged(writer, 0x0A, bytes.len(), bytes),
            Data::Utf8(bytes) => tagged(writer, 0x0C, bytes.len(), bytes),
            Data::Bcd(digits) => writer.bytes(&[0x0D, *digits]),
            Data::Compact(compact) => {
                writer.byte(0x13);
                writer.bytes(compact.description());
                writer.octets(compact.contents());
            }
            Data::Enum(value) => writer.bytes(&[0x16, *value]),
            Data::Float32(bits) => number(writer, 0x17, 4, u64::from(*bits).to_be_bytes()),
            Data::Float64(bits) => number(writer, 0x18, 8, bits.to_be_bytes()),
            Data::DateTime(bytes) => plain(writer, 0x19, bytes),
            Data::Date(bytes) => plain(writer, 0x1A, bytes),
            Data::Time(bytes) => plain(writer, 0x1B, bytes),
            Data::DontCare => writer.byte(0xFF),
        }
    }
}

fn plain(writer: &mut Writer<'_>, kind: u8, bytes: &[u8]) {
    writer.byte(kind);
    writer.bytes(bytes);
}

fn tagged(writer: &mut Writer<'_>, kind: u8, count: usize, bytes: &[u8]) {
    writer.byte(kind);
    writer.length(count);
    writer.bytes(bytes);
}

/// The low bytes of a number, 1, 2, 4 or else 8 of them.
fn number(writer: &mut Writer<'_>, kind: u8, wide: u8, value: [u8; 8]) {
    let wide = if matches!(wide, 1 | 2 | 4) { usize::from(wide) } else { value.len() };
    writer.byte(kind);
    writer.bytes(value.get(value.len().saturating_sub(wide)..).unwrap_or_default());
}
