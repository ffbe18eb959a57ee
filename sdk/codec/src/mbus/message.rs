//! What stands in a telegram: CI, header, encryption, and what they announce (EN 13757-3:2013,
//! clauses 4 and 5; EN 13757-7:2018 for encryption).
//!
//! Invariant: bytes that are encrypted are never given out as records.
//!
//! Not here: what is to be deciphered (`sealed`), what stands below a message (`layers`).

use super::compact::Compact;
use super::fixed::{FIXED_BYTES, Fixed};
use super::identity::SecondaryAddress;
use super::record::Records;
use super::sealed::Encryption;
use super::value::Order;
use core::fmt;

/// Control information (EN 13757-3:2013, table 1; EN 13757-7:2018, table 2).
pub mod ci {
    /// Start again; may be followed by a sub-code of what to answer next.
    pub const RESET: u8 = 0x50;
    /// Records for a device.
    pub const DATA_SEND: u8 = 0x51;
    /// Select a device by its secondary address.
    pub const SELECT: u8 = 0x52;
    /// A device's error.
    pub const ERROR: u8 = 0x70;
    /// Records of a device behind a long header.
    pub const LONG: u8 = 0x72;
    /// Fixed data structure, which has 16 bytes; as [`COMPACT_BARE`] behind a long header, which
    /// has more.
    pub const FIXED: u8 = 0x73;
    /// As [`LONG`], high byte first.
    pub const LONG_HIGH_FIRST: u8 = 0x76;
    /// As [`FIXED`], high byte first.
    pub const FIXED_HIGH_FIRST: u8 = 0x77;
    /// Records of a device without header.
    pub const BARE: u8 = 0x78;
    /// Values without codes; see [`CompactFrame`](super::super::CompactFrame).
    pub const COMPACT_BARE: u8 = 0x79;
    /// Records of a device behind a short header.
    pub const SHORT: u8 = 0x7A;
    /// As [`COMPACT_BARE`] behind a short header.
    pub const COMPACT_SHORT: u8 = 0x7B;
    /// A short header of a device and nothing behind it.
    pub const TRANSPORT_SHORT: u8 = 0x8A;
    /// A long header of a device and nothing behind it.
    pub const TRANSPORT_LONG: u8 = 0x8B;
}

/// What a telegram says, by its CI.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Message<'a> {
    /// Records of a device, or for one.
    Data(Data<'a>),
    /// The fixed structure.
    Fixed(Fixed),
    /// Values without their codes.
    Compact(Compact<'a>),
    /// The device cannot.
    Error(ApplicationError),
    /// Of a CI that is not read here.
    Other,
}

/// Who a device is and how it is, as it says itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Header {
    /// `None` in a short header.
    pub identity: Option<SecondaryAddress>,
    /// Counts the device's answers.
    pub access: u8,
    /// How the device is.
    pub status: Status,
    /// The configuration word, with the mode of encryption.
    pub configuration: u16,
}

/// The status byte of a header (EN 13757-3:2013, table 3).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Status(pub u8);

impl Status {
    /// Bits 0 and 1: the device is busy (1), had an error (2), raises an alarm (3).
    pub fn application(self) -> u8 {
        self.0 & 3
    }

    /// The battery or supply is low.
    pub fn power_low(self) -> bool {
        self.0 & 0x04 != 0
    }

    /// The device is defective.
    pub fn permanent_error(self) -> bool {
        self.0 & 0x08 != 0
    }

    /// The device has an error that may pass.
    pub fn temporary_error(self) -> bool {
        self.0 & 0x10 != 0
    }
}

/// Records, mostly behind a header, which may be encrypted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Data<'a> {
    /// `None` where CI says that there is none.
    pub header: Option<Header>,
    order: Order,
    body: &'a [u8],
}

/// A device's error (EN 13757-3:2013, table 7).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ApplicationError(pub u8);

impl ApplicationError {
    /// As printed.
    pub fn name(self) -> &'static str {
        match self.0 {
            0 => "unspecified error",
            1 => "this CI is not implemented",
            2 => "the buffer is too long, the data was cut",
            3 => "too many records",
            4 => "premature end of record",
            5 => "more than ten DIFEs",
            6 => "more than ten VIFEs",
            8 => "the application is busy with another readout",
            9 => "too many readouts",
            0x10 => "access denied",
            0x11 => "the application is unknown",
            0x12 => "a parameter is missing or wrong",
            _ => "reserved error",
        }
    }
}

/// Why a telegram's data is not what its CI says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum BadMessage {
    /// Shorter than the header.
    HeaderCut {
        /// Bytes that the header has.
        needed: usize,
        /// Bytes that there are.
        came: usize,
    },
    /// The fixed structure has exactly 16 bytes.
    FixedLength(usize),
}

impl fmt::Display for BadMessage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            BadMessage::HeaderCut { needed, came } => {
                write!(f, "the header has {needed} bytes, and {came} came")
            }
            BadMessage::FixedLength(came) => {
                write!(f, "the fixed structure has 16 bytes, and {came} came")
            }
        }
    }
}

impl core::error::Error for BadMessage {}

/// Reads what a long telegram says.
///
/// ```
/// use polymeter_codec::mbus::{Message, message};
///
/// let data = [0x78, 0x03, 0x49, 0x11, 0x77, 0x04, 0x0E, 0x16, 0x0A, 0x00, 0x00, 0x00, 0x01, 0x13, 7];
/// let Ok(Message::Data(data)) = message(0x72, &data) else { panic!("records") };
/// let identity = data.header.and_then(|header| header.identity);
/// assert_eq!(identity.map(|identity| identity.medium()), Some(0x16));
/// assert_eq!(data.records().map(|records| records.count()), Ok(1));
/// assert!(message(0x72, &[0x78, 0x03]).is_err());
/// ```
pub fn message(ci: u8, data: &[u8]) -> Result<Message<'_>, BadMessage> {
    Ok(match ci {
        ci::LONG | ci::TRANSPORT_LONG => Message::Data(Data::long(data, Order::LowFirst)?),
        ci::LONG_HIGH_FIRST => Message::Data(Data::long(data, Order::HighFirst)?),
        ci::SHORT | ci::TRANSPORT_SHORT => Message::Data(Data::short(data)?),
        ci::BARE | ci::DATA_SEND => Message::Data(Data::bare(data)),
        ci::COMPACT_BARE => Message::Compact(Compact(Data::bare(data))),
        ci::COMPACT_SHORT => Message::Compact(Compact(Data::short(data)?)),
        ci::FIXED if data.len() > FIXED_BYTES => {
            Message::Compact(Compact(Data::long(data, Order::LowFirst)?))
        }
        ci::FIXED => Message::Fixed(Fixed::new(data, Order::LowFirst)?),
        ci::FIXED_HIGH_FIRST => Message::Fixed(Fixed::new(data, Order::HighFirst)?),
        // Without a code the error is the unspecified one.
        ci::ERROR => Message::Error(ApplicationError(data.first().copied().unwrap_or(0))),
        _ => Message::Other,
    })
}

impl<'a> Data<'a> {
    fn long(data: &'a [u8], order: Order) -> Result<Data<'a>, BadMessage> {
        let cut = BadMessage::HeaderCut { needed: 12, came: data.len() };
        let (header, body) = data.split_first_chunk::<12>().ok_or(cut)?;
        let [a, b, c, d, m0, m1, version, medium, access, status, low, high] = *header;
        let (identity, configuration) = match order {
            Order::LowFirst => ([a, b, c, d, m0, m1, version, medium], [low, high]),
            Order::HighFirst => ([d, c, b, a, m1, m0, version, medium], [high, low]),
        };
        let header = Header {
            identity: Some(SecondaryAddress::from_wire(identity)),
            access,
            status: Status(status),
            configuration: u16::from_le_bytes(configuration),
        };
        Ok(Data { header: Some(header), order, body })
    }

    fn bare(data: &'a [u8]) -> Data<'a> {
        Data { header: None, order: Order::LowFirst, body: data }
    }

    fn short(data: &'a [u8]) -> Result<Data<'a>, BadMessage> {
        let cut = BadMessage::HeaderCut { needed: 4, came: data.len() };
        let (header, body) = data.split_first_chunk::<4>().ok_or(cut)?;
        let [access, status, low, high] = *header;
        let configuration = u16::from_le_bytes([low, high]);
        let header = Header { identity: None, access, status: Status(status), configuration };
        Ok(Data { header: Some(header), order: Order::LowFirst, body })
    }

    /// In which order the bytes of one value come.
    pub fn order(&self) -> Order {
        self.order
    }

    /// What stands behind the header: records, or what they were encrypted to.
    pub fn body(&self) -> &'a [u8] {
        self.body
    }

    /// How the bytes behind the header are encrypted.
    pub fn encryption(&self) -> Encryption {
        self.header.map_or(Encryption::None, |header| Encryption::of(header.configuration))
    }

    /// The records. `Err`: they are encrypted; see [`Data::sealed`].
    pub fn records(&self) -> Result<Records<'a>, Encryption> {
        match self.encryption() {
            Encryption::None => Ok(Records::new(self.body, self.order)),
            encryption => Err(encryption),
        }
    }
}
