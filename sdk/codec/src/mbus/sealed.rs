//! What of a message is encrypted (EN 13757-7:2018, clause 7): which bytes, with which initial vector,
//! under which key.
//!
//! Invariant: what a mode is not read here is said to be so, and never taken for records.
//!
//! Not here: ciphers. The vault deciphers, and [`Sealed::opened`] judges what came of it; no key comes
//! near.

use super::identity::SecondaryAddress;
use super::message::Data;
use super::record::Records;
use super::value::Order;
use core::fmt;

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
    pub(super) fn of(configuration: u16) -> Encryption {
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

impl<'a> Data<'a> {
    /// What is to be deciphered. `identity` is that of the link layer, for a short header; `counter`
    /// that of the layer of authentication, for mode 7.
    pub fn sealed(
        &self,
        identity: Option<SecondaryAddress>,
        counter: Option<[u8; 4]>,
    ) -> Result<Sealed<'a>, NotSealed> {
        let header = self.header.ok_or(NotSealed::Plain)?;
        let identity = header.identity.or(identity).ok_or(NotSealed::NoIdentity);
        let (blocks, body, iv, derivation) = match self.encryption() {
            Encryption::None => return Err(NotSealed::Plain),
            Encryption::Other { mode } => return Err(NotSealed::Mode(mode)),
            Encryption::Mode5 { blocks } => {
                (blocks, self.body(), mode_5_iv(identity?, header.access), None)
            }
            Encryption::Mode7 { blocks } => {
                // One byte more of configuration: the derivation and the number of the key.
                let (extension, body) = self.body().split_first().ok_or(NotSealed::Cut)?;
                let way = extension >> 4 & 3;
                if way != DERIVED_BY_CMAC {
                    return Err(NotSealed::Derivation(way));
                }
                let counter = counter.ok_or(NotSealed::NoCounter)?;
                let factor = mode_7_derivation(Derived::FromDevice, counter, identity?.number());
                (blocks, body, [0; 16], Some(factor))
            }
        };
        let whole = body.len().checked_div(16).unwrap_or(0).saturating_mul(16);
        // 15 is all of them, and more than 15.
        let length = if blocks == 15 { whole } else { usize::from(blocks).saturating_mul(16) };
        let (cipher, plain) = body.split_at_checked(length).ok_or(NotSealed::Cut)?;
        Ok(Sealed { cipher, plain, iv, derivation, order: self.order() })
    }
}

/// KDF selection of the configuration's third byte (EN 13757-7:2018, clause 7).
const DERIVED_BY_CMAC: u8 = 1;

/// Vendor, number, version, medium, then eight times the access number (EN 13757-7:2018, 7.7.5).
fn mode_5_iv(identity: SecondaryAddress, access: u8) -> [u8; 16] {
    let [a, b, c, d, m0, m1, version, medium] = identity.to_wire();
    let mut iv = [access; 16];
    let head = [m0, m1, a, b, c, d, version, medium];
    iv.iter_mut().zip(head).for_each(|(place, byte)| *place = byte);
    iv
}

/// For what a key is derived from a device's (EN 13757-7:2018, clause 9).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Derived {
    /// To decipher what a device sends.
    FromDevice,
    /// To prove what it sends, see [`Proof`](super::Proof).
    CodeFromDevice,
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
        Derived::CodeFromDevice => 0x01,
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
    /// What the key is derived from (the vault's diversification 5); `None`: it is the device's key.
    pub derivation: Option<[u8; 16]>,
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
    /// Its key is derived from a message counter, and no layer below brought one.
    NoCounter,
    /// The key is derived in a way that is not read here.
    Derivation(u8),
}

impl fmt::Display for NotSealed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            NotSealed::Plain => f.write_str("the data is not encrypted"),
            NotSealed::Mode(mode) => write!(f, "encryption mode {mode} is not read here"),
            NotSealed::NoIdentity => f.write_str("a short header does not say whose data it is"),
            NotSealed::Cut => f.write_str("fewer bytes are encrypted than the header counts"),
            NotSealed::NoCounter => f.write_str(
                "the records are encrypted in mode 7, and there is no message counter (CI 90)",
            ),
            NotSealed::Derivation(way) => {
                write!(f, "derivation {way} of the key of mode 7 is not read here")
            }
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
