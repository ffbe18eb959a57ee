//! Telegrams of the drivers of wmbusmeters that are wired, with the fields that it makes of them.
//! A field is "name_unit": some record must be that number in that unit.

use super::{Told, is_number, text_of};
use crate::row::Comparison;
use crate::{Checked, Explained, Protocol, Row};
use polymeter_codec::mbus::{Message, Quantity, Record, Scaled, Unit, Value};
use serde_json::Value as Json;

pub const PROTOCOL: Protocol = Protocol {
    name: "mbus-named",
    file: "mbus_wired_wmbusmeters.jsonl",
    check,
    explained: EXPLAINED,
};

const fn explained(row: usize, about: &'static str, reason: &'static str) -> Explained {
    Explained { row, about, reason }
}

const VENDOR: &str = "quantity or unit stand in the vendor's own codes (VIF or VIFE FF), which \
                      wmbusmeters' driver of that meter knows and the standard does not";
const NO_TIME: &str = "all bits of the time are zero, which is no day; wmbusmeters prints one";

const EXPLAINED: &[Explained] = &[
    explained(4, "nominal_frequency", VENDOR),
    explained(4, "operating_time_y", VENDOR),
    explained(4, "kvarh", VENDOR),
    explained(4, "wires_nr", VENDOR),
    explained(5, "ct_", VENDOR),
    explained(5, "vt_", VENDOR),
    explained(5, "nominal_frequency", VENDOR),
    explained(5, "operating_time_y", VENDOR),
    explained(5, "kvarh", VENDOR),
    explained(5, "wires_nr", VENDOR),
    explained(6, "nominal_frequency", VENDOR),
    explained(6, "operating_time_y", VENDOR),
    explained(6, "wires_nr", VENDOR),
    explained(7, "nominal_frequency", VENDOR),
    explained(7, "operating_time_y", VENDOR),
    explained(7, "kvarh", VENDOR),
    explained(7, "wires_nr", VENDOR),
    explained(8, "frequency_hz", VENDOR),
    explained(8, "power_factor", VENDOR),
    explained(9, "max_total", VENDOR),
    explained(9, "run_meter", VENDOR),
    explained(9, "power_factor", VENDOR),
    explained(9, "active_power_requirement", VENDOR),
    explained(10, "active_energy_kwh", VENDOR),
    explained(10, "reactive_energy_kvarh", VENDOR),
    explained(11, "energy_m3c", VENDOR),
    explained(12, "energy_m3c", VENDOR),
    explained(14, "power_factor", VENDOR),
    explained(5, "last_alarm_datetime", NO_TIME),
    explained(17, "target_date", NO_TIME),
];

fn check(row: &Row) -> Result<Checked, String> {
    let bytes = row.bytes("frame_hex")?;
    let told = Told::of(&bytes)?.ok_or("a telegram without data")?;
    let mut compared = Comparison::default();
    let Message::Data(data) = told.message else { return Err("not data".to_owned()) };
    if let Some(identity) = data.header.and_then(|header| header.identity) {
        let id: String = identity.number().iter().rev().map(|byte| format!("{byte:02x}")).collect();
        compared.same("id", row.expected("id"), id);
    }
    let fields = row.get("expected").as_object().into_iter().flatten();
    let records: Vec<&Record<'_>> = told.records().collect();
    for (name, published) in fields.filter(|(name, _)| *name != "id") {
        field(&mut compared, name, published, &records);
    }
    Ok(compared.decoded())
}

/// A field that is a number or a time, against all records.
pub fn field(compared: &mut Comparison, name: &str, published: &Json, records: &[&Record<'_>]) {
    let found = match published {
        Json::Number(number) => {
            let number = number.to_string();
            records.iter().any(|record| is_in(name, &number, record))
        }
        // When the test was made.
        Json::String(_) if name == "timestamp" => return,
        Json::String(text) if is_day(text) => {
            let text = text.replace(' ', "T");
            records.iter().any(|record| text_of(record).starts_with(&text))
        }
        Json::String(text) => match quantities(name) {
            // Words that wmbusmeters' drivers make of bits, and names of its own.
            [] => return,
            known => records
                .iter()
                .any(|record| known.contains(&record.meaning().quantity) && is_text(text, record)),
        },
        _ => return,
    };
    compared.compared += 1;
    if !found {
        compared.differences.push(format!("{name}: published {published}, ours none"));
    }
}

/// "2026-03-02", and what may follow.
fn is_day(text: &str) -> bool {
    let bytes = text.as_bytes();
    bytes.len() >= 10
        && bytes.iter().take(10).enumerate().all(|(at, byte)| match at {
            4 | 7 => *byte == b'-',
            _ => byte.is_ascii_digit(),
        })
}

/// What a field that is a text is a text of.
fn quantities(name: &str) -> &'static [Quantity] {
    match name {
        "fabrication_no" => &[Quantity::FabricationNumber],
        "enhanced_id" => &[Quantity::EnhancedIdentification],
        "parameter_set" => &[Quantity::ParameterSet],
        "model_version" => &[Quantity::Model],
        "software_version" => &[Quantity::SoftwareVersion],
        // One vendor has it where the standard has the type of the device.
        "version" => &[Quantity::Model, Quantity::SoftwareVersion, Quantity::Medium],
        "customer" => &[Quantity::Customer],
        "location" => &[Quantity::CustomerLocation],
        "supplier_info" => &[Quantity::SpecialSupplier],
        _ => &[],
    }
}

/// The text itself, or the digits of a number, of which leading zeros say nothing, in decimal or as on
/// the wire from the high byte down.
fn is_text(text: &str, record: &Record<'_>) -> bool {
    let plain = |text: &str| text.trim_start_matches('0').to_uppercase();
    let wire: String = record.data.iter().rev().map(|byte| format!("{byte:02X}")).collect();
    let ours = text_of(record);
    ours == text || plain(&ours) == plain(text) || plain(&wire) == plain(text)
}

/// Whether the record is `number` in the unit that ends the field's name.
fn is_in(name: &str, number: &str, record: &Record<'_>) -> bool {
    let suffix = name.rsplit('_').next().unwrap_or_default();
    let meaning = record.meaning();
    let (unit, power) = match suffix {
        "kwh" => (Unit::WattHour, -3),
        "kvarh" => (Unit::VarHour, -3),
        "kvah" => (Unit::VoltAmpereHour, -3),
        "kw" => (Unit::Watt, -3),
        "kvar" => (Unit::Var, -3),
        "m3" => (Unit::CubicMetre, 0),
        "m3h" => (Unit::CubicMetrePerHour, 0),
        "c" if meaning.unit == Unit::Kelvin => (Unit::Kelvin, 0),
        "c" => (Unit::Celsius, 0),
        "h" => (Unit::Hour, 0),
        "s" => (Unit::Second, 0),
        "y" => (Unit::Year, 0),
        "bar" => (Unit::Bar, 0),
        "v" => (Unit::Volt, 0),
        "a" => (Unit::Ampere, 0),
        "hz" => (Unit::Hertz, 0),
        "rh" => (Unit::Percent, 0),
        "hca" => (Unit::Allocation, 0),
        "counter" | "no" => (Unit::None, 0),
        _ => return false,
    };
    if let (Some(factor), Some(ours)) = (factor(meaning.unit, unit), record.scaled()) {
        let ours = ours.mantissa as f64 * 10_f64.powi(i32::from(ours.scale) + power) * factor;
        let theirs: f64 = number.parse().unwrap_or(f64::NAN);
        return (ours - theirs).abs() < 1e-6;
    }
    if meaning.unit != unit {
        return false;
    }
    if let Value::Real(ours) = record.value() {
        let ours = f64::from(ours) * 10_f64.powi(i32::from(meaning.scale) + power);
        let theirs: f64 = number.parse().unwrap_or(f64::NAN);
        return (ours - theirs).abs() <= theirs.abs() * 1e-6;
    }
    let Ok(power) = i8::try_from(power) else { return false };
    let ours = record.scaled().map(|ours| Scaled { scale: ours.scale + power, ..ours });
    ours.is_some_and(|ours| is_number(number, ours))
}

/// Where wmbusmeters converts.
fn factor(from: Unit, to: Unit) -> Option<f64> {
    match (from, to) {
        (Unit::Joule, Unit::WattHour) => Some(1.0 / 3600.0),
        (Unit::Second, Unit::Hour) => Some(1.0 / 3600.0),
        (Unit::Minute, Unit::Hour) => Some(1.0 / 60.0),
        (Unit::Day, Unit::Hour) => Some(24.0),
        (Unit::Day, Unit::Year) => Some(1.0 / 365.2425),
        _ => None,
    }
}
