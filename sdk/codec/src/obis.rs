//! The neutral name of a value: an OBIS code (IEC 62056-61), six numbers A-B:C.D.E*F.
//!
//! Invariant: a code is printed as the contract wants it, with dots between all six numbers.

use core::fmt;

/// Groups A to F.
///
/// ```
/// use polymeter_codec::Obis;
///
/// assert_eq!(Obis([1, 0, 1, 8, 0, 255]).to_string(), "1.0.1.8.0.255");
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Obis(pub [u8; 6]);

impl fmt::Display for Obis {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let [a, b, c, d, e, last] = self.0;
        write!(f, "{a}.{b}.{c}.{d}.{e}.{last}")
    }
}
