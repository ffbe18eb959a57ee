//! Values as they are written: the inverse of `data`.

use super::data::{Data, Region};
use super::record::{Column, Meters, Selector};
use crate::NoRoom;
use crate::axdr::Writer;

impl Data<'_> {
    /// Writes the value with its type; returns how many bytes it takes.
    ///
    /// ```
    /// use polymeter_codec::dlt698::Data;
    ///
    /// let mut out = [0; 8];
    /// let length = Data::Unsigned { value: 2413, bytes: 2 }.encode(&mut out)?;
    /// assert_eq!(out[..length], [0x12, 0x09, 0x6D]);
    /// # Ok::<(), polymeter_codec::NoRoom>(())
    /// ```
    pub fn encode(&self, out: &mut [u8]) -> Result<usize, NoRoom> {
        let mut writer = Writer::new(out);
        self.write(&mut writer);
        writer.finish()
    }

    pub(super) fn write(&self, writer: &mut Writer<'_>) {
        match self {
            Data::Null => writer.byte(0),
            Data::Array(list) => tagged(writer, 1, list.len(), list.bytes()),
            Data::Structure(list) => tagged(writer, 2, list.len(), list.bytes()),
            Data::Bool(bool) => writer.bytes(&[3, u8::from(*bool)]),
            Data::Bits { count, bytes } => tagged(writer, 4, *count, bytes),
            Data::Signed { value, bytes } => {
                let kind = [(1, 15), (2, 16), (4, 5)].into_iter().find(|(wide, _)| wide == bytes);
                number(writer, kind.map_or(20, |(_, kind)| kind), *bytes, value.to_be_bytes());
            }
            Data::Unsigned { value, bytes } => {
                let kind = [(1, 17), (2, 18), (4, 6)].into_iter().find(|(wide, _)| wide == bytes);
                number(writer, kind.map_or(21, |(_, kind)| kind), *bytes, value.to_be_bytes());
            }
            Data::Octets(bytes) => tagged(writer, 9, bytes.len(), bytes),
            Data::Visible(bytes) => tagged(writer, 10, bytes.len(), bytes),
            Data::Utf8(bytes) => tagged(writer, 12, bytes.len(), bytes),
            Data::Enum(value) => writer.bytes(&[22, *value]),
            Data::Float32(bits) => number(writer, 23, 4, u64::from(*bits).to_be_bytes()),
            Data::Float64(bits) => number(writer, 24, 8, bits.to_be_bytes()),
            Data::DateTime(time) => {
                writer.byte(if time.millisecond.is_some() { 25 } else { 28 });
                time.write(writer);
            }
            Data::Date(date) => {
                writer.byte(26);
                writer.bytes(&date.year.to_be_bytes());
                writer.bytes(&[date.month, date.day, date.weekday.unwrap_or(0xFF)]);
            }
            Data::Time(time) => writer.bytes(&[27, time.hour, time.minute, time.second]),
            _ => self.write_special(writer),
        }
    }

    /// The types of the standard's own objects.
    fn write_special(&self, writer: &mut Writer<'_>) {
        match self {
            Data::Object(object) => number(writer, 80, 2, u64::from(*object).to_be_bytes()),
            Data::Attribute(oad) => number(writer, 81, 4, u64::from(oad.0).to_be_bytes()),
            Data::Method(omd) => number(writer, 83, 4, u64::from(omd.0).to_be_bytes()),
            Data::Record(of, attributes) => {
                number(writer, 82, 4, u64::from(of.0).to_be_bytes());
                writer.length(attributes.len());
                writer.bytes(attributes.bytes());
            }
            Data::Column(column) => {
                writer.byte(91);
                write_column(writer, column);
            }
            Data::Interval { unit, count } => {
                writer.bytes(&[84, *unit]);
                writer.bytes(&count.to_be_bytes());
            }
            Data::Server(bytes) => tagged(writer, 85, bytes.len(), bytes),
            Data::Mac(bytes) => tagged(writer, 86, bytes.len(), bytes),
            Data::Random(bytes) => tagged(writer, 87, bytes.len(), bytes),
            Data::Region(region) => {
                writer.byte(88);
                write_region(writer, region);
            }
            Data::ScalerUnit { scaler, unit } => {
                writer.byte(89);
                writer.bytes(&scaler.to_be_bytes());
                writer.byte(*unit);
            }
            Data::Selector(selector) => {
                writer.byte(90);
                write_selector(writer, selector);
            }
            Data::Meters(meters) => {
                writer.byte(92);
                write_meters(writer, meters);
            }
            Data::SecurityId { id, data } => {
                number(writer, 93, 4, u64::from(*id).to_be_bytes());
                writer.octets(data);
            }
            Data::SecurityIdMac { id, data, mac } => {
                number(writer, 94, 4, u64::from(*id).to_be_bytes());
                writer.octets(data);
                writer.octets(mac);
            }
            Data::SerialPort(settings) => {
                writer.byte(95);
                writer.bytes(settings);
            }
            Data::Columns(columns) => tagged(writer, 96, columns.len(), columns.bytes()),
            _ => {}
        }
    }
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

fn write_column(writer: &mut Writer<'_>, column: &Column<'_>) {
    match column {
        Column::Attribute(oad) => {
            writer.byte(0);
            writer.bytes(&oad.0.to_be_bytes());
        }
        Column::Record { of, attributes } => {
            writer.byte(1);
            writer.bytes(&of.0.to_be_bytes());
            writer.length(attributes.len());
            writer.bytes(attributes.bytes());
        }
    }
}

fn write_region(writer: &mut Writer<'_>, region: &Region<'_>) {
    writer.byte(region.kind);
    writer.bytes(region.bounds.bytes());
}

fn write_meters(writer: &mut Writer<'_>, meters: &Meters<'_>) {
    match meters {
        Meters::None => writer.byte(0),
        Meters::All => writer.byte(1),
        Meters::Kinds(kinds) => tagged(writer, 2, kinds.len(), kinds),
        Meters::Addresses(list) => tagged(writer, 3, list.len(), list.bytes()),
        Meters::Numbers(list) => tagged(writer, 4, list.len(), list.bytes()),
        Meters::Regions { by, regions } => tagged(writer, *by, regions.len(), regions.bytes()),
    }
}

fn write_selector(writer: &mut Writer<'_>, selector: &Selector<'_>) {
    match selector {
        Selector::All => writer.byte(0),
        Selector::Equal(oad, values) => {
            number(writer, 1, 4, u64::from(oad.0).to_be_bytes());
            writer.bytes(values.bytes());
        }
        Selector::Between(oad, values) => {
            number(writer, 2, 4, u64::from(oad.0).to_be_bytes());
            writer.bytes(values.bytes());
        }
        Selector::Conditions(list) => tagged(writer, 3, list.len(), list.bytes()),
        Selector::At { by, time, meters } => {
            writer.byte(*by);
            time.write(writer);
            write_meters(writer, meters);
        }
        Selector::Span { by, span } => {
            writer.byte(*by);
            span.from.write(writer);
            span.to.write(writer);
            writer.byte(span.interval.0);
            writer.bytes(&span.interval.1.to_be_bytes());
            write_meters(writer, &span.meters);
        }
        Selector::NthLast(nth) => writer.bytes(&[9, *nth]),
        Selector::Last(count, meters) => {
            writer.bytes(&[10, *count]);
            write_meters(writer, meters);
        }
    }
}
