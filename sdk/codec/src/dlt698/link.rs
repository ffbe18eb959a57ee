//! The link layer (DL/T 698.45-2017, 7.2): 68, length, control, addresses, HCS, APDU, FCS, 16.

use super::ServerAddress;
use super::address::address_bytes;
use crate::axdr::Writer;
use crate::{Decoded, NoRoom, x25};

const START: u8 = 0x68;
const END: u8 = 0x16;
const WAKE_UP: u8 = 0xFE;
/// 14 bits of length, and 68 and 16 around what it counts.
pub const FRAME_BYTES_MAX: usize = 0x3FFF + 2;
/// L counts itself, control, flag, one byte of address, client, HCS and FCS at least.
const LENGTH_MIN: usize = 10;
/// Start, length, control and flag.
const HEADER: usize = 5;
/// In L: it counts kilobytes.
const KILOBYTES: u16 = 0x4000;
/// What a scrambled byte is shifted by.
const SCRAMBLE: u8 = 0x33;

/// The control byte (7.2.3.3).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Control(pub u8);

impl Control {
    /// A client's question: from its side, by its initiative, user data.
    pub const REQUEST: Control = Control(0x43);
    /// A server's answer to it.
    pub const RESPONSE: Control = Control(0xC3);

    /// Whether the server sent it (bit 7).
    pub fn from_server(self) -> bool {
        self.0 & 0x80 != 0
    }

    /// Whether the client began the dialogue (bit 6).
    pub fn client_began(self) -> bool {
        self.0 & 0x40 != 0
    }

    /// Whether the APDU is a part of one (bit 5).
    pub fn is_fragment(self) -> bool {
        self.0 & 0x20 != 0
    }

    /// Whether 33H is added to each byte of the APDU (bit 3).
    pub fn is_scrambled(self) -> bool {
        self.0 & 0x08 != 0
    }

    /// 1 management of the link, 3 user data.
    pub fn function(self) -> u8 {
        self.0 & 0x07
    }
}

/// One frame.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Frame<'a> {
    /// Direction and kind.
    pub control: Control,
    /// The meter that is asked, or that answers.
    pub server: ServerAddress,
    /// Who asks; 0 where nobody cares.
    pub client: u8,
    /// As it stands on the wire: scrambled if [`Control::is_scrambled`], a part if
    /// [`Control::is_fragment`].
    pub apdu: &'a [u8],
}

impl Frame<'_> {
    /// Writes the frame without wake-up bytes; returns its length. What is longer than a frame may
    /// be needs more room than any buffer has.
    pub fn encode(&self, out: &mut [u8]) -> Result<usize, NoRoom> {
        let address = self.server.bytes();
        let counted = self.apdu.len().saturating_add(address.len()).saturating_add(LENGTH_MIN - 1);
        let Some(length) = u16::try_from(counted).ok().filter(|length| *length < KILOBYTES) else {
            return Err(NoRoom { needed: usize::MAX });
        };
        let mut writer = Writer::new(out);
        writer.byte(START);
        writer.bytes(&length.to_le_bytes());
        writer.bytes(&[self.control.0, self.server.flag()]);
        writer.bytes(address);
        writer.byte(self.client);
        let header_check = x25(writer.from(1));
        writer.bytes(&header_check.to_le_bytes());
        writer.bytes(self.apdu);
        let frame_check = x25(writer.from(1));
        writer.bytes(&frame_check.to_le_bytes());
        writer.byte(END);
        writer.finish()
    }

    /// The APDU's bytes, without the 33H of scrambling.
    pub fn plain(&self) -> impl Iterator<Item = u8> + Clone {
        let shift = if self.control.is_scrambled() { SCRAMBLE } else { 0 };
        self.apdu.iter().map(move |byte| byte.wrapping_sub(shift))
    }
}

/// Takes the frame that begins `bytes`, with any number of wake-up bytes before it. The header has
/// a check of its own, so a false start is known before the length it claims has come.
///
/// A false start shorter than a header answers `NeedMore` for ever: when the line has fallen quiet,
/// drop [`false_start`] bytes and ask again. Frames whose length counts kilobytes are refused,
/// since the standard does not say where within one they end.
///
/// ```
/// use polymeter_codec::Decoded;
/// use polymeter_codec::dlt698::decode;
///
/// let heard = [
///     0xFE, 0x68, 0x17, 0x00, 0x43, 0x05, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x72, 0x79,
///     0x05, 0x01, 0x00, 0x40, 0x00, 0x03, 0x00, 0x00, 0x8A, 0x45, 0x16,
/// ];
/// let Decoded::Frame { frame, used } = decode(&heard) else { panic!("whole") };
/// assert_eq!((used, frame.apdu.len()), (heard.len(), 8));
/// assert!(!frame.control.from_server());
/// ```
pub fn decode(bytes: &[u8]) -> Decoded<Frame<'_>> {
    let woken = bytes.iter().take_while(|byte| **byte == WAKE_UP).count();
    let start = bytes.get(woken..).unwrap_or_default();
    let garbled = Decoded::Garbled { skip: false_start(bytes) };
    let more = |length: usize| Decoded::NeedMore { at_least: woken.saturating_add(length) };
    if start.first().is_some_and(|byte| *byte != START) {
        return garbled;
    }
    let Some((&[_, low, high, control, flag], behind)) = start.split_first_chunk::<HEADER>() else {
        return more(HEADER);
    };
    let length = u16::from_le_bytes([low, high]);
    let header = HEADER.saturating_add(address_bytes(flag)).saturating_add(1);
    let counted = usize::from(length);
    let overhead = LENGTH_MIN.saturating_sub(1).saturating_add(address_bytes(flag));
    if length >= KILOBYTES || counted < overhead {
        return garbled;
    }
    let Some(header_check) = start.get(header..).and_then(|rest| rest.first_chunk::<2>()) else {
        return more(header.saturating_add(2));
    };
    let head = start.get(1..header).unwrap_or_default();
    if u16::from_le_bytes(*header_check) != x25(head) {
        return garbled;
    }
    let used = counted.saturating_add(2);
    let Some(whole) = start.get(..used) else { return more(used) };
    let Some((body, &[low, high, end])) = whole.split_last_chunk::<3>() else { return garbled };
    let checked = x25(body.get(1..).unwrap_or_default()) == u16::from_le_bytes([low, high]);
    let (Some(server), Some(client)) =
        (ServerAddress::from_wire(flag, behind), head.last().copied())
    else {
        return garbled;
    };
    if !checked || end != END {
        return garbled;
    }
    let apdu = body.get(header.saturating_add(2)..).unwrap_or_default();
    let frame = Frame { control: Control(control), server, client, apdu };
    Decoded::Frame { frame, used: woken.saturating_add(used) }
}

/// How many bytes to drop so that `bytes` begins with the next start byte after the present one, or
/// with nothing. At least one unless there are none.
pub fn false_start(bytes: &[u8]) -> usize {
    let woken = bytes.iter().take_while(|byte| **byte == WAKE_UP).count();
    let past = woken.saturating_add(1);
    let next = bytes.iter().skip(past).position(|byte| *byte == START);
    next.map_or(bytes.len(), |distance| past.saturating_add(distance)).min(bytes.len())
}
