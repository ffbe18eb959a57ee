//! What layouts are made of: fields at their places, sums, letters.
//!
//! Invariant: a place that is not there is none, and never a panic.

use polymeter_codec::x25;

/// `N` bytes at a place; none where there are fewer.
///
/// ```
/// assert_eq!(polymeter_cards::field(&[1, 2, 3], 1), Some([2, 3]));
/// assert_eq!(polymeter_cards::field::<2>(&[1, 2, 3], 2), None);
/// ```
pub fn field<const N: usize>(bytes: &[u8], at: usize) -> Option<[u8; N]> {
    bytes.get(at..)?.first_chunk().copied()
}

/// The number of four bytes at a place, high byte first.
pub fn word(bytes: &[u8], at: usize) -> Option<u32> {
    Some(u32::from_be_bytes(field(bytes, at)?))
}

/// So many bytes at a place of the card, out of what was read from `from` on. None at all where it was
/// not read.
pub fn part(image: &[u8], from: u32, at: u32, bytes: usize) -> &[u8] {
    let skipped = at.checked_sub(from).and_then(|skipped| usize::try_from(skipped).ok());
    let rest = skipped.and_then(|skipped| image.get(skipped..));
    rest.and_then(|rest| rest.get(..bytes)).unwrap_or_default()
}

/// The bytes with their sum behind them: CRC-16/X-25, high byte first.
///
/// ```
/// use polymeter_cards::{is_summed, summed};
///
/// let slot = summed(b"ACME".to_vec());
/// assert!(is_summed(&slot) && slot.len() == 6);
/// assert!(!is_summed(&[0; 8]) && !is_summed(&[0xFF; 8]), "nothing written is no sum");
/// ```
pub fn summed(mut bytes: Vec<u8>) -> Vec<u8> {
    bytes.extend(x25(&bytes).to_be_bytes());
    bytes
}

/// Whether the last two bytes are the sum of those before.
pub fn is_summed(bytes: &[u8]) -> bool {
    bytes.split_last_chunk::<2>().is_some_and(|(data, sum)| x25(data).to_be_bytes() == *sum)
}

/// Letters in a field of `N` bytes, filled with 00.
pub fn filled<const N: usize>(letters: &str) -> [u8; N] {
    let mut field = [0; N];
    field.iter_mut().zip(letters.bytes()).for_each(|(place, letter)| *place = letter);
    field
}

/// The letters of a field that is filled with 00; none where it holds what is no letter.
///
/// ```
/// use polymeter_cards::{filled, letters};
///
/// assert_eq!(letters(&filled::<8>("north")).as_deref(), Some("north"));
/// assert_eq!(letters(&[0x07, 0x00]), None);
/// ```
pub fn letters(field: &[u8]) -> Option<String> {
    let letters = field.split(|byte| *byte == 0).next().unwrap_or_default();
    let good = letters.iter().all(u8::is_ascii_graphic);
    good.then(|| letters.iter().map(|byte| char::from(*byte)).collect())
}
