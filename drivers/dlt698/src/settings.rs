//! What a call's address and parameters mean to this driver, checked before a byte is sent.

use polymeter_codec::dlt698::{AddressKind, ServerAddress};
use polymeter_driver::codes::error;
use polymeter_driver::{Call, Decimal, DriverError, Value};

/// Who asks (DL/T 698.45-2017, 7.2.3.5); meters hand it back and look at it no further.
pub const CLIENT: &str = "client";
pub const CLIENT_MAX: i64 = 255;
pub const CLIENT_DEFAULT: i64 = 16;
/// FE bytes before a frame (7.2.1: at least four).
pub const WAKE_UP: &str = "wake-up";
pub const WAKE_UP_MAX: i64 = 16;
pub const WAKE_UP_DEFAULT: i64 = 4;

#[derive(Debug, Clone)]
pub struct Settings {
    pub address: ServerAddress,
    pub client: u8,
    pub wake_up: usize,
}

impl Settings {
    /// For calls that only ask: the address may be a wildcard.
    pub fn asking(call: &Call) -> Result<Settings, DriverError> {
        let address = ServerAddress::from_digits(&call.address).ok_or_else(|| {
            bad(format!("`{}` is no address: 2 to 32 digits, an even number", call.address))
        })?;
        let client = number(call, CLIENT, CLIENT_MAX)?.unwrap_or(CLIENT_DEFAULT);
        let wake_up = number(call, WAKE_UP, WAKE_UP_MAX)?.unwrap_or(WAKE_UP_DEFAULT);
        Ok(Settings {
            address,
            client: u8::try_from(client).map_err(|_| bad(CLIENT))?,
            wake_up: usize::try_from(wake_up).map_err(|_| bad(WAKE_UP))?,
        })
    }

    /// For calls that change a meter: the address must name one.
    pub fn acting(call: &Call) -> Result<Settings, DriverError> {
        let settings = Settings::asking(call)?;
        if settings.address.kind() == AddressKind::Single {
            return Ok(settings);
        }
        Err(bad(format!("`{}` does not name one meter", call.address)))
    }
}

pub fn bad(detail: impl Into<String>) -> DriverError {
    DriverError::new(error::BAD_PARAMETER, detail)
}

fn number(call: &Call, name: &str, maximum: i64) -> Result<Option<i64>, DriverError> {
    match call.parameters.iter().find(|(known, _)| known == name) {
        None => Ok(None),
        Some((_, Value::Number(Decimal { mantissa, scale: 0 })))
            if (0..=maximum).contains(mantissa) =>
        {
            Ok(Some(*mantissa))
        }
        Some(_) => Err(bad(format!("{name} must be a number from 0 to {maximum}"))),
    }
}
