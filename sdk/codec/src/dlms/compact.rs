//! Compact arrays (IEC 62056-5-3, 8.3): the type of the elements is said once, then come the
//! elements without types.
//!
//! A description may promise 65535 elements in 65535 others of no bytes at all, so it is bounded:
//! in length, in depth, and an element of an array must take at least one byte.

use super::data::{Data, simple};
use crate::axdr::{Malformed, Reader};

/// A description is no longer than this.
pub const DESCRIPTION_BYTES_MAX: usize = 256;

/// Elements of one type; every one was checked to be whole when it was read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct CompactArray<'a> {
    description: &'a [u8],
    contents: &'a [u8],
    count: usize,
}

impl<'a> CompactArray<'a> {
    pub(super) fn read(reader: &mut Reader<'a>) -> Result<CompactArray<'a>, Malformed> {
        let before = *reader;
        let smallest = describe(reader)?;
        let description = reader.since(&before);
        if description.len() > DESCRIPTION_BYTES_MAX {
            return Err(before.malformed("a description of at most 256 bytes"));
        }
        if smallest == 0 {
            return Err(before.malformed("a type that takes at least one byte"));
        }
        let length = reader.length()?;
        let inside = *reader;
        let contents = reader.take(length, "as many bytes as their length says")?;
        let mut elements = Reader::new(contents);
        let mut count = 0_usize;
        while !elements.rest().is_empty() {
            let mut types = Reader::new(description);
            element(&mut types, &mut elements, &mut |_| ())
                .map_err(|_| inside.malformed("whole elements of the type described"))?;
            count = count.saturating_add(1);
        }
        Ok(CompactArray { description, contents, count })
    }

    /// How many elements there are.
    pub fn len(&self) -> usize {
        self.count
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.count == 0
    }

    /// The type of the elements, as it stands.
    pub fn description(&self) -> &'a [u8] {
        self.description
    }

    /// The elements, as they stand.
    pub fn contents(&self) -> &'a [u8] {
        self.contents
    }

    /// Calls `visit` with the number of each element and with each value in it that has no others
    /// in it, in their order.
    pub fn visit(&self, mut visit: impl FnMut(usize, Data<'a>)) {
        let mut elements = Reader::new(self.contents);
        for number in 0..self.count {
            let mut types = Reader::new(self.description);
            if element(&mut types, &mut elements, &mut |data| visit(number, data)).is_err() {
                return;
            }
        }
    }
}

/// Reads one type and answers the fewest bytes that a value of it takes.
fn describe(types: &mut Reader<'_>) -> Result<usize, Malformed> {
    let before = *types;
    match types.byte("a type of data")? {
        0x01 => {
            let count = usize::from(u16::from_be_bytes(types.array("a number of elements")?));
            match types.within(describe)? {
                0 => Err(before.malformed("a type that takes at least one byte")),
                smallest => Ok(smallest.saturating_mul(count)),
            }
        }
        0x02 => {
            let count = types.count(1)?;
            (0..count).try_fold(0_usize, |sum, _| Ok(sum.saturating_add(types.within(describe)?)))
        }
        0x00 | 0xFF => Ok(0),
        kind => {
            // What is no type at all is told from one by a value of no bytes.
            match simple(kind, &mut Reader::new(&[0; 12])) {
                Ok(Some(_)) => Ok(1),
                _ => Err(before.malformed("a type of data")),
            }
        }
    }
}

/// Reads one element by its type.
fn element<'a>(
    types: &mut Reader<'_>,
    elements: &mut Reader<'a>,
    visit: &mut dyn FnMut(Data<'a>),
) -> Result<(), Malformed> {
    let before = *elements;
    match types.byte("a type of data")? {
        0x01 => {
            let count = u16::from_be_bytes(types.array("a number of elements")?);
            let start = *types;
            for _ in 0..count {
                *types = start;
                element(types, elements, visit)?;
            }
            if count == 0 {
                describe(types)?;
            }
            Ok(())
        }
        0x02 => {
            let count = types.length()?;
            (0..count).try_for_each(|_| element(types, elements, visit))
        }
        kind => {
            let value = simple(kind, elements)?.ok_or(before.malformed("a type of data"))?;
            visit(value);
            Ok(())
        }
    }
}
