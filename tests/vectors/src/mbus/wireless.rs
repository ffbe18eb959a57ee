//! Wireless telegrams of wmbusmeters' tests, with what its drivers make of them, and the records that
//! were taken from some of them by hand.

use super::named::field;
use super::radio::{Formats, Heard, NO_RECORDS, hear, learn};
use super::wireless_explained::EXPLAINED;
use crate::row::{Comparison, rows};
use crate::{Checked, Protocol, Row, folder};
use polymeter_codec::mbus::{Function, Item, Order, Record, Records, Scaled, Unit, medium_name};
use serde_json::Value as Json;
use std::sync::OnceLock;

const FILE: &str = "wmbus.jsonl";

pub const PROTOCOL: Protocol = Protocol { name: "wmbus", file: FILE, check, explained: EXPLAINED };

/// The formats of all full telegrams of the file, for compact frames that stand alone.
fn formats() -> &'static Formats {
    static FORMATS: OnceLock<Formats> = OnceLock::new();
    FORMATS.get_or_init(|| {
        let rows = folder().and_then(|folder| rows(&folder, FILE).ok()).unwrap_or_default();
        let mut formats = Formats::new();
        for row in &rows {
            for telegram in row.bytes("frame_hex").iter().flat_map(|bytes| telegrams(bytes)) {
                if let Ok(heard) = hear(telegram, key(row).as_deref(), &Formats::new()) {
                    learn(&mut formats, &heard.plain);
                }
            }
        }
        formats
    })
}

fn key(row: &Row) -> Option<Vec<u8>> {
    row.bytes("key").ok().filter(|key| !key.is_empty())
}

/// Some rows hold two telegrams of one meter.
fn telegrams(bytes: &[u8]) -> Vec<&[u8]> {
    let first = bytes.first().map_or(0, |length| usize::from(*length) + 1);
    match bytes.split_at_checked(first) {
        Some((one, two))
            if two.first().is_some_and(|length| two.len() == usize::from(*length) + 1) =>
        {
            vec![one, two]
        }
        _ => vec![bytes],
    }
}

fn check(row: &Row) -> Result<Checked, String> {
    let bytes = match row.bytes("frame_hex") {
        Ok(bytes) => bytes,
        // Half a byte is missing in what is published.
        Err(why) if row.text("check") == "odd-hex" => return Ok(Checked::Refused(why)),
        Err(why) => return Err(why),
    };
    let key = key(row);
    let telegrams = telegrams(&bytes);
    let whole = row.text("check").starts_with("L-field-ok") || telegrams.len() > 1;
    let heard: Result<Vec<Heard>, String> =
        telegrams.iter().map(|bytes| hear(bytes, key.as_deref(), formats())).collect();
    match (heard, whole) {
        (Ok(heard), true) => compare(row, &heard),
        (Err(why), true) => Err(why),
        // Published with another length than its L counts.
        (Err(why), false) => Ok(Checked::Refused(why)),
        (Ok(_), false) => Err("published with a wrong length, but decoded".to_owned()),
    }
}

fn compare(row: &Row, heard: &[Heard]) -> Result<Checked, String> {
    let mut compared = Comparison::default();
    let mut items = Vec::new();
    for telegram in heard {
        for item in Records::new(&telegram.plain, Order::LowFirst) {
            match item {
                Ok(item) => items.push(item),
                Err(why) => compared.differences.push(format!("records: {why}")),
            }
        }
    }
    let records: Vec<&Record<'_>> = items
        .iter()
        .filter_map(|item| match item {
            Item::Record(record) => Some(record),
            _ => None,
        })
        .collect();
    let mut values = Comparison::default();
    if row.text("kind") == "wireless-raw-records" {
        raw(&mut compared, &mut values, row, &heard[0], &records);
    } else {
        identity(&mut compared, row, heard);
        let fields = row.get("expected").as_object().into_iter().flatten();
        for (name, published) in
            fields.filter(|(name, _)| !["id", "media"].contains(&name.as_str()))
        {
            field(&mut values, name, published, &records);
        }
    }
    let unread = heard.iter().find_map(|heard| heard.unread);
    if records.is_empty() && (unread.is_some() || values.compared > 0) {
        // Nothing of ours could be the published value, so nothing can be wrong either.
        compared.unread = Some((unread.unwrap_or(NO_RECORDS), values.compared));
        return Ok(compared.decoded());
    }
    compared.compared += values.compared;
    compared.differences.extend(values.differences);
    Ok(compared.decoded())
}

fn identity(compared: &mut Comparison, row: &Row, heard: &[Heard]) {
    let identities: Vec<_> = heard.iter().flat_map(|heard| &heard.identities).collect();
    let number = |number: [u8; 4]| -> String {
        number.iter().rev().map(|byte| format!("{byte:02x}")).collect()
    };
    let published = row.expected("id");
    let ours = identities.iter().map(|ours| number(ours.number()));
    one_of(compared, "id", published, ours);
    let media = identities.iter().map(|ours| media_words(ours.medium()));
    one_of(compared, "media", row.expected("media"), media);
}

fn one_of(
    compared: &mut Comparison,
    what: &str,
    published: &Json,
    ours: impl Iterator<Item = String>,
) {
    let ours: Vec<String> = ours.collect();
    let found = ours.iter().find(|ours| Some(ours.as_str()) == published.as_str());
    compared.same(what, published, found.cloned().unwrap_or_else(|| ours.join(" or ")));
}

/// Our names of media in wmbusmeters' words.
fn media_words(medium: u8) -> String {
    match medium {
        0x04 => "heat".to_owned(),
        0x08 => "heat cost allocation".to_owned(),
        0x0A => "cooling load volume at outlet".to_owned(),
        0x0B => "cooling load volume at inlet".to_owned(),
        0x0C => "heat volume at inlet".to_owned(),
        0x0D => "heat/cooling load".to_owned(),
        0x0E => "bus/system component".to_owned(),
        0x37 => "radio converter (meter side)".to_owned(),
        _ => medium_name(medium).unwrap_or("reserved").to_owned(),
    }
}

/// Records that were taken from a telegram by hand: value, power of ten, unit, store.
fn raw(
    compared: &mut Comparison,
    values: &mut Comparison,
    row: &Row,
    heard: &Heard,
    records: &[&Record<'_>],
) {
    let ours = heard.identities[0];
    let number: String = ours.number().iter().rev().map(|byte| format!("{byte:02X}")).collect();
    compared.same("number", row.expected("identification_number"), number.trim_start_matches('0'));
    let letters: String = ours.vendor_letters().into_iter().flatten().collect();
    compared.same("vendor", row.expected("manufacturer"), letters);
    compared.same("version", row.expected("version"), ours.version());
    if let Some((access, status)) = heard.header {
        compared.same("access", row.expected("access_number"), access);
        compared.same("status", row.expected("status"), status);
    }
    let published = row.expected("data_records").as_array().into_iter().flatten();
    for (nth, published) in published.enumerate() {
        values.compared += 1;
        let found = records.iter().any(|record| is_record(record, published));
        if !found {
            values.differences.push(format!("record {nth}: published {published}, ours none"));
        }
    }
}

fn is_record(record: &Record<'_>, published: &Json) -> bool {
    let function = match record.function {
        Function::Instantaneous => "Instantaneous",
        Function::Maximum => "Maximum",
        Function::Minimum => "Minimum",
        Function::DuringError => "Error",
    };
    let power = match published["unit"].as_str().unwrap_or_default() {
        "kWh" => (Unit::WattHour, 3),
        "kJ" => (Unit::Joule, 3),
        "m^3" => (Unit::CubicMetre, 0),
        "m^3/h" => (Unit::CubicMetrePerHour, 0),
        "W" => (Unit::Watt, 0),
        "\u{b0}C" => (Unit::Celsius, 0),
        "K" => (Unit::Kelvin, 0),
        "%RH" => (Unit::Percent, 0),
        _ => (Unit::None, 0),
    };
    let exponent = published["exponent"].as_i64().unwrap_or(0);
    let exponent = i8::try_from(exponent).ok();
    let theirs = published["value"].as_i64().zip(exponent);
    let theirs = theirs.map(|(mantissa, scale)| Scaled { mantissa, scale: scale + power.1 });
    published["function"] == function
        && published["storage_number"] == record.storage
        && record.meaning().unit == power.0
        && record.scaled() == theirs
}
