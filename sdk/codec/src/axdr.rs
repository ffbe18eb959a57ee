//! Reading and writing what A-XDR (IEC 61334-6) and its relatives are made of: big-endian numbers
//! and lengths. A reader knows how far it has come, so that a complaint says where.
//!
//! Invariant: nothing is read past the end, nothing is written past the room, and a count is
//! believed only as far as there are bytes for that many elements.

use crate::NoRoom;
use core::fmt;
use core::marker::PhantomData;

/// How deep arrays and structures may stand in each other.
pub const DEPTH_MAX: u8 = 10;

/// Why bytes are not what they should be: what was expected, and where it was not.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Malformed {
    /// Bytes before the one that is wrong.
    pub at: usize,
    /// What should have stood there.
    pub expected: &'static str,
}

impl fmt::Display for Malformed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "byte {} is not {}", self.at, self.expected)
    }
}

impl core::error::Error for Malformed {}

/// Bytes, and how many of them are read. Public in name only: the module is not.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Reader<'a> {
    bytes: &'a [u8],
    at: usize,
    depth: u8,
}

impl<'a> Reader<'a> {
    pub(crate) fn new(bytes: &'a [u8]) -> Reader<'a> {
        Reader { bytes, at: 0, depth: 0 }
    }

    /// What is not read yet.
    pub(crate) fn rest(&self) -> &'a [u8] {
        self.bytes.get(self.at..).unwrap_or_default()
    }

    /// What was read since another reader of the same bytes stood where it stands.
    pub(crate) fn since(&self, before: &Reader<'a>) -> &'a [u8] {
        self.bytes.get(before.at..self.at).unwrap_or_default()
    }

    /// The complaint that the next byte is not `expected`.
    pub(crate) fn malformed(&self, expected: &'static str) -> Malformed {
        Malformed { at: self.at, expected }
    }

    pub(crate) fn take(
        &mut self,
        length: usize,
        expected: &'static str,
    ) -> Result<&'a [u8], Malformed> {
        let taken = self.rest().get(..length).ok_or(self.malformed(expected))?;
        self.at = self.at.saturating_add(length);
        Ok(taken)
    }

    pub(crate) fn array<const N: usize>(
        &mut self,
        expected: &'static str,
    ) -> Result<[u8; N], Malformed> {
        let array = *self.rest().first_chunk().ok_or(self.malformed(expected))?;
        self.at = self.at.saturating_add(N);
        Ok(array)
    }

    pub(crate) fn byte(&mut self, expected: &'static str) -> Result<u8, Malformed> {
        self.array::<1>(expected).map(|[byte]| byte)
    }

    /// Takes the next byte if it is this one.
    pub(crate) fn skip(&mut self, byte: u8, expected: &'static str) -> Result<(), Malformed> {
        let before = *self;
        if self.byte(expected)? == byte { Ok(()) } else { Err(before.malformed(expected)) }
    }

    /// One byte below 80H, or 81H to 84H and so many bytes.
    pub(crate) fn length(&mut self) -> Result<usize, Malformed> {
        let before = *self;
        let first = self.byte("a length")?;
        let bytes = match first {
            0..=0x7F => return Ok(usize::from(first)),
            0x81..=0x84 => self.take(usize::from(first & 0x0F), "a length")?,
            _ => return Err(before.malformed("a length")),
        };
        Ok(bytes.iter().fold(0, |length: usize, byte| length.wrapping_shl(8) | usize::from(*byte)))
    }

    /// The number of elements, each of at least `smallest` bytes.
    pub(crate) fn count(&mut self, smallest: usize) -> Result<usize, Malformed> {
        let before = *self;
        let count = self.length()?;
        if count.checked_mul(smallest).is_none_or(|bytes| bytes > self.rest().len()) {
            return Err(before.malformed("a number of elements for which there are bytes"));
        }
        Ok(count)
    }

    /// A length and so many bytes.
    pub(crate) fn octets(&mut self) -> Result<&'a [u8], Malformed> {
        let length = self.length()?;
        self.take(length, "as many bytes as their length says")
    }

    /// Reads what stands within an array or a structure, one deeper.
    pub(crate) fn within<T>(
        &mut self,
        read: impl FnOnce(&mut Self) -> Result<T, Malformed>,
    ) -> Result<T, Malformed> {
        if self.depth >= DEPTH_MAX {
            return Err(self.malformed("a value, at most ten deep in others"));
        }
        self.depth = self.depth.saturating_add(1);
        let value = read(self);
        self.depth = self.depth.saturating_sub(1);
        value
    }

    /// So many elements, each of which is read once to see that it is whole.
    pub(crate) fn list<T: Element<'a>>(&mut self, count: usize) -> Result<List<'a, T>, Malformed> {
        let before = *self;
        for _ in 0..count {
            self.within(T::read)?;
        }
        Ok(List { count, bytes: self.since(&before), of: PhantomData })
    }

    /// A count, and so many elements.
    pub(crate) fn counted<T: Element<'a>>(&mut self) -> Result<List<'a, T>, Malformed> {
        let count = self.count(T::BYTES_MIN)?;
        self.list(count)
    }

    /// Nothing may follow.
    pub(crate) fn end(&self) -> Result<(), Malformed> {
        if self.rest().is_empty() { Ok(()) } else { Err(self.malformed("the end")) }
    }
}

/// What may stand several times in a row. Implemented by types of this crate alone.
pub trait Element<'a>: Sized {
    /// The fewest bytes that one takes; at least 1, so that a count is bounded by the bytes.
    #[doc(hidden)]
    const BYTES_MIN: usize;

    /// Reads one.
    #[doc(hidden)]
    fn read(reader: &mut Reader<'a>) -> Result<Self, Malformed>;
}

/// Elements in their bytes, which were checked to be whole when they were read.
pub struct List<'a, T> {
    count: usize,
    bytes: &'a [u8],
    of: PhantomData<T>,
}

impl<'a, T: Element<'a>> List<'a, T> {
    /// How many there are.
    pub fn len(&self) -> usize {
        self.count
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.count == 0
    }

    /// The elements, in their order.
    pub fn iter(&self) -> impl Iterator<Item = T> + use<'a, T> {
        let (mut reader, count) = (Reader::new(self.bytes), self.count);
        (0..count).map_while(move |_| T::read(&mut reader).ok())
    }

    /// The elements as they stand in the frame, without their count.
    pub fn bytes(&self) -> &'a [u8] {
        self.bytes
    }
}

impl<T> Clone for List<'_, T> {
    fn clone(&self) -> Self {
        *self
    }
}

impl<T> Copy for List<'_, T> {}

impl<T> PartialEq for List<'_, T> {
    fn eq(&self, other: &Self) -> bool {
        (self.count, self.bytes) == (other.count, other.bytes)
    }
}

impl<T> Eq for List<'_, T> {}

impl<'a, T: Element<'a> + fmt::Debug> fmt::Debug for List<'a, T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.iter()).finish()
    }
}

/// Room for bytes, and how many are written; what does not fit is counted and not written.
#[derive(Debug)]
pub(crate) struct Writer<'b> {
    out: &'b mut [u8],
    at: usize,
}

impl<'b> Writer<'b> {
    pub(crate) fn new(out: &'b mut [u8]) -> Writer<'b> {
        Writer { out, at: 0 }
    }

    pub(crate) fn byte(&mut self, byte: u8) {
        if let Some(place) = self.out.get_mut(self.at) {
            *place = byte;
        }
        self.at = self.at.saturating_add(1);
    }

    pub(crate) fn bytes(&mut self, bytes: &[u8]) {
        bytes.iter().for_each(|byte| self.byte(*byte));
    }

    /// A length in as few bytes as it takes.
    pub(crate) fn length(&mut self, length: usize) {
        let bytes = u32::try_from(length).unwrap_or(u32::MAX).to_be_bytes();
        let significant = bytes.iter().skip_while(|byte| **byte == 0);
        let count = u8::try_from(significant.clone().count()).unwrap_or(4);
        if length > 0x7F {
            self.byte(0x80 | count);
        } else if length == 0 {
            self.byte(0);
        }
        significant.for_each(|byte| self.byte(*byte));
    }

    pub(crate) fn octets(&mut self, bytes: &[u8]) {
        self.length(bytes.len());
        self.bytes(bytes);
    }

    /// What is written, from `at` on.
    pub(crate) fn from(&self, at: usize) -> &[u8] {
        self.out.get(at..self.at).unwrap_or_default()
    }

    /// The length of all; an error where they did not fit.
    pub(crate) fn finish(self) -> Result<usize, NoRoom> {
        if self.at > self.out.len() { Err(NoRoom { needed: self.at }) } else { Ok(self.at) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lengths_read_back_in_as_few_bytes_as_they_take() {
        for (length, bytes) in [(0, 1), (0x7F, 1), (0x80, 2), (0xFF, 2), (0x100, 3), (0x1_0000, 4)]
        {
            let mut out = [0; 8];
            let mut writer = Writer::new(&mut out);
            writer.length(length);
            assert_eq!(writer.finish(), Ok(bytes), "{length}");
            assert_eq!(Reader::new(&out).length(), Ok(length));
        }
    }

    #[test]
    fn a_count_without_bytes_for_it_is_refused() {
        assert_eq!(Reader::new(&[0x03, 0, 0, 0]).count(1), Ok(3));
        for lie in [&[0x03, 0, 0][..], &[0x84, 0xFF, 0xFF, 0xFF, 0xFF, 0], &[0x80], &[0x85], &[]] {
            assert!(Reader::new(lie).count(1).is_err(), "{lie:02X?}");
        }
    }

    #[test]
    fn what_does_not_fit_is_refused_with_what_it_needs() {
        let mut out = [0; 3];
        let mut writer = Writer::new(&mut out);
        writer.octets(&[1, 2, 3, 4]);
        assert_eq!(writer.finish(), Err(NoRoom { needed: 5 }));
        assert_eq!(out, [4, 1, 2]);
    }
}
