//! What a call's address and parameters mean to this driver.

use polymeter_codec::gbcard::{Digits, Family};
use polymeter_driver::codes::error;
use polymeter_driver::{Call, DriverError, Value};

pub const GRID: &str = "grid";
pub const STATE: &str = "state";
const SOUTH: &str = "south";

/// The marks that a blank card gets.
pub fn family(call: &Call) -> Result<Family, DriverError> {
    let told = call.parameters.iter().find(|(name, _)| name == GRID).map(|(_, value)| value);
    match told {
        None => Ok(Family::STATE_GRID),
        Some(Value::Text(grid)) if grid == STATE => Ok(Family::STATE_GRID),
        Some(Value::Text(grid)) if grid == SOUTH => Ok(Family::SOUTH_GRID),
        Some(_) => Err(bad(format!("{GRID} is {STATE} or {SOUTH}"))),
    }
}

/// The number of the meter that the card is for; none where nobody knows it.
pub fn device(call: &Call) -> Result<Option<Digits>, DriverError> {
    match call.address.as_str() {
        "" => Ok(None),
        address => Ok(Some(digits("the meter number", address)?)),
    }
}

pub fn digits(what: &str, text: &str) -> Result<Digits, DriverError> {
    Digits::from_text(text).ok_or_else(|| bad(format!("{what} must be 1 to 12 decimal digits")))
}

pub fn bad(detail: impl Into<String>) -> DriverError {
    DriverError::new(error::BAD_PARAMETER, detail)
}
