//! Reading, writing and calling (DL/T 698.45-2017, 7.3.4): requests and answers.

use super::data::Data;
use super::record::{RecordRequest, RecordResult};
use crate::axdr::{Element, List, Malformed, Reader};
use core::fmt;

/// An attribute of an object (OAD), or a method of one (OMD): identifier, attribute, index.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Oad(pub u32);

impl Oad {
    /// The object's identifier.
    pub fn object(self) -> u16 {
        u16::try_from(self.0 >> 16).unwrap_or(0)
    }

    /// Which attribute or method, 0 to 31.
    pub fn attribute(self) -> u8 {
        u8::try_from(self.0 >> 8 & 0x1F).unwrap_or(0)
    }

    /// Which element of it; 0 all.
    pub fn index(self) -> u8 {
        u8::try_from(self.0 & 0xFF).unwrap_or(0)
    }
}

impl fmt::Display for Oad {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:08X}", self.0)
    }
}

impl<'a> Element<'a> for Oad {
    const BYTES_MIN: usize = 4;

    fn read(reader: &mut Reader<'a>) -> Result<Oad, Malformed> {
        reader.array("an attribute of an object").map(|bytes| Oad(u32::from_be_bytes(bytes)))
    }
}

/// What came of reading an attribute.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum GetResult<'a> {
    /// The device's no (DAR): 1 hardware, 2 temporary, 3 denied, 4 undefined, 6 object, 7 type,
    /// 8 too long, 9 scattered, 11 to 13 parts, 14 state, 15 password, and more of appendix C.
    Refused(u8),
    /// Its value.
    Data(Data<'a>),
}

/// A question for values.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Get<'a> {
    /// 1: of one attribute.
    One(Oad),
    /// 2: of several.
    Several(List<'a, Oad>),
    /// 3: of a table's rows.
    Record(RecordRequest<'a>),
    /// 4: of several tables' rows.
    Records(List<'a, RecordRequest<'a>>),
    /// 5: for the part after this one.
    Next(u16),
    /// 6: of the MD5 of one.
    Digest(Oad),
}

impl<'a> Get<'a> {
    pub(super) fn read(kind: u8, reader: &mut Reader<'a>) -> Result<Option<Get<'a>>, Malformed> {
        Ok(Some(match kind {
            1 => Get::One(Oad::read(reader)?),
            2 => Get::Several(reader.counted()?),
            3 => Get::Record(RecordRequest::read(reader)?),
            4 => Get::Records(reader.counted()?),
            5 => Get::Next(u16::from_be_bytes(reader.array("the number of a part")?)),
            6 => Get::Digest(Oad::read(reader)?),
            _ => return Ok(None),
        }))
    }
}

/// An attribute and what came of reading it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Value<'a> {
    /// The attribute.
    pub attribute: Oad,
    /// What came of it.
    pub result: GetResult<'a>,
}

impl<'a> Element<'a> for Value<'a> {
    const BYTES_MIN: usize = 6;

    fn read(reader: &mut Reader<'a>) -> Result<Value<'a>, Malformed> {
        Ok(Value { attribute: Oad::read(reader)?, result: GetResult::read(reader)? })
    }
}

/// What a part of a long answer carries.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Part<'a> {
    /// The device's no (DAR).
    Refused(u8),
    /// Values.
    Values(List<'a, Value<'a>>),
    /// Rows of tables.
    Records(List<'a, RecordResult<'a>>),
}

/// An answer with values.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Got<'a> {
    /// 1: of one attribute.
    One(Value<'a>),
    /// 2: of several.
    Several(List<'a, Value<'a>>),
    /// 3: of a table's rows.
    Record(RecordResult<'a>),
    /// 4: of several tables' rows.
    Records(List<'a, RecordResult<'a>>),
    /// 5: a part.
    Part {
        /// Whether it is the last.
        last: bool,
        /// Its number.
        number: u16,
        /// What it carries.
        part: Part<'a>,
    },
    /// 6: an MD5, or the device's no.
    Digest(Oad, Result<&'a [u8], u8>),
}

impl<'a> Got<'a> {
    pub(super) fn read(kind: u8, reader: &mut Reader<'a>) -> Result<Option<Got<'a>>, Malformed> {
        Ok(Some(match kind {
            1 => Got::One(Value::read(reader)?),
            2 => Got::Several(reader.counted()?),
            3 => Got::Record(RecordResult::read(reader)?),
            4 => Got::Records(reader.counted()?),
            5 => {
                let last = reader.byte("a boolean")? != 0;
                let number = u16::from_be_bytes(reader.array("the number of a part")?);
                let before = *reader;
                let part = match reader.byte("a part")? {
                    0 => Part::Refused(reader.byte("the reason of a refusal")?),
                    1 => Part::Values(reader.counted()?),
                    2 => Part::Records(reader.counted()?),
                    _ => return Err(before.malformed("a part")),
                };
                Got::Part { last, number, part }
            }
            6 => {
                let attribute = Oad::read(reader)?;
                let before = *reader;
                let digest = match reader.byte("a result")? {
                    0 => Err(reader.byte("the reason of a refusal")?),
                    1 => Ok(reader.octets()?),
                    _ => return Err(before.malformed("a result")),
                };
                Got::Digest(attribute, digest)
            }
            _ => return Ok(None),
        }))
    }
}

/// A value for an attribute, or an argument for a method.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Access<'a> {
    /// The attribute or method.
    pub target: Oad,
    /// The value or argument.
    pub data: Data<'a>,
}

impl<'a> Element<'a> for Access<'a> {
    const BYTES_MIN: usize = 5;

    fn read(reader: &mut Reader<'a>) -> Result<Access<'a>, Malformed> {
        Ok(Access { target: Oad::read(reader)?, data: Data::read(reader)? })
    }
}

/// That, and an attribute that is read afterwards.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct AccessThenGet<'a> {
    /// What is written or called.
    pub access: Access<'a>,
    /// What is read.
    pub attribute: Oad,
    /// How many seconds later.
    pub delay_s: u8,
}

impl<'a> Element<'a> for AccessThenGet<'a> {
    const BYTES_MIN: usize = 10;

    fn read(reader: &mut Reader<'a>) -> Result<AccessThenGet<'a>, Malformed> {
        let access = Access::read(reader)?;
        let attribute = Oad::read(reader)?;
        Ok(AccessThenGet { access, attribute, delay_s: reader.byte("a delay")? })
    }
}

/// A request that changes something: writing (06) or calling (07).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Change<'a> {
    /// 1: one.
    One(Access<'a>),
    /// 2: several.
    Several(List<'a, Access<'a>>),
    /// 3: several, and reading.
    ThenGet(List<'a, AccessThenGet<'a>>),
}

impl<'a> Change<'a> {
    pub(super) fn read(kind: u8, reader: &mut Reader<'a>) -> Result<Option<Change<'a>>, Malformed> {
        Ok(Some(match kind {
            1 => Change::One(Access::read(reader)?),
            2 => Change::Several(reader.counted()?),
            3 => Change::ThenGet(reader.counted()?),
            _ => return Ok(None),
        }))
    }
}

/// What came of writing an attribute: 0 is yes, anything else the device's no (DAR).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SetResult {
    /// The attribute.
    pub attribute: Oad,
    /// 0, or the reason.
    pub refusal: u8,
}

impl<'a> Element<'a> for SetResult {
    const BYTES_MIN: usize = 5;

    fn read(reader: &mut Reader<'a>) -> Result<SetResult, Malformed> {
        let attribute = Oad::read(reader)?;
        Ok(SetResult { attribute, refusal: reader.byte("the result of writing")? })
    }
}

/// What came of calling a method.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ActionResult<'a> {
    /// The method.
    pub method: Oad,
    /// 0, or the device's no (DAR).
    pub refusal: u8,
    /// What it answered, if anything.
    pub data: Option<Data<'a>>,
}

impl<'a> Element<'a> for ActionResult<'a> {
    const BYTES_MIN: usize = 6;

    fn read(reader: &mut Reader<'a>) -> Result<ActionResult<'a>, Malformed> {
        let method = Oad::read(reader)?;
        let refusal = reader.byte("the result of calling")?;
        let before = *reader;
        let data = match reader.byte("whether data follows")? {
            0 => None,
            1 => Some(Data::read(reader)?),
            _ => return Err(before.malformed("whether data follows")),
        };
        Ok(ActionResult { method, refusal, data })
    }
}

/// A result of a change, and of the reading after it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ThenGot<'a, R> {
    /// Of the change.
    pub result: R,
    /// Of the reading.
    pub value: Value<'a>,
}

impl<'a, R: Element<'a>> Element<'a> for ThenGot<'a, R> {
    const BYTES_MIN: usize = 11;

    fn read(reader: &mut Reader<'a>) -> Result<ThenGot<'a, R>, Malformed> {
        Ok(ThenGot { result: R::read(reader)?, value: Value::read(reader)? })
    }
}

/// The answer to a change: `R` is [`SetResult`] or [`ActionResult`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Changed<'a, R: Element<'a> + fmt::Debug> {
    /// 1: one.
    One(R),
    /// 2: several.
    Several(List<'a, R>),
    /// 3: several, and what was read.
    ThenGot(List<'a, ThenGot<'a, R>>),
}

impl<'a, R: Element<'a> + fmt::Debug> Changed<'a, R> {
    pub(super) fn read(kind: u8, reader: &mut Reader<'a>) -> Result<Option<Self>, Malformed> {
        Ok(Some(match kind {
            1 => Changed::One(R::read(reader)?),
            2 => Changed::Several(reader.counted()?),
            3 => Changed::ThenGot(reader.counted()?),
            _ => return Ok(None),
        }))
    }
}
