//! What a call's address, an order's purchase and its parameters mean to this driver.

use polymeter_codec::gbcard::Digits;
use polymeter_driver::codes::{error, quantity};
use polymeter_driver::{Call, Decimal, DriverError, Extras, Purchase, Value};

pub const ALARM: &str = "alarm";
pub const OVERDRAFT: &str = "overdraft-limit";
/// 0.01 yuan.
pub const LIMIT_MAX: u32 = 99_999_999;

/// A purchase as the card has it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Amount {
    pub count: u32,
    /// 0.01 yuan.
    pub fen: u32,
}

impl Amount {
    pub fn of(purchase: Purchase) -> Result<Amount, DriverError> {
        if purchase.credit.quantity != quantity::MONEY {
            return Err(bad("these cards hold money"));
        }
        let fen = u32::try_from(purchase.credit.amount)
            .map_err(|_| bad("the amount does not fit the card's four bytes"))?;
        Ok(Amount { count: purchase.count, fen })
    }
}

/// What a setting card carries.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Carried {
    pub alarm: Option<u32>,
    pub overdraft: Option<u32>,
}

impl Carried {
    pub fn of(parameters: &Extras) -> Result<Carried, DriverError> {
        let mut carried = Carried::default();
        for (name, value) in parameters {
            match name.as_str() {
                ALARM => carried.alarm = Some(fen(name, value)?),
                OVERDRAFT => carried.overdraft = Some(fen(name, value)?),
                _ => return Err(bad(format!("these cards carry no {name}"))),
            }
        }
        Ok(carried)
    }

    /// A card that carries no parameters.
    pub fn none(parameters: &Extras) -> Result<(), DriverError> {
        match parameters.first() {
            None => Ok(()),
            Some((name, _)) => Err(bad(format!("only a setting card carries {name}"))),
        }
    }
}

fn fen(name: &str, value: &Value) -> Result<u32, DriverError> {
    let Value::Number(Decimal { mantissa, scale: 0 }) = value else {
        return Err(bad(format!("{name} is a whole number")));
    };
    let fen = u32::try_from(*mantissa).ok().filter(|fen| *fen <= LIMIT_MAX);
    fen.ok_or_else(|| bad(format!("{name} is 0 to {LIMIT_MAX}")))
}

/// The number of the device that the card is for; none where nobody knows it.
pub fn device(call: &Call) -> Result<Option<Digits>, DriverError> {
    match call.address.as_str() {
        "" => Ok(None),
        address => Ok(Some(digits("the device number", address)?)),
    }
}

/// One to twelve digits that are not all zeros: zeros are nobody's on the card.
pub fn digits(what: &str, text: &str) -> Result<Digits, DriverError> {
    let found = Digits::from_text(text).filter(|digits| digits.bytes() != [0; 6]);
    found.ok_or_else(|| bad(format!("{what} must be 1 to 12 decimal digits and not 0")))
}

pub fn bad(detail: impl Into<String>) -> DriverError {
    DriverError::new(error::BAD_PARAMETER, detail)
}
