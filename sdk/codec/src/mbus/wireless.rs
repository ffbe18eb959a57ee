//! The link layer of wireless M-Bus (EN 13757-4:2013, clause 11):
//!
//! ```text
//! format A   L C M M A A A A A A  CRC | CI data[..15]  CRC | data[..16]  CRC | ..
//! format B   L C M M A A A A A A  CI data[..115]       CRC | data[..126] CRC
//! without    L C M M A A A A A A  CI data              as most receivers hand it on
//! ```
//!
//! Invariant: a [`Checked`] telegram had every one of its checksums right; of one that came without
//! them, nothing but its length, its control field and its letters could be checked, and so says
//! [`Frame`].
//!
//! Not here: the coding on the air (Manchester, 3 of 6), preambles; what follows the address
//! (`layers`).

use super::identity::SecondaryAddress;
use crate::Decoded;
use core::fmt;

/// The longest telegram without checksums: L and what it counts.
pub const FRAME_BYTES_MAX: usize = 256;
/// L, C, M and A.
const HEAD_BYTES: usize = 10;
const CRC_BYTES: usize = 2;
/// Data bytes of a block of format A.
const BLOCK_A_BYTES: usize = 16;
/// Bytes of the first block of format B, which has L to A too, and of the second, without checksum.
const BLOCK_B_BYTES: usize = 126;
/// What L counts in the shortest telegram: C, M, A and CI.
const LENGTH_MIN: u8 = 10;
/// The same in format B, which counts the checksum too.
const LENGTH_B_MIN: u8 = 12;

/// Where a telegram's checksums stand.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Format {
    /// One behind the address and behind every 16 bytes.
    A,
    /// One at the end, and where it is long, one at byte 126.
    B,
}

/// A telegram with its checksums, all of which are right.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Checked<'a> {
    /// Where the checksums stand.
    pub format: Format,
    bytes: &'a [u8],
}

/// Checksum of the link layers (EN 13757-4:2013, clause 11): polynomial 3D65, high bit first, inverted.
///
/// ```
/// assert_eq!(polymeter_codec::mbus::wireless::crc(b"123456789"), 0xC2B7);
/// ```
pub fn crc(bytes: &[u8]) -> u16 {
    !bytes.iter().fold(0_u16, |crc, byte| {
        (0..8).fold(crc ^ u16::from(*byte) << 8, |crc, _| {
            let shifted = crc << 1;
            if crc & 0x8000 == 0 { shifted } else { shifted ^ 0x3D65 }
        })
    })
}

/// Takes the telegram that begins `bytes`, which has its checksums. Any byte may be the L of one, so
/// what is garbled is so for one byte; when nothing follows, drop one byte and ask again.
///
/// ```
/// use polymeter_codec::Decoded;
/// use polymeter_codec::mbus::wireless::{Frame, decode};
///
/// let heard = [
///     0x0B, 0x44, 0x93, 0x15, 0x78, 0x56, 0x34, 0x12, 0x33, 0x03, 0x26, 0xE7, 0x78, 0x0F, 0x52, 0xB0,
/// ];
/// let Decoded::Frame { frame, used: 16 } = decode(&heard) else { panic!("a telegram") };
/// let mut room = [0; 256];
/// let told = Frame::new(frame.without_checksums(&mut room))?;
/// assert_eq!((told.sender.to_string().as_str(), told.ci), ("1234567893153303", 0x78));
/// assert_eq!(decode(&heard[..12]), Decoded::NeedMore { at_least: 16 });
/// # Ok::<(), polymeter_codec::mbus::wireless::BadFrame>(())
/// ```
pub fn decode(bytes: &[u8]) -> Decoded<Checked<'_>> {
    let Some(head) = bytes.first_chunk::<2>() else {
        return Decoded::NeedMore { at_least: bytes.len().saturating_add(1) };
    };
    let [length, control] = *head;
    if length < LENGTH_MIN || !is_control(control) {
        return Decoded::Garbled { skip: 1 };
    }
    let Some((first, _)) = bytes.split_first_chunk::<{ HEAD_BYTES + CRC_BYTES }>() else {
        return Decoded::NeedMore { at_least: HEAD_BYTES.saturating_add(CRC_BYTES) };
    };
    let format = if is_whole(first) { Format::A } else { Format::B };
    if format == Format::B && length < LENGTH_B_MIN {
        return Decoded::Garbled { skip: 1 };
    }
    let mut rest = bytes;
    let mut used = 0_usize;
    for block in blocks(format, length) {
        used = used.saturating_add(block);
        match rest.split_at_checked(block) {
            Some((whole, more)) if is_whole(whole) => rest = more,
            Some(_) => return Decoded::Garbled { skip: 1 },
            None => return Decoded::NeedMore { at_least: used },
        }
    }
    Decoded::Frame { frame: Checked { format, bytes: bytes.get(..used).unwrap_or_default() }, used }
}

/// Control fields (EN 13757-4:2013, clause 11, after EN 60870-5-2): bit 7 is never set, and
/// only these functions exist.
fn is_control(control: u8) -> bool {
    match control {
        // To a device: reset, data, an installation confirmed, class 1 and class 2 asked for.
        0x40 | 0x06 | 0x53 | 0x73 | 0x43 | 0x5A | 0x7A | 0x5B | 0x7B => true,
        // From one: data without and with reply, installation, access.
        0x44..=0x48 => true,
        // Acknowledged, or data: with or without class 1 waiting, with or without room.
        0x00 | 0x10 | 0x20 | 0x30 | 0x08 | 0x18 | 0x28 | 0x38 => true,
        _ => false,
    }
}

/// How long the blocks are, with their checksums.
fn blocks(format: Format, length: u8) -> impl Iterator<Item = usize> {
    let length = usize::from(length);
    let mut left = match format {
        Format::A => length.saturating_add(1),
        // L counts the checksums.
        Format::B if length.saturating_add(1) > BLOCK_B_BYTES.saturating_add(CRC_BYTES) => {
            length.saturating_add(1).saturating_sub(2 * CRC_BYTES)
        }
        Format::B => length.saturating_add(1).saturating_sub(CRC_BYTES),
    };
    let mut first = true;
    core::iter::from_fn(move || {
        let most = match (format, core::mem::take(&mut first)) {
            (Format::A, true) => HEAD_BYTES,
            (Format::A, false) => BLOCK_A_BYTES,
            (Format::B, _) => BLOCK_B_BYTES,
        };
        let data = left.min(most);
        left = left.saturating_sub(data);
        (data > 0).then(|| data.saturating_add(CRC_BYTES))
    })
}

/// A block and its checksum, high byte first.
fn is_whole(block: &[u8]) -> bool {
    let Some((data, check)) = block.split_last_chunk::<CRC_BYTES>() else { return false };
    crc(data) == u16::from_be_bytes(*check)
}

impl Checked<'_> {
    /// The telegram as a receiver hands it on: L as it would be without checksums, and what it counts.
    pub fn without_checksums<'b>(&self, room: &'b mut [u8; FRAME_BYTES_MAX]) -> &'b [u8] {
        let length = self.bytes.first().copied().unwrap_or(0);
        let (mut rest, mut filled) = (self.bytes, 0_usize);
        for block in blocks(self.format, length) {
            let Some((whole, more)) = rest.split_at_checked(block) else { break };
            rest = more;
            let data = whole.split_last_chunk::<CRC_BYTES>().map_or(whole, |(data, _)| data);
            for (place, byte) in room.iter_mut().skip(filled).zip(data) {
                *place = *byte;
            }
            filled = filled.saturating_add(data.len());
        }
        let told = u8::try_from(filled.saturating_sub(1)).unwrap_or(u8::MAX);
        if let Some(first) = room.first_mut() {
            *first = told;
        }
        room.get(..filled).unwrap_or_default()
    }

    /// How many bits were checked.
    pub fn check_bits(&self) -> u32 {
        let length = self.bytes.first().copied().unwrap_or(0);
        let blocks = u32::try_from(blocks(self.format, length).count()).unwrap_or(1);
        // And the control field: 22 of 256.
        blocks.saturating_mul(16).saturating_add(3)
    }
}

/// A telegram without checksums, of which nobody can say that its bytes are right.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Frame<'a> {
    /// The control field.
    pub control: u8,
    /// Whose radio sent it, by vendor, number, version and medium.
    pub sender: SecondaryAddress,
    /// Control information: what the data is.
    pub ci: u8,
    /// What follows it.
    pub data: &'a [u8],
}

/// Why bytes are no telegram without checksums.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum BadFrame {
    /// Fewer bytes than any telegram has.
    Short {
        /// Bytes that there are.
        came: usize,
    },
    /// L counts other than what follows it.
    Length {
        /// What L says.
        told: u8,
        /// Bytes that follow it.
        came: usize,
    },
    /// No such control field, at byte 1.
    Control(u8),
    /// The vendor at bytes 2 and 3 is not three letters.
    Vendor(u16),
}

impl fmt::Display for BadFrame {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            BadFrame::Short { came } => {
                write!(f, "a wireless telegram has at least 11 bytes, and {came} came")
            }
            BadFrame::Length { told, came } => {
                write!(f, "the length at byte 0 says {told} bytes, and {came} follow it")
            }
            BadFrame::Control(control) => {
                write!(f, "there is no control field {control:02X}, at byte 1")
            }
            BadFrame::Vendor(number) => {
                write!(f, "the vendor {number:04X} at byte 2 is not three letters")
            }
        }
    }
}

impl core::error::Error for BadFrame {}

impl<'a> Frame<'a> {
    /// All of `bytes`, L and what it counts.
    pub fn new(bytes: &'a [u8]) -> Result<Frame<'a>, BadFrame> {
        let came = bytes.len();
        let Some((head, data)) = bytes.split_first_chunk::<{ HEAD_BYTES + 1 }>() else {
            return Err(BadFrame::Short { came });
        };
        let [length, control, m0, m1, a, b, c, d, version, medium, ci] = *head;
        let follow = came.saturating_sub(1);
        if usize::from(length) != follow {
            return Err(BadFrame::Length { told: length, came: follow });
        }
        if !is_control(control) {
            return Err(BadFrame::Control(control));
        }
        let sender = SecondaryAddress::from_wire([a, b, c, d, m0, m1, version, medium]);
        if sender.vendor_letters().is_none() {
            return Err(BadFrame::Vendor(sender.vendor_number()));
        }
        Ok(Frame { control, sender, ci, data })
    }
}
