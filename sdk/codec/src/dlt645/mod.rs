//! Frames of DL/T 645-2007, which are those of 1997 too, and what stands in them:
//!
//! ```text
//! FE ..  68  A0..A5  68  C  L  DATA[L]  CS  16
//! ```
//!
//! Invariant: a [`Frame`] that was decoded had a good checksum, both start bytes, the end byte and
//! an address of decimal digits or wildcards; 33H is taken off its data and put back by `encode`.
//!
//! Beside it: the items of both editions ([`items_2007`], [`items_1997`]), requests, the judging of
//! answers, the records of load profiles. Not here: what a maker allows to be written, purchases
//! and their MACs (the driver).
//!
//! ```
//! use polymeter_codec::Decoded;
//! use polymeter_codec::dlt645::{Address, Data, FRAME_BYTES_MAX, Frame, control, decode};
//!
//! // A question for the total of active energy, 00010000H.
//! let question = Frame {
//!     address: "000000000186".parse()?,
//!     control: control::READ,
//!     data: Data::new(&0x0001_0000_u32.to_le_bytes())?,
//! };
//! let mut bytes = [0; FRAME_BYTES_MAX];
//! let length = question.encode(&mut bytes)?;
//! assert_eq!(bytes[..10], [0x68, 0x86, 0x01, 0, 0, 0, 0, 0x68, 0x11, 4]);
//! // 33H is added to the data on the wire.
//! assert_eq!(bytes[10..14], [0x33, 0x33, 0x34, 0x33]);
//!
//! let Decoded::Frame { frame, used } = decode(&bytes[..length]) else { panic!("a whole frame") };
//! assert_eq!((frame, used), (question, length));
//! assert_eq!(frame.data_identifier(), Some(0x0001_0000));
//! # Ok::<(), Box<dyn core::error::Error>>(())
//! ```

pub mod answer;
pub mod item;
pub mod items_1997;
pub mod items_2007;
pub mod items_makers;
pub mod load_record;
pub mod request;
pub mod status;
pub mod value;

pub use value::Value;

use crate::bcd;
use crate::{Decoded, NoRoom};
use core::fmt;

/// Control codes (DL/T 645-2007, 5.2.4; C=03H from its 2013 prepayment extension).
pub mod control {
    /// Security: proof of identity, purchases, and more that is sealed by the meter's keys.
    pub const AUTHENTICATE: u8 = 0x03;
    /// Read the data of an identifier.
    pub const READ: u8 = 0x11;
    /// Tell the time to all; nobody answers.
    pub const BROADCAST_TIME: u8 = 0x08;
    /// Read on where the last answer said that more follows.
    pub const FOLLOW_UP: u8 = 0x12;
    /// Ask the one meter on the line for its address.
    pub const READ_ADDRESS: u8 = 0x13;
    /// Write the data of an identifier; a password and an operator code stand before it.
    pub const WRITE: u8 = 0x14;
    /// Give the one meter on the line an address.
    pub const WRITE_ADDRESS: u8 = 0x15;
    /// Keep the values of this moment, or of every such moment.
    pub const FREEZE: u8 = 0x16;
    /// Speak at another rate.
    pub const CHANGE_BAUD: u8 = 0x17;
    /// Put a new password in the place of the old one.
    pub const CHANGE_PASSWORD: u8 = 0x18;
    /// Set the maximum demand to zero.
    pub const CLEAR_DEMAND: u8 = 0x19;
    /// Set energy, demand and their records to zero.
    pub const CLEAR_METER: u8 = 0x1A;
    /// Forget events.
    pub const CLEAR_EVENTS: u8 = 0x1B;
    /// Open and close the relay, alarm, protection of supply.
    pub const RELAY: u8 = 0x1C;
    /// Set in what comes from a meter.
    pub const REPLY: u8 = 0x80;
    /// Set in a meter's *no*.
    pub const ERROR: u8 = 0x40;
    /// Set where another frame follows.
    pub const MORE: u8 = 0x20;
}

/// Control codes of DL/T 645-1997 (its 5.2.4); replies as in [`control`].
pub mod control_1997 {
    /// Read the data of an identifier.
    pub const READ: u8 = 0x01;
    /// Read on where the last answer said that more follows.
    pub const FOLLOW_UP: u8 = 0x02;
    /// Read once more what was read last.
    pub const READ_AGAIN: u8 = 0x03;
    /// Write the data of an identifier; a password stands before it.
    pub const WRITE: u8 = 0x04;
    /// Tell the time to all; nobody answers.
    pub const BROADCAST_TIME: u8 = 0x08;
    /// Give the one meter on the line an address.
    pub const WRITE_ADDRESS: u8 = 0x0A;
    /// Speak at another rate.
    pub const CHANGE_BAUD: u8 = 0x0C;
    /// Put a new password in the place of the old one.
    pub const CHANGE_PASSWORD: u8 = 0x0F;
    /// Set the maximum demand to zero.
    pub const CLEAR_DEMAND: u8 = 0x10;
}

/// A frame without wake-up bytes and with all the data that L can count.
pub const FRAME_BYTES_MAX: usize = OVERHEAD + DATA_BYTES_MAX;
/// What the one length byte L can count.
pub const DATA_BYTES_MAX: usize = 255;
/// 68, address, 68, C, L before the data; CS, 16 after it.
const OVERHEAD: usize = HEADER + 2;
const HEADER: usize = 10;
const WAKE_UP: u8 = 0xFE;
const START: u8 = 0x68;
const END: u8 = 0x16;
/// Added to every data byte on the wire (DL/T 645-2007, 5.2.6).
const OFFSET: u8 = 0x33;

/// Six bytes as on the wire, low pair of digits first. Each is two decimal digits or AA, which
/// stands for any two and may stand only above the digits (a shortened address).
///
/// ```
/// use polymeter_codec::dlt645::Address;
///
/// let meter: Address = "201800000186".parse()?;
/// assert_eq!(meter.to_wire(), [0x86, 0x01, 0x00, 0x00, 0x18, 0x20]);
/// let shortened: Address = "0186".parse()?;
/// assert_eq!(shortened.to_string(), "AAAAAAAA0186");
/// assert!(shortened.matches(meter) && !shortened.is_one_meter());
/// # Ok::<(), polymeter_codec::dlt645::NotAnAddress>(())
/// ```
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct Address([u8; 6]);

impl Address {
    /// Answered by whoever is alone on the line.
    pub const WILDCARD: Address = Address([0xAA; 6]);
    /// Obeyed by all, answered by none.
    pub const BROADCAST: Address = Address([0x99; 6]);

    /// `None` for a byte that is neither two digits nor AA, and for digits above an AA.
    pub fn from_wire(bytes: [u8; 6]) -> Option<Address> {
        let digits = bytes.iter().take_while(|byte| **byte != 0xAA);
        let (count, decimal) = digits.fold((0_usize, true), |(count, decimal), byte| {
            (count.saturating_add(1), decimal && bcd::pair(*byte).is_some())
        });
        let wildcards_only = bytes.iter().skip(count).all(|byte| *byte == 0xAA);
        (decimal && wildcards_only).then_some(Address(bytes))
    }

    /// The six bytes, low pair of digits first.
    pub fn to_wire(self) -> [u8; 6] {
        self.0
    }

    /// Names one meter: neither wildcard nor broadcast.
    pub fn is_one_meter(self) -> bool {
        !self.0.contains(&0xAA) && self != Address::BROADCAST
    }

    /// Whether `self`, in which AA stands for anything, could have meant `other`.
    pub fn matches(self, other: Address) -> bool {
        self.0.iter().zip(other.0).all(|(ours, theirs)| *ours == 0xAA || *ours == theirs)
    }
}

/// Twelve digits as printed on the plate, high digit first; `A` for a wildcard.
impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().rev().try_for_each(|byte| write!(f, "{byte:02X}"))
    }
}

impl fmt::Debug for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Address({self})")
    }
}

/// Not two to twelve digits, an even number of them, with `A`s only in front.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct NotAnAddress;

impl fmt::Display for NotAnAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an address is 12 digits, or an even number of its last ones, or AAAAAAAAAAAA")
    }
}

impl core::error::Error for NotAnAddress {}

/// Fewer digits than twelve are a shortened address: wildcards are put in front.
impl core::str::FromStr for Address {
    type Err = NotAnAddress;

    fn from_str(text: &str) -> Result<Address, NotAnAddress> {
        let digits = text.as_bytes();
        if digits.is_empty() || digits.len() > 12 {
            return Err(NotAnAddress);
        }
        let mut bytes = [0xAA; 6];
        for (byte, pair) in bytes.iter_mut().zip(digits.rchunks(2)) {
            let [high, low] = pair else { return Err(NotAnAddress) };
            let (high, low) = (hex_digit(*high)?, hex_digit(*low)?);
            *byte = high << 4 | low;
        }
        Address::from_wire(bytes).ok_or(NotAnAddress)
    }
}

fn hex_digit(character: u8) -> Result<u8, NotAnAddress> {
    char::from(character)
        .to_digit(16)
        .and_then(|digit| u8::try_from(digit).ok())
        .ok_or(NotAnAddress)
}

/// Up to 255 bytes, held in place: no frame needs an allocator.
#[derive(Clone, Copy)]
pub struct Data {
    bytes: [u8; DATA_BYTES_MAX],
    length: u8,
}

/// More than 255 bytes of data.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TooLong;

impl fmt::Display for TooLong {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a frame has at most 255 bytes of data")
    }
}

impl core::error::Error for TooLong {}

impl Data {
    /// No data: L is 0.
    pub const EMPTY: Data = Data { bytes: [0; DATA_BYTES_MAX], length: 0 };

    /// A copy of `bytes`, without the 33H of the wire.
    pub fn new(bytes: &[u8]) -> Result<Data, TooLong> {
        let mut data = Data::EMPTY;
        data.append(bytes)?;
        Ok(data)
    }

    /// Puts `bytes` behind those that are there; none of them where they do not fit.
    pub fn append(&mut self, bytes: &[u8]) -> Result<(), TooLong> {
        let before = usize::from(self.length);
        let length = before.checked_add(bytes.len()).ok_or(TooLong)?;
        self.length = u8::try_from(length).map_err(|_| TooLong)?;
        self.bytes.iter_mut().skip(before).zip(bytes).for_each(|(to, from)| *to = *from);
        Ok(())
    }

    /// The bytes, without the 33H of the wire.
    pub fn as_slice(&self) -> &[u8] {
        self.bytes.get(..usize::from(self.length)).unwrap_or_default()
    }
}

impl fmt::Debug for Data {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:02X?}", self.as_slice())
    }
}

impl PartialEq for Data {
    fn eq(&self, other: &Data) -> bool {
        self.as_slice() == other.as_slice()
    }
}

impl Eq for Data {}

/// One frame, its data without the 33H.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Frame {
    /// The meter that is asked, or that answers.
    pub address: Address,
    /// One of [`control`], with its bits REPLY, ERROR and MORE.
    pub control: u8,
    /// What L counts, without the 33H.
    pub data: Data,
}

impl Frame {
    /// The data identifier DI3 DI2 DI1 DI0 that most data begins with, low byte first; `None` where
    /// there are not four bytes. Whether these *are* one depends on the control code.
    pub fn data_identifier(&self) -> Option<u32> {
        self.data.as_slice().first_chunk().map(|bytes| u32::from_le_bytes(*bytes))
    }

    /// The two-byte identifier of DL/T 645-1997, with the same reservation.
    pub fn data_identifier_1997(&self) -> Option<u16> {
        self.data.as_slice().first_chunk().map(|bytes| u16::from_le_bytes(*bytes))
    }

    /// How many bytes `encode` writes.
    pub fn encoded_length(&self) -> usize {
        OVERHEAD.saturating_add(usize::from(self.data.length))
    }

    /// Writes the frame, without wake-up bytes, to the beginning of `out`; returns its length.
    pub fn encode(&self, out: &mut [u8]) -> Result<usize, NoRoom> {
        let needed = self.encoded_length();
        let header = [START].into_iter().chain(self.address.0);
        let header = header.chain([START, self.control, self.data.length]);
        let data = self.data.as_slice().iter().map(|byte| byte.wrapping_add(OFFSET));
        let out = out.get_mut(..needed).ok_or(NoRoom { needed })?;
        let mut sum = 0_u8;
        let mut places = out.iter_mut();
        for byte in header.chain(data) {
            sum = sum.wrapping_add(byte);
            if let Some(place) = places.next() {
                *place = byte;
            }
        }
        places.zip([sum, END]).for_each(|(place, byte)| *place = byte);
        Ok(needed)
    }
}

/// Takes the frame that begins `bytes`, with any number of wake-up bytes before it. What cannot be
/// the beginning of a frame is garbled up to the next start byte, so a caller that drops `skip`
/// bytes and asks again finds every frame in at most as many steps as there are bytes.
///
/// A false start whose length reaches into silence answers `NeedMore` for ever: when the line has
/// fallen quiet, drop [`false_start`] bytes and ask again.
///
/// ```
/// use polymeter_codec::{Decoded, dlt645};
///
/// // A meter's no: C = D1H, its error word 02H (no such data).
/// let heard = [0xFE, 0x68, 0x86, 0x01, 0, 0, 0, 0, 0x68, 0xD1, 0x01, 0x35, 0x5E, 0x16];
/// let Decoded::Frame { frame, used } = dlt645::decode(&heard) else { panic!("a whole frame") };
/// assert_eq!(used, heard.len());
/// assert_eq!(frame.address.to_string(), "000000000186");
/// assert!(frame.control & dlt645::control::ERROR != 0);
/// assert_eq!(frame.data.as_slice(), [0x02]);
/// ```
pub fn decode(bytes: &[u8]) -> Decoded<Frame> {
    let woken = bytes.iter().take_while(|byte| **byte == WAKE_UP).count();
    let start = bytes.get(woken..).unwrap_or_default();
    let garbled = || Decoded::Garbled { skip: false_start(bytes) };
    if !may_begin(start) {
        return garbled();
    }
    let Some((header, rest)) = start.split_first_chunk::<HEADER>() else {
        return Decoded::NeedMore { at_least: woken.saturating_add(OVERHEAD) };
    };
    let [_, a0, a1, a2, a3, a4, a5, _, control, length] = *header;
    let length = usize::from(length);
    let used = woken.saturating_add(OVERHEAD).saturating_add(length);
    let (Some(wire), Some([sum, end])) =
        (rest.get(..length), rest.get(length..).and_then(|tail| tail.first_chunk::<2>()))
    else {
        return Decoded::NeedMore { at_least: used };
    };
    let summed = header.iter().chain(wire).fold(0_u8, |sum, byte| sum.wrapping_add(*byte));
    let (Some(address), Ok(mut data)) =
        (Address::from_wire([a0, a1, a2, a3, a4, a5]), Data::new(wire))
    else {
        return garbled();
    };
    if *end != END || *sum != summed {
        return garbled();
    }
    data.bytes.iter_mut().take(length).for_each(|byte| *byte = byte.wrapping_sub(OFFSET));
    Decoded::Frame { frame: Frame { address, control, data }, used }
}

/// How many bytes to drop so that `bytes` begins with the next start byte after the present one, or
/// with nothing. At least one unless there are none.
///
/// ```
/// use polymeter_codec::dlt645::false_start;
///
/// assert_eq!(false_start(&[0xFE, 0x68, 0x01, 0x68, 0x86]), 3);
/// assert_eq!(false_start(&[0x68]), 1);
/// ```
pub fn false_start(bytes: &[u8]) -> usize {
    let woken = bytes.iter().take_while(|byte| **byte == WAKE_UP).count();
    let past = woken.saturating_add(1);
    let next = bytes.iter().skip(past).position(|byte| *byte == START);
    next.map_or(bytes.len(), |distance| past.saturating_add(distance))
}

/// Whether the header so far, of any length, can be that of a frame. Catching a false start here
/// keeps its length byte from swallowing the frame behind it.
fn may_begin(start: &[u8]) -> bool {
    let address = start.iter().skip(1).take(6);
    let mut wildcard = false;
    let plausible = address.into_iter().all(|byte| {
        let decimal = bcd::pair(*byte).is_some() && !wildcard;
        wildcard |= *byte == 0xAA;
        decimal || *byte == 0xAA
    });
    plausible
        && start.first().is_none_or(|byte| *byte == START)
        && start.get(7).is_none_or(|byte| *byte == START)
}
