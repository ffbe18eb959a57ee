//! Which records have a neutral name, and what the others are called.
//!
//! Invariant: only a value of now or of the store, of the whole device and without any code that
//! says "a part of it", has an OBIS code (IEC 62056-61; EN 13757-1).

use polymeter_codec::mbus::{Function, Quantity, Record, Unit, Value as Said};
use polymeter_driver::codes::unit;
use polymeter_driver::{Decimal, LocalTime, Value};

/// COSEM units (IEC 62056-62) that the SDK has no name for.
const CELSIUS: u16 = 9;
const CUBIC_METRE_PER_HOUR: u16 = 15;
const JOULE: u16 = 25;
const KELVIN: u16 = 52;

/// The code of a record, with the medium of its meter; `None`: it has none.
pub fn register(record: &Record<'_>, medium: u8) -> Option<(String, u16)> {
    let ago = if record.storage == 0 { 255 } else { record.storage };
    register_of(record, medium, ago)
}

/// The same for a stored value at its own time, where it was the value of now.
pub fn register_then(record: &Record<'_>, medium: u8) -> Option<(String, u16)> {
    register_of(record, medium, 255)
}

fn register_of(record: &Record<'_>, medium: u8, ago: u64) -> Option<(String, u16)> {
    let meaning = record.meaning();
    let whole = record.function == Function::Instantaneous
        && record.subunit == 0
        && record.qualifiers().next().is_none();
    if !whole {
        return None;
    }
    if meaning.quantity == Quantity::DateTime && record.storage == 0 {
        return Some(("0.0.1.0.0.255".to_owned(), unit::NONE));
    }
    let group = group(medium)?;
    let place = match (meaning.quantity, group) {
        (Quantity::Energy, 1) => "1.8",
        (Quantity::Energy, 5 | 6) | (Quantity::Volume, 8 | 9) => "1.0",
        (Quantity::Volume, 5 | 6) => "2.0",
        (Quantity::Volume, 7) => "3.0",
        (Quantity::Power, 1) => "1.7",
        (Quantity::Power, 5 | 6) => "8.0",
        (Quantity::VolumeFlow, 5 | 6) => "9.0",
        (Quantity::VolumeFlow, 8 | 9) => "2.0",
        (Quantity::FlowTemperature, 5 | 6) => "10.0",
        (Quantity::ReturnTemperature, 5 | 6) => "11.0",
        (Quantity::TemperatureDifference, 5 | 6) => "12.0",
        _ => return None,
    };
    let unit = match meaning.unit {
        Unit::WattHour => unit::WATT_HOUR,
        Unit::Joule => JOULE,
        Unit::CubicMetre => unit::CUBIC_METRE,
        Unit::Watt => unit::WATT,
        Unit::CubicMetrePerHour => CUBIC_METRE_PER_HOUR,
        Unit::Celsius => CELSIUS,
        Unit::Kelvin => KELVIN,
        _ => return None,
    };
    let told = record.tariff <= 63 && (ago == 255 || ago <= 99);
    told.then(|| (format!("{group}.0.{place}.{}.{ago}", record.tariff), unit))
}

/// Group A by medium.
fn group(medium: u8) -> Option<u8> {
    Some(match medium {
        0x02 => 1,
        0x0A | 0x0B => 5,
        0x04 | 0x0C | 0x0D => 6,
        0x03 => 7,
        0x07 | 0x16 => 8,
        0x06 | 0x15 => 9,
        _ => return None,
    })
}

/// What a record is called that has no code: everything that tells it from the others.
pub fn name(record: &Record<'_>) -> String {
    name_of(record, record.storage)
}

/// The same for a stored value at its own time.
pub fn name_then(record: &Record<'_>) -> String {
    name_of(record, 0)
}

fn name_of(record: &Record<'_>, storage: u64) -> String {
    let meaning = record.meaning();
    let text = record.plain_text().map(|text| text.to_string());
    let mut name = text.unwrap_or_else(|| meaning.quantity.name().to_owned());
    match record.function {
        Function::Instantaneous => {}
        Function::Maximum => name.push_str(", maximum"),
        Function::Minimum => name.push_str(", minimum"),
        Function::DuringError => name.push_str(", during an error"),
    }
    for (what, number) in
        [("storage", storage), ("tariff", record.tariff.into()), ("subunit", record.subunit.into())]
    {
        if number != 0 {
            name.push_str(&format!(", {what} {number}"));
        }
    }
    if record.qualifiers().next().is_some() {
        let codes: String = record.codes().map(|code| format!("{code:02X}")).collect();
        name.push_str(&format!(", VIF {codes}"));
    }
    if !meaning.unit.name().is_empty() && meaning.unit != Unit::Date {
        name.push_str(&format!(" [{}]", meaning.unit.name()));
    }
    name
}

/// The value; `Err`: why there is none.
pub fn value(record: &Record<'_>) -> Result<Value, String> {
    if let Some(error) = record.error() {
        return Err(error.name().to_owned());
    }
    match record.value() {
        Said::Nothing => Err("the record has no data".to_owned()),
        Said::Number(_) => {
            let scaled = record.scaled().ok_or("the number is too large")?;
            Ok(Value::Number(Decimal { mantissa: scaled.mantissa, scale: scaled.scale }))
        }
        Said::Real(real) => real_value(real, record.meaning().scale),
        Said::Date(date) => Ok(Value::Text(date.to_string())),
        Said::Time(time) => Ok(Value::Text(time.to_string())),
        Said::DateTime(moment) => {
            let (date, time) = (moment.date, moment.time);
            let local = date.year.zip(date.month).zip(date.day).zip(time.hour).zip(time.minute);
            Ok(match local.zip(time.second) {
                Some((((((year, month), day), hour), minute), second)) => {
                    Value::Time(LocalTime { year, month, day, hour, minute, second })
                }
                None => Value::Text(moment.to_string()),
            })
        }
        Said::Text(text) => Ok(Value::Text(text.to_string())),
        Said::Bytes(bytes) => Ok(Value::Bytes(bytes.to_vec())),
        Said::Invalid(why) => Err(why.to_string()),
    }
}

/// The shortest decimal that is this real number.
fn real_value(real: f32, scale: i8) -> Result<Value, String> {
    let text = format!("{real}");
    let (whole, fraction) = text.split_once('.').unwrap_or((&text, ""));
    let mantissa = format!("{whole}{fraction}").parse::<i64>();
    let places = i8::try_from(fraction.len()).ok();
    let scale = places.and_then(|places| scale.checked_sub(places));
    match (mantissa, scale) {
        (Ok(mantissa), Some(scale)) => Ok(Value::Number(Decimal { mantissa, scale })),
        _ => Err(format!("the number {text} is too large")),
    }
}
