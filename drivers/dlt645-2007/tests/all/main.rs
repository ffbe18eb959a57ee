//! The driver against its transcripts, against published frames, and against a line that does what
//! it likes. No clock, no socket, no meter.

use driver_dlt645_2007::Dlt645;
use polymeter_codec::dlt645::{Data, Frame};
use polymeter_driver::{
    Call, Credit, Host, Key, Level, LineError, LocalTime, MeterDriver, Order, Purchase,
    SellOutcome, VaultError,
};
use polymeter_replay::{check_folder, value_text};
use proptest::prelude::*;
use std::io::Write as _;

/// Printed past the test harness, which keeps what a passing test prints to itself.
macro_rules! report {
    ($($text:tt)*) => {
        writeln!(std::io::stderr(), $($text)*).expect("standard error is there")
    };
}

mod noise;
mod search;

#[test]
fn transcripts() {
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/transcripts");
    match check_folder::<Dlt645>(folder.as_ref()) {
        Ok(played) => report!("transcripts dlt645-2007: {played} played"),
        Err(error) => panic!("{error}"),
    }
}

/// Values that the sources of published frames state, against `decode`. Rows of the 1997 edition
/// and rows that state no value are the codec's business.
#[test]
fn published_vectors_dlt645_values() {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../../../shared/vectors/dlt645.jsonl");
    let Ok(text) = std::fs::read_to_string(path) else {
        report!("vectors dlt645: 0 rows checked, all skipped (no file {path})");
        return;
    };
    let (mut checked, mut skipped) = (0, 0);
    for (number, line) in text.lines().enumerate().filter(|(_, line)| !line.trim().is_empty()) {
        let row: serde_json::Value = serde_json::from_str(line).unwrap();
        if check_vector(number + 1, &row) { checked += 1 } else { skipped += 1 }
    }
    report!(
        "vectors dlt645: {checked} rows checked, {skipped} skipped (1997 edition, bad checksum, or \
         no value of a known item stated)"
    );
    assert!(checked > 0);
}

/// False where the row states nothing that this driver could know.
fn check_vector(number: usize, row: &serde_json::Value) -> bool {
    let bytes = hex::decode(row["frame_hex"].as_str().unwrap()).unwrap();
    let explained = Dlt645::decode(&bytes);
    if row["check"] != "checksum-ok" || row["version"] != "2007" {
        assert_eq!(explained.is_ok(), row["check"] == "checksum-ok", "row {number}");
        return false;
    }
    let explained = explained.unwrap_or_else(|error| panic!("row {number}: {error}"));
    let expected = &row["expected"];
    let values: Vec<String> = explained
        .measurements
        .iter()
        .map(|m| if m.quality == 0 { plain(&value_text(&m.value)) } else { "unusable".to_owned() })
        .chain(explained.extras.iter().map(|(_, value)| plain(&value_text(value))))
        .collect();
    let stated: Vec<String> = match (&expected["value"], &expected["values"], &expected["ascii"]) {
        (serde_json::Value::String(value), _, _) => vec![number_text(value)],
        (_, serde_json::Value::Array(values), _) => {
            values.iter().map(|value| number_text(value.as_str().unwrap())).collect()
        }
        (_, _, serde_json::Value::String(text)) => vec![text.clone()],
        _ if expected["bcd_invalid"] == true => vec!["unusable".to_owned()],
        _ => match &expected["address_in_data"] {
            serde_json::Value::String(address) => vec![address.clone()],
            _ => return check_clock(number, expected, &explained),
        },
    };
    for stated in &stated {
        assert!(values.contains(stated), "row {number}: {stated} in {values:?}");
    }
    if let Some(unit) = expected["unit"].as_str().filter(|unit| !unit.is_empty()) {
        let code = match unit {
            "kWh" => 256,
            "kvar" => 258,
            "kVA" => 259,
            "V" => 35,
            "A" => 33,
            other => panic!("row {number}: unit {other}"),
        };
        assert_eq!(explained.measurements[0].unit, code, "row {number}");
    }
    true
}

fn check_clock(
    number: usize,
    expected: &serde_json::Value,
    explained: &polymeter_driver::Explanation,
) -> bool {
    let Some(stated) = expected["clock_ss_mm_hh_WW_DD_MM_YY"].as_str() else { return false };
    let parts: Vec<&str> = stated.split(' ').collect();
    let [second, minute, hour, _, day, month, year] = parts[..] else { panic!("row {number}") };
    let time = format!("time:20{year}-{month}-{day}T{hour}:{minute}:{second}");
    assert_eq!(value_text(&explained.measurements[0].value), time, "row {number}");
    true
}

/// "000001.86" as mantissa and scale, "FFFF" as unusable.
fn number_text(text: &str) -> String {
    if text.chars().all(|digit| digit == 'F') {
        return "unusable".to_owned();
    }
    let decimals = text.split_once('.').map_or(0, |(_, decimals)| decimals.len());
    let mantissa: i64 = text.replace('.', "").parse().unwrap();
    if decimals == 0 { mantissa.to_string() } else { format!("{mantissa}e-{decimals}") }
}

fn plain(typed: &str) -> String {
    typed.split_once(':').map_or(typed, |(_, value)| value).to_owned()
}

/// A line that answers with whatever it was given, then with silence. Counts the frames that add
/// credit.
struct Hostile {
    replies: Vec<Vec<u8>>,
    purchases: usize,
    receives: usize,
}

impl Host for Hostile {
    fn send(&mut self, bytes: &[u8]) -> Result<(), LineError> {
        // 070102FF on the wire: 33H on each byte, low byte first.
        let purchase = [0x32, 0x35, 0x34, 0x3A];
        if bytes.windows(4).any(|window| window == purchase) {
            self.purchases += 1;
        }
        Ok(())
    }
    fn receive(&mut self, _: u32) -> Result<Vec<u8>, LineError> {
        self.receives += 1;
        self.replies
            .pop()
            .filter(|reply| !reply.is_empty())
            .ok_or(LineError { code: polymeter_driver::codes::line::SILENT, detail: String::new() })
    }
    fn drain(&mut self) -> Result<u32, LineError> {
        Ok(0)
    }
    fn mac(&mut self, _: &Key, _: u16, _: &[u8], _: &[u8]) -> Result<Vec<u8>, VaultError> {
        Ok(vec![1; 8])
    }
    fn encrypt(
        &mut self,
        _: &Key,
        _: u16,
        _: &[u8],
        _: &[u8],
        data: &[u8],
    ) -> Result<Vec<u8>, VaultError> {
        Ok(data.to_vec())
    }
    fn decrypt(
        &mut self,
        _: &Key,
        _: u16,
        _: &[u8],
        _: &[u8],
        data: &[u8],
    ) -> Result<Vec<u8>, VaultError> {
        Ok(data.to_vec())
    }
    fn random(&mut self, length: u32) -> Result<Vec<u8>, VaultError> {
        Ok((0..length).map(|_| 0).collect())
    }
    fn log(&mut self, _: Level, _: &str) {}
}

const ADDRESS: &str = "000000000001";

fn call() -> Call {
    let now = LocalTime { year: 2026, month: 3, day: 2, hour: 10, minute: 11, second: 12 };
    Call { address: ADDRESS.to_owned(), parameters: vec![], now, nonce: (0..16).collect() }
}

/// Frames of the right meter that might answer something, and noise.
fn any_reply() -> impl Strategy<Value = Vec<u8>> {
    let control = prop_oneof![
        Just(0x83_u8),
        Just(0xC3),
        Just(0x91),
        Just(0xD1),
        Just(0x9C),
        Just(0xDC),
        Just(0x93),
        any::<u8>()
    ];
    let identifier = prop::sample::select(vec![
        0x0700_00FF_u32,
        0x0701_02FF,
        0x0781_02FF,
        0x0001_FF00,
        0x0400_0503,
    ]);
    let data = prop_oneof![Just(12_usize), Just(0), Just(26), 0_usize..40]
        .prop_flat_map(|length| prop::collection::vec(any::<u8>(), length));
    let error = prop::collection::vec(any::<u8>(), 0..3);
    let frame =
        (control, identifier, data, error).prop_map(|(control, identifier, data, error)| {
            let data = if control & 0x40 != 0 {
                error
            } else {
                [&identifier.to_le_bytes()[..], &data].concat()
            };
            let frame = Frame {
                address: ADDRESS.parse().unwrap(),
                control,
                data: Data::new(&data).unwrap(),
            };
            let mut bytes = vec![0; frame.encoded_length()];
            frame.encode(&mut bytes).unwrap();
            bytes
        });
    prop_oneof![8 => frame, 1 => prop::collection::vec(any::<u8>(), 0..300)]
}

proptest! {
    #[test]
    fn a_line_that_does_what_it_likes(replies in prop::collection::vec(any_reply(), 0..30)) {
        let mut host = Hostile { replies: replies.clone(), purchases: 0, receives: 0 };
        let credit = Credit { quantity: 1, amount: 5000 };
        let order =
            Order { customer_number: "7".to_owned(), purchase: Purchase { count: 17, credit } };
        let outcome = Dlt645::sell(&mut host, &call(), &order);
        prop_assert!(host.purchases <= 1);
        prop_assert!(host.receives <= 3 * 16);
        // Once the purchase has left, an error would say that nothing happened.
        prop_assert!(host.purchases == 0 || outcome.is_ok());
        if host.purchases == 0 {
            use SellOutcome::{Confirmed, Unknown};
            prop_assert!(!matches!(outcome, Ok(Confirmed(_) | Unknown(_))));
        }
        let host = &mut Hostile { replies, purchases: 0, receives: 0 };
        let _ = Dlt645::read(host, &call());
        let _ = Dlt645::probe(host, &call());
        let _ = Dlt645::check(host, &call(), Some(17));
        let _ = Dlt645::control(host, &call(), 1, None);
        let _ = Dlt645::clear(host, &call());
        prop_assert_eq!(host.purchases, 0);
    }

    #[test]
    fn any_frame_is_explained_or_not(
        bytes in prop::collection::vec(any::<u8>(), 0..300),
        reply in any_reply(),
    ) {
        let _ = Dlt645::decode(&bytes);
        let _ = Dlt645::decode(&reply);
        let _ = Dlt645::decode(&[bytes, reply].concat());
    }
}
