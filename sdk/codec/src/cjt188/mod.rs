//! CJ/T 188-2004: water, heat and gas meters. Frames, and what stands in them:
//!
//! ```text
//! FE ..  68  T  A0..A6  C  L  DI DI SER data  CS  16
//! ```
//!
//! Invariant: a [`Frame`] that was decoded had a good checksum, its start and end bytes, a type of
//! the standard and an address of decimal digits or wildcards. A value is exact or an error.
//!
//! Not here: which reply answers which question (the driver); how a meter of one vendor departs from
//! the standard, but for what [`Dialect`] can say.

mod content;

pub use content::{
    Amount, Content, Dialect, Heat, NotContent, Order, PRICES_BYTES, Prices, Purchase, Status,
    Time, Valve, Water, identified,
};

use crate::bcd;
use crate::{Decoded, NoRoom};
use core::fmt;

/// Control codes (CJ/T 188-2004, table 4).
pub mod control {
    /// Read the data of an identifier.
    pub const READ: u8 = 0x01;
    /// Ask the one meter on the line for its address.
    pub const READ_ADDRESS: u8 = 0x03;
    /// Write the data of an identifier.
    pub const WRITE: u8 = 0x04;
    /// Ask for the version of the key.
    pub const READ_KEY_VERSION: u8 = 0x09;
    /// Write the address.
    pub const WRITE_ADDRESS: u8 = 0x15;
    /// Set the register to what the dial shows.
    pub const SYNCHRONISE: u8 = 0x16;
    /// Set in what comes from a meter.
    pub const REPLY: u8 = 0x80;
    /// Set in a meter's *no*.
    pub const ERROR: u8 = 0x40;
}

/// Data identifiers (CJ/T 188-2004, annex A).
pub mod identifier {
    /// What the meter shows now.
    pub const CURRENT: u16 = 0x901F;
    /// The settlement of the last month; 11 more follow.
    pub const MONTHS: u16 = 0xD120;
    /// Read prices.
    pub const PRICES: u16 = 0x8102;
    /// Read the day of settlement.
    pub const SETTLEMENT_DAY: u16 = 0x8103;
    /// Read the day of reading.
    pub const READING_DAY: u16 = 0x8104;
    /// Read the last purchase.
    pub const PURCHASE: u16 = 0x8105;
    /// Read the version of the key.
    pub const KEY_VERSION: u16 = 0x8106;
    /// Read the address.
    pub const ADDRESS: u16 = 0x810A;
    /// Write prices.
    pub const WRITE_PRICES: u16 = 0xA010;
    /// Write the day of settlement.
    pub const WRITE_SETTLEMENT_DAY: u16 = 0xA011;
    /// Write the day of reading.
    pub const WRITE_READING_DAY: u16 = 0xA012;
    /// Write a purchase.
    pub const WRITE_PURCHASE: u16 = 0xA013;
    /// Write a key.
    pub const WRITE_KEY: u16 = 0xA014;
    /// Write the time.
    pub const WRITE_TIME: u16 = 0xA015;
    /// Write the register.
    pub const WRITE_REGISTER: u16 = 0xA016;
    /// Open and close the valve.
    pub const VALVE: u16 = 0xA017;
    /// Write the address.
    pub const WRITE_ADDRESS: u16 = 0xA018;
    /// End the state of the factory.
    pub const LEAVE_FACTORY: u16 = 0xA019;
}

/// Types of meters (CJ/T 188-2004, table 1).
pub mod kind {
    /// Cold water.
    pub const COLD_WATER: u8 = 0x10;
    /// Hot water.
    pub const HOT_WATER: u8 = 0x11;
    /// Drinking water.
    pub const DRINKING_WATER: u8 = 0x12;
    /// Grey water.
    pub const GREY_WATER: u8 = 0x13;
    /// Heat.
    pub const HEAT: u8 = 0x20;
    /// Cooling.
    pub const COOLING: u8 = 0x21;
    /// Gas.
    pub const GAS: u8 = 0x30;
    /// Electricity.
    pub const ELECTRICITY: u8 = 0x40;
    /// Stands for any.
    pub const ANY: u8 = 0xAA;
}

/// A frame without wake-up bytes and with all the data that L can count.
pub const FRAME_BYTES_MAX: usize = OVERHEAD + DATA_BYTES_MAX;
/// What the one length byte L can count.
pub const DATA_BYTES_MAX: usize = 255;
const HEADER: usize = 11;
const OVERHEAD: usize = HEADER + 2;
const WAKE_UP: u8 = 0xFE;
const START: u8 = 0x68;
const END: u8 = 0x16;

/// Seven bytes as on the wire, low pair of digits first; the two highest are the vendor's code. A
/// byte AA stands for any.
///
/// ```
/// use polymeter_codec::cjt188::Address;
///
/// let meter: Address = "78330011223344".parse()?;
/// assert_eq!(meter.to_wire(), [0x44, 0x33, 0x22, 0x11, 0x00, 0x33, 0x78]);
/// assert!(Address::WILDCARD.matches(meter) && meter.is_one_meter());
/// # Ok::<(), polymeter_codec::cjt188::NotAnAddress>(())
/// ```
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct Address([u8; 7]);

impl Address {
    /// Answered by whoever is alone on the line.
    pub const WILDCARD: Address = Address([0xAA; 7]);

    /// `None` for a byte that is neither two digits nor AA.
    pub fn from_wire(bytes: [u8; 7]) -> Option<Address> {
        bytes.iter().all(|byte| may_be_address(*byte)).then_some(Address(bytes))
    }

    /// The seven bytes, low pair of digits first.
    pub fn to_wire(self) -> [u8; 7] {
        self.0
    }

    /// Has no wildcard.
    pub fn is_one_meter(self) -> bool {
        !self.0.contains(&0xAA)
    }

    /// Whether `self`, in which AA stands for anything, could have meant `other`.
    pub fn matches(self, other: Address) -> bool {
        self.0.iter().zip(other.0).all(|(ours, theirs)| *ours == 0xAA || *ours == theirs)
    }
}

fn may_be_address(byte: u8) -> bool {
    byte == 0xAA || bcd::pair(byte).is_some()
}

/// Fourteen digits as printed on the plate, high digit first; `A` for a wildcard.
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

/// Not fourteen digits, pairs of which may be `AA`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct NotAnAddress;

impl fmt::Display for NotAnAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an address is 14 digits, or AAAAAAAAAAAAAA")
    }
}

impl core::error::Error for NotAnAddress {}

impl core::str::FromStr for Address {
    type Err = NotAnAddress;

    fn from_str(text: &str) -> Result<Address, NotAnAddress> {
        let digits = text.as_bytes();
        if digits.len() != 14 {
            return Err(NotAnAddress);
        }
        let mut bytes = [0; 7];
        for (byte, pair) in bytes.iter_mut().zip(digits.rchunks(2)) {
            let [high, low] = pair else { return Err(NotAnAddress) };
            *byte = hex_digit(*high)? << 4 | hex_digit(*low)?;
        }
        Address::from_wire(bytes).ok_or(NotAnAddress)
    }
}

fn hex_digit(character: u8) -> Result<u8, NotAnAddress> {
    let digit = char::from(character).to_digit(16).ok_or(NotAnAddress)?;
    u8::try_from(digit).map_err(|_| NotAnAddress)
}

/// One frame.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Frame<'a> {
    /// What the meter measures: one of [`kind`], or of the codes between.
    pub kind: u8,
    /// The meter that is asked, or that answers.
    pub address: Address,
    /// One of [`control`], with its bits REPLY and ERROR.
    pub control: u8,
    /// What L counts.
    pub data: &'a [u8],
}

/// Why a frame cannot be written.
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
            Unencodable::TooLong => f.write_str("a frame has at most 255 bytes of data"),
        }
    }
}

impl core::error::Error for Unencodable {}

impl Frame<'_> {
    /// Writes the frame, without wake-up bytes, to the beginning of `out`; returns its length.
    pub fn encode(&self, out: &mut [u8]) -> Result<usize, Unencodable> {
        let length = u8::try_from(self.data.len()).map_err(|_| Unencodable::TooLong)?;
        let needed = OVERHEAD.saturating_add(self.data.len());
        let out = out.get_mut(..needed).ok_or(Unencodable::Room(NoRoom { needed }))?;
        let head = [START, self.kind].into_iter().chain(self.address.0);
        let body = head.chain([self.control, length]).chain(self.data.iter().copied());
        let mut sum = 0_u8;
        let mut places = out.iter_mut();
        for byte in body {
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
/// the beginning of a frame is garbled up to the next start byte.
///
/// A false start whose length reaches into silence answers `NeedMore` for ever: when the line has
/// fallen quiet, drop [`false_start`] bytes and ask again.
///
/// ```
/// use polymeter_codec::{Decoded, cjt188};
///
/// let mut bytes = [0; 16];
/// let question = cjt188::Frame {
///     kind: cjt188::kind::COLD_WATER,
///     address: "78330011223344".parse()?,
///     control: cjt188::control::READ,
///     data: &[0x1F, 0x90, 0x00],
/// };
/// assert_eq!(question.encode(&mut bytes), Ok(16));
/// assert_eq!(cjt188::decode(&bytes), Decoded::Frame { frame: question, used: 16 });
/// # Ok::<(), cjt188::NotAnAddress>(())
/// ```
pub fn decode(bytes: &[u8]) -> Decoded<Frame<'_>> {
    let woken = bytes.iter().take_while(|byte| **byte == WAKE_UP).count();
    let start = bytes.get(woken..).unwrap_or_default();
    let garbled = || Decoded::Garbled { skip: false_start(bytes) };
    if !may_begin(start) {
        return garbled();
    }
    let Some((header, rest)) = start.split_first_chunk::<HEADER>() else {
        return Decoded::NeedMore { at_least: woken.saturating_add(OVERHEAD) };
    };
    let [_, kind, a0, a1, a2, a3, a4, a5, a6, control, length] = *header;
    let length = usize::from(length);
    let used = woken.saturating_add(OVERHEAD).saturating_add(length);
    let (Some(data), Some([sum, end])) =
        (rest.get(..length), rest.get(length..).and_then(|tail| tail.first_chunk::<2>()))
    else {
        return Decoded::NeedMore { at_least: used };
    };
    let summed = header.iter().chain(data).fold(0_u8, |sum, byte| sum.wrapping_add(*byte));
    let Some(address) = Address::from_wire([a0, a1, a2, a3, a4, a5, a6]) else {
        return garbled();
    };
    if *end != END || *sum != summed {
        return garbled();
    }
    Decoded::Frame { frame: Frame { kind, address, control, data }, used }
}

/// How many bytes to drop so that `bytes` begins with the next start byte after the present one, or
/// with nothing. At least one unless there are none.
pub fn false_start(bytes: &[u8]) -> usize {
    let woken = bytes.iter().take_while(|byte| **byte == WAKE_UP).count();
    let past = woken.saturating_add(1);
    let next = bytes.iter().skip(past).position(|byte| *byte == START);
    next.map_or(bytes.len(), |distance| past.saturating_add(distance))
}

/// Whether the header so far, of any length, can be that of a frame.
fn may_begin(start: &[u8]) -> bool {
    let kind = |kind: &u8| matches!(kind, 0x10..=0x49 | &kind::ANY);
    start.first().is_none_or(|byte| *byte == START)
        && start.get(1).is_none_or(kind)
        && start.iter().skip(2).take(7).all(|byte| may_be_address(*byte))
}
