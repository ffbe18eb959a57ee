//! An APDU that was cut into several frames (DL/T 698.45-2017, 7.3.2): each part begins with its
//! number and place, and the receiver confirms each but the last.

use crate::{Malformed, NoRoom};
use core::fmt;

/// Twelve bits of number.
const NUMBER: u16 = 0x0FFF;

/// Where a part stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Place {
    /// The first of several.
    First,
    /// The last.
    Last,
    /// No part: the receiver has this one and wants the next.
    Confirm,
    /// Between first and last.
    Middle,
}

/// One part.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Fragment<'a> {
    /// 0 to 4095, one more with each part.
    pub number: u16,
    /// Where it stands.
    pub place: Place,
    /// What it carries; nothing in a confirmation.
    pub data: &'a [u8],
}

impl<'a> Fragment<'a> {
    /// Of the APDU of a frame whose control byte says that it is a part.
    ///
    /// ```
    /// use polymeter_codec::dlt698::{Fragment, Place};
    ///
    /// let part = Fragment::of(&[0x05, 0x81]).expect("two bytes at least");
    /// assert_eq!((part.number, part.place), (0x105, Place::Confirm));
    /// ```
    pub fn of(apdu: &'a [u8]) -> Result<Fragment<'a>, Malformed> {
        let Some((head, data)) = apdu.split_first_chunk::<2>() else {
            return Err(Malformed { at: 0, expected: "number and place of a part" });
        };
        let head = u16::from_le_bytes(*head);
        let place = match head >> 14 {
            0 => Place::First,
            1 => Place::Last,
            2 => Place::Confirm,
            _ => Place::Middle,
        };
        if place == Place::Confirm && !data.is_empty() {
            return Err(Malformed { at: 2, expected: "the end of a confirmation" });
        }
        Ok(Fragment { number: head & NUMBER, place, data })
    }

    /// Number and place as they stand before the data.
    pub fn head(&self) -> [u8; 2] {
        let place: u16 = match self.place {
            Place::First => 0,
            Place::Last => 1,
            Place::Confirm => 2,
            Place::Middle => 3,
        };
        (place << 14 | self.number & NUMBER).to_le_bytes()
    }
}

/// Parts put together again in a buffer of the caller's.
#[derive(Debug)]
pub struct Assembly<'b> {
    out: &'b mut [u8],
    length: usize,
    /// The number of the part that must come next; none before the first.
    next: Option<u16>,
}

/// How far an assembly has come.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Progress {
    /// Confirm this part; another one will come.
    Confirm {
        /// Its number.
        number: u16,
    },
    /// All parts are there: the APDU has this length.
    Whole {
        /// In bytes, from the beginning of the buffer.
        length: usize,
    },
}

/// A part that cannot be put on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum OutOfOrder {
    /// Another part is due.
    Number {
        /// The part that came.
        came: u16,
        /// The one that was due; none where a first part was.
        due: Option<u16>,
    },
    /// The buffer is full.
    Room(NoRoom),
}

impl fmt::Display for OutOfOrder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            OutOfOrder::Number { came, due: Some(due) } => {
                write!(f, "part {came} came where part {due} was due")
            }
            OutOfOrder::Number { came, due: None } => {
                write!(f, "part {came} came before a first part")
            }
            OutOfOrder::Room(_) => f.write_str("the parts are longer together than the buffer"),
        }
    }
}

impl core::error::Error for OutOfOrder {}

impl<'b> Assembly<'b> {
    /// Begins with nothing.
    pub fn new(out: &'b mut [u8]) -> Assembly<'b> {
        Assembly { out, length: 0, next: None }
    }

    /// Puts on the next part. A repetition of the part before (its confirmation was lost) is
    /// confirmed again and not put on twice.
    pub fn add(&mut self, part: &Fragment<'_>) -> Result<Progress, OutOfOrder> {
        let again = self.next == Some(part.number.wrapping_add(1) & NUMBER);
        if again && part.place != Place::Confirm && part.place != Place::Last {
            return Ok(Progress::Confirm { number: part.number });
        }
        let due = match (part.place, self.next) {
            (Place::First, None) => true,
            (Place::Middle | Place::Last, Some(next)) => next == part.number,
            _ => false,
        };
        if !due {
            return Err(OutOfOrder::Number { came: part.number, due: self.next });
        }
        let needed = self.length.saturating_add(part.data.len());
        let room = self.out.get_mut(self.length..needed);
        let room = room.ok_or(OutOfOrder::Room(NoRoom { needed }))?;
        room.iter_mut().zip(part.data).for_each(|(place, byte)| *place = *byte);
        self.length = needed;
        self.next = Some(part.number.wrapping_add(1) & NUMBER);
        if part.place == Place::Last {
            return Ok(Progress::Whole { length: needed });
        }
        Ok(Progress::Confirm { number: part.number })
    }

    /// What was put together so far.
    pub fn bytes(&self) -> &[u8] {
        self.out.get(..self.length).unwrap_or_default()
    }
}
