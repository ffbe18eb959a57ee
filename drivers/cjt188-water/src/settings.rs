//! What a call says of its meter: address, type, and the dialect it speaks.
//!
//! Invariant: a parameter of a wrong shape is an error that names it, never a default.

use polymeter_codec::cjt188::{Address, Dialect, Order, kind};
use polymeter_driver::codes::error;
use polymeter_driver::{Call, Decimal, DriverError, Value};

pub mod name {
    pub const KIND: &str = "meter-type";
    pub const IDENTIFIER: &str = "identifier-order";
    pub const SERIAL: &str = "serial-number";
    pub const UNIT_FIRST: &str = "unit-first";
    pub const TIME: &str = "time-order";
    pub const PLACES: &str = "decimal-places";
    pub const LITRE_PLACES: &str = "litre-decimal-places";
    pub const OPEN: &str = "valve-open-code";
    pub const CLOSE: &str = "valve-close-code";
    pub const PURSE: &str = "purse";
    pub const WAKE_UP: &str = "wake-up";
    pub const MAGNET: &str = "magnet-status";
    pub const FAULT: &str = "fault-status";
    pub const PRICE_PLACES: &str = "price-decimal-places";
    pub const PRICE_START_DAY: &str = "price-start-day";
    pub const SETTLEMENT_DAY: &str = "settlement-day";
    pub const READING_DAY: &str = "reading-day";
    pub const LADDER_PRICES: &str = "ladder-prices";
    pub const LADDER_STEPS: &str = "ladder-steps";
}

pub const LOW: &str = "low-first";
pub const HIGH: &str = "high-first";
pub const PLACES_MAX: i64 = 3;
pub const WAKE_UP_MAX: i64 = 16;
pub const PRICE_PLACES_MAX: i64 = 4;
/// Of a day that every month has.
pub const DAY_MAX: i64 = 28;

/// Which bits of the second status byte, which is the maker's own, say what.
#[derive(Debug, Clone, Copy)]
pub struct Marks {
    pub magnet: u8,
    pub fault: u8,
}

impl Marks {
    pub const NONE: Marks = Marks { magnet: 0, fault: 0 };
}

pub struct Settings {
    pub address: Address,
    pub kind: u8,
    pub dialect: Dialect,
    pub open_code: u8,
    pub close_code: u8,
    pub purse: bool,
    pub wake_up: usize,
    pub marks: Marks,
    pub price_places: usize,
    /// From which day of the month a price table that is written holds; the meter does not tell it.
    pub price_start_day: u8,
}

impl Settings {
    pub fn of(call: &Call) -> Result<Settings, DriverError> {
        let address: Address = call.address.parse().map_err(|why| bad(format!("{why}")))?;
        let standard = Dialect::STANDARD;
        let places = |name, default: u8| {
            let number = whole(call, name, i64::from(default), PLACES_MAX)?;
            u8::try_from(number).map_err(|_| bad(format!("`{name}` is too large")))
        };
        let kind = code(call, name::KIND, kind::COLD_WATER)?;
        if !matches!(kind, 0x10..=0x19 | 0x30..=0x39 | kind::ANY) {
            return Err(bad(format!("`{}` {kind:02X} is no water or gas meter", name::KIND)));
        }
        let wake_up = whole(call, name::WAKE_UP, 3, WAKE_UP_MAX)?;
        let price_places = whole(call, name::PRICE_PLACES, 2, PRICE_PLACES_MAX)?;
        let start_day = whole(call, name::PRICE_START_DAY, 1, DAY_MAX)?;
        let start_day = u8::try_from(start_day).ok().filter(|day| *day > 0);
        Ok(Settings {
            address,
            kind,
            dialect: Dialect {
                identifier: order(call, name::IDENTIFIER)?,
                serial: flag(call, name::SERIAL, standard.serial)?,
                unit_first: flag(call, name::UNIT_FIRST, standard.unit_first)?,
                time: order(call, name::TIME)?,
                places: places(name::PLACES, standard.places)?,
                litre_places: places(name::LITRE_PLACES, standard.litre_places)?,
            },
            open_code: code(call, name::OPEN, 0x55)?,
            close_code: code(call, name::CLOSE, 0x99)?,
            purse: flag(call, name::PURSE, false)?,
            wake_up: usize::try_from(wake_up).unwrap_or(0),
            marks: Marks {
                magnet: code(call, name::MAGNET, 0)?,
                fault: code(call, name::FAULT, 0)?,
            },
            price_places: usize::try_from(price_places).unwrap_or(0),
            price_start_day: start_day.ok_or_else(|| {
                bad(format!("`{}` must be 1 to {DAY_MAX}", name::PRICE_START_DAY))
            })?,
        })
    }

    /// The address of exactly one meter, for what changes it.
    pub fn one_meter(call: &Call) -> Result<Settings, DriverError> {
        let settings = Settings::of(call)?;
        if settings.address.is_one_meter() && settings.kind != kind::ANY {
            return Ok(settings);
        }
        Err(bad("a wildcard names no one meter".to_owned()))
    }
}

pub fn bad(detail: String) -> DriverError {
    DriverError::new(error::BAD_PARAMETER, detail)
}

fn value<'a>(call: &'a Call, name: &str) -> Option<&'a Value> {
    call.parameters.iter().find(|(known, _)| known == name).map(|(_, value)| value)
}

fn flag(call: &Call, name: &str, default: bool) -> Result<bool, DriverError> {
    match value(call, name) {
        None => Ok(default),
        Some(Value::Flag(flag)) => Ok(*flag),
        Some(_) => Err(bad(format!("`{name}` is true or false"))),
    }
}

fn order(call: &Call, name: &str) -> Result<Order, DriverError> {
    match value(call, name) {
        None => Ok(Order::LowFirst),
        Some(Value::Text(text)) if text == LOW => Ok(Order::LowFirst),
        Some(Value::Text(text)) if text == HIGH => Ok(Order::HighFirst),
        Some(_) => Err(bad(format!("`{name}` is `{LOW}` or `{HIGH}`"))),
    }
}

/// Two hexadecimal digits.
fn code(call: &Call, name: &str, default: u8) -> Result<u8, DriverError> {
    match value(call, name) {
        None => Ok(default),
        Some(Value::Text(text)) if text.len() == 2 => u8::from_str_radix(text, 16)
            .map_err(|_| bad(format!("`{name}` is two hexadecimal digits"))),
        Some(_) => Err(bad(format!("`{name}` is two hexadecimal digits"))),
    }
}

fn whole(call: &Call, name: &str, default: i64, maximum: i64) -> Result<i64, DriverError> {
    match value(call, name) {
        None => Ok(default),
        Some(Value::Number(Decimal { mantissa, scale: 0 })) if (0..=maximum).contains(mantissa) => {
            Ok(*mantissa)
        }
        Some(_) => Err(bad(format!("`{name}` must be 0 to {maximum}"))),
    }
}
