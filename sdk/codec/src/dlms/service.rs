//! Reading, writing and calling by logical names (IEC 62056-5-3, 9.3): requests and answers.

use super::data::Data;
use crate::Obis;
use crate::axdr::{Element, List, Malformed, Reader};

/// One attribute of one object.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Attribute {
    /// Of the object: 3 register, 7 profile, 70 disconnect control, 111 account ...
    pub class: u16,
    /// Which one.
    pub object: Obis,
    /// From 1, the logical name itself.
    pub attribute: i8,
}

impl<'a> Element<'a> for Attribute {
    const BYTES_MIN: usize = 9;

    fn read(reader: &mut Reader<'a>) -> Result<Attribute, Malformed> {
        let [a, b, c, d, e, f, g, h, attribute] =
            reader.array("class, logical name and attribute")?;
        Ok(Attribute {
            class: u16::from_be_bytes([a, b]),
            object: Obis([c, d, e, f, g, h]),
            attribute: i8::from_be_bytes([attribute]),
        })
    }
}

/// One method of one object; its number stands where an attribute's would.
pub type Method = Attribute;

/// An attribute, and which part of it: by range (1) or by entry (2).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Selected<'a> {
    /// The attribute.
    pub attribute: Attribute,
    /// Selector and its parameters.
    pub selection: Option<(u8, Data<'a>)>,
}

impl<'a> Element<'a> for Selected<'a> {
    const BYTES_MIN: usize = 10;

    fn read(reader: &mut Reader<'a>) -> Result<Selected<'a>, Malformed> {
        let attribute = Attribute::read(reader)?;
        let selection =
            optional(reader, |reader| Ok((reader.byte("a selector")?, Data::read(reader)?)))?;
        Ok(Selected { attribute, selection })
    }
}

/// What came of reading.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum GetResult<'a> {
    /// 00: a value.
    Data(Data<'a>),
    /// 01: the device's no: 1 hardware, 2 temporary, 3 read-write denied, 4 undefined, 9 class,
    /// 11 unavailable, 12 type, 13 scope, 14 blocks, 250 other, and more of 9.3.
    Refused(u8),
}

impl<'a> Element<'a> for GetResult<'a> {
    const BYTES_MIN: usize = 2;

    fn read(reader: &mut Reader<'a>) -> Result<GetResult<'a>, Malformed> {
        let before = *reader;
        match reader.byte("a result")? {
            0 => Ok(GetResult::Data(Data::read(reader)?)),
            1 => Ok(GetResult::Refused(reader.byte("the reason of a refusal")?)),
            _ => Err(before.malformed("a result")),
        }
    }
}

/// C0: a question for values.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum GetRequest<'a> {
    /// 01: of one attribute.
    One {
        /// Number and priority, come back in the answer.
        invoke: u8,
        /// Of what.
        of: Selected<'a>,
    },
    /// 02: for the block after this one.
    Next {
        /// Number and priority.
        invoke: u8,
        /// The block that came.
        block: u32,
    },
    /// 03: of several.
    Several {
        /// Number and priority.
        invoke: u8,
        /// Of what.
        of: List<'a, Selected<'a>>,
    },
}

impl<'a> GetRequest<'a> {
    pub(super) fn read(reader: &mut Reader<'a>) -> Result<GetRequest<'a>, Malformed> {
        let (kind, invoke, before) = head(reader)?;
        Ok(match kind {
            1 => GetRequest::One { invoke, of: Selected::read(reader)? },
            2 => GetRequest::Next { invoke, block: block_number(reader)? },
            3 => GetRequest::Several { invoke, of: reader.counted()? },
            _ => return Err(before.malformed(KIND)),
        })
    }
}

/// A part of a value that is longer than one APDU.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Block<'a> {
    /// Whether it is the last.
    pub last: bool,
    /// From 1, one more with each.
    pub number: u32,
    /// Its bytes; the blocks together are the value.
    pub bytes: &'a [u8],
}

impl<'a> Block<'a> {
    fn read(reader: &mut Reader<'a>) -> Result<Block<'a>, Malformed> {
        let last = reader.byte("whether it is the last block")? != 0;
        Ok(Block { last, number: block_number(reader)?, bytes: reader.octets()? })
    }
}

/// C4: an answer with values.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum GetResponse<'a> {
    /// 01: of one attribute.
    One {
        /// That of the question.
        invoke: u8,
        /// What came of it.
        result: GetResult<'a>,
    },
    /// 02: a part of one, or the device's no to go on.
    Block {
        /// That of the question.
        invoke: u8,
        /// Whether it is the last.
        last: bool,
        /// Its number.
        number: u32,
        /// Its bytes, or the reason.
        result: Result<&'a [u8], u8>,
    },
    /// 03: of several.
    Several {
        /// That of the question.
        invoke: u8,
        /// What came of each.
        results: List<'a, GetResult<'a>>,
    },
}

impl<'a> GetResponse<'a> {
    pub(super) fn read(reader: &mut Reader<'a>) -> Result<GetResponse<'a>, Malformed> {
        let (kind, invoke, before) = head(reader)?;
        Ok(match kind {
            1 => GetResponse::One { invoke, result: GetResult::read(reader)? },
            2 => {
                let last = reader.byte("whether it is the last block")? != 0;
                let number = block_number(reader)?;
                let before = *reader;
                let result = match reader.byte("a result")? {
                    0 => Ok(reader.octets()?),
                    1 => Err(reader.byte("the reason of a refusal")?),
                    _ => return Err(before.malformed("a result")),
                };
                GetResponse::Block { invoke, last, number, result }
            }
            3 => GetResponse::Several { invoke, results: reader.counted()? },
            _ => return Err(before.malformed(KIND)),
        })
    }
}

/// C1: values to write.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SetRequest<'a> {
    /// 01: one.
    One {
        /// Number and priority.
        invoke: u8,
        /// Where.
        to: Selected<'a>,
        /// What.
        data: Data<'a>,
    },
    /// 02: the first part of one.
    FirstBlock {
        /// Number and priority.
        invoke: u8,
        /// Where.
        to: Selected<'a>,
        /// The part.
        block: Block<'a>,
    },
    /// 03: a further part.
    Block {
        /// Number and priority.
        invoke: u8,
        /// The part.
        block: Block<'a>,
    },
    /// 04: several.
    Several {
        /// Number and priority.
        invoke: u8,
        /// Where.
        to: List<'a, Selected<'a>>,
        /// What, one for each.
        data: List<'a, Data<'a>>,
    },
    /// 05: the first part of several.
    FirstBlockOfSeveral {
        /// Number and priority.
        invoke: u8,
        /// Where.
        to: List<'a, Selected<'a>>,
        /// The part.
        block: Block<'a>,
    },
}

impl<'a> SetRequest<'a> {
    pub(super) fn read(reader: &mut Reader<'a>) -> Result<SetRequest<'a>, Malformed> {
        let (kind, invoke, before) = head(reader)?;
        Ok(match kind {
            1 => SetRequest::One { invoke, to: Selected::read(reader)?, data: Data::read(reader)? },
            2 => SetRequest::FirstBlock {
                invoke,
                to: Selected::read(reader)?,
                block: Block::read(reader)?,
            },
            3 => SetRequest::Block { invoke, block: Block::read(reader)? },
            4 => SetRequest::Several { invoke, to: reader.counted()?, data: reader.counted()? },
            5 => SetRequest::FirstBlockOfSeveral {
                invoke,
                to: reader.counted()?,
                block: Block::read(reader)?,
            },
            _ => return Err(before.malformed(KIND)),
        })
    }
}

/// C5: what came of writing; 0 is yes, anything else as in [`GetResult::Refused`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SetResponse<'a> {
    /// 01: of one.
    One {
        /// That of the question.
        invoke: u8,
        /// 0, or the reason.
        refusal: u8,
    },
    /// 02: a part has come, the next may.
    Block {
        /// That of the question.
        invoke: u8,
        /// The part.
        block: u32,
    },
    /// 03: of one whose last part has come.
    LastBlock {
        /// That of the question.
        invoke: u8,
        /// 0, or the reason.
        refusal: u8,
        /// The last part.
        block: u32,
    },
    /// 04: of several whose last part has come.
    LastBlockOfSeveral {
        /// That of the question.
        invoke: u8,
        /// 0 or the reason, for each.
        refusals: &'a [u8],
        /// The last part.
        block: u32,
    },
    /// 05: of several.
    Several {
        /// That of the question.
        invoke: u8,
        /// 0 or the reason, for each.
        refusals: &'a [u8],
    },
}

impl<'a> SetResponse<'a> {
    pub(super) fn read(reader: &mut Reader<'a>) -> Result<SetResponse<'a>, Malformed> {
        let (kind, invoke, before) = head(reader)?;
        const RESULT: &str = "the result of writing";
        Ok(match kind {
            1 => SetResponse::One { invoke, refusal: reader.byte(RESULT)? },
            2 => SetResponse::Block { invoke, block: block_number(reader)? },
            3 => SetResponse::LastBlock {
                invoke,
                refusal: reader.byte(RESULT)?,
                block: block_number(reader)?,
            },
            4 => SetResponse::LastBlockOfSeveral {
                invoke,
                refusals: reader.octets()?,
                block: block_number(reader)?,
            },
            5 => SetResponse::Several { invoke, refusals: reader.octets()? },
            _ => return Err(before.malformed(KIND)),
        })
    }
}

/// C3: methods to call.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ActionRequest<'a> {
    /// 01: one.
    One {
        /// Number and priority.
        invoke: u8,
        /// Which.
        method: Method,
        /// With what.
        data: Option<Data<'a>>,
    },
    /// 02: for the block after this one.
    Next {
        /// Number and priority.
        invoke: u8,
        /// The block that came.
        block: u32,
    },
    /// 03: several, with one argument each.
    Several {
        /// Number and priority.
        invoke: u8,
        /// Which.
        methods: List<'a, Method>,
        /// With what.
        data: List<'a, Data<'a>>,
    },
    /// 04: the first part of a long argument.
    FirstBlock {
        /// Number and priority.
        invoke: u8,
        /// Which.
        method: Method,
        /// The part.
        block: Block<'a>,
    },
    /// 06: a further part.
    Block {
        /// Number and priority.
        invoke: u8,
        /// The part.
        block: Block<'a>,
    },
}

impl<'a> ActionRequest<'a> {
    pub(super) fn read(reader: &mut Reader<'a>) -> Result<ActionRequest<'a>, Malformed> {
        let (kind, invoke, before) = head(reader)?;
        Ok(match kind {
            1 => ActionRequest::One {
                invoke,
                method: Method::read(reader)?,
                data: optional(reader, Data::read)?,
            },
            2 => ActionRequest::Next { invoke, block: block_number(reader)? },
            3 => ActionRequest::Several {
                invoke,
                methods: reader.counted()?,
                data: reader.counted()?,
            },
            4 => ActionRequest::FirstBlock {
                invoke,
                method: Method::read(reader)?,
                block: Block::read(reader)?,
            },
            6 => ActionRequest::Block { invoke, block: Block::read(reader)? },
            _ => return Err(before.malformed(KIND)),
        })
    }
}

/// What came of calling a method.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ActionResult<'a> {
    /// 0, or the device's no, as in [`GetResult::Refused`].
    pub refusal: u8,
    /// What it answered, if anything.
    pub answer: Option<GetResult<'a>>,
}

impl<'a> Element<'a> for ActionResult<'a> {
    const BYTES_MIN: usize = 2;

    fn read(reader: &mut Reader<'a>) -> Result<ActionResult<'a>, Malformed> {
        let refusal = reader.byte("the result of calling")?;
        Ok(ActionResult { refusal, answer: optional(reader, GetResult::read)? })
    }
}

/// C7: what came of calling.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ActionResponse<'a> {
    /// 01: one.
    One {
        /// That of the question.
        invoke: u8,
        /// What came of it.
        result: ActionResult<'a>,
    },
    /// 02: a part of a long answer.
    Block {
        /// That of the question.
        invoke: u8,
        /// The part.
        block: Block<'a>,
    },
    /// 03: several.
    Several {
        /// That of the question.
        invoke: u8,
        /// What came of each.
        results: List<'a, ActionResult<'a>>,
    },
    /// 04: a part of a long argument has come, the next may.
    Next {
        /// That of the question.
        invoke: u8,
        /// The part.
        block: u32,
    },
}

impl<'a> ActionResponse<'a> {
    pub(super) fn read(reader: &mut Reader<'a>) -> Result<ActionResponse<'a>, Malformed> {
        let (kind, invoke, before) = head(reader)?;
        Ok(match kind {
            1 => ActionResponse::One { invoke, result: ActionResult::read(reader)? },
            2 => ActionResponse::Block { invoke, block: Block::read(reader)? },
            3 => ActionResponse::Several { invoke, results: reader.counted()? },
            4 => ActionResponse::Next { invoke, block: block_number(reader)? },
            _ => return Err(before.malformed(KIND)),
        })
    }
}

const KIND: &str = "a kind of the service";

/// Kind of the service and invoke number, and the place of the kind.
fn head<'a>(reader: &mut Reader<'a>) -> Result<(u8, u8, Reader<'a>), Malformed> {
    let before = *reader;
    Ok((reader.byte(KIND)?, reader.byte("the number of a question")?, before))
}

fn block_number(reader: &mut Reader<'_>) -> Result<u32, Malformed> {
    reader.array("the number of a block").map(u32::from_be_bytes)
}

/// 00 for nothing, 01 and something.
pub(super) fn optional<'a, T>(
    reader: &mut Reader<'a>,
    read: impl FnOnce(&mut Reader<'a>) -> Result<T, Malformed>,
) -> Result<Option<T>, Malformed> {
    let before = *reader;
    match reader.byte("whether something follows")? {
        0 => Ok(None),
        1 => read(reader).map(Some),
        _ => Err(before.malformed("whether something follows")),
    }
}
