//! The link layer of DL/T 698.45: where a whole frame is, its parts, and its two checks.
//! Not here: what an APDU says.

use crate::device::Scan;

pub const START: u8 = 0x68;
pub const END: u8 = 0x16;
/// Start and the two bytes of the length.
pub const LENGTH_END: usize = 3;
/// Two bytes each.
pub const CHECK: usize = 2;

/// One whole frame to meters.
#[derive(Debug, Clone, Copy)]
pub struct Request<'a> {
    pub control: u8,
    pub kind: u8,
    /// Low pair first.
    pub address: &'a [u8],
    pub client: u8,
    pub apdu: &'a [u8],
}

/// The first whole frame whose checks are right.
pub fn scan(buffer: &[u8]) -> Scan {
    for start in 0..buffer.len() {
        let rest = buffer.get(start..).unwrap_or_default();
        if let Some(length) = whole(rest) {
            return Scan::Frame { start, end: start + length };
        }
    }
    Scan::NeedMore
}

fn whole(bytes: &[u8]) -> Option<usize> {
    let [START, low, high, ..] = bytes else { return None };
    // Bit 14 says kilobytes, which no meter here sends or takes.
    let length = usize::from(u16::from_le_bytes([*low, *high]));
    let frame = bytes.get(..length.checked_add(2)?)?;
    let header = header_end(frame)?;
    let (body, [END]) = frame.split_last_chunk::<1>()? else { return None };
    let checked = |from_start: &[u8]| {
        from_start.split_last_chunk::<CHECK>().is_some_and(|(said, check)| {
            said.get(1..).is_some_and(|said| crc(said).to_le_bytes() == *check)
        })
    };
    (checked(frame.get(..header + CHECK)?) && checked(body) && body.len() >= header + 2 * CHECK)
        .then_some(frame.len())
}

/// Where the first check of a frame begins.
fn header_end(frame: &[u8]) -> Option<usize> {
    let flag = frame.get(LENGTH_END + 1)?;
    Some(LENGTH_END + 2 + usize::from(flag & 0x0F) + 1 + 1)
}

/// CRC-16 of ISO/IEC 13239.
fn crc(bytes: &[u8]) -> u16 {
    let crc =
        bytes.iter().fold(0xFFFF_u16, |crc, byte| {
            (0..8).fold(crc ^ u16::from(*byte), |crc, _| {
                if crc & 1 == 1 { crc >> 1 ^ 0x8408 } else { crc >> 1 }
            })
        });
    !crc
}

/// Puts both checks of a frame right that begins at `start`.
pub fn seal(frame: &mut [u8], start: usize) {
    let Some(frame) = frame.get_mut(start..) else { return };
    let Some(header) = header_end(frame) else { return };
    let end = frame.len().saturating_sub(1 + CHECK);
    for check_at in [header, end] {
        let sum = crc(frame.get(1..check_at).unwrap_or_default()).to_le_bytes();
        if let Some(check) = frame.get_mut(check_at..check_at + CHECK) {
            check.copy_from_slice(&sum);
        }
    }
}

/// Where the APDU of a frame that begins at `start` is, and its address and control.
pub fn places(frame: &[u8], start: usize) -> (std::ops::Range<usize>, usize, usize) {
    let header = frame.get(start..).and_then(header_end).unwrap_or_default();
    let apdu = start + header + CHECK..frame.len().saturating_sub(1 + CHECK);
    (apdu, start + LENGTH_END + 2, start + LENGTH_END)
}

pub fn parse(frame: &[u8]) -> Option<Request<'_>> {
    let header = header_end(frame)?;
    let (control, flag) = (*frame.get(LENGTH_END)?, *frame.get(LENGTH_END + 1)?);
    let (client, address) = frame.get(LENGTH_END + 2..header)?.split_last()?;
    let apdu = frame.get(header + CHECK..frame.len().checked_sub(1 + CHECK)?)?;
    Some(Request { control, kind: flag >> 6, address, client: *client, apdu })
}
