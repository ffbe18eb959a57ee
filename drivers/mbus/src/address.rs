//! Whom a call is about: a primary address, or a secondary one.

use polymeter_codec::mbus::{SecondaryAddress, address};
use polymeter_driver::{DriverError, codes};

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Meter {
    /// 0 to 250, or 254 for whoever is alone on the line.
    Primary(u8),
    /// May have wildcards.
    Secondary(SecondaryAddress),
}

impl Meter {
    /// `"0"` to `"250"`, `"254"`, or 8 or 16 hexadecimal digits.
    pub fn parse(text: &str) -> Result<Meter, DriverError> {
        if text.len() >= 8 {
            return text.parse().map(Meter::Secondary).map_err(|why| bad(text, &why.to_string()));
        }
        let digits = text.bytes().all(|byte| byte.is_ascii_digit());
        let primary = text.parse().ok().filter(|_| digits);
        primary
            .filter(|primary| *primary <= address::DEVICE_MAX || *primary == address::ANYBODY)
            .map(Meter::Primary)
            .ok_or_else(|| bad(text, "a primary address is 0 to 250, or 254"))
    }

    /// The A field of a question to it.
    pub fn field(self) -> u8 {
        match self {
            Meter::Primary(primary) => primary,
            Meter::Secondary(_) => address::SELECTED,
        }
    }
}

fn bad(text: &str, why: &str) -> DriverError {
    DriverError::new(codes::error::BAD_PARAMETER, format!("`{text}`: {why}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses() {
        for (text, expected) in [("0", 0), ("1", 1), ("250", 250), ("254", 254), ("007", 7)] {
            assert_eq!(Meter::parse(text), Ok(Meter::Primary(expected)), "{text}");
        }
        for text in ["", "251", "253", "255", "-1", "+1", "1.", "1234567", "123456789", "1234567X"]
        {
            assert!(Meter::parse(text).is_err(), "{text}");
        }
        assert!(matches!(Meter::parse("12345678"), Ok(Meter::Secondary(_))));
        assert!(matches!(Meter::parse("FFFFFFFFFFFFFFFF"), Ok(Meter::Secondary(_))));
    }
}
