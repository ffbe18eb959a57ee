//! Telegrams of the test folders of libmbus, pyMeterBus and m-bus-parser, with the XML that libmbus
//! makes of them: header and every record, as it stood on the wire and normalised.

use super::{Told, in_seconds, is_number, spaced, text_of};
use crate::row::Comparison;
use crate::{Checked, Explained, Protocol, Row};
use polymeter_codec::mbus::{
    Data, Fixed, Function, Invalid, Item, Message, Record, Value, medium_name,
};
use serde_json::Value as Json;

pub const PROTOCOL: Protocol =
    Protocol { name: "mbus", file: "mbus_wired.jsonl", check, explained: EXPLAINED };

const fn explained(row: usize, about: &'static str, reason: &'static str) -> Explained {
    Explained { row, about, reason }
}

const NO_DAY: &str = "a day and month of zero are no date: libmbus prints the bits, we say invalid";
const LIMIT_TIME: &str = "the VIFE makes the data the time of a limit exceed, which libmbus prints \
                          as a number";

const EXPLAINED: &[Explained] = &[
    explained(1, "2000-00-00", NO_DAY),
    explained(32, "record 19 value", LIMIT_TIME),
    explained(32, "record 20 value", LIMIT_TIME),
    explained(32, "record 21 value", LIMIT_TIME),
    explained(32, "record 22 value", LIMIT_TIME),
    explained(
        32,
        "record 32 value",
        "the year 127 is every year (EN 13757-3, type F), which libmbus takes for 2027",
    ),
    explained(40, "2000-00-00", NO_DAY),
    explained(41, "2000-00-00", NO_DAY),
    explained(
        65,
        "published 45.52",
        "the record is 16 bytes of text by its LVAR 10; the assertion is of another frame of that test",
    ),
];

fn check(row: &Row) -> Result<Checked, String> {
    let bytes = match row.bytes("frame_hex") {
        Ok(bytes) => bytes,
        Err(why) => return Ok(Checked::Refused(why)),
    };
    let broken = match row.text("kind") {
        "ok" => false,
        // What libmbus refuses or what a test cut; error answers are whole telegrams.
        "error" => row.expected("xml").is_null(),
        "fragment" => true,
        // Not understood by libmbus, which says nothing of whether it is broken.
        "unsupported" => Told::of(&bytes).is_err(),
        kind => return Err(format!("kind {kind}")),
    };
    match (Told::of(&bytes), broken) {
        (Err(why), true) => Ok(Checked::Refused(why)),
        (Err(why), false) => Err(why),
        (Ok(_), true) => Err("published as broken, but decoded".to_owned()),
        (Ok(None), false) => Ok(Comparison::default().decoded()),
        (Ok(Some(told)), false) => compare(row, &told),
    }
}

fn compare(row: &Row, told: &Told<'_>) -> Result<Checked, String> {
    let mut compared = Comparison::default();
    let xml = row.expected("xml");
    match told.message {
        Message::Data(data) => header(&mut compared, &xml["slave"], data),
        Message::Fixed(fixed) => fixed_header(&mut compared, &xml["slave"], &fixed),
        Message::Error(error) => {
            let name = match error.name() {
                "the application is busy with another readout" => "Application busy",
                "more than ten DIFEs" => "More than 10 DIFE\u{c2}\u{b4}s",
                "more than ten VIFEs" => "More than 10 VIFE\u{c2}\u{b4}s",
                "unspecified error" => "Unspecified error",
                other => other,
            };
            compared.same("error", &xml["slave"]["Error"], name);
        }
        Message::Compact(_) | Message::Other => {}
    }
    let asserted = row.expected("asserted_record_values");
    for (place, published) in asserted.as_object().into_iter().flatten() {
        let record = place.parse().ok().and_then(|place| told.records().nth(place));
        let record = record.ok_or_else(|| format!("there is no record {place}"))?;
        let published = published.as_str().unwrap_or_default();
        compared.compared += 1;
        let unit = record.meaning().unit;
        let ours = record.scaled().map(|ours| in_seconds(ours, unit));
        if !ours.is_some_and(|ours| is_number(published, ours)) {
            let ours = text_of(record);
            compared.differences.push(format!("{place}: published {published}, ours {ours}"));
        }
    }
    if let Some(published) = xml["records"].as_array() {
        compared.same("records", &Json::from(published.len()), told.items.len());
        let normalized = &row.expected("normalized")["records"];
        for (place, (published, item)) in published.iter().zip(&told.items).enumerate() {
            one(&mut compared, place, published, &normalized[place], item);
        }
    }
    Ok(compared.decoded())
}

fn header(compared: &mut Comparison, published: &Json, data: Data<'_>) {
    let Some(header) = data.header else { return };
    let Some(identity) = header.identity else { return };
    let number: String = identity.number().iter().rev().map(|byte| format!("{byte:02X}")).collect();
    let number = number.trim_start_matches('0');
    compared.same("Id", &published["Id"], if number.is_empty() { "0" } else { number });
    let letters = identity.vendor_letters();
    let letters: String = letters.map_or_else(String::new, |letters| letters.iter().collect());
    compared.same("Manufacturer", &published["Manufacturer"], letters);
    compared.same("Version", &published["Version"], identity.version());
    compared.same("AccessNumber", &published["AccessNumber"], header.access);
    compared.same("Status", &published["Status"], format!("{:02X}", header.status.0));
    compared.same("Signature", &published["Signature"], format!("{:04X}", header.configuration));
    let medium = medium_name(identity.medium()).unwrap_or("unknown");
    let published = published["Medium"].as_str().map(medium_words);
    compared.same("Medium", &published.map_or(Json::Null, Json::from), medium);
}

fn fixed_header(compared: &mut Comparison, published: &Json, fixed: &Fixed) {
    compared.same("AccessNumber", &published["AccessNumber"], fixed.access);
}

/// libmbus' names of media in ours.
fn medium_words(name: &str) -> String {
    match name {
        "Heat: Outlet" => "heat, outlet".to_owned(),
        "Heat: Inlet" => "heat, inlet".to_owned(),
        "Cold: Outlet" => "cooling, outlet".to_owned(),
        "H.C.A." => "heat cost allocator".to_owned(),
        "Bus/System" => "bus or system".to_owned(),
        "Heat / Cooling load meter" => "heat and cooling".to_owned(),
        name if name.starts_with("Warm water") => "warm water".to_owned(),
        name => name.to_lowercase(),
    }
}

fn one(compared: &mut Comparison, place: usize, xml: &Json, normalized: &Json, item: &Item<'_>) {
    let what = |name: &str| format!("record {place} {name}");
    let record = match item {
        Item::Record(record) => record,
        Item::VendorData(bytes) => {
            compared.same(&what("function"), &xml["Function"], "Manufacturer specific");
            return compared.same(&what("value"), &xml["Value"], spaced(bytes));
        }
        Item::MoreFollows(bytes) => {
            compared.same(&what("function"), &xml["Function"], "More records follow");
            return compared.same(&what("value"), &xml["Value"], spaced(bytes));
        }
        Item::ReadAll => return compared.same(&what("function"), &xml["Function"], "all"),
    };
    let function = match record.function {
        Function::Instantaneous => "Instantaneous value",
        Function::Maximum => "Maximum value",
        Function::Minimum => "Minimum value",
        Function::DuringError => "Value during error state",
    };
    compared.same(&what("function"), &xml["Function"], function);
    compared.same(&what("storage"), &xml["StorageNumber"], record.storage);
    compared.same(&what("tariff"), &xml["Tariff"], record.tariff);
    compared.same(&what("subunit"), &xml["Device"], record.subunit);
    let quantity = normalized["Quantity"].as_str().map(|name| quantity_words(name, record));
    let text = record.plain_text().map(|text| text.to_string());
    let ours = text.unwrap_or_else(|| record.meaning().quantity.name().to_owned());
    compared.same(&what("quantity"), &quantity.map_or(Json::Null, Json::from), ours);
    value(compared, &what("value"), xml, normalized, record);
}

fn value(
    compared: &mut Comparison,
    what: &str,
    xml: &Json,
    normalized: &Json,
    record: &Record<'_>,
) {
    compared.compared += 1;
    let raw = xml["Value"].as_str().unwrap_or_default();
    let published = normalized["Value"].as_str().unwrap_or(raw);
    let same = match record.value() {
        Value::Number(_) => record.scaled().is_some_and(|ours| {
            // Without a normalised value there is only the wire's.
            if normalized["Value"].is_null() {
                return raw == ours.mantissa.to_string();
            }
            is_number(published, in_seconds(ours, record.meaning().unit))
        }),
        Value::Real(ours) => {
            let scaled = f64::from(ours) * 10_f64.powi(record.meaning().scale.into());
            published.parse::<f64>().is_ok_and(|theirs| (theirs - scaled).abs() < 5e-7)
        }
        // The digits of what a display shows.
        Value::Invalid(Invalid::NotDecimal) => {
            let digits: String = record.digits().map(|digit| format!("{digit:X}")).collect();
            digits.trim_start_matches('0') == raw.trim_start_matches('0')
        }
        _ => text_of(record) == raw,
    };
    if !same {
        compared.differences.push(format!("{what}: published {raw}, ours {}", text_of(record)));
    }
}

/// libmbus' names of quantities in ours; a plain text is the same in both.
fn quantity_words(name: &str, record: &Record<'_>) -> String {
    let ours = match name {
        "Fabrication No" => "fabrication number",
        "Time point (date)" => "date",
        "Time point (date & time)" => "date and time",
        "Dimensionless" => "without dimension",
        "H.C.A." => "heat cost allocation",
        "Manufacturer specific" => "specific to the vendor",
        "Model / Version" => "model",
        "Parameter set identification" => "parameter set",
        "Digital Output" => "digital output",
        "Digital Input" => "digital input",
        name if record.plain_text().is_some() => name,
        name => return name.to_lowercase(),
    };
    ours.to_owned()
}
