//! What DL/T 645 frames say: every published value, every way to damage a published frame, and any
//! bytes under any identifier that the tables know.

use polymeter_codec::dlt645::item::{Found, Item, Row};
use polymeter_codec::dlt645::value::{Format, NoValue, Unit, Value};
use polymeter_codec::dlt645::{
    Frame, control, decode, false_start, items_1997, items_2007, items_makers, load_record,
};
use polymeter_codec::{Decoded, Obis};
use proptest::prelude::*;
use serde_json::Value as Json;
use std::collections::BTreeSet;
use std::io::Write as _;

fn rows() -> Option<Vec<Json>> {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../../../shared/vectors/dlt645.jsonl");
    let text = std::fs::read_to_string(path).ok();
    if text.is_none() {
        report!("vectors dlt645: 0 rows, all skipped (no file {path})");
    }
    let lines = text.iter().flat_map(|text| text.lines());
    let rows = lines.map(|line| serde_json::from_str(line).unwrap()).collect();
    text.as_ref().map(|_| rows)
}

fn bytes_of(row: &Json) -> Vec<u8> {
    hex::decode(row["frame_hex"].as_str().unwrap()).unwrap()
}

/// All frames in `bytes`, after which the line is quiet.
fn frames_in(mut bytes: &[u8]) -> Vec<Frame> {
    let mut found = Vec::new();
    while !bytes.is_empty() {
        let dropped = match decode(bytes) {
            Decoded::Frame { frame, used } => {
                found.push(frame);
                used
            }
            Decoded::NeedMore { .. } => false_start(bytes),
            Decoded::Garbled { skip } => skip,
        };
        bytes = &bytes[dropped..];
    }
    found
}

/// What a frame's identifier stands for, and the data behind it.
fn found_in(frame: &Frame, edition: &str) -> Option<(Found, Vec<u8>)> {
    let data = frame.data.as_slice();
    if edition == "1997" || frame.control & 0x1F == 0x01 {
        let found = items_1997::find(frame.data_identifier_1997()?)?;
        return Some((found, data[2..].to_vec()));
    }
    let identifier = frame.data_identifier()?;
    let found = items_2007::find(identifier).or_else(|| items_makers::find(identifier))?;
    Some((found, data[4..].to_vec()))
}

/// A decimal as its source wrote it, in the smallest unit that both have: "000001.86" is 186 at -2.
fn same_number(text: &str, mantissa: i64, scale: i8) -> bool {
    let digits = text.split_once('.').map_or(0, |(_, decimals)| decimals.len());
    let written: i64 = text.replace('.', "").parse().unwrap();
    let places = digits.max(usize::from(scale.min(0).unsigned_abs()));
    let at = |number: i64, has: usize| number * 10_i64.pow(u32::try_from(places - has).unwrap());
    let ours =
        if scale > 0 { mantissa * 10_i64.pow(scale.unsigned_abs().into()) } else { mantissa };
    at(written, digits) == at(ours, usize::from(scale.min(0).unsigned_abs()))
}

fn unit_of(text: &str) -> Unit {
    match text {
        "kWh" => Unit::KilowattHour,
        "V" => Unit::Volt,
        "A" => Unit::Ampere,
        "kvar" => Unit::Kilovar,
        "kVA" => Unit::KilovoltAmpere,
        "" => Unit::None,
        other => panic!("unit {other}"),
    }
}

fn check_number(row: usize, text: &str, item: &Item<'_>) {
    match item.value {
        Ok(Value::Number { mantissa, scale }) => {
            assert!(same_number(text, mantissa, scale), "row {row}: {text}, ours {item:?}");
        }
        Err(NoValue::Absent) => assert_eq!(text, "FFFF", "row {row}: {item:?}"),
        other => panic!("row {row}: {text}, ours {other:?}"),
    }
}

/// Everything that a source says of a frame, by the name under which it says so.
fn check_expected(number: usize, row: &Json, frame: &Frame) -> usize {
    let edition = row["version"].as_str().unwrap();
    let data = frame.data.as_slice();
    let found = found_in(frame, edition);
    let reply = frame.control & control::REPLY != 0;
    let mut told = Vec::new();
    if let Some((found, data)) = found.as_ref().filter(|_| reply) {
        found.for_each(data, |item| told.push(item));
    }
    for (name, said) in row["expected"].as_object().unwrap() {
        let text = said.as_str().unwrap_or_default();
        match name.as_str() {
            "addr" => assert_eq!(frame.address.to_string(), text, "row {number}"),
            "control" => assert_eq!(format!("{:02X}", frame.control), text, "row {number}"),
            "di" => {
                let width = text.len() / 2;
                let low_first: Vec<u8> = data[..width].iter().rev().copied().collect();
                assert_eq!(hex::encode_upper(low_first), text, "row {number}");
                let known = found.is_some()
                    || WITHOUT_TABLE.iter().any(|(identifier, _)| *identifier == text);
                assert!(known, "row {number}: no table has {text}");
            }
            "value" => check_number(number, text, &told[0]),
            "values" => {
                let texts: Vec<&str> =
                    said.as_array().unwrap().iter().map(|text| text.as_str().unwrap()).collect();
                assert_eq!(told.len(), texts.len(), "row {number}");
                texts.iter().zip(&told).for_each(|(text, item)| check_number(number, text, item));
            }
            "unit" => assert_eq!(told[0].unit, unit_of(text), "row {number}"),
            "bcd_invalid" => {
                assert_eq!(told[0].value, Err(NoValue::NotDecimal), "row {number}");
            }
            "ascii" => {
                let Ok(Value::Text(ours)) = told[0].value else { panic!("row {number}: no text") };
                assert_eq!(ours.to_string(), text, "row {number}");
            }
            "time" => {
                let Ok(Value::Time(ours)) = told[0].value else { panic!("row {number}: no time") };
                let (year, rest) = text.split_at(2);
                let [month, day, hour, minute] =
                    [0, 2, 4, 6].map(|at| rest.get(at..at + 2).unwrap());
                let written = format!("20{year}-{month}-{day} {hour}:{minute}");
                assert_eq!(ours.to_string(), written, "row {number}");
            }
            "clock_ss_mm_hh_WW_DD_MM_YY" => {
                let Ok(Value::Time(ours)) = told[0].value else { panic!("row {number}: no time") };
                let part: Vec<&str> = text.split(' ').collect();
                let written = format!(
                    "20{}-{}-{} {}:{}:{}",
                    part[6], part[5], part[4], part[2], part[1], part[0]
                );
                assert_eq!(ours.to_string(), written, "row {number}");
            }
            "datetime_ss_mm_hh_DD_MM_YY" => {
                let written = hex::encode(data);
                assert_eq!(written, text.replace(' ', ""), "row {number}");
            }
            "address_in_data" => {
                let low_first: Vec<u8> = data.iter().rev().copied().collect();
                assert_eq!(hex::encode(low_first), text, "row {number}");
            }
            "error_word" => assert_eq!(hex::encode(data), text, "row {number}"),
            "operator_hex_on_wire_minus33" => {
                assert_eq!(hex::encode(&data[4..8]), text, "row {number}");
            }
            "data_len_after_di" => {
                let found = &found.as_ref().unwrap().0;
                assert_eq!(said.as_u64(), Some(found.row.format.bytes() as u64), "row {number}");
            }
            "fields" => check_fields(number, said, &told),
            // What a computer logged beside it, and marks that say nothing of the frame.
            "log_wall_clock" | "fixture" | "bad_checksum" | "raw_reversed" => continue,
            other => panic!("row {number}: nobody compares \"{other}\""),
        }
    }
    row["expected"].as_object().unwrap().len()
}

/// Identifiers that stand in no table, and why; of these frames only the identifier is compared.
const WITHOUT_TABLE: &[(&str, &str)] = &[
    ("078102FF", "a command of C=03H, whose data the driver takes apart"),
    ("070102FF", "a command of C=03H, whose data the driver takes apart"),
    ("02010000", "a question about a voltage in total, which the standard does not have"),
];

/// Fields of a maker's block, by that maker's names.
fn check_fields(row: usize, said: &Json, told: &[Item<'_>]) {
    let field = |name: &str| told.iter().find(|item| item.field == Some(name)).unwrap();
    for (name, text) in said.as_object().unwrap() {
        let text = text.as_str().unwrap();
        let text = text.split(' ').next().unwrap();
        let names: &[&str] = match name.as_str() {
            "priceChgDate" => {
                let high_first: Vec<u8> =
                    field("price switch time").bytes.iter().rev().copied().collect();
                assert_eq!(hex::encode(high_first), text, "row {row}");
                continue;
            }
            "timeAreaChgDate raw[12]" => {
                assert_eq!(hex::encode(&field("year zone switch time").bytes[2..3]), text);
                continue;
            }
            "set1Price4" => &["set 1 price 4"],
            "set1Step1" => &["set 1 step 1"],
            "set2Price1..4" => {
                &["set 2 price 1", "set 2 price 2", "set 2 price 3", "set 2 price 4"]
            }
            other => panic!("row {row}: nobody compares \"{other}\""),
        };
        names.iter().for_each(|name| check_number(row, text, field(name)));
    }
}

#[test]
fn published_values_dlt645() {
    let Some(rows) = rows() else { return };
    let (mut frames, mut refused, mut values) = (0, 0, 0);
    for (number, row) in rows.iter().enumerate() {
        let bytes = bytes_of(row);
        if row["check"] != "checksum-ok" {
            assert_eq!(frames_in(&bytes), vec![], "row {}", number + 1);
            refused += 1;
            continue;
        }
        let Decoded::Frame { frame, .. } = decode(&bytes) else { panic!("row {}", number + 1) };
        values += check_expected(number + 1, row, &frame);
        frames += 1;
    }
    report!(
        "vectors dlt645: {frames} rows decoded, {values} published facts equal, 0 differing, \
         {refused} broken rows refused"
    );
    assert!(frames > 0 && refused > 0);
}

/// A published frame cut anywhere is no frame, and with one bit turned over no other frame.
#[test]
fn damaged_published_frames_say_nothing_wrong_dlt645() {
    let Some(rows) = rows() else { return };
    let mut damaged = 0_usize;
    for row in rows.iter().filter(|row| row["check"] == "checksum-ok") {
        let bytes = bytes_of(row);
        let original = frames_in(&bytes);
        for length in 0..bytes.len() {
            assert_eq!(frames_in(&bytes[..length]), vec![], "{row} cut to {length}");
            damaged += 1;
        }
        for bit in 0..bytes.len() * 8 {
            let mut flipped = bytes.clone();
            flipped[bit / 8] ^= 1 << (bit % 8);
            for frame in frames_in(&flipped) {
                assert!(original.contains(&frame), "{row} with bit {bit} turned: {frame:?}");
            }
            damaged += 1;
        }
    }
    report!("vectors dlt645: {damaged} damaged frames, none taken for another");
    assert!(damaged > 0);
}

/// The beginning of one and the whole of another: only frames that were sent come out, but for what
/// an 8-bit sum lets pass by chance, which is counted.
#[test]
fn spliced_published_frames_dlt645() {
    let Some(rows) = rows() else { return };
    let frames: Vec<Vec<u8>> =
        rows.iter().filter(|row| row["check"] == "checksum-ok").map(bytes_of).collect();
    let (mut spliced, mut lost, mut by_chance) = (0_usize, 0_usize, 0_usize);
    for (number, first) in frames.iter().enumerate() {
        let second = &frames[(number * 7 + 3) % frames.len()];
        let sent = [frames_in(first), frames_in(second)].concat();
        for cut in 0..=first.len() {
            let found = frames_in(&[&first[..cut], second.as_slice()].concat());
            lost += usize::from(!found.iter().any(|frame| frames_in(second).contains(frame)));
            by_chance += found.iter().filter(|frame| !sent.contains(frame)).count();
            spliced += 1;
        }
    }
    report!("vectors dlt645: {spliced} splices, {lost} hid the second, {by_chance} by chance");
    assert_eq!(lost, 0, "a cut frame hides the one behind it");
    // One of 256 wrong sums is right; what passes has still to answer the question that was asked.
    assert!(by_chance * 256 <= spliced, "{by_chance} of {spliced}");
}

fn any_row() -> impl Strategy<Value = &'static Row> {
    let all: Vec<&'static Row> =
        [items_2007::ROWS, items_1997::ROWS, items_makers::ROWS].into_iter().flatten().collect();
    prop::sample::select(all)
}

proptest! {
    #[test]
    fn any_data_under_any_identifier_is_told_within_its_format(
        row in any_row(),
        index in 0_u32..8,
        block in any::<bool>(),
        data in prop::collection::vec(prop_oneof![0_u8..0x10, any::<u8>(), Just(0xFF)], 0..256),
    ) {
        let found = Found { row, index: index % row.count, block: block && row.block != 0, past: 0 };
        let mut told = 0_usize;
        found.for_each(&data, |item| {
            told += 1;
            if let Ok(Value::Number { .. }) = item.value {
                // Every nibble was a digit, but for the sign in the highest bit.
                let (top, rest) = item.bytes.split_last().expect("a number has bytes");
                assert!(rest.iter().all(|byte| byte >> 4 < 10 && byte & 15 < 10));
                assert!((top & 0x7F) >> 4 < 10 && top & 15 < 10);
            }
        });
        prop_assert!(told <= data.len().max(1) * 64);
    }

    #[test]
    fn any_bytes_are_a_load_record_or_say_why(
        bytes in prop::collection::vec(prop_oneof![Just(0xA0), Just(0xAA), Just(0xE5), 0_u8..0x10], 0..200),
    ) {
        let mut rest = bytes.as_slice();
        while let Ok((_, used)) = load_record::read(rest) {
            prop_assert!(used > 0);
            rest = &rest[used..];
        }
    }
}

/// Two rows must not claim one identifier, and every identifier of a row must find that row.
#[test]
fn every_identifier_is_one_rows() {
    fn check(rows: &'static [Row], find: impl Fn(u32) -> Option<Found>) {
        let mut seen = BTreeSet::new();
        for row in rows {
            for index in 0..row.count {
                let identifier = row.first + row.step * index;
                assert!(
                    seen.insert(identifier),
                    "{identifier:08X} of \"{}\" stands twice",
                    row.name
                );
                let found = find(identifier).expect("it stands in the table");
                assert_eq!((found.row.first, found.index), (row.first, index), "{identifier:08X}");
            }
            if row.block != 0 {
                let found = find(row.first | row.block).expect("the block");
                assert_eq!((found.row.first, found.block), (row.first, true), "{}", row.name);
            }
        }
    }
    check(items_2007::ROWS, items_2007::find);
    check(items_1997::ROWS, |identifier| items_1997::find(u16::try_from(identifier).unwrap()));
    check(items_makers::ROWS, items_makers::find);
}

/// One item's values as text, by the tables.
fn told(identifier: u32, data: &str) -> Vec<String> {
    let found = items_2007::find(identifier).unwrap();
    let data = hex::decode(data.replace(' ', "")).unwrap();
    let mut lines = Vec::new();
    found.for_each(&data, |item| {
        let value = match item.value {
            Ok(Value::Number { mantissa, scale }) => format!("{mantissa}e{scale}"),
            Ok(Value::Time(time)) => time.to_string(),
            Ok(Value::Digits(digits)) => digits.to_string(),
            Ok(Value::Text(text)) => text.to_string(),
            Ok(Value::Bits(bits)) => format!("{bits:04X}"),
            Ok(Value::Raw(bytes)) => hex::encode_upper(bytes),
            Err(none) => none.to_string(),
        };
        let name =
            item.register.map_or_else(|| item.name.to_owned(), |code: Obis| code.to_string());
        let field = item.field.map(|field| format!(" {field}")).unwrap_or_default();
        let of_block = item.of_block.map(|number| format!(" #{number}")).unwrap_or_default();
        lines.push(format!("{name}{of_block}{field}: {value}"));
    });
    lines
}

#[test]
fn items_of_2007() {
    // -12.34 kWh: the top bit is the sign. Then the same of a month ago.
    assert_eq!(told(0x0000_0000, "34120080"), ["1.0.15.8.0.255: -1234e-2"]);
    assert_eq!(told(0x0000_0201, "34120000"), ["1.0.15.8.2.1: 1234e-2"]);
    assert_eq!(
        told(0x0101_0000, "563412 1510020326"),
        ["1.0.1.6.0.255 demand: 123456e-4", "forward active demand time: 2026-03-02 10:15"]
    );
    assert_eq!(
        told(0x0506_0102, "00010000 00020000 FFFFFFFF"),
        [
            "daily freeze forward energy #0: 100e-2",
            "daily freeze forward energy #1: 200e-2",
            "daily freeze forward energy #2: absent"
        ]
    );
    assert_eq!(
        told(0x0401_0001, "01 0000 02 3008"),
        [
            "day slots 1 #0 tariff: 1e0",
            "day slots 1 #0 from: 00:00",
            "day slots 1 #1 tariff: 2e0",
            "day slots 1 #1 from: 08:30"
        ]
    );
    assert_eq!(
        told(0x0405_01FF, "00500000 0075"),
        ["tariff price 1: 5000e-4", "tariff price 1: 4 bytes are right, 2 came"]
    );
    // A record that was never written.
    assert_eq!(told(0x0311_0001, &"00".repeat(12))[0], "power down start: absent");
    assert_eq!(told(0x0400_0501, "FFFF"), ["0.0.96.5.1.255: absent"]);
}

#[test]
fn a_block_of_1997_ends_in_aa() {
    let found = items_1997::find(0x901F).unwrap();
    let data = hex::decode("00010000 00010000 AA".replace(' ', "")).unwrap();
    let mut count = 0;
    found.for_each(&data, |item| {
        assert_eq!(item.value, Ok(Value::Number { mantissa: 100, scale: -2 }));
        count += 1;
    });
    assert_eq!(count, 2);
    let volts = items_1997::find(0xB611).unwrap();
    assert_eq!(
        volts.row.format,
        Format::Number { bytes: 2, scale: 0, sign: polymeter_codec::bcd::Sign::None }
    );
}
