//! PyPI's `pyMeterBus` 0.8.5 against our decoder (targets.md, R21): of every published telegram both
//! tell the same records with the same numbers. Where we differ the list says why; a reason that
//! explains nothing any more fails.

use polymeter_codec::Decoded;
use polymeter_codec::mbus::{
    Function, Item, Message, Record, Telegram, Unit, Value as Ours, decode, message,
};
use serde_json::Value;
use std::collections::BTreeMap;
use std::io::Write as _;
use std::path::Path;
use std::process::{Command, Stdio};
use vectors::{folder, rows};

/// What differs, by a part of its text, and who is right.
const EXPLAINED: &[(&str, &str)] = &[
    ("\"2000-00-00\"", "a day and month of zero are no date; theirs prints the bits"),
    ("ours Invalid(NotDecimal)", "nibbles above 9 are no digits; theirs adds them as if they were"),
    ("\"2008-06-08T00:00\"", "six bytes are type I; theirs reads the first four as type F"),
    ("1 records, theirs 2", "LVAR F0 is 16 bytes, as libmbus reads it; theirs ends it elsewhere"),
    ("ours Invalid(NoSuchTime)", "a VIFE makes the data a time, which theirs does not know"),
    ("ours 2011-08-", "a VIFE makes the data a time, which theirs does not know"),
    ("ours ****-01-01", "the year 127 is every year; theirs takes it for 2027"),
    ("fails: \"123\"", "the VIF 7B is reserved and the record still whole; theirs fails on it"),
    ("Not a variable data long frame", "records for a device (CI 51); theirs reads replies alone"),
    ("RSSI", "the number as it came; theirs subtracts 100, for which we know no source"),
    ("VARIABLE_VIF", "a text by its LVAR; theirs shows it as bytes"),
    ("compliant: nan", "a real number that is none; theirs has no way to say so"),
];

fn ask(telegrams: &[Vec<u8>]) -> Vec<Value> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    let python = root.join("target/peer-mbus/bin/python");
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("peers/mbus_peer.py");
    let mut peer = Command::new(&python)
        .arg(script)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap_or_else(|why| panic!("{}: {why}: cargo xtask test makes it", python.display()));
    let mut input = peer.stdin.take().expect("a pipe");
    let lines: Vec<String> = telegrams.iter().map(hex::encode).collect();
    let text = lines.join("\n") + "\n";
    // Its answers are longer than a pipe holds, so somebody else writes.
    let writer = std::thread::spawn(move || input.write_all(text.as_bytes()));
    let output = peer.wait_with_output().expect("it ends");
    writer.join().expect("no panic").expect("it reads to the end");
    assert!(output.status.success(), "the peer failed");
    let text = String::from_utf8(output.stdout).expect("UTF-8");
    text.lines().map(|line| serde_json::from_str(line).expect(line)).collect()
}

/// Published telegrams that are whole and have records.
fn telegrams() -> Option<Vec<Vec<u8>>> {
    let folder = folder()?;
    let files = ["mbus_wired.jsonl", "mbus_wired_wmbusmeters.jsonl"];
    let rows = files.into_iter().flat_map(|file| rows(&folder, file).expect("rows"));
    let telegrams = rows.filter_map(|row| row.bytes("frame_hex").ok());
    Some(telegrams.filter(|bytes| ours(bytes).is_some()).collect())
}

/// The records, where the telegram is a whole one of them.
fn ours(bytes: &[u8]) -> Option<Vec<Item<'_>>> {
    let Decoded::Frame { frame: Telegram::Long { ci, data, .. }, .. } = decode(bytes) else {
        return None;
    };
    let Ok(Message::Data(data)) = message(ci, data) else { return None };
    data.records().ok()?.collect::<Result<_, _>>().ok()
}

fn function(function: Function) -> &'static str {
    match function {
        Function::Instantaneous => "FunctionType.INSTANTANEOUS_VALUE",
        Function::Maximum => "FunctionType.MAXIMUM_VALUE",
        Function::Minimum => "FunctionType.MINIMUM_VALUE",
        Function::DuringError => "FunctionType.ERROR_STATE_VALUE",
    }
}

/// Their numbers are binary fractions, durations in seconds.
fn number(record: &Record<'_>) -> Option<f64> {
    let meaning = record.meaning();
    let factor = match meaning.unit {
        Unit::Minute => 60.0,
        Unit::Hour => 3_600.0,
        Unit::Day => 86_400.0,
        _ => 1.0,
    };
    match record.value() {
        Ours::Real(real) => Some(f64::from(real) * 10_f64.powi(meaning.scale.into()) * factor),
        _ => record
            .scaled()
            .map(|ours| ours.mantissa as f64 * 10_f64.powi(ours.scale.into()) * factor),
    }
}

fn text(record: &Record<'_>) -> String {
    match record.value() {
        Ours::Text(text) => text.to_string(),
        Ours::Date(date) => date.to_string(),
        // Theirs has no seconds; type F has none either.
        Ours::DateTime(moment) => {
            let text = moment.to_string();
            text.strip_suffix(":00").unwrap_or(&text).to_owned()
        }
        other => format!("{other:?}"),
    }
}

fn differences(items: &[Item<'_>], theirs: &Value) -> Vec<String> {
    let Some(theirs) = theirs.as_array() else {
        return vec![format!("theirs fails: {theirs}")];
    };
    let ours: Vec<&Record<'_>> = items
        .iter()
        .filter_map(|item| match item {
            Item::Record(record) => Some(record),
            _ => None,
        })
        .collect();
    // What is the vendor's, or says that more follows, is one more record of theirs.
    let plain = theirs.iter().filter(|record| {
        let function = record["function"].as_str().unwrap_or_default();
        !function.contains("SPECIAL_FUNCTION") && !function.contains("MORE_RECORDS")
    });
    let plain: Vec<&Value> = plain.collect();
    if plain.len() != ours.len() {
        return vec![format!("{} records, theirs {}", ours.len(), plain.len())];
    }
    let mut differing = Vec::new();
    for (nth, (ours, theirs)) in ours.into_iter().zip(plain).enumerate() {
        let kind = theirs["type"].as_str().unwrap_or_default();
        if theirs["function"] != function(ours.function) {
            differing.push(format!("record {nth} {kind}: function {}", theirs["function"]));
        }
        if theirs["storage_number"] != ours.storage {
            differing.push(format!("record {nth} {kind}: storage {}", theirs["storage_number"]));
        }
        let same = match (&theirs["value"], number(ours)) {
            (Value::Number(theirs), Some(ours)) => {
                let theirs = theirs.as_f64().expect("a number");
                (theirs - ours).abs() <= ours.abs().max(1e-9) * 1e-6
            }
            (Value::String(theirs), None) => *theirs == text(ours),
            _ => false,
        };
        if !same {
            let value = &theirs["value"];
            let ours = number(ours).map_or_else(|| text(ours), |number| number.to_string());
            differing.push(format!("record {nth} {kind}: {value}, ours {ours}"));
        }
    }
    differing
}

#[test]
fn r21_pypi_pymeterbus() {
    let say = |text: &str| writeln!(std::io::stderr(), "{text}").expect("standard error is there");
    let Some(telegrams) = telegrams() else {
        return say("R21 PyPI pyMeterBus: NONE, there is no folder ../shared/vectors");
    };
    let answers = ask(&telegrams);
    assert_eq!(answers.len(), telegrams.len());
    let mut used: BTreeMap<usize, usize> = BTreeMap::new();
    let (mut equal, mut failures) = (0, Vec::new());
    for (bytes, answer) in telegrams.iter().zip(&answers) {
        let items = ours(bytes).expect("it was asked");
        let differing = differences(&items, &answer["records"]);
        equal += usize::from(differing.is_empty());
        for text in differing {
            match EXPLAINED.iter().position(|(about, _)| text.contains(about)) {
                Some(reason) => *used.entry(reason).or_default() += 1,
                None => {
                    failures.push(format!("{}: {text}", hex::encode(&bytes[..bytes.len().min(24)])))
                }
            }
        }
    }
    say(&format!("R21 PyPI pyMeterBus: {equal} of {} telegrams equal", telegrams.len()));
    for (nth, (about, why)) in EXPLAINED.iter().enumerate() {
        let count = used.get(&nth).copied().unwrap_or(0);
        say(&format!("    {count} differ in {about:?}: {why}"));
        assert!(count > 0, "{about} explains nothing any more");
    }
    assert!(failures.is_empty(), "{}", failures.join("\n"));
    assert!(equal > 0);
}
