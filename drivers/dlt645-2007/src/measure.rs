//! The bytes of an item as measurements and extras, and as texts where the driver itself reads them.

use polymeter_codec::bcd;
use polymeter_codec::dlt645::value::{Format, Value as Read};
pub use polymeter_driver::dlt645::{Measured, value};

/// Characters come last first, filled up with zeros or blanks.
pub fn text(bytes: &[u8]) -> Option<String> {
    match (Format::Text { bytes: bytes.len() }).read(bytes) {
        Ok(Read::Text(text)) => Some(text.to_string()),
        _ => None,
    }
}

/// Digits, high pair first.
pub fn digits(bytes: &[u8]) -> Option<String> {
    let decimal = bytes.iter().all(|byte| bcd::pair(*byte).is_some());
    decimal.then(|| bytes.iter().rev().map(|byte| format!("{byte:02X}")).collect())
}
