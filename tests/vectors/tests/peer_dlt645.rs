//! PyPI's `dlt645` 3.2.0 against our decoder (targets.md, R21): both take the same frames apart, and
//! every number that it encodes by its own tables is that number by ours. Where we differ the list
//! says why; a reason that explains nothing any more fails.

use polymeter_codec::Decoded;
use polymeter_codec::bcd::Sign;
use polymeter_codec::dlt645::value::{Format, Unit, Value as Ours};
use polymeter_codec::dlt645::{decode, false_start, items_2007};
use serde_json::Value;
use std::collections::BTreeMap;
use std::io::Write as _;
use std::path::Path;
use std::process::{Command, Stdio};

/// The beginning of an identifier, what differs, and who is right.
const EXPLAINED: &[(&str, &str, &str)] = &[
    ("0206", "unit", "a power factor has no unit; theirs says kW"),
    ("0208", "unit", "a distortion is in per cent; theirs says V"),
    ("0209", "unit", "a distortion is in per cent; theirs says A"),
    ("020A", "absent", "harmonics one by one: no driver of ours reads them"),
    ("020B", "absent", "harmonics one by one: no driver of ours reads them"),
    ("0404", "absent", "what a display shows: no driver of ours reads it"),
    ("04000C", "absent", "passwords are written and never read"),
    (
        "0400040",
        "format",
        "accuracy classes are characters, as the standard says; theirs are digits",
    ),
    ("040005", "format", "status words are bits; theirs are digits, which cannot hold A to F"),
    ("040006", "format", "how energies are combined is bits; theirs are digits"),
    ("040007", "format", "a baud rate is one bit of a byte; theirs are digits"),
    ("040008", "format", "weekend days are bits; theirs are digits"),
    ("040009", "format", "kinds of records are bits; theirs are digits"),
];

fn ask(frames: &[String]) -> Vec<Value> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    let python = root.join("target/peer-dlt645/bin/python");
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("peers/dlt645_peer.py");
    let mut peer = Command::new(&python)
        .arg(script)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap_or_else(|why| panic!("{}: {why}: cargo xtask test makes it", python.display()));
    let mut input = peer.stdin.take().expect("a pipe");
    let text = frames.join("\n") + "\n";
    // Its answers are shorter than a pipe holds only by luck, so somebody else writes.
    let writer = std::thread::spawn(move || input.write_all(text.as_bytes()));
    let output = peer.wait_with_output().expect("it ends");
    writer.join().expect("no panic").expect("it reads to the end");
    assert!(output.status.success(), "the peer failed");
    let text = String::from_utf8(output.stdout).expect("UTF-8");
    text.lines().map(|line| serde_json::from_str(line).expect(line)).collect()
}

/// Published frames, each also with a byte changed and cut short.
fn frames() -> Vec<Vec<u8>> {
    let Some(folder) = vectors::folder() else {
        return vec![hex("6801000000001068110433333435C516")];
    };
    let text = std::fs::read_to_string(folder.join("dlt645.jsonl")).expect("the rows");
    let mut frames = Vec::new();
    for (number, line) in text.lines().enumerate() {
        let row: Value = serde_json::from_str(line).expect("a row");
        let whole = hex(row["frame_hex"].as_str().expect("a frame"));
        let mut changed = whole.clone();
        let at = number % whole.len();
        changed[at] ^= 0x10;
        frames.extend([whole[..whole.len() - 1].to_vec(), changed, whole]);
    }
    frames
}

fn hex(text: &str) -> Vec<u8> {
    hex::decode(text).expect("hexadecimal")
}

/// The first frame, as a caller finds it who hears nothing more.
fn ours(mut bytes: &[u8]) -> Option<(String, u8, Vec<u8>)> {
    while !bytes.is_empty() {
        let skip = match decode(bytes) {
            Decoded::Frame { frame, .. } => {
                let data = frame.data.as_slice().to_vec();
                return Some((frame.address.to_string(), frame.control, data));
            }
            Decoded::NeedMore { .. } => false_start(bytes),
            Decoded::Garbled { skip } => skip,
        };
        bytes = &bytes[skip..];
    }
    None
}

fn theirs(answer: &Value) -> Option<(String, u8, Vec<u8>)> {
    let frame = answer["frame"].as_object()?;
    let text = |name: &str| frame[name].as_str().expect("text").to_owned();
    let control = frame["control"].as_u64().and_then(|code| u8::try_from(code).ok());
    Some((text("address"), control.expect("a byte"), hex(&text("data"))))
}

fn unit_of(text: &str) -> Option<Unit> {
    Some(match text {
        "V" => Unit::Volt,
        "A" => Unit::Ampere,
        "kW" => Unit::Kilowatt,
        "kvar" => Unit::Kilovar,
        "kVA" => Unit::KilovoltAmpere,
        "Hz" => Unit::Hertz,
        // Theirs leaves many units out, or says them in Chinese.
        _ => return None,
    })
}

/// What differs about one number, as (what, text).
fn differences(value: &Value) -> Vec<(&'static str, String)> {
    let text = |name: &str| value[name].as_str().expect("text");
    let number = |name: &str| value[name].as_i64().expect("a number");
    let identifier = u32::from_str_radix(text("di"), 16).expect("an identifier");
    let (mantissa, scale) = (number("mantissa"), number("scale"));
    let mut differing = Vec::new();
    if number("back") != mantissa {
        differing.push(("round trip", format!("theirs reads back {}", value["back"])));
    }
    let framed = ours(&hex(text("frame"))).expect("their frame is a frame");
    let bytes = hex(text("bytes"));
    if framed.2.get(4..) != Some(bytes.as_slice()) {
        differing.push(("frame", format!("{framed:02X?}")));
    }
    let Some(found) = items_2007::find(identifier) else {
        return vec![("absent", "our table does not have it".to_owned())];
    };
    let Format::Number { sign, .. } = found.row.format else {
        differing.push(("format", format!("ours is {:?}", found.row.format)));
        return differing;
    };
    // What they encode below zero where the standard has no sign is not asked.
    if mantissa < 0 && sign == Sign::None {
        return differing;
    }
    found.for_each(&bytes, |item| {
        let same = matches!(item.value, Ok(Ours::Number { mantissa: ours, scale: at })
            if ours == mantissa && i64::from(at) == scale);
        if !same {
            differing.push(("value", format!("{mantissa}e{scale}, ours {:?}", item.value)));
        }
        if unit_of(text("unit")).is_some_and(|unit| unit != item.unit) {
            differing.push(("unit", format!("{}, ours {:?}", text("unit"), item.unit)));
        }
    });
    differing
}

#[test]
fn r21_pypi_dlt645() {
    let frames = frames();
    let lines: Vec<String> = frames.iter().map(hex::encode).collect();
    let answers = ask(&lines);
    let (of_frames, of_values) = answers.split_at(frames.len());
    for (bytes, answer) in frames.iter().zip(of_frames) {
        assert_eq!(ours(bytes), theirs(answer), "{bytes:02X?}");
    }
    let mut used: BTreeMap<usize, usize> = BTreeMap::new();
    let (mut equal, mut failures) = (0, Vec::new());
    for answer in of_values {
        let value = &answer["value"];
        let identifier = value["di"].as_str().expect("an identifier");
        let differing = differences(value);
        equal += usize::from(differing.is_empty());
        for (what, text) in differing {
            let explained = EXPLAINED
                .iter()
                .position(|(of, about, _)| identifier.starts_with(of) && *about == what);
            match explained {
                Some(reason) => *used.entry(reason).or_default() += 1,
                None => failures.push(format!("{identifier} {what}: {text}")),
            }
        }
    }
    let mut report = format!(
        "R21 PyPI dlt645: {} frames equal, {equal} of {} numbers equal\n",
        frames.len(),
        of_values.len()
    );
    for (nth, (of, what, why)) in EXPLAINED.iter().enumerate() {
        let count = used.get(&nth).copied().unwrap_or(0);
        report += &format!("    {count} of {of}.. differ in {what}: {why}\n");
        assert!(count > 0, "{of} {what} explains nothing any more");
    }
    writeln!(std::io::stderr(), "{report}").expect("standard error is there");
    assert!(failures.is_empty(), "{}", failures.join("\n"));
    assert!(equal > 0);
}
