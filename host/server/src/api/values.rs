//! Values, times and pages as JSON. Numbers keep every digit that was measured.

use jiff::Timestamp;
use polymeter_domain::{Decimal, Measurement, Quality, Snapshot, SupplyState, Unit, Value};
use polymeter_service::{Page, UnixMs};
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;
use std::collections::BTreeMap;
use utoipa::{IntoParams, ToSchema};

/// One register at a time.
#[derive(Debug, Serialize, ToSchema)]
pub struct MeasurementJson {
    /// OBIS code as six numbers.
    #[schema(example = "1.0.1.8.0.255")]
    pub register: String,
    /// English name, where the register has one here.
    pub name: Option<&'static str>,
    /// A number with every digit measured, a text, a flag; `null` when there is nothing to use.
    #[schema(value_type = Object, example = json!(1.86))]
    pub value: Option<Box<RawValue>>,
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
    #[schema(value_type = Object)]
    pub extras: BTreeMap<String, Box<RawValue>>,
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

pub fn extras(pairs: &[(String, Value)]) -> BTreeMap<String, Box<RawValue>> {
    pairs.iter().map(|(name, it)| (name.clone(), value(it))).collect()
}

/// The JSON token of a value: an exact number, never a float; bytes as hexadecimal text.
pub fn value(value: &Value) -> Box<RawValue> {
    let token = match value {
        Value::Number(number) => RawValue::from_string(number.to_string()),
        Value::Text(text) => serde_json::value::to_raw_value(text),
        Value::Flag(flag) => serde_json::value::to_raw_value(flag),
        Value::Bytes(_) | Value::Time(_) => serde_json::value::to_raw_value(&text(value)),
    };
    token.expect("decimals, texts and flags are JSON")
}

/// A value in front of people.
pub fn text(value: &Value) -> String {
    match value {
        Value::Number(number) => number.to_string(),
        Value::Text(text) => text.clone(),
        Value::Flag(flag) => if *flag { "yes" } else { "no" }.to_owned(),
        Value::Bytes(bytes) => hex::encode_upper(bytes),
        Value::Time(at) => format!(
            "{:04}-{:02}-{:02}T{:02}:{:02}:{:02}",
            at.year, at.month, at.day, at.hour, at.minute, at.second
        ),
    }
}

/// A driver parameter as JSON gives it. Objects, arrays, null and exponents are not values.
pub fn parse(token: &RawValue) -> Result<Value, String> {
    let text = token.get().trim();
    let wrong = || format!("`{text}` is neither a text, a flag nor a plain decimal number");
    match text.as_bytes().first() {
        Some(b'"') => serde_json::from_str(text).map(Value::Text).map_err(|_| wrong()),
        Some(b't' | b'f') => serde_json::from_str(text).map(Value::Flag).map_err(|_| wrong()),
        _ => decimal(text).map(Value::Number).ok_or_else(wrong),
    }
}

/// "1.86" as 186 x 10^-2. `None` beyond 64 bits or 18 decimals.
pub fn decimal(text: &str) -> Option<Decimal> {
    let (whole, fraction) = text.split_once('.').unwrap_or((text, ""));
    let digits = whole.strip_prefix('-').unwrap_or(whole);
    let all_digits = |part: &str| part.bytes().all(|byte| byte.is_ascii_digit());
    if digits.is_empty() || !all_digits(digits) || !all_digits(fraction) || fraction.len() > 18 {
        return None;
    }
    let mantissa = format!("{whole}{fraction}").parse().ok()?;
    let decimals = i8::try_from(fraction.len()).ok()?;
    Some(Decimal { mantissa, scale: -decimals })
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
        let back = parse(&token).ok().map(|parsed| value(&parsed).get().to_owned());
        assert_eq!(back.as_deref(), expected, "{json}");
    }

    #[test]
    fn values_keep_their_digits() {
        check("1.860", Some("1.860"));
        check("-0.05", Some("-0.05"));
        check("9223372036854775807", Some("9223372036854775807"));
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
