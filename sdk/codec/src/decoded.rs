//! What every decoder and encoder of this crate answers with.
//!
//! Invariant: a caller that follows the answer always gets further: `used`, `skip` and the growth
//! asked for by `at_least` are never zero.

/// The answer of a decoder to the bytes that have come so far.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Decoded<T> {
    /// A whole frame begins at the first byte and takes `used` of them.
    Frame { frame: T, used: usize },
    /// All bytes so far may be the beginning of a frame: it takes `at_least` bytes in total, more
    /// than there are.
    NeedMore { at_least: usize },
    /// The first `skip` bytes are not a frame: drop them, at least one, and ask again.
    Garbled { skip: usize },
}

/// The buffer given to an encoder is too short; `needed` bytes would do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct NoRoom {
    pub needed: usize,
}

impl core::fmt::Display for NoRoom {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        write!(f, "the frame needs {} bytes of room", self.needed)
    }
}

impl core::error::Error for NoRoom {}
