//! DL/T 645-2007 frames and BCD, as a meter sees them: found in a stream, checked, taken apart,
//! built. Only whole frames with a right check come out; everything else is skipped byte by byte.

use crate::device::Scan;

const START: u8 = 0x68;
const END: u8 = 0x16;
/// Added to every data byte on the wire (DL/T 645-2007, 5.2.6).
pub const OFFSET: u8 = 0x33;
/// Start, address, start, control, length.
pub const HEAD: usize = 10;

/// One request with its data as meant, the 33H taken off.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Request {
    /// As on the wire: the lowest pair first.
    pub address: [u8; 6],
    pub control: u8,
    pub data: Vec<u8>,
}

/// The first frame in the buffer.
pub fn scan(buffer: &[u8]) -> Scan {
    let Some(start) = buffer.iter().position(|&byte| byte == START) else {
        return Scan::Skip(buffer.len());
    };
    let frame = &buffer[start..];
    if frame.get(7).is_some_and(|&byte| byte != START) {
        return Scan::Skip(start + 1);
    }
    let Some(&length) = frame.get(9) else {
        return Scan::NeedMore;
    };
    let total = HEAD + usize::from(length) + 2;
    let Some(frame) = frame.get(..total) else {
        return Scan::NeedMore;
    };
    if frame[total - 1] != END || frame[total - 2] != sum(&frame[..total - 2]) {
        return Scan::Skip(start + 1);
    }
    Scan::Frame { start, end: start + total }
}

/// Takes a scanned frame apart; none if it is not one.
pub fn parse(frame: &[u8]) -> Option<Request> {
    let address = frame.get(1..7)?.try_into().ok()?;
    let data = frame.get(HEAD..frame.len().checked_sub(2)?)?;
    let data = data.iter().map(|byte| byte.wrapping_sub(OFFSET)).collect();
    Some(Request { address, control: *frame.get(8)?, data })
}

/// A frame ready for the wire, with `wake_up` FE bytes before it.
pub fn build(wake_up: usize, address: [u8; 6], control: u8, data: &[u8]) -> Vec<u8> {
    let mut frame = Vec::with_capacity(wake_up + HEAD + data.len() + 2);
    frame.resize(wake_up, 0xFE);
    frame.push(START);
    frame.extend(address);
    frame.extend([START, control, u8::try_from(data.len()).unwrap_or(u8::MAX)]);
    frame.extend(data.iter().map(|byte| byte.wrapping_add(OFFSET)));
    frame.extend([sum(&frame[wake_up..]), END]);
    frame
}

/// Sum of all bytes from the first 68H on, modulo 256.
pub fn sum(bytes: &[u8]) -> u8 {
    bytes.iter().fold(0, |sum, &byte| sum.wrapping_add(byte))
}

/// Whether a request's address means this meter: AA stands for any pair from the high end, and not
/// again behind a real one (protocols.md 1.1).
pub fn matches(asked: [u8; 6], own: [u8; 6]) -> bool {
    let mut real = false;
    for (&asked, &own) in asked.iter().zip(&own).rev() {
        if asked == 0xAA && !real {
            continue;
        }
        if asked != own {
            return false;
        }
        real = true;
    }
    true
}

/// The lowest `bytes` pairs of decimal digits, low pair first; higher digits fall away as on a
/// counter.
pub fn bcd(value: u64, bytes: usize) -> Vec<u8> {
    let mut rest = value;
    (0..bytes)
        .map(|_| {
            let pair = u8::try_from(rest % 100).unwrap_or(0);
            rest /= 100;
            pair / 10 * 16 + pair % 10
        })
        .collect()
}

/// The number in BCD, low pair first; none if a nibble is no digit.
pub fn from_bcd(bytes: &[u8]) -> Option<u64> {
    bytes.iter().rev().try_fold(0u64, |value, &byte| {
        let (high, low) = (byte >> 4, byte & 0x0F);
        if high > 9 || low > 9 {
            return None;
        }
        value.checked_mul(100)?.checked_add(u64::from(high * 10 + low))
    })
}

/// Decimal digits as BCD in written order, high pair first; none if the text is not such digits.
pub fn digits<const N: usize>(text: &str) -> Option<[u8; N]> {
    if !text.bytes().all(|byte| byte.is_ascii_digit()) {
        return None;
    }
    hex::decode(text).ok()?.try_into().ok()
}

/// The same field in the other byte order.
pub fn reversed<const N: usize>(mut field: [u8; N]) -> [u8; N] {
    field.reverse();
    field
}
