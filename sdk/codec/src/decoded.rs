//! What every decoder and encoder of this crate answers with.
//!
//! Invariant: a caller that follows the answer always gets further: `used`, `skip` and the growth
//! asked for by `at_least` are never zero.

/// The answer of a decoder to the bytes that have come so far.
///
/// ```
/// use polymeter_codec::{Decoded, dlt645};
///
/// // Noise, then a frame of which the end has not come yet.
/// let mut bytes = vec![0x00, 0xFE, 0x68, 0x01, 0, 0, 0, 0, 0, 0x68, 0xD1, 0x01, 0x35];
/// if let Decoded::Garbled { skip } = dlt645::decode(&bytes) {
///     bytes.drain(..skip);
/// }
/// assert!(matches!(dlt645::decode(&bytes), Decoded::NeedMore { at_least: 13 }));
/// bytes.extend([0xD8, 0x16]);
/// assert!(matches!(dlt645::decode(&bytes), Decoded::Frame { used: 13, .. }));
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Decoded<T> {
    /// A whole frame begins at the first byte and takes `used` of them.
    Frame {
        /// What was decoded.
        frame: T,
        /// How many bytes it takes, from the first one on; never 0.
        used: usize,
    },
    /// All bytes so far may be the beginning of a frame: it takes `at_least` bytes in total, more
    /// than there are.
    NeedMore {
        /// Bytes in total, those that are there included.
        at_least: usize,
    },
    /// The first `skip` bytes are not a frame: drop them, at least one, and ask again.
    Garbled {
        /// How many bytes to drop; never 0 where there are any.
        skip: usize,
    },
}

impl<T> Decoded<T> {
    /// The same with the frame turned into something else.
    pub fn map<U>(self, turn: impl FnOnce(T) -> U) -> Decoded<U> {
        match self {
            Decoded::Frame { frame, used } => Decoded::Frame { frame: turn(frame), used },
            Decoded::NeedMore { at_least } => Decoded::NeedMore { at_least },
            Decoded::Garbled { skip } => Decoded::Garbled { skip },
        }
    }
}

/// The buffer given to an encoder is too short; `needed` bytes would do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct NoRoom {
    /// The length of the whole frame in bytes.
    pub needed: usize,
}

impl core::fmt::Display for NoRoom {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        write!(f, "the frame needs {} bytes of room", self.needed)
    }
}

impl core::error::Error for NoRoom {}
