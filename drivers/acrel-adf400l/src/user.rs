//! Whom a call is about: a unit on the line, and which of the two register maps is its own.

use crate::registers::{Map, SINGLE_PHASE, THREE_PHASE};
use polymeter_codec::modbus::Unit;
use polymeter_driver::{DriverError, codes};

/// One user of a box: an address of its own per single-phase meter and per three-phase channel.
#[derive(Debug, Clone, Copy)]
pub struct User {
    pub unit: Unit,
    pub map: &'static Map,
    three_phase: bool,
}

impl User {
    /// `"1"` to `"247"`, followed by `":3"` for a three-phase user.
    pub fn parse(address: &str) -> Result<Self, DriverError> {
        let (number, three_phase) = match address.strip_suffix(":3") {
            Some(number) => (number, true),
            None => (address, false),
        };
        let digits = number.bytes().all(|byte| byte.is_ascii_digit());
        let unit = number.parse().ok().filter(|_| digits).and_then(Unit::new);
        let Some(unit) = unit else {
            let detail = format!(
                "`{address}` is no user of this box: 1 to 247, with `:3` after it for three-phase"
            );
            return Err(DriverError::new(codes::error::BAD_PARAMETER, detail));
        };
        let map = if three_phase { &THREE_PHASE } else { &SINGLE_PHASE };
        Ok(Self { unit, map, three_phase })
    }

    /// The address as [`User::parse`] reads it.
    pub fn address(&self) -> String {
        format!("{}{}", self.unit.get(), if self.three_phase { ":3" } else { "" })
    }

    pub fn phases(&self) -> i64 {
        if self.three_phase { 3 } else { 1 }
    }
}

#[cfg(test)]
mod tests {
    use super::User;

    #[test]
    fn addresses() {
        let check = |text: &str, expected: Option<&str>| {
            let found = User::parse(text).map(|user| user.address()).ok();
            assert_eq!(found.as_deref(), expected, "{text}");
        };
        check("1", Some("1"));
        check("247", Some("247"));
        check("007", Some("7"));
        check("12:3", Some("12:3"));
        for text in ["", "0", "248", "+1", "-1", "1:1", "1:", ":3", "1:3:3", "0x1", " 1", "一"] {
            check(text, None);
        }
    }
}
