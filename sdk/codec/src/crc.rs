//! Checksums that several protocols share.

/// CRC-16/X-25 (ISO/IEC 13239): HDLC and DL/T 698.45, both of which send the low byte first.
///
/// ```
/// assert_eq!(polymeter_codec::x25(b"123456789"), 0x906E);
/// ```
pub fn x25(bytes: &[u8]) -> u16 {
    !bytes.iter().fold(0xFFFF_u16, |crc, byte| {
        (0..8).fold(crc ^ u16::from(*byte), |crc, _| {
            let shifted = crc >> 1;
            if crc & 1 == 0 { shifted } else { shifted ^ 0x8408 }
        })
    })
}
