//! What a call's address and parameters mean to this driver, checked before a byte is sent.

use crate::dialect::{self, Dialect};
use crate::held::HELD;
use polymeter_codec::dlt645::Address;
use polymeter_driver::codes::error;
use polymeter_driver::{Call, Decimal, DriverError, Value};

/// The parameters' names, as `describe` lists them.
pub mod name {
    pub const KEY_LABEL: &str = "key-label";
    pub const METER_NUMBER: &str = "meter-number";
    pub const PASSWORD: &str = "password";
    pub const OPERATOR_CODE: &str = "operator-code";
    pub const CLOCK: &str = "clock";
    pub const WAKE_UP: &str = "wake-up";
    pub const LAST_COUNT: &str = "last-purchase-count-di";
    pub const LAST_AMOUNT: &str = "last-purchase-amount-di";
    pub const ALARM_1: &str = "alarm-1";
    pub const ALARM_2: &str = "alarm-2";
    pub const DIALECT: &str = "dialect";
    pub const OVERDRAFT_LIMIT: &str = "overdraft-limit";
    pub const HOARDING_LIMIT: &str = "hoarding-limit";
    pub const RECONNECTION_MINIMUM: &str = "reconnection-minimum";
    pub const TRIP_DELAY: &str = "trip-delay";
    pub const OVERLOAD_POWER: &str = "overload-power";
    pub const TARIFF_PRICES: &str = "tariff-prices";
    pub const TARIFF_SWITCH_TIME: &str = "tariff-switch-time";
    pub const LADDER_STEPS: &str = "ladder-steps";
    pub const LADDER_PRICES: &str = "ladder-prices";
    pub const LADDER_SWITCH_TIME: &str = "ladder-switch-time";
}

/// The same defaults are told in `describe` and used here.
pub mod default {
    pub const KEY_LABEL: &str = "purse";
    pub const PASSWORD: &str = "000000";
    pub const OPERATOR_CODE: &str = "00000000";
    /// The standard asks for up to four (DL/T 645-2007, 5.2.1: 帧前导); more do no harm.
    pub const WAKE_UP: i64 = 4;
}

pub const WAKE_UP_MAX: i64 = 16;

#[derive(Debug, Clone, PartialEq)]
pub struct Settings {
    pub address: Address,
    pub key_label: String,
    /// High pair first, as printed.
    pub meter_number: [u8; 6],
    /// Low pair first, as on the wire.
    pub password: [u8; 3],
    /// Low pair first.
    pub operator_code: [u8; 4],
    /// Whether the meter has a clock, by which commands can end.
    pub clock: bool,
    /// FE bytes before each frame.
    pub wake_up: usize,
    /// Data identifiers of the last purchase's count and amount; the lowest byte counts back.
    pub last_count: u32,
    pub last_amount: u32,
    pub dialect: Dialect,
}

impl Settings {
    /// For calls that only ask: the address may be shortened or the wildcard.
    pub fn asking(call: &Call) -> Result<Settings, DriverError> {
        let address: Address = call
            .address
            .parse()
            .map_err(|reason| bad(format!("the address `{}`: {reason}", call.address)))?;
        let meter_number = match text(call, name::METER_NUMBER)? {
            Some(number) => digits(name::METER_NUMBER, number)?,
            None => address.to_wire(),
        };
        let password = text(call, name::PASSWORD)?.unwrap_or(default::PASSWORD);
        let operator_code = text(call, name::OPERATOR_CODE)?.unwrap_or(default::OPERATOR_CODE);
        Ok(Settings {
            address,
            key_label: text(call, name::KEY_LABEL)?.unwrap_or(default::KEY_LABEL).to_owned(),
            meter_number: reversed(meter_number),
            password: digits(name::PASSWORD, password)?,
            operator_code: digits(name::OPERATOR_CODE, operator_code)?,
            clock: flag(call, name::CLOCK)?.unwrap_or(true),
            wake_up: whole(call, name::WAKE_UP, default::WAKE_UP, WAKE_UP_MAX)?,
            last_count: identifier(call, name::LAST_COUNT, HELD.last_count)?,
            last_amount: identifier(call, name::LAST_AMOUNT, HELD.last_amount)?,
            dialect: dialect_of(call)?,
        })
    }

    /// The data of C=14H: an identifier, who writes, the value.
    pub fn written(&self, level: u8, identifier: u32, value: &[u8]) -> Vec<u8> {
        let [p0, p1, p2] = self.password;
        let who = [level, p0, p1, p2];
        [&identifier.to_le_bytes()[..], &who, &self.operator_code, value].concat()
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

fn text<'a>(call: &'a Call, name: &str) -> Result<Option<&'a str>, DriverError> {
    match value(call, name) {
        None => Ok(None),
        Some(Value::Text(text)) => Ok(Some(text)),
        Some(_) => Err(bad(format!("{name} must be a text"))),
    }
}

fn flag(call: &Call, name: &str) -> Result<Option<bool>, DriverError> {
    match value(call, name) {
        None => Ok(None),
        Some(Value::Flag(flag)) => Ok(Some(*flag)),
        Some(_) => Err(bad(format!("{name} must be true or false"))),
    }
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

fn dialect_of(call: &Call) -> Result<Dialect, DriverError> {
    let Some(name) = text(call, name::DIALECT)? else { return Ok(dialect::STANDARD) };
    dialect::named(name).ok_or_else(|| bad(format!("`{name}` is no dialect of these meters")))
}

fn identifier(call: &Call, name: &str, default: &str) -> Result<u32, DriverError> {
    let text = text(call, name)?.unwrap_or(default);
    if text.len() != 8 {
        return Err(bad(format!("{name} must be a data identifier of 8 hex digits")));
    }
    u32::from_str_radix(text, 16).map_err(|reason| bad(format!("{name}: {reason}")))
}

/// Decimal digits as BCD, low pair first, zeros put in front.
pub fn digits<const N: usize>(name: &str, text: &str) -> Result<[u8; N], DriverError> {
    let wide = text.len() > N.saturating_mul(2) || text.is_empty();
    if wide || !text.bytes().all(|digit| digit.is_ascii_digit()) {
        let most = N.saturating_mul(2);
        return Err(bad(format!("{name} must be 1 to {most} decimal digits")));
    }
    let mut bytes = [0; N];
    for (byte, pair) in bytes.iter_mut().zip(text.as_bytes().rchunks(2)) {
        *byte = pair.iter().fold(0, |byte, digit| byte << 4 | (digit & 0x0F));
    }
    Ok(bytes)
}

/// The other end first: fields of C=03H go over the wire reversed, each on its own.
pub fn reversed<const N: usize>(mut bytes: [u8; N]) -> [u8; N] {
    bytes.reverse();
    bytes
}
