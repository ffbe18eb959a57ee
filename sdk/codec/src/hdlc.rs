//! HDLC frames of type 3 as DLMS meters speak them (IEC 62056-46): flag, length, addresses,
//! control, HCS, information, FCS, flag.
//!
//! Invariant: a frame is believed only if both its checks are right, and its length stands in it,
//! so a flag within the information ends nothing.
//!
//! Not here: time-outs and windows (a driver), what the information says ([`dlms`](crate::dlms)).
//!
//! ```
//! use polymeter_codec::Decoded;
//! use polymeter_codec::hdlc::{Address, Control, Frame, decode};
//!
//! let frame = Frame {
//!     segmented: false,
//!     destination: Address::server(1, Some(17)).expect("small numbers"),
//!     source: Address::client(16).expect("a small number"),
//!     control: Control::Snrm,
//!     poll: true,
//!     information: &[],
//! };
//! let mut bytes = [0; 32];
//! let length = frame.encode(&mut bytes)?;
//! assert_eq!(bytes[..length], [0x7E, 0xA0, 0x08, 0x02, 0x23, 0x21, 0x93, 0xBD, 0x64, 0x7E]);
//! assert_eq!(decode(&bytes[..length]), Decoded::Frame { frame, used: length });
//! # Ok::<(), polymeter_codec::NoRoom>(())
//! ```

use crate::axdr::{Reader, Writer};
use crate::{Decoded, NoRoom, x25};
use core::fmt;

const FLAG: u8 = 0x7E;
/// Format type 3 (6.4.4.2): the top four bits are 1010.
const FORMAT: u16 = 0xA000;
const FORMAT_MASK: u16 = 0xF000;
/// More frames of this information follow.
const SEGMENTED: u16 = 0x0800;
/// Eleven bits of length, which counts all but the flags.
const LENGTH: u16 = 0x07FF;
/// Format, two addresses of one byte, control and FCS.
const LENGTH_MIN: usize = 7;
/// The longest frame, its flags included.
pub const FRAME_BYTES_MAX: usize = 0x07FF + 2;
/// The bit of a control byte that asks for an answer, or says that it is one.
const POLL: u8 = 0x10;
/// LLC header of what a client sends (IEC 62056-46, 5.3.2).
pub const LLC_REQUEST: [u8; 3] = [0xE6, 0xE6, 0x00];
/// LLC header of what a server sends.
pub const LLC_RESPONSE: [u8; 3] = [0xE6, 0xE7, 0x00];

/// An address of 1, 2 or 4 bytes, seven bits in each, the last byte odd (6.4.2).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Address {
    /// The logical device, or the client.
    pub upper: u16,
    /// The physical device on the line; none in addresses of one byte.
    pub lower: Option<u16>,
    /// 1, 2 or 4.
    bytes: u8,
}

impl Address {
    /// A client's, of one byte; 16 is the public one. `None` above 127.
    pub fn client(client: u8) -> Option<Address> {
        (client < 0x80).then_some(Address { upper: u16::from(client), lower: None, bytes: 1 })
    }

    /// A server's: a logical device, of one byte without a physical one, of two where both are
    /// below 128, of four where both are below 16384.
    pub fn server(logical: u16, physical: Option<u16>) -> Option<Address> {
        let most = logical.max(physical.unwrap_or(0));
        let bytes = match (physical, most) {
            (None, 0..=0x7F) => 1,
            (Some(_), 0..=0x7F) => 2,
            (Some(_), 0x80..=0x3FFF) => 4,
            _ => return None,
        };
        Some(Address { upper: logical, lower: physical, bytes })
    }

    /// A server's in four bytes, however small the numbers; some meters want it so.
    pub fn wide(logical: u16, physical: u16) -> Option<Address> {
        let most = logical.max(physical);
        (most <= 0x3FFF).then_some(Address { upper: logical, lower: Some(physical), bytes: 4 })
    }

    /// As on the wire; the first `used` bytes of it.
    pub fn wire(&self) -> ([u8; 4], usize) {
        let lower = self.lower.unwrap_or(0);
        let seven = |bits: u16| u8::try_from(bits & 0x7F).unwrap_or(0) << 1;
        match self.bytes {
            1 => ([seven(self.upper) | 1, 0, 0, 0], 1),
            2 => ([seven(self.upper), seven(lower) | 1, 0, 0], 2),
            _ => {
                let (upper, low) = (self.upper, lower);
                ([seven(upper >> 7), seven(upper), seven(low >> 7), seven(low) | 1], 4)
            }
        }
    }

    fn read(reader: &mut Reader<'_>) -> Option<Address> {
        let rest = reader.rest();
        let length = rest.iter().take(4).position(|byte| byte & 1 == 1)?.checked_add(1)?;
        let bytes = reader.take(length, "an address").ok()?;
        let pair = |high: &u8, low: &u8| u16::from(high >> 1) << 7 | u16::from(low >> 1);
        match bytes {
            [a] => Some(Address { upper: u16::from(a >> 1), lower: None, bytes: 1 }),
            [a, b] => {
                let (upper, lower) = (u16::from(a >> 1), Some(u16::from(b >> 1)));
                Some(Address { upper, lower, bytes: 2 })
            }
            [a, b, c, d] => Some(Address { upper: pair(a, b), lower: Some(pair(c, d)), bytes: 4 }),
            _ => None,
        }
    }
}

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.lower {
            Some(lower) => write!(f, "{}/{lower}", self.upper),
            None => write!(f, "{}", self.upper),
        }
    }
}

/// What kind of frame it is (6.4.3).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Control {
    /// I: information, its number, and the number that is expected next; 0 to 7 each.
    Information {
        /// N(S).
        send: u8,
        /// N(R).
        receive: u8,
    },
    /// RR: ready for the frame of this number.
    ReceiveReady(u8),
    /// RNR: not ready.
    ReceiveNotReady(u8),
    /// SNRM: begin.
    Snrm,
    /// DISC: end.
    Disconnect,
    /// UA: yes to either.
    Acknowledge,
    /// DM: there is nothing to end.
    DisconnectedMode,
    /// FRMR: a frame that cannot be.
    Reject,
    /// UI: information without a number.
    Unnumbered,
}

impl Control {
    /// As on the wire, without the poll bit.
    fn byte(self) -> u8 {
        match self {
            Control::Information { send, receive } => (receive & 7) << 5 | (send & 7) << 1,
            Control::ReceiveReady(receive) => (receive & 7) << 5 | 0x01,
            Control::ReceiveNotReady(receive) => (receive & 7) << 5 | 0x05,
            Control::Snrm => 0x83,
            Control::Disconnect => 0x43,
            Control::Acknowledge => 0x63,
            Control::DisconnectedMode => 0x0F,
            Control::Reject => 0x87,
            Control::Unnumbered => 0x03,
        }
    }

    fn of(byte: u8) -> Option<Control> {
        let receive = byte >> 5;
        Some(match byte & !POLL {
            byte if byte & 1 == 0 => Control::Information { send: byte >> 1 & 7, receive },
            byte if byte & 0x0F == 0x01 => Control::ReceiveReady(receive),
            byte if byte & 0x0F == 0x05 => Control::ReceiveNotReady(receive),
            0x83 => Control::Snrm,
            0x43 => Control::Disconnect,
            0x63 => Control::Acknowledge,
            0x0F => Control::DisconnectedMode,
            0x87 => Control::Reject,
            0x03 => Control::Unnumbered,
            _ => return None,
        })
    }
}

/// One frame.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Frame<'a> {
    /// The information goes on in the next frame.
    pub segmented: bool,
    /// Who shall read it.
    pub destination: Address,
    /// Who sent it.
    pub source: Address,
    /// What kind of frame it is.
    pub control: Control,
    /// The poll or final bit.
    pub poll: bool,
    /// What it carries, the LLC header included.
    pub information: &'a [u8],
}

impl Frame<'_> {
    /// Writes the frame with both flags; returns its length.
    pub fn encode(&self, out: &mut [u8]) -> Result<usize, NoRoom> {
        let (destination, to) = self.destination.wire();
        let (source, from) = self.source.wire();
        let information = self.information.len();
        let check = if information > 0 { 2 } else { 0 };
        let counted = [2, to, from, 1, check, information, 2];
        let counted = counted.into_iter().fold(0_usize, usize::saturating_add);
        let Some(length) = u16::try_from(counted).ok().filter(|length| *length <= LENGTH) else {
            return Err(NoRoom { needed: usize::MAX });
        };
        let segmented = if self.segmented { SEGMENTED } else { 0 };
        let poll = if self.poll { POLL } else { 0 };
        let mut writer = Writer::new(out);
        writer.byte(FLAG);
        writer.bytes(&(FORMAT | segmented | length).to_be_bytes());
        writer.bytes(destination.get(..to).unwrap_or_default());
        writer.bytes(source.get(..from).unwrap_or_default());
        writer.byte(self.control.byte() | poll);
        if information > 0 {
            let check = x25(writer.from(1));
            writer.bytes(&check.to_le_bytes());
            writer.bytes(self.information);
        }
        let check = x25(writer.from(1));
        writer.bytes(&check.to_le_bytes());
        writer.byte(FLAG);
        writer.finish()
    }
}

/// Takes the frame that begins `bytes`, with any number of flags before it. A flag that ends one
/// frame may begin the next: it is left where another frame follows it.
pub fn decode(bytes: &[u8]) -> Decoded<Frame<'_>> {
    let flags = bytes.iter().take_while(|byte| **byte == FLAG).count();
    let garbled = Decoded::Garbled { skip: false_start(bytes) };
    if flags == 0 && !bytes.is_empty() {
        return garbled;
    }
    let body = bytes.get(flags..).unwrap_or_default();
    let Some(format) = body.first_chunk::<2>() else {
        let begins = body.first().is_none_or(|byte| byte >> 4 == 0x0A);
        let at_least = flags.max(1).saturating_add(LENGTH_MIN + 1);
        return if begins { Decoded::NeedMore { at_least } } else { garbled };
    };
    let format = u16::from_be_bytes(*format);
    let length = usize::from(format & LENGTH);
    if format & FORMAT_MASK != FORMAT || length < LENGTH_MIN {
        return garbled;
    }
    let at_least = flags.saturating_add(length).saturating_add(1);
    let Some((whole, [end, behind @ ..])) = body.split_at_checked(length) else {
        return Decoded::NeedMore { at_least };
    };
    let Some(frame) = frame(whole, format & SEGMENTED != 0).filter(|_| *end == FLAG) else {
        return garbled;
    };
    let shared = behind.first().is_some_and(|next| *next != FLAG);
    Decoded::Frame { frame, used: if shared { at_least.saturating_sub(1) } else { at_least } }
}

/// The frame between two flags, both checks and all.
fn frame(whole: &[u8], segmented: bool) -> Option<Frame<'_>> {
    let (checked, check) = whole.split_last_chunk::<2>()?;
    if x25(checked) != u16::from_le_bytes(*check) {
        return None;
    }
    let start = Reader::new(checked);
    let mut reader = start;
    reader.array::<2>("a format").ok()?;
    let (destination, source) = (Address::read(&mut reader)?, Address::read(&mut reader)?);
    let byte = reader.byte("a control byte").ok()?;
    let control = Control::of(byte)?;
    let header = reader.since(&start);
    let information = match reader.rest() {
        [] => &[][..],
        rest => {
            let (check, information) = rest.split_first_chunk::<2>()?;
            (u16::from_le_bytes(*check) == x25(header)).then_some(information)?
        }
    };
    let poll = byte & POLL != 0;
    Some(Frame { segmented, destination, source, control, poll, information })
}

/// How many bytes to drop so that `bytes` begins with the next flag after the present ones, or with
/// nothing.
pub fn false_start(bytes: &[u8]) -> usize {
    let flags = bytes.iter().take_while(|byte| **byte == FLAG).count();
    let next = bytes.iter().skip(flags).position(|byte| *byte == FLAG);
    next.map_or(bytes.len(), |distance| flags.saturating_add(distance))
}

/// The APDU behind an LLC header of either direction; `None` without one.
pub fn without_llc(information: &[u8]) -> Option<&[u8]> {
    information.strip_prefix(&LLC_REQUEST).or_else(|| information.strip_prefix(&LLC_RESPONSE))
}
