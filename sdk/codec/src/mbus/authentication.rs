//! The layer of authentication and fragments (EN 13757-7:2018, clause 6; CI 90), which wired meters
//! have too.
//!
//! Invariant: a part of a message is never taken for the message.
//!
//! Not here: computing codes. This says of which bytes the vault is to make one, and compares; putting
//! fragments together.

use super::layers::{BadLayer, Layer};
use core::fmt;

/// The layer of authentication.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Authentication<'a> {
    /// The message control field, where there is one.
    pub control: Option<u8>,
    /// Version and number of the key, where they are told.
    pub key: Option<[u8; 2]>,
    /// The message counter, low byte first, where there is one.
    pub counter: Option<[u8; 4]>,
    /// The message authentication code; empty where there is none.
    pub mac: &'a [u8],
    /// The length of the message, as on the wire, where it is told.
    pub length: Option<[u8; 2]>,
    /// CI and what follows it, which the code is of.
    message: &'a [u8],
}

/// Bits of the fragmentation control field (EN 13757-7:2018, clause 6).
mod fragment {
    pub const MORE: u16 = 0x4000;
    pub const CONTROL: u16 = 0x2000;
    pub const LENGTH: u16 = 0x1000;
    pub const COUNTER: u16 = 0x0800;
    pub const MAC: u16 = 0x0400;
    pub const KEY: u16 = 0x0200;
}

/// Authentication by AES-CMAC of 2, 4, 8, 12, 16 bytes (EN 13757-7:2018, table 6).
const CMAC_KINDS: [(u8, usize); 5] = [(3, 2), (4, 4), (5, 8), (6, 12), (7, 16)];

impl<'a> Authentication<'a> {
    pub(super) fn new(data: &'a [u8]) -> Result<Authentication<'a>, BadLayer> {
        let cut = |needed| BadLayer::Cut { layer: Layer::Authentication, needed, came: data.len() };
        let (told, rest) = data.split_first().ok_or(cut(1))?;
        let needed = usize::from(*told).saturating_add(1);
        let (fields, message) = rest.split_at_checked(usize::from(*told)).ok_or(cut(needed))?;
        let short = |fields| BadLayer::AuthenticationLength { told: *told, fields };
        let (control, mut fields) = fields.split_first_chunk::<2>().ok_or(short(2))?;
        let control = u16::from_le_bytes(*control);
        let [number, _] = control.to_le_bytes();
        // A message in one piece is 0, the first of several is 1.
        if number != 0 || control & fragment::MORE != 0 {
            return Err(BadLayer::Fragment { number });
        }
        let has = |bit| control & bit != 0;
        let each = [(fragment::CONTROL, 1), (fragment::KEY, 2), (fragment::COUNTER, 4)];
        let before = each.iter().filter(|(bit, _)| has(*bit)).map(|(_, bytes)| *bytes);
        let before: usize = before.fold(2, usize::saturating_add);
        let behind: usize = if has(fragment::LENGTH) { 2 } else { 0 };
        let short = short(before.saturating_add(behind));
        let mut took = Authentication {
            control: None,
            key: None,
            counter: None,
            mac: &[],
            length: None,
            message,
        };
        if has(fragment::CONTROL) {
            let (control, more) = fields.split_first().ok_or(short)?;
            (took.control, fields) = (Some(*control), more);
        }
        if has(fragment::KEY) {
            let (key, more) = fields.split_first_chunk::<2>().ok_or(short)?;
            (took.key, fields) = (Some(*key), more);
        }
        if has(fragment::COUNTER) {
            let (counter, more) = fields.split_first_chunk::<4>().ok_or(short)?;
            (took.counter, fields) = (Some(*counter), more);
        }
        if has(fragment::LENGTH) {
            let (more, length) = fields.split_last_chunk::<2>().ok_or(short)?;
            (took.length, fields) = (Some(*length), more);
        }
        // What is left is the code, and its length follows from the layer's.
        if has(fragment::MAC) == fields.is_empty() {
            return Err(short);
        }
        took.mac = fields;
        took.judge_mac()?;
        Ok(took)
    }

    pub(super) fn message(&self) -> &'a [u8] {
        self.message
    }

    /// How the message is authenticated, by the message control field; 0: not at all.
    pub fn kind(&self) -> u8 {
        self.control.unwrap_or(0) & 0x0F
    }

    fn judge_mac(&self) -> Result<(), BadLayer> {
        let (kind, came) = (self.kind(), self.mac.len());
        let known = CMAC_KINDS.iter().find(|(known, _)| *known == kind);
        match known {
            Some((_, bytes)) if came > 0 && came != *bytes => {
                Err(BadLayer::MacLength { kind, came })
            }
            _ => Ok(()),
        }
    }

    /// What the code proves.
    pub fn proof(&self) -> Result<Proof<'a>, Unproven> {
        if self.mac.is_empty() {
            return Err(Unproven::NoMac);
        }
        let kind = self.kind();
        if !CMAC_KINDS.iter().any(|(known, _)| *known == kind) {
            return Err(Unproven::Kind(kind));
        }
        // Where key information stands in what is authenticated, no published telegram shows.
        if self.key.is_some() {
            return Err(Unproven::KeyInformation);
        }
        let (Some(control), Some(counter)) = (self.control, self.counter) else {
            return Err(Unproven::NoCounter);
        };
        let Authentication { mac, length, message, .. } = *self;
        Ok(Proof { mac, control, counter, length, message })
    }
}

/// A code, and all that it is of.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Proof<'a> {
    /// The first bytes of an AES-CMAC under the key of this message, see
    /// [`mode_7_derivation`](super::mode_7_derivation).
    pub mac: &'a [u8],
    /// The message counter, low byte first.
    pub counter: [u8; 4],
    control: u8,
    length: Option<[u8; 2]>,
    message: &'a [u8],
}

impl Proof<'_> {
    /// The bytes that are authenticated: message control, counter, length where it is told, message
    /// (EN 13757-7:2018, clause 9).
    pub fn covered(&self) -> impl Iterator<Item = u8> + '_ {
        let head = core::iter::once(self.control).chain(self.counter);
        head.chain(self.length.into_iter().flatten()).chain(self.message.iter().copied())
    }

    /// Whether `code` begins as the message's does. Every byte is looked at.
    pub fn is_proved_by(&self, code: &[u8]) -> bool {
        let pairs = self.mac.iter().zip(code);
        let differ = pairs.fold(0, |differ, (told, made)| differ | (told ^ made));
        !self.mac.is_empty() && code.len() >= self.mac.len() && differ == 0
    }
}

/// Why a code proves nothing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Unproven {
    /// There is none.
    NoMac,
    /// Authentication of a type that is not read here.
    Kind(u8),
    /// It names its key, and how that enters the code is not known here.
    KeyInformation,
    /// Message control or counter are missing, without which there is no key.
    NoCounter,
}

impl fmt::Display for Unproven {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Unproven::NoMac => f.write_str("the message has no authentication code"),
            Unproven::Kind(kind) => write!(f, "authentication of type {kind} is not read here"),
            Unproven::KeyInformation => {
                f.write_str("authentication with key information is not read here")
            }
            Unproven::NoCounter => f.write_str("the authentication layer has no message counter"),
        }
    }
}

impl core::error::Error for Unproven {}
