//! What DL/T 645 frames say: every way to damage a published frame, and any bytes under any
//! identifier that the tables know. Published values: tests/vectors.

use polymeter_codec::dlt645::item::{Found, Row};
use polymeter_codec::dlt645::value::{Format, Value};
use polymeter_codec::dlt645::{
    Frame, decode, false_start, items_1997, items_2007, items_makers, load_record,
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
