//! What stands in a telegram: CI, header, encryption, and what they announce (EN 13757-3:2013,
//! clauses 4 and 5; EN 13757-7:2018 for encryption).
//!
//! Invariant: bytes that are encrypted are never given out as records.
//!
//! Not here: ciphers. This says which bytes are ciphered how, the vault deciphers them, and
//! [`Sealed::opened`] judges what came of it; no key comes near.

use super::fixed::Fixed;
use super::identity::SecondaryAddress;
use super::record::Records;
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
    /// Fixed data structure.
    pub const FIXED: u8 = 0x73;
    /// As [`LONG`], high byte first.
    pub const LONG_HIGH_FIRST: u8 = 0x76;
    /// As [`FIXED`], high byte first.
    pub const FIXED_HIGH_FIRST: u8 = 0x77;
    /// Records of a device without header.
    pub const BARE: u8 = 0x78;
    /// Records of a device behind a short header.
    pub const SHORT: u8 = 0x7A;
}

/// What a telegram says, by its CI.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Message<'a> {
    /// Records of a device, or for one.
    Data(Data<'a>),
    /// The fixed structure.
    Fixed(Fixed),
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
        ci::LONG => Message::Data(Data::long(data, Order::LowFirst)?),
        ci::LONG_HIGH_FIRST => Message::Data(Data::long(data, Order::HighFirst)?),
        ci::SHORT => Message::Data(Data::short(data)?),
        ci::BARE | ci::DATA_SEND => {
            Message::Data(Data { header: None, order: Order::LowFirst, body: data })
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

    /// What is to be deciphered. `identity` is that of the link layer, for a short header.
    pub fn sealed(&self, identity: Option<SecondaryAddress>) -> Result<Sealed<'a>, NotSealed> {
        let header = self.header.ok_or(NotSealed::Plain)?;
        let (blocks, body, iv) = match self.encryption() {
            Encryption::None => return Err(NotSealed::Plain),
            Encryption::Other { mode } => return Err(NotSealed::Mode(mode)),
            Encryption::Mode5 { blocks } => {
                let identity = header.identity.or(identity).ok_or(NotSealed::NoIdentity)?;
                (blocks, self.body, mode_5_iv(identity, header.access))
            }
            Encryption::Mode7 { blocks } => {
                // One byte more of configuration: version and use of the key.
                let (_, body) = self.body.split_first().ok_or(NotSealed::Cut)?;
                (blocks, body, [0; 16])
            }
        };
        let whole = body.len().checked_div(16).unwrap_or(0).saturating_mul(16);
        // 15 is all of them, and more than 15.
        let length = if blocks == 15 { whole } else { usize::from(blocks).saturating_mul(16) };
        let (cipher, plain) = body.split_at_checked(length).ok_or(NotSealed::Cut)?;
        Ok(Sealed { cipher, plain, iv, order: self.order })
    }
}

/// How data is encrypted, by the configuration word (EN 13757-7:2018, 7.6).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Encryption {
    /// Not at all.
    None,
    /// AES-128 in CBC with an initial vector of header and access number.
    Mode5 {
        /// Of 16 bytes, at the beginning; 15: all.
        blocks: u8,
    },
    /// AES-128 in CBC with a key derived for this message, and no initial vector.
    Mode7 {
        /// Of 16 bytes, at the beginning; 15: all.
        blocks: u8,
    },
    /// A mode that is not read here.
    Other {
        /// Its number.
        mode: u8,
    },
}

impl Encryption {
    fn of(configuration: u16) -> Encryption {
        let [low, high] = configuration.to_le_bytes();
        let blocks = low >> 4;
        match high & 0x1F {
            0 => Encryption::None,
            // A signature of before there were modes, which the device does not use.
            _ if configuration == 0xFFFF => Encryption::None,
            // Mode announced, nothing encrypted.
            5 if blocks == 0 => Encryption::None,
            5 => Encryption::Mode5 { blocks },
            7 => Encryption::Mode7 { blocks },
            mode => Encryption::Other { mode },
        }
    }
}

impl fmt::Display for Encryption {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Encryption::None => f.write_str("not encrypted"),
            Encryption::Mode5 { .. } => f.write_str("encrypted in mode 5"),
            Encryption::Mode7 { .. } => f.write_str("encrypted in mode 7"),
            Encryption::Other { mode } => write!(f, "encrypted in mode {mode}"),
        }
    }
}

/// Vendor, number, version, medium, then eight times the access number (EN 13757-7:2018, 7.7.5).
fn mode_5_iv(identity: SecondaryAddress, access: u8) -> [u8; 16] {
    let [a, b, c, d, m0, m1, version, medium] = identity.to_wire();
    let mut iv = [access; 16];
    let head = [m0, m1, a, b, c, d, version, medium];
    iv.iter_mut().zip(head).for_each(|(place, byte)| *place = byte);
    iv
}

/// For whom a key of mode 7 is derived.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Derived {
    /// To decipher what a device sends.
    FromDevice,
    /// To encipher what is sent to it.
    ToDevice,
}

/// What the key of mode 7 is derived from: the AES-CMAC of these 16 bytes under the device's key is
/// the key of one message (EN 13757-7:2018, 9.6; the vault's diversification 5). `counter` is the
/// message counter, `number` the device's, both low byte first.
pub fn mode_7_derivation(to: Derived, counter: [u8; 4], number: [u8; 4]) -> [u8; 16] {
    let [c0, c1, c2, c3] = counter;
    let [a, b, c, d] = number;
    let constant = match to {
        Derived::FromDevice => 0x00,
        Derived::ToDevice => 0x10,
    };
    [constant, c0, c1, c2, c3, a, b, c, d, 7, 7, 7, 7, 7, 7, 7]
}

/// What the vault has to decipher: AES-128, CBC.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Sealed<'a> {
    /// Whole blocks of 16 bytes.
    pub cipher: &'a [u8],
    /// What follows them and is not encrypted.
    pub plain: &'a [u8],
    /// The initial vector.
    pub iv: [u8; 16],
    order: Order,
}

/// Why there is nothing to decipher.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum NotSealed {
    /// It is not encrypted.
    Plain,
    /// In a mode that is not read here.
    Mode(u8),
    /// The header is a short one, and nobody said whose it is.
    NoIdentity,
    /// Fewer bytes than the header counts.
    Cut,
}

impl fmt::Display for NotSealed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            NotSealed::Plain => f.write_str("the data is not encrypted"),
            NotSealed::Mode(mode) => write!(f, "encryption mode {mode} is not read here"),
            NotSealed::NoIdentity => f.write_str("a short header does not say whose data it is"),
            NotSealed::Cut => f.write_str("fewer bytes are encrypted than the header counts"),
        }
    }
}

impl core::error::Error for NotSealed {}

/// What was deciphered does not begin with 2F 2F: the key is another one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct WrongKey;

impl fmt::Display for WrongKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("what was deciphered is no data: the key is wrong")
    }
}

impl core::error::Error for WrongKey {}

impl Sealed<'_> {
    /// The records in what `deciphered` says, which is `cipher` deciphered; those in `plain` go on
    /// behind it, see [`Sealed::plain_records`].
    pub fn opened<'b>(&self, deciphered: &'b [u8]) -> Result<Records<'b>, WrongKey> {
        let marked = deciphered.starts_with(&[0x2F, 0x2F]) && deciphered.len() == self.cipher.len();
        if marked { Ok(Records::new(deciphered, self.order)) } else { Err(WrongKey) }
    }

    /// The records that are not encrypted.
    pub fn plain_records(&self) -> Records<'_> {
        Records::new(self.plain, self.order)
    }
}
