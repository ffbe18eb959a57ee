//! Who a device is: identification number, vendor, version and medium, which together are its
//! secondary address (EN 13757-3, 6.4 and EN 13757-7).
//!
//! Invariant: the eight bytes are kept as on the wire in mode 1, low byte first.

use core::fmt;

/// The eight bytes by which a device is told from every other one, or a pattern of them: a nibble F
/// of the number stands for any digit, a byte FF of the rest for any byte.
///
/// Its text is 16 hexadecimal digits: the number as printed, then vendor (its two bytes as on
/// the wire), version and medium. Eight digits are a number whose device may be anybody's.
///
/// ```
/// use polymeter_codec::mbus::SecondaryAddress;
///
/// let device: SecondaryAddress = "1149037877040E16".parse()?;
/// assert_eq!(device.to_wire(), [0x78, 0x03, 0x49, 0x11, 0x77, 0x04, 0x0E, 0x16]);
/// assert_eq!(device.vendor_letters(), Some(['A', 'C', 'W']));
/// let pattern: SecondaryAddress = "1149FFFF".parse()?;
/// assert!(pattern.matches(device) && !pattern.is_one_device() && device.is_one_device());
/// # Ok::<(), polymeter_codec::mbus::NotAnAddress>(())
/// ```
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct SecondaryAddress([u8; 8]);

impl SecondaryAddress {
    /// Means every device.
    pub const ANY: SecondaryAddress = SecondaryAddress([0xFF; 8]);

    /// From the wire, low byte first. Any eight bytes are one.
    pub fn from_wire(bytes: [u8; 8]) -> SecondaryAddress {
        SecondaryAddress(bytes)
    }

    /// Low byte first: number, vendor, version, medium.
    pub fn to_wire(self) -> [u8; 8] {
        self.0
    }

    /// The number's bytes, low one first.
    pub fn number(self) -> [u8; 4] {
        let [a, b, c, d, ..] = self.0;
        [a, b, c, d]
    }

    /// The vendor as a number.
    pub fn vendor_number(self) -> u16 {
        let [_, _, _, _, low, high, ..] = self.0;
        u16::from_le_bytes([low, high])
    }

    /// The three letters of the vendor (FLAG association); `None` where the number is no
    /// letters. The top bit is not part of them: it says that the address is not unique worldwide.
    pub fn vendor_letters(self) -> Option<[char; 3]> {
        vendor_letters(self.vendor_number())
    }

    /// The version.
    pub fn version(self) -> u8 {
        let [.., version, _] = self.0;
        version
    }

    /// The medium, also called device type: see [`medium_name`].
    pub fn medium(self) -> u8 {
        let [.., medium] = self.0;
        medium
    }

    /// Has no wildcard.
    pub fn is_one_device(self) -> bool {
        let number = self.number();
        let rest = self.0.iter().skip(4);
        number.iter().all(|byte| byte >> 4 != 0xF && byte & 0xF != 0xF)
            && rest.clone().all(|byte| *byte != 0xFF)
    }

    /// Whether `self`, in which F and FF stand for anything, could mean `other`.
    pub fn matches(self, other: SecondaryAddress) -> bool {
        let nibble = |ours: u8, theirs: u8| ours == 0xF || ours == theirs;
        self.0.iter().zip(other.0).enumerate().all(|(place, (ours, theirs))| {
            if place < 4 {
                nibble(ours >> 4, theirs >> 4) && nibble(ours & 0xF, theirs & 0xF)
            } else {
                *ours == 0xFF || *ours == theirs
            }
        })
    }
}

/// Three letters of 5 bits each (EN 13757-3, 6.4.3).
pub(super) fn vendor_letters(number: u16) -> Option<[char; 3]> {
    let letter = |bits: u16| {
        let code = u8::try_from(bits & 0x1F).ok()?.checked_add(0x40)?;
        code.is_ascii_uppercase().then(|| char::from(code))
    };
    Some([letter(number >> 10)?, letter(number >> 5)?, letter(number)?])
}

/// What a medium byte means (EN 13757-3:2013, table 6; the reserved ones are `None`).
pub fn medium_name(medium: u8) -> Option<&'static str> {
    Some(match medium {
        0x00 => "other",
        0x01 => "oil",
        0x02 => "electricity",
        0x03 => "gas",
        0x04 => "heat, outlet",
        0x05 => "steam",
        0x06 => "warm water",
        0x07 => "water",
        0x08 => "heat cost allocator",
        0x09 => "compressed air",
        0x0A => "cooling, outlet",
        0x0B => "cooling, inlet",
        0x0C => "heat, inlet",
        0x0D => "heat and cooling",
        0x0E => "bus or system",
        0x0F => "unknown",
        0x14 => "calorific value",
        0x15 => "hot water",
        0x16 => "cold water",
        0x17 => "hot and cold water",
        0x18 => "pressure",
        0x19 => "analogue to digital converter",
        0x1A => "smoke detector",
        0x1B => "room sensor",
        0x1C => "gas detector",
        0x20 => "breaker",
        0x21 => "valve",
        0x25 => "customer unit",
        0x28 => "waste water",
        0x29 => "garbage",
        0x31 => "communication controller",
        0x32 => "unidirectional repeater",
        0x33 => "bidirectional repeater",
        0x36 => "radio converter, system side",
        0x37 => "radio converter, meter side",
        _ => return None,
    })
}

impl fmt::Display for SecondaryAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.number().iter().rev().try_for_each(|byte| write!(f, "{byte:02X}"))?;
        self.0.iter().skip(4).try_for_each(|byte| write!(f, "{byte:02X}"))
    }
}

impl fmt::Debug for SecondaryAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "SecondaryAddress({self})")
    }
}

/// Neither 8 nor 16 hexadecimal digits.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct NotAnAddress;

impl fmt::Display for NotAnAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a secondary address is 8 or 16 hexadecimal digits; F stands for any")
    }
}

impl core::error::Error for NotAnAddress {}

impl core::str::FromStr for SecondaryAddress {
    type Err = NotAnAddress;

    fn from_str(text: &str) -> Result<SecondaryAddress, NotAnAddress> {
        let digits = text.as_bytes();
        if !matches!(digits.len(), 8 | 16) {
            return Err(NotAnAddress);
        }
        let mut bytes = [0xFF; 8];
        for (byte, pair) in bytes.iter_mut().zip(digits.chunks(2)) {
            let [high, low] = pair else { return Err(NotAnAddress) };
            *byte = hex_digit(*high)? << 4 | hex_digit(*low)?;
        }
        let [a, b, c, d, rest @ ..] = bytes;
        let [m0, m1, version, medium] = rest;
        Ok(SecondaryAddress([d, c, b, a, m0, m1, version, medium]))
    }
}

fn hex_digit(character: u8) -> Result<u8, NotAnAddress> {
    let digit = char::from(character).to_digit(16).ok_or(NotAnAddress)?;
    u8::try_from(digit).map_err(|_| NotAnAddress)
}
