//! The address of a meter (DL/T 698.45-2017, 7.2.3.4): digits, low pair first, of 1 to 16 bytes.

use core::fmt;

const BYTES_MAX: usize = 16;

/// Whom an address means.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum AddressKind {
    /// One meter.
    Single,
    /// Any whose digits match; A matches every digit.
    Wildcard,
    /// A group of meters.
    Group,
    /// All of them; nobody answers.
    Broadcast,
}

/// The server's address: whom the frame goes to, or who sent it.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct ServerAddress {
    kind: AddressKind,
    /// Bits 5 and 4 of the first byte: which logical device of the meter.
    logical: u8,
    /// Low pair first.
    bytes: [u8; BYTES_MAX],
    /// 1 to 16.
    length: usize,
}

impl ServerAddress {
    /// Whoever hears it: twelve wildcard digits.
    pub const ANY: ServerAddress = ServerAddress {
        kind: AddressKind::Wildcard,
        logical: 0,
        bytes: [0xAA; BYTES_MAX],
        length: 6,
    };

    /// Of digits as printed on the plate, an even number up to 32. With an `A` among them the
    /// address is a wildcard. `None` for anything else.
    ///
    /// ```
    /// use polymeter_codec::dlt698::{AddressKind, ServerAddress};
    ///
    /// let meter = ServerAddress::from_digits("003708191239").expect("twelve digits");
    /// assert_eq!(meter.bytes(), [0x39, 0x12, 0x19, 0x08, 0x37, 0x00]);
    /// let any = ServerAddress::from_digits("AAAAAAAAAA39").expect("a wildcard");
    /// assert!(any.kind() == AddressKind::Wildcard && any.matches(&meter));
    /// assert!(ServerAddress::from_digits("12345").is_none());
    /// ```
    pub fn from_digits(text: &str) -> Option<ServerAddress> {
        let digits = text.as_bytes();
        let (pairs, odd) = digits.as_chunks::<2>();
        if pairs.is_empty() || pairs.len() > BYTES_MAX || !odd.is_empty() {
            return None;
        }
        let mut bytes = [0; BYTES_MAX];
        let mut wildcard = false;
        for (byte, pair) in bytes.iter_mut().zip(pairs.iter().rev()) {
            for digit in pair {
                let digit = char::from(*digit).to_digit(11)?;
                wildcard |= digit == 10;
                *byte = *byte << 4 | u8::try_from(digit).ok()?;
            }
        }
        let kind = if wildcard { AddressKind::Wildcard } else { AddressKind::Single };
        Some(ServerAddress { kind, logical: 0, bytes, length: pairs.len() })
    }

    /// Of the flag byte and what follows it; the flag says how many bytes do.
    pub(super) fn from_wire(flag: u8, wire: &[u8]) -> Option<ServerAddress> {
        let mut bytes = [0; BYTES_MAX];
        let length = address_bytes(flag);
        let wire = wire.get(..length)?;
        bytes.iter_mut().zip(wire).for_each(|(byte, wire)| *byte = *wire);
        let kind = match flag >> 6 {
            0 => AddressKind::Single,
            1 => AddressKind::Wildcard,
            2 => AddressKind::Group,
            _ => AddressKind::Broadcast,
        };
        Some(ServerAddress { kind, logical: flag >> 4 & 0b11, bytes, length })
    }

    /// Kind, logical device and length less one.
    pub(super) fn flag(&self) -> u8 {
        let kind = match self.kind {
            AddressKind::Single => 0,
            AddressKind::Wildcard => 1,
            AddressKind::Group => 2,
            AddressKind::Broadcast => 3,
        };
        let length = u8::try_from(self.length.saturating_sub(1)).unwrap_or(0);
        kind << 6 | self.logical << 4 | length & 0x0F
    }

    /// Whom it means.
    pub fn kind(&self) -> AddressKind {
        self.kind
    }

    /// Which logical device of the meter, 0 to 3.
    pub fn logical(&self) -> u8 {
        self.logical
    }

    /// As on the wire, low pair first.
    pub fn bytes(&self) -> &[u8] {
        self.bytes.get(..self.length).unwrap_or_default()
    }

    /// Whether a frame to this address is for the meter `other`, whose answer may come under it.
    pub fn matches(&self, other: &ServerAddress) -> bool {
        let nibble = |ours: u8, theirs: u8| ours == theirs || ours == 0x0A;
        let same = self.bytes().iter().zip(other.bytes()).all(|(ours, theirs)| {
            nibble(ours >> 4, theirs >> 4) && nibble(ours & 0x0F, theirs & 0x0F)
        });
        same && self.length == other.length
    }
}

/// How many bytes of address follow a flag.
pub(super) fn address_bytes(flag: u8) -> usize {
    usize::from(flag & 0x0F).saturating_add(1)
}

/// Digits, the high one first, `A` for a wildcard, and what fills up an odd number left out.
impl fmt::Display for ServerAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for byte in self.bytes().iter().rev() {
            for nibble in [byte >> 4, byte & 0x0F] {
                if nibble != 0x0F {
                    write!(f, "{nibble:X}")?;
                }
            }
        }
        Ok(())
    }
}

impl fmt::Debug for ServerAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "ServerAddress({:?} {self})", self.kind)
    }
}
