//! What a call's address and parameters mean to this driver, checked before a byte is sent.

use polymeter_codec::dlt645::Address;
use polymeter_driver::codes::error;
use polymeter_driver::{Call, Decimal, DriverError, Value};

/// The parameters' names, as `describe` lists them.
pub mod name {
    pub const PASSWORD: &str = "password";
    pub const WAKE_UP: &str = "wake-up";
    pub const ANONYMOUS: &str = "anonymous";
    pub const MONTHS: &str = "months";
    pub const CUSTOMER_NUMBER: &str = "customer-number";
    pub const READING_DAY: &str = "reading-day";
}

pub const WAKE_UP: i64 = 4;
pub const WAKE_UP_MAX: i64 = 16;
/// 94xxH and 98xxH: the last month and the one before (DL/T 645-1997, appendix A).
pub const MONTHS_MAX: i64 = 2;

#[derive(Debug, Clone, PartialEq)]
pub struct Settings {
    pub address: Address,
    /// As on the wire.
    pub password: [u8; 4],
    /// FE bytes before each frame.
    pub wake_up: usize,
    /// An answer from AAAAAAAAAAAA is this meter's.
    pub anonymous: bool,
    /// Past months to read.
    pub months: u8,
}

impl Settings {
    /// For calls that only ask: the address may be the wildcard.
    pub fn asking(call: &Call) -> Result<Settings, DriverError> {
        let address = call
            .address
            .parse()
            .map_err(|reason| bad(format!("the address `{}`: {reason}", call.address)))?;
        let password = match value(call, name::PASSWORD) {
            None => [0; 4],
            Some(Value::Text(text)) => {
                let pairs = digits(text).filter(|_| text.len() == 8);
                let pairs = pairs.and_then(|pairs| pairs.try_into().ok());
                pairs.ok_or_else(|| bad(format!("{} must be 8 digits", name::PASSWORD)))?
            }
            Some(_) => return Err(bad(format!("{} must be a text", name::PASSWORD))),
        };
        let anonymous = match value(call, name::ANONYMOUS) {
            None => false,
            Some(Value::Flag(flag)) => *flag,
            Some(_) => return Err(bad(format!("{} must be true or false", name::ANONYMOUS))),
        };
        Ok(Settings {
            address,
            password,
            wake_up: whole(call, name::WAKE_UP, WAKE_UP, WAKE_UP_MAX)?,
            anonymous,
            months: whole(call, name::MONTHS, 0, MONTHS_MAX)?,
        })
    }

    /// For calls that change a meter: the address must name one.
    pub fn acting(call: &Call) -> Result<Settings, DriverError> {
        let settings = Settings::asking(call)?;
        if settings.address.is_one_meter() {
            return Ok(settings);
        }
        Err(bad(format!("`{}` does not name one meter", call.address)))
    }
}

pub fn bad(detail: impl Into<String>) -> DriverError {
    DriverError::new(error::BAD_PARAMETER, detail)
}

fn value<'a>(call: &'a Call, name: &str) -> Option<&'a Value> {
    call.parameters.iter().find(|(known, _)| known == name).map(|(_, value)| value)
}

fn whole<N: TryFrom<i64>>(
    call: &Call,
    name: &str,
    default: i64,
    most: i64,
) -> Result<N, DriverError> {
    let number = match value(call, name) {
        None => default,
        Some(Value::Number(Decimal { mantissa, scale: 0 })) => *mantissa,
        Some(_) => -1,
    };
    let wrong = || bad(format!("{name} must be a number from 0 to {most}"));
    if !(0..=most).contains(&number) {
        return Err(wrong());
    }
    N::try_from(number).map_err(|_| wrong())
}

/// Pairs of decimal digits in the order of the text; `None` where it is not made of such.
pub fn digits(text: &str) -> Option<Vec<u8>> {
    let decimal = text.bytes().all(|byte| byte.is_ascii_digit());
    let pairs = text.as_bytes().chunks(2);
    let pair = |pair: &[u8]| match pair {
        [high, low] => Some((high & 0x0F) << 4 | (low & 0x0F)),
        _ => None,
    };
    if decimal { pairs.map(pair).collect() } else { None }
}
