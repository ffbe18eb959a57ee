//! Tables of records and how rows and columns of them are chosen (DL/T 698.45-2017, appendix C).

use super::data::{Data, DateTime, Region};
use super::{GetResult, Oad};
use crate::axdr::{Element, List, Malformed, Reader};

/// A column of a table (CSD): an attribute, or attributes of a record (ROAD).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Column<'a> {
    /// One attribute.
    Attribute(Oad),
    /// Those of one record.
    Record {
        /// The record.
        of: Oad,
        /// What of it.
        attributes: List<'a, Oad>,
    },
}

impl<'a> Element<'a> for Column<'a> {
    const BYTES_MIN: usize = 5;

    fn read(reader: &mut Reader<'a>) -> Result<Column<'a>, Malformed> {
        let before = *reader;
        match reader.byte("a kind of column")? {
            0 => Ok(Column::Attribute(Oad::read(reader)?)),
            1 => Ok(Column::Record { of: Oad::read(reader)?, attributes: reader.counted()? }),
            _ => Err(before.malformed("a kind of column")),
        }
    }
}

/// Which meters behind a terminal (MS).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Meters<'a> {
    /// 0.
    None,
    /// 1.
    All,
    /// 2: by their kind of customer.
    Kinds(&'a [u8]),
    /// 3: by address, length and flag first.
    Addresses(List<'a, Octets<'a>>),
    /// 4: by their number in the terminal.
    Numbers(List<'a, Number>),
    /// 5 to 7: by regions of kinds, addresses, numbers.
    Regions {
        /// 5, 6 or 7.
        by: u8,
        /// The regions.
        regions: List<'a, Region<'a>>,
    },
}

impl<'a> Element<'a> for Meters<'a> {
    const BYTES_MIN: usize = 1;

    fn read(reader: &mut Reader<'a>) -> Result<Meters<'a>, Malformed> {
        let before = *reader;
        Ok(match reader.byte("a choice of meters")? {
            0 => Meters::None,
            1 => Meters::All,
            2 => Meters::Kinds(reader.octets()?),
            3 => Meters::Addresses(reader.counted()?),
            4 => Meters::Numbers(reader.counted()?),
            by @ 5..=7 => Meters::Regions { by, regions: reader.counted()? },
            _ => return Err(before.malformed("a choice of meters")),
        })
    }
}

/// Bytes behind their length.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Octets<'a>(pub &'a [u8]);

impl<'a> Element<'a> for Octets<'a> {
    const BYTES_MIN: usize = 1;

    fn read(reader: &mut Reader<'a>) -> Result<Octets<'a>, Malformed> {
        reader.octets().map(Octets)
    }
}

/// A number of two bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Number(pub u16);

impl<'a> Element<'a> for Number {
    const BYTES_MIN: usize = 2;

    fn read(reader: &mut Reader<'a>) -> Result<Number, Malformed> {
        reader.array("a number of 2 bytes").map(|bytes| Number(u16::from_be_bytes(bytes)))
    }
}

impl<'a> Element<'a> for Region<'a> {
    const BYTES_MIN: usize = 3;

    fn read(reader: &mut Reader<'a>) -> Result<Region<'a>, Malformed> {
        Ok(Region { kind: reader.byte("the kind of a region")?, bounds: reader.list(2)? })
    }
}

/// From when to when, in what steps.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Span<'a> {
    /// Begin, in the type of the selector.
    pub from: DateTime,
    /// End.
    pub to: DateTime,
    /// Unit and count, as [`Data::Interval`].
    pub interval: (u8, u16),
    /// Of which meters.
    pub meters: Meters<'a>,
}

/// Which rows of a table (RSD).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Selector<'a> {
    /// 0: all.
    All,
    /// 1: those where a column has a value: the value, in a list of one.
    Equal(Oad, List<'a, Data<'a>>),
    /// 2: those where a column is between two values: begin, end, step.
    Between(Oad, List<'a, Data<'a>>),
    /// 3: several such conditions.
    Conditions(List<'a, Condition<'a>>),
    /// 4 and 5: by the time at which a record was begun, or stored.
    At {
        /// 4 begun, 5 stored.
        by: u8,
        /// The time.
        time: DateTime,
        /// Of which meters.
        meters: Meters<'a>,
    },
    /// 6 to 8: by a span of the times at which records were begun, stored, completed.
    Span {
        /// 6, 7 or 8.
        by: u8,
        /// The span.
        span: Span<'a>,
    },
    /// 9: the n-th last record.
    NthLast(u8),
    /// 10: the last n records.
    Last(u8, Meters<'a>),
}

/// One condition of several.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Condition<'a> {
    /// The column.
    pub column: Oad,
    /// Begin, end and step.
    pub bounds: List<'a, Data<'a>>,
}

impl<'a> Element<'a> for Condition<'a> {
    const BYTES_MIN: usize = 7;

    fn read(reader: &mut Reader<'a>) -> Result<Condition<'a>, Malformed> {
        Ok(Condition { column: Oad::read(reader)?, bounds: reader.list(3)? })
    }
}

impl<'a> Element<'a> for Selector<'a> {
    const BYTES_MIN: usize = 1;

    fn read(reader: &mut Reader<'a>) -> Result<Selector<'a>, Malformed> {
        let before = *reader;
        Ok(match reader.byte("a choice of rows")? {
            0 => Selector::All,
            1 => Selector::Equal(Oad::read(reader)?, reader.list(1)?),
            2 => Selector::Between(Oad::read(reader)?, reader.list(3)?),
            3 => Selector::Conditions(reader.counted()?),
            by @ 4..=5 => {
                Selector::At { by, time: DateTime::short(reader)?, meters: Meters::read(reader)? }
            }
            by @ 6..=8 => {
                let (from, to) = (DateTime::short(reader)?, DateTime::short(reader)?);
                let [unit, a, b] = reader.array("an interval")?;
                let interval = (unit, u16::from_be_bytes([a, b]));
                let meters = Meters::read(reader)?;
                Selector::Span { by, span: Span { from, to, interval, meters } }
            }
            9 => Selector::NthLast(reader.byte("a number of records")?),
            10 => Selector::Last(reader.byte("a number of records")?, Meters::read(reader)?),
            _ => return Err(before.malformed("a choice of rows")),
        })
    }
}

/// A question for rows of a table.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RecordRequest<'a> {
    /// The table.
    pub table: Oad,
    /// Which rows.
    pub rows: Selector<'a>,
    /// Which columns.
    pub columns: List<'a, Column<'a>>,
}

impl<'a> Element<'a> for RecordRequest<'a> {
    const BYTES_MIN: usize = 6;

    fn read(reader: &mut Reader<'a>) -> Result<RecordRequest<'a>, Malformed> {
        let table = Oad::read(reader)?;
        Ok(RecordRequest { table, rows: Selector::read(reader)?, columns: reader.counted()? })
    }
}

/// Rows of a table.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RecordResult<'a> {
    /// The table.
    pub table: Oad,
    /// Which columns.
    pub columns: List<'a, Column<'a>>,
    /// The rows, or why there are none.
    pub rows: Result<Rows<'a>, u8>,
}

/// The values of rows, one row after the other.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Rows<'a> {
    /// How many rows.
    pub count: usize,
    /// As many as rows times columns.
    pub values: List<'a, Data<'a>>,
}

impl<'a> Element<'a> for RecordResult<'a> {
    const BYTES_MIN: usize = 6;

    fn read(reader: &mut Reader<'a>) -> Result<RecordResult<'a>, Malformed> {
        let table = Oad::read(reader)?;
        let columns: List<'a, Column<'a>> = reader.counted()?;
        let before = *reader;
        let rows = match reader.byte("a result")? {
            0 => Err(reader.byte("the reason of a refusal")?),
            1 => {
                // A row of no columns takes no byte, so its number must not count as a promise.
                let count = reader.count(columns.len().max(1))?;
                let values = count.saturating_mul(columns.len());
                Ok(Rows { count, values: reader.list(values)? })
            }
            _ => return Err(before.malformed("a result")),
        };
        Ok(RecordResult { table, columns, rows })
    }
}

impl<'a> Element<'a> for GetResult<'a> {
    const BYTES_MIN: usize = 2;

    fn read(reader: &mut Reader<'a>) -> Result<GetResult<'a>, Malformed> {
        let before = *reader;
        match reader.byte("a result")? {
            0 => Ok(GetResult::Refused(reader.byte("the reason of a refusal")?)),
            1 => Ok(GetResult::Data(Data::read(reader)?)),
            _ => Err(before.malformed("a result")),
        }
    }
}
