//! Domain values as columns hold them, and back. Every `to` has its `from`; what cannot be read back
//! is an error that names the column.
//!
//! The names here are the schema's: changing one is a migration.

use crate::error::{Result, bad_column};
use polymeter_domain::{
    Channel, Currency, Decimal, LocalTime, Quality, Quantity, SupplyState, Value,
};
use serde_json::{Map, Value as Json, json};
use std::str::FromStr;

/// An id, a day: whatever is written as its own text.
pub(crate) fn parsed<T: FromStr>(column: &'static str, text: &str) -> Result<T> {
    text.parse().map_err(|_| bad_column(column, text))
}

pub(crate) fn supply_name(state: SupplyState) -> &'static str {
    match state {
        SupplyState::Unknown => "unknown",
        SupplyState::Disconnected => "disconnected",
        SupplyState::Connected => "connected",
        SupplyState::ReadyForReconnection => "ready-for-reconnection",
    }
}

pub(crate) fn supply(name: &str) -> Result<SupplyState> {
    Ok(match name {
        "unknown" => SupplyState::Unknown,
        "disconnected" => SupplyState::Disconnected,
        "connected" => SupplyState::Connected,
        "ready-for-reconnection" => SupplyState::ReadyForReconnection,
        _ => return Err(bad_column("supply", name)),
    })
}

pub(crate) fn quality_name(quality: Quality) -> &'static str {
    match quality {
        Quality::Measured => "measured",
        Quality::NotMeasured => "not-measured",
        Quality::Invalid => "invalid",
        Quality::Estimated => "estimated",
    }
}

pub(crate) fn quality(name: &str) -> Result<Quality> {
    Ok(match name {
        "measured" => Quality::Measured,
        "not-measured" => Quality::NotMeasured,
        "invalid" => Quality::Invalid,
        "estimated" => Quality::Estimated,
        _ => return Err(bad_column("quality", name)),
    })
}

pub(crate) fn quantity_name(quantity: Quantity) -> &'static str {
    match quantity {
        Quantity::Money => "money",
        Quantity::Energy => "energy",
        Quantity::Volume => "volume",
    }
}

pub(crate) fn quantity(name: &str) -> Result<Quantity> {
    Ok(match name {
        "money" => Quantity::Money,
        "energy" => Quantity::Energy,
        "volume" => Quantity::Volume,
        _ => return Err(bad_column("quantity", name)),
    })
}

pub(crate) fn channel(name: &str) -> Result<Channel> {
    Channel::from_name(name).ok_or_else(|| bad_column("channel", name))
}

pub(crate) fn currency(code: &str) -> Result<Currency> {
    Currency::from_code(code).ok_or_else(|| bad_column("currency", code))
}

/// `{"number": [mantissa, scale]}`, `{"text": ..}`, `{"flag": ..}`, `{"bytes": "hex"}` or
/// `{"time": [year, month, day, hour, minute, second]}`: the type survives, and so does a time that
/// no calendar has.
pub(crate) fn value_json(value: &Value) -> Json {
    match value {
        Value::Number(decimal) => json!({ "number": [decimal.mantissa, decimal.scale] }),
        Value::Text(text) => json!({ "text": text }),
        Value::Flag(flag) => json!({ "flag": flag }),
        Value::Bytes(bytes) => json!({ "bytes": hex::encode(bytes) }),
        Value::Time(at) => {
            json!({ "time": [at.year, at.month, at.day, at.hour, at.minute, at.second] })
        }
    }
}

fn value_from_json(json: &Json) -> Option<Value> {
    let tagged: &Map<String, Json> = json.as_object()?;
    let (tag, inner) = tagged.iter().next()?;
    Some(match tag.as_str() {
        "number" => {
            let [mantissa, scale] = inner.as_array()?.as_slice() else { return None };
            Value::Number(Decimal {
                mantissa: mantissa.as_i64()?,
                scale: i8::try_from(scale.as_i64()?).ok()?,
            })
        }
        "text" => Value::Text(inner.as_str()?.to_owned()),
        "flag" => Value::Flag(inner.as_bool()?),
        "bytes" => Value::Bytes(hex::decode(inner.as_str()?).ok()?),
        "time" => Value::Time(time_from_json(inner)?),
        _ => return None,
    })
}

fn time_from_json(json: &Json) -> Option<LocalTime> {
    let [year, month, day, hour, minute, second] = json.as_array()?.as_slice() else {
        return None;
    };
    let byte = |json: &Json| u8::try_from(json.as_u64()?).ok();
    Some(LocalTime {
        year: u16::try_from(year.as_u64()?).ok()?,
        month: byte(month)?,
        day: byte(day)?,
        hour: byte(hour)?,
        minute: byte(minute)?,
        second: byte(second)?,
    })
}

/// A value in its own text column.
pub(crate) fn value_text(value: &Value) -> String {
    value_json(value).to_string()
}

pub(crate) fn value(column: &'static str, text: &str) -> Result<Value> {
    serde_json::from_str(text)
        .ok()
        .and_then(|json| value_from_json(&json))
        .ok_or_else(|| bad_column(column, text))
}

/// Named values in the order given: `[["name", {"type": value}], ...]`. A list and not an object,
/// because a device may name two values alike.
pub(crate) fn named_values_text(values: &[(String, Value)]) -> String {
    values
        .iter()
        .map(|(name, value)| json!([name, value_json(value)]))
        .collect::<Json>()
        .to_string()
}

pub(crate) fn named_values(column: &'static str, text: &str) -> Result<Vec<(String, Value)>> {
    let read = || -> Option<Vec<(String, Value)>> {
        let json: Json = serde_json::from_str(text).ok()?;
        json.as_array()?
            .iter()
            .map(|pair| {
                let [name, value] = pair.as_array()?.as_slice() else { return None };
                Some((name.as_str()?.to_owned(), value_from_json(value)?))
            })
            .collect()
    };
    read().ok_or_else(|| bad_column(column, text))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_kind_of_value_survives_storing() {
        let values: Vec<(String, Value)> = [
            Value::Number(Decimal { mantissa: i64::MIN, scale: -128 }),
            Value::Text("引号\" \\ \u{0} ".to_owned()),
            Value::Flag(false),
            Value::Bytes(vec![0, 255]),
            Value::Time(LocalTime {
                year: 65535,
                month: 99,
                day: 0,
                hour: 24,
                minute: 60,
                second: 61,
            }),
        ]
        .into_iter()
        .map(|value| ("same".to_owned(), value))
        .collect();
        let text = named_values_text(&values);
        assert_eq!(named_values("extras", &text).expect("just written"), values);
    }

    #[test]
    fn what_is_not_ours_is_an_error() {
        for text in [
            "",
            "{}",
            "[1]",
            r#"[["a"]]"#,
            r#"[["a", {"number": [1]}]]"#,
            r#"[["a", {"number": [1, 128]}]]"#,
            r#"[["a", {"bytes": "0"}]]"#,
            r#"[["a", {"time": [2026, 1, 1]}]]"#,
            r#"[["a", {"other": 1}]]"#,
            r#"[["a", {}]]"#,
        ] {
            assert!(named_values("extras", text).is_err(), "{text}");
        }
    }
}
