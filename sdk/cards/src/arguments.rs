//! What a call and an order mean to such cards.
//!
//! Invariant: what does not fit the card is refused before it is touched.

use crate::state::Cards;
use polymeter_codec::gbcard::Digits;
use polymeter_driver::codes::{error, quantity, unit};
use polymeter_driver::{Call, CardOrder, Decimal, DriverError, Extras, Parameter, Purchase, Value};

/// The most that a setting card carries of anything, in fen.
const FEN_MAX: i64 = 99_999_999;

/// A parameter that a setting card carries, in fen.
pub fn money_parameter(name: &str, title_en: &str, title_zh: &str) -> Parameter {
    Parameter {
        name: name.to_owned(),
        title_en: title_en.to_owned(),
        title_zh: title_zh.to_owned(),
        unit: unit::CURRENCY,
        minimum: Some(0),
        maximum: Some(FEN_MAX),
        default: None,
        writable: true,
    }
}

/// Count and amount.
pub fn ordered(purchase: Purchase) -> Result<(u32, u32), DriverError> {
    if purchase.credit.quantity != quantity::MONEY {
        return Err(bad("these cards hold money"));
    }
    let amount = u32::try_from(purchase.credit.amount)
        .map_err(|_| bad("the amount does not fit the card's four bytes"))?;
    Ok((purchase.count, amount))
}

/// None where nobody knows it.
pub fn device(call: &Call) -> Result<Option<Digits>, DriverError> {
    match call.address.as_str() {
        "" => Ok(None),
        address => Ok(Some(digits("the device number", address)?)),
    }
}

pub fn digits(what: &str, text: &str) -> Result<Digits, DriverError> {
    Digits::from_text(text).ok_or_else(|| bad(format!("{what} must be 1 to 12 decimal digits")))
}

pub fn region<V: Cards>(text: &str) -> Result<String, DriverError> {
    let most = V::REGION_LETTERS;
    if text.len() > most || !text.bytes().all(|byte| byte.is_ascii_graphic()) {
        let detail = format!("a region on these cards has at most {most} ASCII letters");
        return Err(bad(detail));
    }
    Ok(text.to_owned())
}

pub fn nothing_else(order: &CardOrder) -> Result<(), DriverError> {
    match order.parameters.first() {
        None => Ok(()),
        Some((name, _)) => Err(bad(format!("`{name}` goes onto setting cards alone"))),
    }
}

/// What a setting card shall carry, in the vendor's order.
pub fn carried<V: Cards>(parameters: &Extras) -> Result<Vec<Option<u32>>, DriverError> {
    let is_known = |name: &String| V::CARRIED.contains(&name.as_str());
    if let Some((other, _)) = parameters.iter().find(|(name, _)| !is_known(name)) {
        return Err(bad(format!("`{other}` is nothing that these cards carry")));
    }
    V::CARRIED.iter().map(|name| fen(parameters, name)).collect()
}

fn fen(parameters: &Extras, wanted: &str) -> Result<Option<u32>, DriverError> {
    let wrong = || bad(format!("{wanted} must be a whole number from 0 to {FEN_MAX}"));
    match parameters.iter().find(|(name, _)| name == wanted) {
        None => Ok(None),
        Some((_, Value::Number(Decimal { mantissa, scale: 0 })))
            if (0..=FEN_MAX).contains(mantissa) =>
        {
            Ok(Some(u32::try_from(*mantissa).map_err(|_| wrong())?))
        }
        Some(_) => Err(wrong()),
    }
}

pub fn bad(detail: impl Into<String>) -> DriverError {
    DriverError::new(error::BAD_PARAMETER, detail)
}
