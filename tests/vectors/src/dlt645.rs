//! DL/T 645, both editions: the frame layer, and every value, unit, time and text that a source
//! states.

use crate::row::Comparison;
use crate::{Checked, Protocol, Row};
use polymeter_codec::Decoded;
use polymeter_codec::dlt645::item::{Found, Item};
use polymeter_codec::dlt645::value::{NoValue, Unit, Value};
use polymeter_codec::dlt645::{
    Frame, control, decode, false_start, items_1997, items_2007, items_makers,
};
use serde_json::Value as Json;

pub const PROTOCOL: Protocol =
    Protocol { name: "dlt645", file: "dlt645.jsonl", check, explained: &[] };

/// Identifiers that stand in no table of the codec; of these frames the bytes are compared.
const WITHOUT_TABLE: &[(&str, &str)] = &[
    ("078102FF", "a command of C=03H, whose data the driver takes apart"),
    ("070102FF", "a command of C=03H, whose data the driver takes apart"),
    ("02010000", "a question about a voltage in total, which the standard does not have"),
];

/// What a source says beside the frame itself: its computer's clock, and marks without a value.
const BESIDE: &[&str] = &["log_wall_clock", "fixture", "raw_reversed"];

fn check(row: &Row) -> Result<Checked, String> {
    let bytes = row.bytes("frame_hex")?;
    if row.text("check") != "checksum-ok" {
        return match first_frame(&bytes) {
            Some(frame) => Err(format!("published as broken, but taken for {frame:?}")),
            None => Ok(Checked::Refused("no frame in it".to_owned())),
        };
    }
    let Decoded::Frame { frame, used } = decode(&bytes) else {
        return Err("not decoded".to_owned());
    };
    if used != bytes.len() {
        return Err(format!("{used} bytes of {}", bytes.len()));
    }
    let mut compared = Comparison::default();
    of_frame(row, &frame, &bytes, &mut compared)?;
    of_values(row, &frame, &mut compared)?;
    Ok(compared.decoded())
}

/// As a caller finds it who hears nothing more.
fn first_frame(mut bytes: &[u8]) -> Option<Frame> {
    while !bytes.is_empty() {
        let skip = match decode(bytes) {
            Decoded::Frame { frame, .. } => return Some(frame),
            Decoded::NeedMore { .. } => false_start(bytes),
            Decoded::Garbled { skip } => skip,
        };
        bytes = &bytes[skip..];
    }
    None
}

fn high_first(bytes: &[u8]) -> String {
    bytes.iter().rev().map(|byte| format!("{byte:02X}")).collect()
}

fn of_frame(
    row: &Row,
    frame: &Frame,
    bytes: &[u8],
    compared: &mut Comparison,
) -> Result<(), String> {
    let data = frame.data.as_slice();
    compared.same("address", row.derived("addr"), frame.address);
    compared.same("control", row.derived("control"), format!("{:02X}", frame.control));
    compared.same("L", row.derived("L"), data.len());
    compared.same("data", row.derived("data_minus33"), hex::encode_upper(data));
    if let Some(identifier) = row.derived("di").as_str() {
        let width = identifier.len() / 2;
        let ours = data.get(..width).ok_or("shorter than its identifier")?;
        compared.same("identifier", row.derived("di"), high_first(ours));
    }
    let mut encoded = vec![0; frame.encoded_length()];
    frame.encode(&mut encoded).map_err(|why| why.to_string())?;
    if bytes.ends_with(&encoded) { Ok(()) } else { Err("encoded again it differs".to_owned()) }
}

/// What the frame's identifier stands for, and the data behind it.
fn found_in<'a>(row: &Row, frame: &'a Frame) -> Option<(Found, &'a [u8])> {
    let data = frame.data.as_slice();
    // Whatever its row says: C=01H and its replies are of 1997 only.
    if row.text("version") == "1997" || frame.control & 0x1F == 0x01 {
        let found = items_1997::find(frame.data_identifier_1997()?)?;
        return Some((found, data.get(2..)?));
    }
    let identifier = frame.data_identifier()?;
    let found = items_2007::find(identifier).or_else(|| items_makers::find(identifier))?;
    Some((found, data.get(4..)?))
}

fn of_values(row: &Row, frame: &Frame, compared: &mut Comparison) -> Result<(), String> {
    let found = found_in(row, frame);
    let mut items = Vec::new();
    if let Some((found, data)) = found.filter(|_| frame.control & control::REPLY != 0) {
        found.for_each(data, |item| items.push(item));
    }
    let data = frame.data.as_slice();
    for (name, said) in row.get("expected").as_object().ok_or("expected nothing")? {
        let first = || items.first().ok_or(format!("\"{name}\", but no value"));
        match name.as_str() {
            "addr" => compared.same(name, said, frame.address),
            "control" => compared.same(name, said, format!("{:02X}", frame.control)),
            "di" => {
                let text = said.as_str().unwrap_or_default();
                let listed = WITHOUT_TABLE.iter().any(|(known, _)| *known == text);
                if found.is_some() == listed {
                    return Err(format!("{text} should stand in one of table and list"));
                }
                let ours = data.get(..text.len() / 2).unwrap_or_default();
                compared.same(name, said, high_first(ours));
            }
            "value" | "ascii" => compared.same(name, said, text_as(said, first()?)),
            "values" => {
                let texts = said.as_array().ok_or("values are a list")?;
                compared.same("count", &texts.len().into(), items.len());
                for (said, item) in texts.iter().zip(&items) {
                    compared.same(name, said, text_as(said, item));
                }
            }
            "unit" => compared.same(name, said, unit(first()?.unit)),
            "bcd_invalid" => {
                let ours = first()?.value == Err(NoValue::NotDecimal);
                compared.same(name, said, ours);
            }
            "time" => compared.same(name, said, digits_of(first()?)[2..12].to_owned()),
            "clock_ss_mm_hh_WW_DD_MM_YY" => {
                clock(name, said, data, first()?, compared);
            }
            "datetime_ss_mm_hh_DD_MM_YY" => compared.same(name, said, spaced(data)),
            "address_in_data" => compared.same(name, said, high_first(data)),
            "error_word" => compared.same(name, said, hex::encode_upper(data)),
            "operator_hex_on_wire_minus33" => {
                compared.same(name, said, hex::encode(data.get(4..).unwrap_or_default()));
            }
            "data_len_after_di" => {
                let bytes = found.map_or(0, |(found, _)| found.row.format.bytes());
                compared.same(name, said, bytes);
            }
            "fields" => of_fields(said, &items, compared)?,
            beside if BESIDE.contains(&beside) => {}
            other => return Err(format!("nobody compares \"{other}\"")),
        }
    }
    Ok(())
}

/// Our value, written as its source writes it: with as many digits before and behind the point.
fn text_as(said: &Json, item: &Item<'_>) -> String {
    let said = said.as_str().unwrap_or_default();
    match item.value {
        Ok(Value::Number { mantissa, scale }) => {
            let decimals = usize::from(scale.min(0).unsigned_abs());
            let width = said.replace('.', "").len();
            let digits = format!("{mantissa:0width$}");
            let (whole, rest) = digits.split_at(digits.len().saturating_sub(decimals));
            if decimals == 0 { whole.to_owned() } else { format!("{whole}.{rest}") }
        }
        Ok(Value::Text(text)) => text.to_string(),
        Ok(Value::Time(time)) => time.to_string(),
        Ok(Value::Digits(digits)) => digits.to_string(),
        Ok(Value::Bits(bits)) => format!("{bits:04X}"),
        Ok(Value::Raw(bytes)) => high_first(bytes),
        Err(NoValue::Absent) => "F".repeat(item.bytes.len() * 2),
        Err(none) => none.to_string(),
    }
}

/// Only the digits of a time: 20251009000000, zeros for what it does not have.
fn digits_of(item: &Item<'_>) -> String {
    let time = match item.value {
        Ok(Value::Time(time)) => time.to_string(),
        other => format!("{other:?}"),
    };
    format!("{:0<14}", time.chars().filter(char::is_ascii_digit).collect::<String>())
}

fn spaced(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02X}")).collect::<Vec<_>>().join(" ")
}

/// The bytes as they came, and the time that we make of them.
fn clock(name: &str, said: &Json, data: &[u8], item: &Item<'_>, compared: &mut Comparison) {
    compared.same(name, said, spaced(data.get(4..).unwrap_or_default()));
    let parts: Vec<&str> = said.as_str().unwrap_or_default().split(' ').collect();
    let [second, minute, hour, _, day, month, year] = parts.as_slice() else { return };
    let published = format!("20{year}{month}{day}{hour}{minute}{second}");
    compared.same("time of it", &published.into(), digits_of(item));
}

fn unit(unit: Unit) -> String {
    match unit {
        Unit::KilowattHour => "kWh".to_owned(),
        Unit::Volt => "V".to_owned(),
        Unit::Ampere => "A".to_owned(),
        Unit::Kilovar => "kvar".to_owned(),
        Unit::KilovoltAmpere => "kVA".to_owned(),
        Unit::None => String::new(),
        other => format!("{other:?}"),
    }
}

/// Fields of a maker's block under that maker's names.
fn of_fields(said: &Json, items: &[Item<'_>], compared: &mut Comparison) -> Result<(), String> {
    for (name, said) in said.as_object().ok_or("fields are named")? {
        // Behind the value a source may say what it thinks of it.
        let first = said.as_str().unwrap_or_default().split(' ').next().unwrap_or_default();
        let said = Json::from(first);
        let names: &[&str] = match name.as_str() {
            "priceChgDate" => &["price switch time"],
            "timeAreaChgDate raw[12]" => &["year zone switch time"],
            "set1Price4" => &["set 1 price 4"],
            "set1Step1" => &["set 1 step 1"],
            "set2Price1..4" => {
                &["set 2 price 1", "set 2 price 2", "set 2 price 3", "set 2 price 4"]
            }
            other => return Err(format!("nobody compares the field \"{other}\"")),
        };
        for field in names {
            let item = items.iter().find(|item| item.field == Some(field));
            let item = item.ok_or(format!("the block has no {field}"))?;
            let ours = match name.as_str() {
                // The third byte of these five.
                "timeAreaChgDate raw[12]" => high_first(item.bytes.get(2..3).unwrap_or_default()),
                _ => text_as(&said, item),
            };
            compared.same(field, &said, ours);
        }
    }
    Ok(())
}
