//! The first whole frame in captured bytes, of whichever protocol, and what stands around it.
//!
//! Invariant: at most as many turns as there are bytes. Nothing follows a capture, so what looks like
//! the beginning of a frame and is not completed is passed over like noise.
//! Not here: what a frame says.

use crate::Decoded;

/// A whole frame among captured bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Captured<T> {
    /// The first whole one.
    pub frame: T,
    /// Bytes before it that are no frame; bytes that wake a meter up belong to its frame where nothing
    /// else is before them.
    pub before: usize,
    /// Bytes behind it, of which nothing is said.
    pub after: usize,
}

/// Why there is no frame.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum NoFrame {
    /// The capture may be the beginning of one that takes at least `at_least` bytes.
    Cut {
        /// Bytes in the capture.
        bytes: usize,
        /// Bytes of the shortest frame that begins like this.
        at_least: usize,
    },
    /// Nothing of so many bytes is one.
    Noise {
        /// Bytes in the capture.
        bytes: usize,
    },
}

impl core::fmt::Display for NoFrame {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        match self {
            NoFrame::Cut { bytes, at_least } => {
                write!(f, "cut short: {bytes} bytes of at least {at_least}")
            }
            NoFrame::Noise { bytes } => write!(f, "no frame in these {bytes} bytes"),
        }
    }
}

impl core::error::Error for NoFrame {}

/// Decodes with one protocol's `decode`; `false_start` says how many bytes to drop where a beginning
/// is not completed.
///
/// ```
/// use polymeter_codec::{capture, dlt645};
///
/// let heard = [0x00, 0x68, 1, 0, 0, 0, 0, 0, 0x68, 0xD1, 1, 0x35, 0xD8, 0x16, 0x68];
/// let found = capture::first(&heard, dlt645::decode, dlt645::false_start).unwrap();
/// assert_eq!((found.before, found.after), (1, 1));
/// let cut = capture::first(&heard[1..8], dlt645::decode, dlt645::false_start).unwrap_err();
/// assert_eq!(cut.to_string(), "cut short: 7 bytes of at least 12");
/// ```
pub fn first<'a, T>(
    capture: &'a [u8],
    decode: impl Fn(&'a [u8]) -> Decoded<T>,
    false_start: impl Fn(&[u8]) -> usize,
) -> Result<Captured<T>, NoFrame> {
    let bytes = capture.len();
    let mut rest = capture;
    let mut none = NoFrame::Noise { bytes };
    while !rest.is_empty() {
        let skip = match decode(rest) {
            Decoded::Frame { frame, used } => {
                let before = bytes.saturating_sub(rest.len());
                return Ok(Captured { frame, before, after: rest.len().saturating_sub(used) });
            }
            Decoded::NeedMore { at_least } => {
                if rest.len() == bytes {
                    none = NoFrame::Cut { bytes, at_least };
                }
                false_start(rest)
            }
            Decoded::Garbled { skip } => skip,
        };
        rest = rest.get(skip.max(1)..).unwrap_or_default();
    }
    Err(none)
}
