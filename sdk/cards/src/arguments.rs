//! What a call and an order mean to such cards.
//!
//! Invariant: what does not fit the card is refused before it is touched.

use crate::state::{Cards, Carried, Carries, Shape};
use polymeter_codec::gbcard::Digits;
use polymeter_driver::codes::{error, quantity, unit};
use polymeter_driver::{Call, CardOrder, Decimal, DriverError, Parameter, Purchase, Value};

/// The most that a card carries of an amount, in fen.
pub const FEN_MAX: i64 = 99_999_999;
/// The highest price that a card carries, in whole yuan; it has two bytes for 0.0001 yuan.
pub const PRICE_MAX: i64 = 6;
/// Decimals of a price.
const PRICE_DECIMALS: u32 = 4;

/// A parameter that a maintenance card carries.
pub fn carried_parameter(
    name: &str,
    title_en: &str,
    title_zh: &str,
    range: Option<(i64, i64)>,
) -> Parameter {
    Parameter {
        name: name.to_owned(),
        title_en: title_en.to_owned(),
        title_zh: title_zh.to_owned(),
        unit: unit::NONE,
        minimum: range.map(|(minimum, _)| minimum),
        maximum: range.map(|(_, maximum)| maximum),
        default: None,
        writable: true,
    }
}

/// One in fen.
pub fn money_parameter(name: &str, title_en: &str, title_zh: &str) -> Parameter {
    let range = Some((0, FEN_MAX));
    Parameter { unit: unit::CURRENCY, ..carried_parameter(name, title_en, title_zh, range) }
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
        Some((name, _)) => Err(bad(format!("`{name}` goes onto maintenance cards alone"))),
    }
}

/// What a maintenance card shall carry, in the vendor's order.
pub fn carried<V: Cards>(order: &CardOrder) -> Result<Vec<Option<Carried>>, DriverError> {
    let of_purpose = |carries: &&Carries| carries.purpose == order.purpose;
    for (name, _) in &order.parameters {
        match V::CARRIES.iter().find(|carries| carries.name == name) {
            None => return Err(bad(format!("`{name}` is nothing that these cards carry"))),
            Some(carries) if !of_purpose(&carries) => {
                let purpose = carries.purpose;
                return Err(bad(format!("`{name}` goes onto cards of purpose {purpose} alone")));
            }
            Some(_) => {}
        }
    }
    let names: Vec<&str> = V::CARRIES.iter().filter(of_purpose).map(|it| it.name).collect();
    if order.parameters.is_empty() && !names.is_empty() {
        let detail = format!("the card would carry nothing: say {}", names.join(", "));
        return Err(bad(detail));
    }
    V::CARRIES.iter().map(|carries| one::<V>(order, carries)).collect()
}

fn one<V: Cards>(order: &CardOrder, carries: &Carries) -> Result<Option<Carried>, DriverError> {
    let name = carries.name;
    let Some((_, value)) = order.parameters.iter().find(|(given, _)| given == name) else {
        let misses = carries.needed && carries.purpose == order.purpose;
        return if misses { Err(bad(format!("the card needs `{name}`"))) } else { Ok(None) };
    };
    let number = |most: i64, decimals: u32| whole(value, decimals).filter(|it| *it <= most);
    let carried = match carries.shape {
        Shape::Money => number(FEN_MAX, 0),
        Shape::Price => number(i64::from(u16::MAX).saturating_sub(1), PRICE_DECIMALS),
        Shape::Whole(most) => number(most.into(), 0).filter(|it| *it >= 1),
        Shape::Region => {
            let Value::Text(letters) = value else {
                return Err(bad(format!("{name} must be text")));
            };
            let letters = region::<V>(letters)?;
            return match letters.as_str() {
                "" => Err(bad(format!("{name} must have at least one letter"))),
                _ => Ok(Some(Carried::Letters(letters))),
            };
        }
    };
    let carried = carried.and_then(|number| u32::try_from(number).ok());
    carried.map(|number| Some(Carried::Number(number))).ok_or_else(|| {
        bad(match carries.shape {
            Shape::Price => format!("{name} must be from 0 to 6.5534, with four decimals at most"),
            Shape::Whole(most) => format!("{name} must be a whole number from 1 to {most}"),
            Shape::Money | Shape::Region => {
                format!("{name} must be a whole number from 0 to {FEN_MAX}")
            }
        })
    })
}

/// A number of at most so many decimals, as a whole number of the last of them; none for all else.
fn whole(value: &Value, decimals: u32) -> Option<i64> {
    let Value::Number(Decimal { mantissa, scale }) = value else { return None };
    let up = i64::from(decimals).checked_add(i64::from(*scale))?;
    let factor = 10_i64.checked_pow(u32::try_from(up).ok()?)?;
    mantissa.checked_mul(factor).filter(|number| *number >= 0)
}

pub fn bad(detail: impl Into<String>) -> DriverError {
    DriverError::new(error::BAD_PARAMETER, detail)
}
