//! The link layer of M-Bus (EN 13757-2, which is IEC 870-5-1 FT 1.2 and IEC 870-5-2):
//!
//! ```text
//! E5                                          acknowledged
//! 10  C A  CS 16                              short
//! 68  L L  68  C A CI  data[L-3]  CS 16       long; a control frame is one without data
//! ```
//!
//! Invariant: a [`Telegram`] that was decoded had both lengths equal, its start, stop and checksum.
//!
//! Not here: what a CI means (`message`), whether a reply answers a question (the driver).

use crate::{Decoded, NoRoom};
use core::fmt;

/// C fields (EN 13757-2, 5.7.2).
pub mod control {
    /// Initialise: answered with E5; the next question has FCB set.
    pub const SND_NKE: u8 = 0x40;
    /// Data to a device; [`FCB`] may be set.
    pub const SND_UD: u8 = 0x53;
    /// Ask for data of class 2, which are readings; [`FCB`] may be set.
    pub const REQ_UD2: u8 = 0x5B;
    /// Ask for data of class 1, which are alarms; [`FCB`] may be set.
    pub const REQ_UD1: u8 = 0x5A;
    /// A device's data; [`ACD`] and [`DFC`] may be set.
    pub const RSP_UD: u8 = 0x08;
    /// Frame count bit of a question. It is toggled for every new one, kept for a repeated one.
    pub const FCB: u8 = 0x20;
    /// A device has alarms to tell.
    pub const ACD: u8 = 0x20;
    /// A device cannot take more data now.
    pub const DFC: u8 = 0x10;
}

/// A fields with a meaning of their own (EN 13757-2, 5.7.5); 1 to 250 are devices.
pub mod address {
    /// A device that was given no address yet.
    pub const UNSET: u8 = 0;
    /// The highest one of a device.
    pub const DEVICE_MAX: u8 = 250;
    /// Whoever is selected by their secondary address.
    pub const SELECTED: u8 = 0xFD;
    /// Everybody, and all answer.
    pub const ANYBODY: u8 = 0xFE;
    /// Everybody, and none answers.
    pub const BROADCAST: u8 = 0xFF;
}

/// The most bytes after CI: L counts them with C, A and CI.
pub const DATA_BYTES_MAX: usize = 252;
/// The longest telegram.
pub const TELEGRAM_BYTES_MAX: usize = DATA_BYTES_MAX + OVERHEAD;
/// 68 L L 68 C A CI before the data; CS, 16 after it.
const OVERHEAD: usize = 9;
const ACK: u8 = 0xE5;
const SHORT: u8 = 0x10;
const LONG: u8 = 0x68;
const END: u8 = 0x16;

/// One telegram on a wire.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Telegram<'a> {
    /// E5, the one character that says yes.
    Ack,
    /// A question or command without data.
    Short {
        /// One of [`control`].
        control: u8,
        /// 1 to 250, or one of [`address`].
        address: u8,
    },
    /// With data, or, where that is empty, a control frame.
    Long {
        /// One of [`control`].
        control: u8,
        /// 1 to 250, or one of [`address`].
        address: u8,
        /// Control information: what the data is.
        ci: u8,
        /// At most [`DATA_BYTES_MAX`].
        data: &'a [u8],
    },
}

/// Why a telegram cannot be written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Unencodable {
    /// The buffer is too short.
    Room(NoRoom),
    /// More data than [`DATA_BYTES_MAX`].
    TooLong,
}

impl fmt::Display for Unencodable {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Unencodable::Room(no_room) => no_room.fmt(f),
            Unencodable::TooLong => write!(f, "a telegram has at most {DATA_BYTES_MAX} data bytes"),
        }
    }
}

impl core::error::Error for Unencodable {}

impl Telegram<'_> {
    /// Writes the telegram to the beginning of `out`; returns its length.
    ///
    /// ```
    /// use polymeter_codec::mbus::{Telegram, control};
    ///
    /// let question = Telegram::Short { control: control::REQ_UD2 | control::FCB, address: 1 };
    /// let mut bytes = [0; 5];
    /// assert_eq!(question.encode(&mut bytes), Ok(5));
    /// assert_eq!(bytes, [0x10, 0x7B, 0x01, 0x7C, 0x16]);
    /// ```
    pub fn encode(&self, out: &mut [u8]) -> Result<usize, Unencodable> {
        match *self {
            Telegram::Ack => write(out, [ACK].into_iter()),
            Telegram::Short { control, address } => {
                let sum = control.wrapping_add(address);
                write(out, [SHORT, control, address, sum, END].into_iter())
            }
            Telegram::Long { control, address, ci, data } => {
                if data.len() > DATA_BYTES_MAX {
                    return Err(Unencodable::TooLong);
                }
                let length = data.len().saturating_add(3);
                let length = u8::try_from(length).map_err(|_| Unencodable::TooLong)?;
                let body = [control, address, ci].into_iter().chain(data.iter().copied());
                let head = [LONG, length, length, LONG].into_iter();
                let tail = [sum(body.clone()), END];
                write(out, head.chain(body).chain(tail))
            }
        }
    }
}

fn sum(bytes: impl Iterator<Item = u8>) -> u8 {
    bytes.fold(0, u8::wrapping_add)
}

fn write(out: &mut [u8], bytes: impl Iterator<Item = u8> + Clone) -> Result<usize, Unencodable> {
    let needed = bytes.clone().count();
    let room = out.get_mut(..needed).ok_or(Unencodable::Room(NoRoom { needed }))?;
    room.iter_mut().zip(bytes).for_each(|(place, byte)| *place = byte);
    Ok(needed)
}

/// Takes the telegram that begins `bytes`. What cannot begin one is garbled up to the next start
/// byte. A false start whose length reaches into silence answers `NeedMore` for ever: when the line
/// has fallen quiet, drop [`false_start`] bytes and ask again.
///
/// ```
/// use polymeter_codec::Decoded;
/// use polymeter_codec::mbus::{Telegram, decode};
///
/// // "Application busy", of the device 1.
/// let heard = [0x68, 0x04, 0x04, 0x68, 0x08, 0x01, 0x70, 0x08, 0x81, 0x16];
/// let Decoded::Frame { frame, used } = decode(&heard) else { panic!("a whole telegram") };
/// assert_eq!(used, 10);
/// assert_eq!(frame, Telegram::Long { control: 0x08, address: 1, ci: 0x70, data: &[0x08] });
/// assert_eq!(decode(&heard[..3]), Decoded::NeedMore { at_least: 9 });
/// ```
pub fn decode(bytes: &[u8]) -> Decoded<Telegram<'_>> {
    let garbled = || Decoded::Garbled { skip: false_start(bytes) };
    match bytes.first() {
        None => Decoded::NeedMore { at_least: 1 },
        Some(&ACK) => Decoded::Frame { frame: Telegram::Ack, used: 1 },
        Some(&SHORT) => {
            let Some([_, control, address, check, end]) = bytes.first_chunk::<5>() else {
                return Decoded::NeedMore { at_least: 5 };
            };
            if *end != END || *check != control.wrapping_add(*address) {
                return garbled();
            }
            let frame = Telegram::Short { control: *control, address: *address };
            Decoded::Frame { frame, used: 5 }
        }
        Some(&LONG) => long(bytes).unwrap_or_else(garbled),
        Some(_) => garbled(),
    }
}

/// `None`: garbled.
fn long(bytes: &[u8]) -> Option<Decoded<Telegram<'_>>> {
    let length = bytes.get(1).copied();
    let repeated = bytes.get(2).copied();
    let start = bytes.get(3).copied();
    let plausible = length.is_none_or(|length| length >= 3)
        && repeated.is_none_or(|repeated| Some(repeated) == length)
        && start.is_none_or(|start| start == LONG);
    if !plausible {
        return None;
    }
    let Some((_, rest)) = bytes.split_first_chunk::<4>() else {
        return Some(Decoded::NeedMore { at_least: OVERHEAD });
    };
    let length = usize::from(length?);
    let used = length.saturating_add(6);
    let (Some(body), Some([check, end])) =
        (rest.get(..length), rest.get(length..).and_then(|tail| tail.first_chunk::<2>()))
    else {
        return Some(Decoded::NeedMore { at_least: used });
    };
    if *end != END || *check != sum(body.iter().copied()) {
        return None;
    }
    let ([control, address, ci], data) = body.split_first_chunk::<3>()?;
    let frame = Telegram::Long { control: *control, address: *address, ci: *ci, data };
    Some(Decoded::Frame { frame, used })
}

/// How many bytes to drop so that `bytes` begins with the next byte that can start a telegram, or
/// with nothing. At least one unless there are none.
///
/// ```
/// use polymeter_codec::mbus::false_start;
///
/// assert_eq!(false_start(&[0x68, 0x01, 0x68, 0x08]), 2);
/// assert_eq!(false_start(&[0x68]), 1);
/// ```
pub fn false_start(bytes: &[u8]) -> usize {
    let next = bytes.iter().skip(1).position(|byte| matches!(*byte, ACK | SHORT | LONG));
    next.map_or(bytes.len(), |distance| distance.saturating_add(1))
}
