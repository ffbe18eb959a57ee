//! APDUs under a key (IEC 62056-5-3, 5.7): what stands around the cipher text, and the bytes that
//! AES-GCM is fed with.

use crate::NoRoom;
use crate::axdr::{Malformed, Reader, Writer};

/// The tag that authentication adds.
pub const TAG_BYTES: usize = 12;

/// What is done to an APDU, and with which keys; the first byte of what is ciphered.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SecurityControl(pub u8);

impl SecurityControl {
    /// Suite 0, authenticated and encrypted, with the unicast key.
    pub const SUITE_0: SecurityControl = SecurityControl(0x30);

    /// Bits 3 to 0: 0 AES-128-GCM, 1 with ECDSA P-256, 2 AES-256-GCM with P-384.
    pub fn suite(self) -> u8 {
        self.0 & 0x0F
    }

    /// Bit 4.
    pub fn is_authenticated(self) -> bool {
        self.0 & 0x10 != 0
    }

    /// Bit 5.
    pub fn is_encrypted(self) -> bool {
        self.0 & 0x20 != 0
    }

    /// Bit 6: the broadcast key instead of the unicast one.
    pub fn is_broadcast(self) -> bool {
        self.0 & 0x40 != 0
    }

    /// Bit 7: what is inside was compressed (V.44).
    pub fn is_compressed(self) -> bool {
        self.0 & 0x80 != 0
    }
}

/// A ciphered APDU.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Ciphered<'a> {
    /// Which: 21H, 28H, C8H to CFH with a global key, D0H to D7H with a dedicated one, DBH and DCH
    /// for any APDU with either.
    pub tag: u8,
    /// Whose counter it is; said in DBH and DCH alone, else known from the association.
    pub title: Option<&'a [u8]>,
    /// What is done to it.
    pub control: SecurityControl,
    /// The sender's counter; the same number must never be used twice with one key.
    pub counter: u32,
    /// Cipher text and tag, whichever of the two there are.
    pub payload: &'a [u8],
}

impl<'a> Ciphered<'a> {
    /// Whether an APDU with this tag is a ciphered one.
    pub fn is_tag(tag: u8) -> bool {
        matches!(tag, 0x21 | 0x28 | 0xC8..=0xCF | 0xD0..=0xD7 | 0xDB | 0xDC)
    }

    /// Behind the tag.
    pub(super) fn read(tag: u8, reader: &mut Reader<'a>) -> Result<Ciphered<'a>, Malformed> {
        let general = matches!(tag, 0xDB | 0xDC);
        let title = if general { Some(reader.octets()?) } else { None };
        let length = reader.length()?;
        let before = *reader;
        let rest = reader.take(length, "as many bytes as their length says")?;
        let Some((&[control, a, b, c, d], payload)) = rest.split_first_chunk::<5>() else {
            return Err(before.malformed("control byte and counter"));
        };
        let control = SecurityControl(control);
        if control.is_authenticated() && payload.len() < TAG_BYTES {
            return Err(before.malformed("a payload with a tag of 12 bytes"));
        }
        let counter = u32::from_be_bytes([a, b, c, d]);
        Ok(Ciphered { tag, title, control, counter, payload })
    }

    /// Writes the APDU; returns its length.
    pub fn encode(&self, out: &mut [u8]) -> Result<usize, NoRoom> {
        let mut writer = Writer::new(out);
        writer.byte(self.tag);
        if let Some(title) = self.title {
            writer.octets(title);
        }
        writer.length(self.payload.len().saturating_add(5));
        writer.byte(self.control.0);
        writer.bytes(&self.counter.to_be_bytes());
        writer.bytes(self.payload);
        writer.finish()
    }
}

/// The nonce of AES-GCM: the system title of whoever ciphers, and its counter.
pub fn nonce(title: [u8; 8], counter: u32) -> [u8; 12] {
    let mut nonce = [0; 12];
    let bytes = title.into_iter().chain(counter.to_be_bytes());
    nonce.iter_mut().zip(bytes).for_each(|(place, byte)| *place = byte);
    nonce
}
