//! Values, times and pages as JSON.
//!
//! Invariant: a number keeps every digit that was measured, whatever reads it: one that a 64-bit
//! float cannot give back is sent as text (RFC 7493, 2.2).

use jiff::Timestamp;
use polymeter_domain::{Decimal, Measurement, Quality, Snapshot, SupplyState, Unit, Value};
use polymeter_service::{Page, UnixMs};
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;
use std::collections::BTreeMap;
use utoipa::openapi::RefOr;
use utoipa::openapi::schema::{ObjectBuilder, OneOfBuilder, Schema, Type};
use utoipa::{IntoParams, PartialSchema, ToSchema};

/// One register at a time.
#[derive(Debug, Serialize, ToSchema)]
pub struct MeasurementJson {
    /// OBIS code as six numbers.
    #[schema(example = "1.0.1.8.0.255")]
    pub register: String,
    /// English name, where the register has one here.
    pub name: Option<&'static str>,
    /// `null` when there is nothing to use.
    pub value: Option<DeviceValue>,
    #[schema(example = "kWh")]
    pub unit: Option<&'static str>,
    /// `measured`, `estimated`, `not-measured` or `invalid`.
    pub quality: &'static str,
}

impl From<&Measurement> for MeasurementJson {
    fn from(measurement: &Measurement) -> Self {
        let register = measurement.register.as_str();
        let usable = matches!(measurement.quality, Quality::Measured | Quality::Estimated);
        MeasurementJson {
            register: register.to_owned(),
            name: crate::registers::name(register).map(|(english, _)| english),
            value: usable.then(|| value(&measurement.value)),
            unit: symbol(measurement.unit),
            quality: quality(measurement.quality),
        }
    }
}

pub fn symbol(unit: Unit) -> Option<&'static str> {
    Some(unit.symbol()).filter(|symbol| !symbol.is_empty())
}

pub fn quality(quality: Quality) -> &'static str {
    match quality {
        Quality::Measured => "measured",
        Quality::NotMeasured => "not-measured",
        Quality::Invalid => "invalid",
        Quality::Estimated => "estimated",
    }
}

/// A device's snapshot: measurements, supply, and the vendor's own values.
#[derive(Debug, Serialize, ToSchema)]
pub struct SnapshotJson {
    pub measurements: Vec<MeasurementJson>,
    /// `unknown`, `disconnected`, `connected` or `ready-for-reconnection`.
    pub supply: &'static str,
    pub extras: BTreeMap<String, DeviceValue>,
}

impl From<&Snapshot> for SnapshotJson {
    fn from(snapshot: &Snapshot) -> Self {
        SnapshotJson {
            measurements: snapshot.measurements.iter().map(MeasurementJson::from).collect(),
            supply: supply(snapshot.supply),
            extras: extras(&snapshot.extras),
        }
    }
}

pub fn supply(state: SupplyState) -> &'static str {
    match state {
        SupplyState::Unknown => "unknown",
        SupplyState::Disconnected => "disconnected",
        SupplyState::Connected => "connected",
        SupplyState::ReadyForReconnection => "ready-for-reconnection",
    }
}

pub fn extras(pairs: &[(String, Value)]) -> BTreeMap<String, DeviceValue> {
    pairs.iter().map(|(name, it)| (name.clone(), value(it))).collect()
}

/// The JSON token of a value of a device.
#[derive(Debug, Clone, Serialize)]
#[serde(transparent)]
pub struct DeviceValue(Box<RawValue>);

impl PartialSchema for DeviceValue {
    fn schema() -> RefOr<Schema> {
        let one = |kind| ObjectBuilder::new().schema_type(kind).build();
        OneOfBuilder::new()
            .item(one(Type::Number))
            .item(one(Type::String))
            .item(one(Type::Boolean))
            .description(Some(
                "A value of a device or of its driver. Numbers have every digit that was measured; \
                 one of more than 15 digits, which a 64-bit float cannot give back, is the same \
                 digits as text. Bytes are hexadecimal text, times `YYYY-MM-DDThh:mm:ss`.",
            ))
            .into()
    }
}

impl ToSchema for DeviceValue {}

pub fn value(value: &Value) -> DeviceValue {
    let token = match value {
        Value::Number(number) if number.survives_a_float() => {
            RawValue::from_string(number.to_string())
        }
        Value::Flag(flag) => serde_json::value::to_raw_value(flag),
        Value::Number(_) | Value::Text(_) | Value::Bytes(_) | Value::Time(_) => {
            serde_json::value::to_raw_value(&text(value))
        }
    };
    DeviceValue(token.expect("decimals, texts and flags are JSON"))
}

/// The parameters of a request: names and tokens.
pub fn parameters(given: &BTreeMap<String, Box<RawValue>>) -> Result<Vec<(String, Value)>, String> {
    let value = |name: &String, token: &RawValue| {
        parse(token).map(|value| (name.clone(), value)).map_err(|why| format!("`{name}`: {why}"))
    };
    given.iter().map(|(name, token)| value(name, token)).collect()
}

/// A value in front of people.
pub fn text(value: &Value) -> String {
    match value {
        Value::Number(number) => number.to_string(),
        Value::Text(text) => text.clone(),
        Value::Flag(flag) => if *flag { "yes" } else { "no" }.to_owned(),
        Value::Bytes(bytes) => hex::encode_upper(bytes),
        Value::Time(at) => at.to_string(),
    }
}

/// A driver parameter as JSON gives it. Objects, arrays, null and exponents are not values.
pub fn parse(token: &RawValue) -> Result<Value, String> {
    let text = token.get().trim();
    let wrong = || format!("`{text}` is neither a text, a flag nor a plain decimal number");
    match text.as_bytes().first() {
        Some(b'"') => serde_json::from_str(text).map(Value::Text).map_err(|_| wrong()),
        Some(b't' | b'f') => serde_json::from_str(text).map(Value::Flag).map_err(|_| wrong()),
        _ => Decimal::parse(text).map(Value::Number).ok_or_else(wrong),
    }
}

/// RFC 3339 in UTC with milliseconds.
pub fn time(at: UnixMs) -> String {
    match Timestamp::from_millisecond(at.0) {
        Ok(at) => format!("{at:.3}"),
        Err(_) => at.0.to_string(),
    }
}

/// Which part of a list.
#[derive(Debug, Default, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub struct PageParameters {
    /// Text to look for.
    #[serde(default)]
    pub query: Option<String>,
    /// The `next` of the page before.
    #[serde(default)]
    pub after: Option<String>,
    /// 1 to 200; 50 where it is left out.
    #[serde(default)]
    #[param(minimum = 1, maximum = 200)]
    pub limit: Option<u32>,
}

impl PageParameters {
    pub fn page(self) -> Page {
        let limit = self.limit.unwrap_or(50).clamp(1, 200);
        Page { query: self.query.filter(|text| !text.is_empty()), after: self.after, limit }
    }
}

/// One page of a list; `next` goes into `after` for the following one.
#[derive(Debug, Serialize, ToSchema)]
pub struct Paged<T: ToSchema> {
    pub items: Vec<T>,
    pub next: Option<String>,
}

impl<T: ToSchema> Paged<T> {
    /// `id` names an item; a page that is not full is the last.
    pub fn of<U>(found: &[U], limit: u32, id: impl Fn(&U) -> String) -> Self
    where
        T: for<'a> From<&'a U>,
    {
        let full = u32::try_from(found.len()).is_ok_and(|length| length >= limit);
        Paged {
            items: found.iter().map(T::from).collect(),
            next: found.last().filter(|_| full).map(id),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(json: &str, expected: Option<&str>) {
        let token: Box<RawValue> = serde_json::from_str(json).expect("JSON");
        let back = parse(&token).ok().map(|parsed| value(&parsed).0.get().to_owned());
        assert_eq!(back.as_deref(), expected, "{json}");
    }

    #[test]
    fn values_keep_their_digits() {
        check("1.860", Some("1.860"));
        check("-0.05", Some("-0.05"));
        check("123456789012345", Some("123456789012345"));
        check("-12345678901.23456", Some("\"-12345678901.23456\""));
        check("9223372036854775807", Some("\"9223372036854775807\""));
        check("\"04001001\"", Some("\"04001001\""));
        check("true", Some("true"));
        check("9223372036854775808", None);
        check("1e3", None);
        check("null", None);
        check("[1]", None);
        check("{}", None);
    }

    #[test]
    fn times_are_rfc_3339() {
        assert_eq!(time(UnixMs(1_763_640_000_007)), "2025-11-20T12:00:00.007Z");
    }
}
