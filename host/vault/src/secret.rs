//! Bytes that are overwritten when they are dropped and that no `Debug` prints.

use std::fmt;
use zeroize::Zeroizing;

/// Key material, a passphrase or a PIN.
#[derive(Clone, PartialEq, Eq)]
pub struct Secret(Zeroizing<Vec<u8>>);

impl Secret {
    /// Takes the bytes over; they are not copied.
    pub fn new(bytes: Vec<u8>) -> Secret {
        Secret(Zeroizing::new(bytes))
    }

    /// From hexadecimal digits, blanks and line ends at both ends ignored. `None`: something else
    /// stands there, which is not told, because it may be a part of a key.
    pub fn from_hex(digits: &[u8]) -> Option<Secret> {
        let digits = digits.trim_ascii();
        let mut bytes = Zeroizing::new(vec![0; digits.len() / 2]);
        hex::decode_to_slice(digits, &mut bytes).ok()?;
        Some(Secret(bytes))
    }

    /// The key that these hexadecimal digits write; as [`Secret::from_hex`].
    pub fn hex_decoded(&self) -> Option<Secret> {
        Secret::from_hex(&self.0)
    }

    /// `length` bytes of the operating system's random source.
    pub fn random(length: usize) -> Result<Secret, getrandom::Error> {
        let mut bytes = Zeroizing::new(vec![0; length]);
        getrandom::fill(&mut bytes)?;
        Ok(Secret(bytes))
    }

    pub(crate) fn expose(&self) -> &[u8] {
        &self.0
    }

    pub fn len(&self) -> usize {
        self.0.len()
    }

    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("[redacted]")
    }
}
