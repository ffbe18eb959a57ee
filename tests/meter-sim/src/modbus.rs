//! Modbus RTU frames, for the devices that speak it.
//!
//! Not here: what a device has in its registers.

use crate::device::Scan;

/// The first frame in the buffer whose check is right, whatever noise or torn frame is before it.
pub fn scan(buffer: &[u8]) -> Scan {
    for start in 0..buffer.len() {
        let rest = buffer.get(start..).unwrap_or_default();
        let end = match (rest.get(1), rest.get(6)) {
            (Some(0x01..=0x06), _) => 8,
            // 20H is a maker's own, laid out as 10H.
            (Some(0x0F | 0x10 | 0x20), Some(&bytes)) => 9 + usize::from(bytes),
            // Of other functions no length is known: all that has come.
            (Some(0x00 | 0x07..=0x0E | 0x11..), _) if start == 0 => rest.len().max(4),
            _ => continue,
        };
        if rest.get(..end).is_some_and(checked) {
            return Scan::Frame { start, end: start + end };
        }
    }
    // A gap ends what never becomes a frame.
    Scan::NeedMore
}

fn checked(frame: &[u8]) -> bool {
    frame.split_last_chunk::<2>().is_some_and(|(body, check)| crc(body).to_le_bytes() == *check)
}

/// CRC-16/MODBUS.
pub fn crc(bytes: &[u8]) -> u16 {
    bytes.iter().fold(0xFFFF, |crc, &byte| {
        (0..8).fold(
            crc ^ u16::from(byte),
            |crc, _| {
                if crc & 1 == 1 { crc >> 1 ^ 0xA001 } else { crc >> 1 }
            },
        )
    })
}

/// Puts the check of a frame right whose last two bytes are for it.
pub fn seal(frame: &mut [u8]) {
    if let Some((body, check)) = frame.split_last_chunk_mut::<2>() {
        *check = crc(body).to_le_bytes();
    }
}

pub fn word_at(frame: &[u8], at: usize) -> Option<u16> {
    frame.get(at..)?.first_chunk::<2>().map(|&pair| u16::from_be_bytes(pair))
}

/// Two bytes, the first above.
pub fn pair(high: i8, low: i8) -> u16 {
    u16::from_be_bytes([high.unsigned_abs(), low.unsigned_abs()])
}

/// High word first.
pub fn words(value: u32) -> [u16; 2] {
    let [a, b, c, d] = value.to_be_bytes();
    [u16::from_be_bytes([a, b]), u16::from_be_bytes([c, d])]
}

pub fn double(high: u16, low: u16) -> u32 {
    u32::from(high) << 16 | u32::from(low)
}
