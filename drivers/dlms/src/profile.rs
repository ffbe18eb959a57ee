//! A profile (class 7, profile generic, IEC 62056-6-2, 4.3.6): its columns with what their numbers
//! mean, and its rows as records.
//!
//! Invariant: a number comes out only with the scaler and unit of the object that was captured; a value
//! that the meter left out is no value, and a row of another width than the profile is no record.
//! Not here: which rows are asked for, and how many (records).

use crate::companion;
use crate::measure::{dotted, moment, number, plain, scaler};
use crate::session::{Got, Session};
use crate::settings::Companion;
use polymeter_codec::Obis;
use polymeter_codec::dlms::{Attribute, Data};
use polymeter_driver::codes::{quality, unit};
use polymeter_driver::{DriverError, LocalTime, Measurement, RecordEntry, Value, time};

pub const CLASS: u16 = 7;
/// Attributes: rows, columns, seconds between rows, their order, how many there are.
pub const BUFFER: i8 = 2;
const COLUMNS: i8 = 3;
const PERIOD: i8 = 4;
const ORDER: i8 = 5;
pub const ENTRIES_IN_USE: i8 = 7;
/// Sort method 2: last in, first out.
const NEWEST_FIRST: u8 = 2;
/// More columns are no profile of a meter.
const COLUMNS_MAX: usize = 64;
/// Columns whose scalers are asked for in one question.
pub const SCALERS_AT_ONCE: usize = 8;
/// The events of log `e` are coded in 0.0.96.11.e.255.
const EVENT_CODE: [u8; 4] = [0, 0, 96, 11];

/// What the numbers of a column mean.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Meaning {
    /// Its object has not been asked yet.
    Unasked,
    /// Its object has no scaler, or does not tell it.
    None,
    Scaled(i8, u8),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Column {
    pub of: Attribute,
    /// Which element of the attribute; 0 all of it.
    pub index: u16,
    pub meaning: Meaning,
}

impl Column {
    fn is_clock(&self) -> bool {
        (self.of.class, self.of.attribute) == (8, 2)
    }

    fn is_event(&self) -> bool {
        let Obis([a, b, c, d, ..]) = self.of.object;
        (self.of.class, self.of.attribute) == (1, 2) && [a, b, c, d] == EVENT_CODE
    }

    /// Where its scaler stands, if it has one: behind the last average of a demand register, else
    /// behind the value.
    fn scaler(&self) -> Option<Attribute> {
        let attribute = match (self.of.class, self.of.attribute) {
            (3 | 4, 2) => 3,
            (5, 2 | 3) => 4,
            _ => return None,
        };
        Some(Attribute { attribute, ..self.of })
    }

    /// A value by itself, and not a time of it or a status beside it.
    fn is_value(&self) -> bool {
        matches!((self.of.class, self.of.attribute), (1 | 3 | 4, 2) | (5, 2 | 3)) && self.index == 0
    }

    /// About how many bytes a value of it takes.
    fn bytes(&self) -> usize {
        if self.is_clock() { 14 } else { 6 }
    }
}

/// What is known of a profile.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Profile {
    pub columns: Vec<Column>,
    /// Seconds from row to row; 0: they come when something happens.
    pub period: u32,
    pub newest_first: bool,
}

/// What came of asking for a profile.
pub enum Asked {
    Known(Profile),
    /// The meter has no such object.
    Absent,
    /// Its reason for not telling.
    Refused(u8),
}

/// Asks what a profile has: all but what its numbers mean.
pub fn ask(session: &mut Session<'_>, object: Obis) -> Result<Asked, DriverError> {
    let of = |attribute| Attribute { class: CLASS, object, attribute };
    let got = session.get_all(&[of(COLUMNS), of(PERIOD), of(ORDER)])?;
    let data = |nth: usize| got.get(nth).map(Got::data).transpose();
    let columns = match data(0)? {
        Some(Ok(data)) => columns(&data),
        // Undefined, of another class, not available (IEC 62056-5-3, 9.5).
        Some(Err(4 | 9 | 11)) => return Ok(Asked::Absent),
        Some(Err(why)) => return Ok(Asked::Refused(why)),
        None => None,
    };
    let Some(columns) = columns else {
        let why = format!("the profile {} has no columns that can be read", dotted(object));
        return Err(crate::session::garbled(why));
    };
    let period = match data(1)? {
        Some(Ok(Data::Unsigned { value, .. })) => u32::try_from(value).unwrap_or(0),
        _ => 0,
    };
    let newest_first = matches!(data(2)?, Some(Ok(Data::Enum(NEWEST_FIRST))));
    Ok(Asked::Known(Profile { columns, period, newest_first }))
}

/// Capture objects: class, logical name, attribute, index.
fn columns(data: &Data<'_>) -> Option<Vec<Column>> {
    let Data::Array(objects) = data else { return None };
    let column = |object: Data<'_>| {
        let Data::Structure(fields) = object else { return None };
        let mut fields = fields.iter();
        let (class, name) = match (fields.next()?, fields.next()?) {
            (Data::Unsigned { value, .. }, Data::Octets(name)) => {
                (u16::try_from(value).ok()?, <[u8; 6]>::try_from(name).ok()?)
            }
            _ => return None,
        };
        let (attribute, index) = match (fields.next()?, fields.next()?) {
            (Data::Signed { value, .. }, Data::Unsigned { value: index, .. }) => {
                (i8::try_from(value).ok()?, u16::try_from(index).ok()?)
            }
            _ => return None,
        };
        let of = Attribute { class, object: Obis(name), attribute };
        let mut column = Column { of, index, meaning: Meaning::Unasked };
        if column.scaler().is_none() {
            column.meaning = Meaning::None;
        }
        Some(column)
    };
    let columns: Vec<Column> = objects.iter().map(column).collect::<Option<_>>()?;
    (1..=COLUMNS_MAX).contains(&columns.len()).then_some(columns)
}

impl Profile {
    /// Asks what the next few numbers mean; whether some are left.
    pub fn ask_meaning(&mut self, session: &mut Session<'_>) -> Result<bool, DriverError> {
        let unasked = |column: &&mut Column| column.meaning == Meaning::Unasked;
        let mut next: Vec<&mut Column> =
            self.columns.iter_mut().filter(unasked).take(SCALERS_AT_ONCE).collect();
        let asked: Vec<Attribute> = next.iter().filter_map(|column| column.scaler()).collect();
        if asked.is_empty() {
            return Ok(false);
        }
        let got = session.get_all(&asked)?;
        for (column, got) in next.iter_mut().zip(got) {
            column.meaning = match got.data()? {
                Ok(data) => scaler(&data)
                    .map_or(Meaning::None, |(scale, unit)| Meaning::Scaled(scale, unit)),
                Err(_) => Meaning::None,
            };
        }
        Ok(true)
    }

    /// About how many bytes a row takes.
    pub fn row_bytes(&self) -> usize {
        self.columns.iter().map(Column::bytes).fold(2, usize::saturating_add)
    }

    /// The rows of an answer, oldest first or last as they came, and in words what is no row.
    pub fn records(
        &self,
        data: &Data<'_>,
        companion: Companion,
        log: Option<Obis>,
    ) -> (Vec<RecordEntry>, Vec<String>) {
        let rows: Vec<Vec<Data<'_>>> = match data {
            Data::Array(rows) => rows.iter().map(|row| fields(&row)).collect(),
            Data::Compact(rows) => {
                let mut all = vec![Vec::new(); rows.len()];
                rows.visit(|row, value| {
                    if let Some(fields) = all.get_mut(row) {
                        fields.push(value);
                    }
                });
                all
            }
            other => return (Vec::new(), vec![format!("no rows of a profile but {other:?}")]),
        };
        let (mut records, mut damaged, mut last) = (Vec::new(), Vec::new(), None);
        for row in rows {
            if row.len() != self.columns.len() {
                let (has, wants) = (row.len(), self.columns.len());
                damaged.push(format!("a row of {has} values and not of {wants}"));
                continue;
            }
            let record = self.record(&row, last, companion, log);
            last = record.at;
            records.push(record);
        }
        (records, damaged)
    }

    /// One row. A time that was left out is one period from that of the row before.
    fn record(
        &self,
        row: &[Data<'_>],
        before: Option<LocalTime>,
        companion: Companion,
        log: Option<Obis>,
    ) -> RecordEntry {
        let mut record = RecordEntry {
            at: None,
            event: String::new(),
            device_code: None,
            measurements: Vec::new(),
            extras: Vec::new(),
        };
        for (column, data) in self.columns.iter().zip(row) {
            if column.is_clock() {
                record.at = match data {
                    Data::Null => self.beside(before),
                    data => moment(data).map(|(time, _)| time),
                };
            } else if matches!(data, Data::Null | Data::DontCare) {
                // Not measured, or as in the row before: nobody can tell which.
            } else if let (Some(log), true, Data::Unsigned { value, .. }) =
                (log, column.is_event(), data)
            {
                record.event = companion::event(companion, *value);
                record.device_code = Some(format!("{} {value}", dotted(log)));
            } else if column.is_value() {
                record.measurements.push(column.measured(data));
            } else if let Some(told) = column.told(data) {
                record.extras.push(told);
            }
        }
        record
    }

    fn beside(&self, before: Option<LocalTime>) -> Option<LocalTime> {
        let period = i64::from(self.period);
        let period = if self.newest_first { period.saturating_neg() } else { period };
        let before = time::seconds(before?);
        (period != 0).then(|| time::at(before.saturating_add(period)))
    }
}

impl Column {
    fn measured(&self, data: &Data<'_>) -> Measurement {
        let (value, unit) = match self.meaning {
            Meaning::Scaled(scale, unit) => (number(data, scale), u16::from(unit)),
            // A status or a count: it is what it is.
            _ if self.of.class == 1 => (plain(data), unit::NONE),
            _ => (None, unit::NONE),
        };
        let quality = if value.is_some() { quality::MEASURED } else { quality::INVALID };
        let value = value.unwrap_or(Value::Bytes(Vec::new()));
        Measurement { register: dotted(self.of.object), value, unit, quality }
    }

    /// What is no number of a register: when a maximum was, what a status is.
    fn told(&self, data: &Data<'_>) -> Option<(String, Value)> {
        let Attribute { class, object, attribute } = self.of;
        let index = if self.index == 0 { String::new() } else { format!(" {}", self.index) };
        let name = format!("{class}:{} {attribute}{index}", dotted(object));
        // The time of an extended register's or a demand register's value.
        let is_time = matches!((class, attribute), (4, 5) | (5, 6 | 7));
        let time = moment(data).filter(|_| is_time).map(|(time, _)| Value::Time(time));
        Some((name, time.or_else(|| plain(data))?))
    }
}

fn fields<'a>(row: &Data<'a>) -> Vec<Data<'a>> {
    match row {
        Data::Structure(fields) => fields.iter().collect(),
        _ => Vec::new(),
    }
}

#[cfg(test)]
#[expect(clippy::unwrap_used, clippy::indexing_slicing, reason = "a test may say so by failing")]
mod tests {
    use super::*;

    fn column(class: u16, object: [u8; 6], attribute: i8) -> Column {
        let of = Attribute { class, object: Obis(object), attribute };
        Column { of, index: 0, meaning: Meaning::Scaled(1, 30) }
    }

    fn rows(profile: &Profile, hex: &[u8]) -> (Vec<RecordEntry>, Vec<String>) {
        profile.records(&Data::decode(hex).unwrap(), Companion::Dsmr, None)
    }

    #[test]
    fn a_time_that_is_left_out_is_one_period_further() {
        let columns = vec![column(8, [0, 0, 1, 0, 0, 255], 2), column(3, [1, 0, 1, 8, 0, 255], 2)];
        let first = [
            &[0x01, 3, 0x02, 2, 0x09, 12, 0x07, 0xEA, 2, 28, 6, 23, 45, 0, 0, 0x80, 0, 0][..],
            &[0x12, 0, 7, 0x02, 2, 0, 0x12, 0, 8, 0x02, 1, 0],
        ]
        .concat();
        for (newest_first, second) in [(false, (3, 1, 0, 0)), (true, (2, 28, 23, 30))] {
            let profile = Profile { columns: columns.clone(), period: 900, newest_first };
            let (records, damaged) = rows(&profile, &first);
            let at = records[1].at.unwrap();
            assert_eq!((at.month, at.day, at.hour, at.minute), second);
            assert_eq!(damaged, ["a row of 1 values and not of 2"]);
        }
        let unknown = Profile { columns, period: 0, newest_first: false };
        assert_eq!(rows(&unknown, &first).0[1].at, None);
    }

    #[test]
    fn a_compact_array_has_the_same_rows_and_a_null_is_no_value() {
        let columns = vec![column(3, [1, 0, 1, 8, 0, 255], 2), column(4, [1, 0, 1, 6, 0, 255], 5)];
        let profile = Profile { columns, ..Profile::default() };
        let plain = [0x01, 2, 0x02, 2, 0x11, 5, 0x11, 1, 0x02, 2, 0x11, 6, 0x11, 2];
        let compact = [0x13, 0x02, 2, 0x11, 0x11, 4, 5, 1, 6, 2];
        let (records, damaged) = rows(&profile, &plain);
        assert!(damaged.is_empty());
        assert_eq!(format!("{records:?}"), format!("{:?}", rows(&profile, &compact).0));
        assert_eq!(records[1].measurements.len(), 1);
        assert_eq!(records[1].extras[0].0, "4:1.0.1.6.0.255 5");
        let (records, _) = rows(&profile, &[0x01, 1, 0x02, 2, 0, 0]);
        assert!(records[0].measurements.is_empty() && records[0].extras.is_empty());
        assert_eq!(rows(&profile, &[0x11, 5]).1.len(), 1);
    }
}
