//! Binary coded decimals as DL/T 645 and its relatives send them: two digits to a byte, low pair
//! first. A number is an integer mantissa; where its decimal point stands is the caller's knowledge
//! ("XXXXXX.XX" has scale -2).
//!
//! Invariant: a nibble above 9 is an error and never a digit, and no value is made up for "not
//! measured".

/// Whether the top bit of the top byte is a sign (DL/T 645-2007, combined and signed items).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Sign {
    /// All bits are digits.
    None,
    /// Set: the number is below zero. The other seven bits are digits.
    TopBit,
}

/// Why bytes are no number, or a number does not go into bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum BcdError {
    /// A nibble above 9.
    NotDecimal,
    /// More digits than fit: 18 in an `i64`, or those of the buffer given.
    TooWide,
}

impl core::fmt::Display for BcdError {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.write_str(match self {
            BcdError::NotDecimal => "a nibble is not a decimal digit",
            BcdError::TooWide => "the number has too many digits",
        })
    }
}

impl core::error::Error for BcdError {}

/// 18 digits always fit an `i64`.
const BYTES_MAX: usize = 9;

/// The number that stands in `bytes`, low pair first. `None`: all bytes are FF, which a meter sends
/// for what it does not measure (phases B and C of a single-phase meter). No bytes are 0.
///
/// ```
/// use polymeter_codec::bcd::{BcdError, Sign, decode};
///
/// // XXXXXX.XX kWh: 1.86 kWh is the mantissa 186 at scale -2.
/// assert_eq!(decode(&[0x86, 0x01, 0x00, 0x00], Sign::None), Ok(Some(186)));
/// // XX.XXXX kW, the top bit its sign: -0.1234 kW.
/// assert_eq!(decode(&[0x34, 0x12, 0x80], Sign::TopBit), Ok(Some(-1234)));
/// assert_eq!(decode(&[0xFF; 3], Sign::None), Ok(None));
/// assert_eq!(decode(&[0x0A], Sign::None), Err(BcdError::NotDecimal));
/// ```
pub fn decode(bytes: &[u8], sign: Sign) -> Result<Option<i64>, BcdError> {
    if bytes.len() > BYTES_MAX {
        return Err(BcdError::TooWide);
    }
    if !bytes.is_empty() && bytes.iter().all(|byte| *byte == 0xFF) {
        return Ok(None);
    }
    let mut mantissa = 0_i64;
    let mut negative = false;
    for (nth_from_top, byte) in bytes.iter().rev().enumerate() {
        let mut byte = *byte;
        if nth_from_top == 0 && sign == Sign::TopBit {
            negative = byte & 0x80 != 0;
            byte &= 0x7F;
        }
        let pair = i64::from(pair(byte).ok_or(BcdError::NotDecimal)?);
        // 18 digits cannot overflow; the checks only spell that out.
        mantissa = mantissa
            .checked_mul(100)
            .and_then(|shifted| shifted.checked_add(pair))
            .ok_or(BcdError::TooWide)?;
    }
    Ok(Some(if negative { mantissa.saturating_neg() } else { mantissa }))
}

/// Writes `number` into all of `out`, low pair first, with leading zeros.
///
/// ```
/// use polymeter_codec::bcd::encode;
///
/// let mut bytes = [0; 3];
/// assert_eq!(encode(1250, &mut bytes), Ok(()));
/// assert_eq!(bytes, [0x50, 0x12, 0x00]);
/// ```
pub fn encode(number: u64, out: &mut [u8]) -> Result<(), BcdError> {
    let mut rest = number;
    for byte in out.iter_mut() {
        *byte = from_pair(rest.checked_rem(100).unwrap_or(0));
        rest = rest.checked_div(100).unwrap_or(0);
    }
    if rest == 0 { Ok(()) } else { Err(BcdError::TooWide) }
}

/// 0 to 99 of one byte; `None` where a nibble is not a digit.
///
/// ```
/// assert_eq!(polymeter_codec::bcd::pair(0x42), Some(42));
/// assert_eq!(polymeter_codec::bcd::pair(0x4A), None);
/// ```
pub fn pair(byte: u8) -> Option<u8> {
    let (tens, ones) = (byte >> 4, byte & 0x0F);
    if tens > 9 || ones > 9 {
        return None;
    }
    tens.checked_mul(10)?.checked_add(ones)
}

/// The byte of a number below 100; of a greater one its last two digits.
fn from_pair(number: u64) -> u8 {
    let digit = |value: u64| u8::try_from(value.checked_rem(10).unwrap_or(0)).unwrap_or(0);
    digit(number.checked_div(10).unwrap_or(0)) << 4 | digit(number)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(bytes: &[u8], sign: Sign, expected: Result<Option<i64>, BcdError>) {
        assert_eq!(decode(bytes, sign), expected, "{bytes:02X?} {sign:?}");
    }

    #[test]
    fn numbers() {
        check(&[0x86, 0x01, 0x00, 0x00], Sign::None, Ok(Some(186)));
        check(&[0x99; 9], Sign::None, Ok(Some(999_999_999_999_999_999)));
        check(&[0x99; 10], Sign::None, Err(BcdError::TooWide));
        check(&[0x34, 0x12, 0x80], Sign::TopBit, Ok(Some(-1234)));
        check(&[0x34, 0x12, 0x80], Sign::None, Ok(Some(801_234)));
        check(&[0x99, 0xF9], Sign::TopBit, Ok(Some(-7999)));
        check(&[0x00, 0x0E], Sign::None, Err(BcdError::NotDecimal));
        check(&[0xFF, 0xFF], Sign::TopBit, Ok(None));
        check(&[0xFF, 0x7F], Sign::TopBit, Err(BcdError::NotDecimal));
        check(&[], Sign::None, Ok(Some(0)));
    }

    #[test]
    fn numbers_are_written_with_leading_zeros() {
        let mut bytes = [0xAA; 4];
        assert_eq!(encode(186, &mut bytes), Ok(()));
        assert_eq!(bytes, [0x86, 0x01, 0x00, 0x00]);
        assert_eq!(encode(99_999_999, &mut bytes), Ok(()));
        assert_eq!(encode(100_000_000, &mut bytes), Err(BcdError::TooWide));
    }
}
