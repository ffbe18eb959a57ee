//! Whether a frame answers a question, and answers that come in several frames.
//!
//! Invariant: an answer is taken only from the address that was asked, under the control code that
//! was asked with, about the identifier that was asked for and in its turn. Everything else is
//! somebody else's, late, or a repetition, and says so.

use super::{Address, Frame, control};
use core::fmt;

/// What data a question's good reply begins with.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Identifier {
    /// None: the reply repeats nothing.
    None,
    /// Two bytes (DL/T 645-1997).
    Short(u16),
    /// Four bytes (DL/T 645-2007).
    Long(u32),
}

impl Identifier {
    /// `data` behind the identifier that it begins with, if it does.
    pub fn strip(self, data: &[u8]) -> Option<&[u8]> {
        match self {
            Identifier::None => Some(data),
            Identifier::Short(wanted) => data.strip_prefix(wanted.to_le_bytes().as_slice()),
            Identifier::Long(wanted) => data.strip_prefix(wanted.to_le_bytes().as_slice()),
        }
    }
}

impl fmt::Display for Identifier {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Identifier::None => f.write_str("nothing"),
            Identifier::Short(identifier) => write!(f, "{identifier:04X}"),
            Identifier::Long(identifier) => write!(f, "{identifier:08X}"),
        }
    }
}

/// What was asked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Question {
    /// Who was asked; AA stands for anything.
    pub address: Address,
    /// With which control code.
    pub control: u8,
    /// About what.
    pub identifier: Identifier,
}

/// An answer to the question.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Answer<'a> {
    /// Data behind the identifier, and whether another frame follows.
    Yes {
        /// Behind the identifier.
        data: &'a [u8],
        /// Ask for it with [`super::request::follow_up`].
        more: bool,
    },
    /// The meter's error: one or two bytes, low one first.
    No(&'a [u8]),
}

/// Why a frame is no answer to the question.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Stranger {
    /// Another meter's.
    Address {
        /// Who was asked.
        asked: Address,
        /// Who answered.
        came: Address,
    },
    /// To another kind of question, or no answer at all.
    Control {
        /// The question's.
        asked: u8,
        /// The frame's.
        came: u8,
    },
    /// About another item.
    Item(Identifier),
    /// Another part of an answer in several frames.
    Sequence {
        /// That was asked for.
        asked: u8,
        /// That came; `None` where there is no room for one.
        came: Option<u8>,
    },
}

impl fmt::Display for Stranger {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Stranger::Address { asked, came } => write!(f, "asked {asked}, but {came} answered"),
            Stranger::Control { asked, came } => {
                write!(f, "asked with control code {asked:02X}, but {came:02X} answered")
            }
            Stranger::Item(asked) => {
                write!(f, "asked about {asked}, but another item was answered")
            }
            Stranger::Sequence { asked, came: Some(came) } => {
                write!(f, "asked for part {asked}, but part {came} came")
            }
            Stranger::Sequence { asked, came: None } => {
                write!(f, "asked for part {asked}, but a part without a number came")
            }
        }
    }
}

impl core::error::Error for Stranger {}

impl Question {
    /// Whether `frame` answers it. A meter was seen to answer as AAAAAAAAAAAA; a wildcard in an
    /// answer is taken only where one was asked.
    pub fn judge<'a>(&self, frame: &'a Frame) -> Result<Answer<'a>, Stranger> {
        if !self.address.matches(frame.address) {
            return Err(Stranger::Address { asked: self.address, came: frame.address });
        }
        let good = self.control | control::REPLY;
        let data = frame.data.as_slice();
        if frame.control == good | control::ERROR {
            return Ok(Answer::No(data));
        }
        if frame.control & !control::MORE != good {
            return Err(Stranger::Control { asked: self.control, came: frame.control });
        }
        let data = self.identifier.strip(data).ok_or(Stranger::Item(self.identifier))?;
        Ok(Answer::Yes { data, more: frame.control & control::MORE != 0 })
    }

    /// The same for part `sequence` of an answer in several frames (C=12H), whose number stands
    /// behind its data.
    pub fn judge_part<'a>(&self, sequence: u8, frame: &'a Frame) -> Result<Answer<'a>, Stranger> {
        let Answer::Yes { data, more } = self.judge(frame)? else { return self.judge(frame) };
        match data.split_last() {
            Some((came, data)) if *came == sequence => Ok(Answer::Yes { data, more }),
            Some((came, _)) => Err(Stranger::Sequence { asked: sequence, came: Some(*came) }),
            None => Err(Stranger::Sequence { asked: sequence, came: None }),
        }
    }
}
