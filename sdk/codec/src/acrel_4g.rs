//! The envelope of Acrel's 4G meters (7B7B .. 7D7D over TCP): what such a meter says of itself, its
//! uploads, and Modbus RTU both ways inside.
//!
//! Neither a length nor an escape marks where a frame ends, and 7D7D may stand in a payload. So the
//! frame ends at the first 7D7D before which the CRC is right, and there alone. One 7D7D in 65536
//! in a payload stands behind such a CRC by chance; what is cut there fails the checks of what it
//! holds.
//!
//! Invariant: what is inside an envelope is believed only where its own CRC is right too.
//!
//! Not here: who answers what (a driver), what the registers of an upload mean for a model.
//!
//! Source: public servers of such meters; no paper of the vendor's is public.

use crate::axdr::Writer;
use crate::modbus::{crc16, crc16_more};
use crate::{Decoded, NoRoom};
use core::fmt;

const START: [u8; 2] = [0x7B; 2];
const END: [u8; 2] = [0x7D; 2];
/// Start, command, CRC and end.
const OVERHEAD: usize = 7;
/// Longer than any frame that was ever seen, by four times.
pub const FRAME_BYTES_MAX: usize = 2048;
/// A serial number: ASCII, filled up at the end.
const SERIAL_BYTES: usize = 20;
/// ICCID of the SIM card.
const ICCID_BYTES: usize = 30;

/// Commands, the byte behind 7B7B.
pub mod command {
    /// The server chooses the register blocks of an upload.
    pub const CHOOSE_BLOCKS: u8 = 0x31;
    /// Parameters of the modem.
    pub const PARAMETERS: u8 = 0x82;
    /// A meter says who it is; answered empty.
    pub const REGISTER: u8 = 0x84;
    /// Restart.
    pub const RESTART: u8 = 0x87;
    /// The server's address.
    pub const SERVER: u8 = 0x88;
    /// When the meter sounds an alarm.
    pub const ALARMS: u8 = 0x89;
    /// Modbus RTU, both ways.
    pub const TRANSPARENT: u8 = 0x90;
    /// A meter's registers, by itself; answered empty.
    pub const UPLOAD: u8 = 0x91;
    /// A meter asks for the time and is told it.
    pub const TIME: u8 = 0x93;
    /// Still there.
    pub const HEARTBEAT: u8 = 0x94;
    /// New firmware.
    pub const FIRMWARE: u8 = 0xA3;
}

/// One envelope: a command and what belongs to it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Frame<'a> {
    /// One of [`command`].
    pub command: u8,
    /// What stands between command and CRC.
    pub payload: &'a [u8],
}

impl Frame<'_> {
    /// Writes the frame; returns its length.
    pub fn encode(&self, out: &mut [u8]) -> Result<usize, NoRoom> {
        let mut writer = Writer::new(out);
        writer.bytes(&START);
        writer.byte(self.command);
        writer.bytes(self.payload);
        let crc = crc16(writer.from(START.len()));
        writer.bytes(&crc.to_le_bytes());
        writer.bytes(&END);
        writer.finish()
    }
}

/// Takes the frame that begins `bytes`. Bytes that cannot begin one are garbled up to the next
/// 7B7B; a frame of which no end comes answers `NeedMore` until it is longer than any
/// ([`FRAME_BYTES_MAX`]), and once the stream fell quiet [`false_start`] says what to drop.
///
/// ```
/// use polymeter_codec::Decoded;
/// use polymeter_codec::acrel_4g::{command, decode};
///
/// // A server's answer to a registration.
/// let heard = [0x7B, 0x7B, 0x84, 0xBF, 0x23, 0x7D, 0x7D];
/// let Decoded::Frame { frame, used } = decode(&heard) else { panic!("whole") };
/// assert_eq!((frame.command, frame.payload.len(), used), (command::REGISTER, 0, 7));
/// ```
pub fn decode(bytes: &[u8]) -> Decoded<Frame<'_>> {
    let begins = bytes.iter().zip(START).all(|(byte, start)| *byte == start);
    if !begins {
        return Decoded::Garbled { skip: false_start(bytes) };
    }
    let body = bytes.get(2..).unwrap_or_default();
    let mut crc = crc16(&[]);
    let mut rest = body;
    let room = FRAME_BYTES_MAX.saturating_sub(6);
    for length in 1..=room.min(body.len()) {
        let Some((byte, behind)) = rest.split_first() else { break };
        crc = crc16_more(crc, *byte);
        rest = behind;
        let [low, high] = crc.to_le_bytes();
        let [end, end_too] = END;
        if rest.starts_with(&[low, high, end, end_too])
            && let Some((command, payload)) = body.get(..length).and_then(<[u8]>::split_first)
        {
            let frame = Frame { command: *command, payload };
            return Decoded::Frame { frame, used: length.saturating_add(6) };
        }
    }
    if bytes.len() >= FRAME_BYTES_MAX {
        return Decoded::Garbled { skip: false_start(bytes) };
    }
    Decoded::NeedMore { at_least: bytes.len().saturating_add(1).max(OVERHEAD) }
}

/// How many bytes to drop so that `bytes` begins with the next 7B7B after the present start, or
/// with a last 7B that may be half of one, or with nothing.
pub fn false_start(bytes: &[u8]) -> usize {
    let after = bytes.iter().zip(bytes.iter().skip(1).map(Some).chain([None])).skip(1);
    let next = after
        .into_iter()
        .position(|(byte, next)| *byte == 0x7B && next.is_none_or(|next| *next == 0x7B));
    next.map_or(bytes.len(), |distance| distance.saturating_add(1))
}

/// A payload that is not what its command promises.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct NotThis {
    /// What it should have been.
    pub expected: &'static str,
}

impl fmt::Display for NotThis {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "the payload is not {}", self.expected)
    }
}

impl core::error::Error for NotThis {}

/// What a meter says of itself (84H).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Registration<'a> {
    /// Its serial number, without what fills it up.
    pub serial: &'a str,
    /// The SIM card's number, without what fills it up.
    pub iccid: &'a str,
    /// Strength of the signal, as the modem says it.
    pub rssi: u8,
    /// Three versions of firmware, two bytes of BCD each.
    pub firmware: [[u8; 2]; 3],
    /// Minutes between two uploads.
    pub upload_minutes: u8,
}

impl<'a> Registration<'a> {
    /// Of the payload of 84H from a meter.
    pub fn of(payload: &'a [u8]) -> Result<Registration<'a>, NotThis> {
        let not = NotThis { expected: "a registration of 58 bytes" };
        let (serial, rest) = payload.split_at_checked(SERIAL_BYTES).ok_or(not)?;
        let (iccid, rest) = rest.split_at_checked(ICCID_BYTES).ok_or(not)?;
        let &[rssi, a, b, c, d, e, f, upload_minutes] = rest else { return Err(not) };
        let firmware = [[a, b], [c, d], [e, f]];
        let (serial, iccid) = (text(serial)?, text(iccid)?);
        Ok(Registration { serial, iccid, rssi, firmware, upload_minutes })
    }
}

/// The server's time as a meter is told it (93H); years from 2000, Sunday is 0.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Time {
    /// 0 to 99.
    pub year: u8,
    /// 1 to 12.
    pub month: u8,
    /// 1 to 31.
    pub day: u8,
    /// 0 (Sunday) to 6.
    pub weekday: u8,
    /// 0 to 23.
    pub hour: u8,
    /// 0 to 59.
    pub minute: u8,
    /// 0 to 59.
    pub second: u8,
}

impl Time {
    /// Of the payload of 93H, in binary and not BCD.
    ///
    /// ```
    /// use polymeter_codec::acrel_4g::Time;
    ///
    /// let time = Time::of(&[0x15, 0x0A, 0x15, 0x04, 0x13, 0x24, 0x2A]).expect("a time");
    /// assert_eq!((time.year, time.month, time.day, time.weekday), (21, 10, 21, 4));
    /// assert!(Time::of(&[0x15, 0x0D, 0x15, 0x04, 0x13, 0x24, 0x2A]).is_err());
    /// ```
    pub fn of(payload: &[u8]) -> Result<Time, NotThis> {
        let not = NotThis { expected: "a time of 7 bytes" };
        let &[year, month, day, weekday, hour, minute, second] = payload else { return Err(not) };
        let possible = year < 100
            && (1..=12).contains(&month)
            && (1..=31).contains(&day)
            && weekday < 7
            && hour < 24
            && minute < 60
            && second < 60;
        let time = Time { year, month, day, weekday, hour, minute, second };
        possible.then_some(time).ok_or(not)
    }

    /// The payload.
    pub fn bytes(self) -> [u8; 7] {
        let Time { year, month, day, weekday, hour, minute, second } = self;
        [year, month, day, weekday, hour, minute, second]
    }
}

/// Registers that a meter sent by itself (91H): `[serial 20] [[ meter (( modbus )) ]]`, the last
/// part once or several times.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Upload<'a> {
    /// Of the modem; none where the meter left it out.
    pub serial: Option<&'a str>,
    sections: &'a [u8],
}

/// What one meter behind the modem answered.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Section<'a> {
    /// The meter, as the modem names it.
    pub meter: &'a str,
    /// A whole Modbus RTU reply, its CRC checked.
    pub modbus: &'a [u8],
}

impl<'a> Upload<'a> {
    /// Of the payload of 91H from a meter. Every section is checked before the first is handed out.
    pub fn of(payload: &'a [u8]) -> Result<Upload<'a>, NotThis> {
        let upload = if payload.starts_with(b"[[") {
            Upload { serial: None, sections: payload }
        } else {
            let not = NotThis { expected: "a serial number of 20 bytes and sections" };
            let (serial, sections) = payload.split_at_checked(SERIAL_BYTES).ok_or(not)?;
            Upload { serial: Some(text(serial)?), sections }
        };
        let mut rest = upload.sections;
        while !rest.is_empty() {
            (_, rest) = section(rest)?;
        }
        Ok(upload)
    }

    /// The sections, in their order.
    pub fn sections(&self) -> impl Iterator<Item = Section<'a>> + use<'a> {
        let mut rest = self.sections;
        core::iter::from_fn(move || {
            let (section, behind) = section(rest).ok()?;
            rest = behind;
            Some(section)
        })
    }
}

/// The first section and what follows it. `))]]` may stand in a Modbus frame too, so the end is the
/// first one before which that frame's CRC is right.
fn section(bytes: &[u8]) -> Result<(Section<'_>, &[u8]), NotThis> {
    let not = NotThis { expected: "[[ a meter (( a Modbus frame with a right CRC )) ]]" };
    let inner = bytes.strip_prefix(b"[[").ok_or(not)?;
    let meter = inner.windows(2).position(|pair| pair == b"((").ok_or(not)?;
    let (meter, frame) = inner.split_at_checked(meter).ok_or(not)?;
    let frame = frame.strip_prefix(b"((").ok_or(not)?;
    let mut crc = crc16(&[]);
    for (summed, byte) in frame.iter().enumerate() {
        if let Some((bytes, behind)) = frame.split_at_checked(summed.saturating_add(2))
            && bytes.ends_with(&crc.to_le_bytes())
            && summed >= 2
            && let Some(rest) = behind.strip_prefix(b"))]]")
        {
            return Ok((Section { meter: text(meter)?, modbus: bytes }, rest));
        }
        crc = crc16_more(crc, *byte);
    }
    Err(not)
}

/// Text without the zeros, spaces and FF that fill it up.
fn text(bytes: &[u8]) -> Result<&str, NotThis> {
    let not = NotThis { expected: "text in ASCII" };
    let filled = |byte: &u8| matches!(byte, 0 | b' ' | 0xFF);
    let end = bytes.iter().rposition(|byte| !filled(byte)).map_or(0, |last| last.saturating_add(1));
    let start = bytes.iter().take(end).take_while(|byte| filled(byte)).count();
    let kept = bytes.get(start..end).unwrap_or_default();
    let printable = kept.iter().all(|byte| byte.is_ascii_graphic() || *byte == b' ');
    core::str::from_utf8(kept).ok().filter(|_| printable).ok_or(not)
}
