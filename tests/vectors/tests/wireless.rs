//! Wireless telegrams: published examples of each encryption and of the authentication code, and every
//! published telegram spoiled, with the checksums of the air put around it.
//!
//! No panic, no endless loop, and where there is a check, never a telegram that it does not allow.

use polymeter_codec::Decoded;
use polymeter_codec::mbus::wireless::{self, Format, Frame};
use polymeter_codec::mbus::{Item, Order, Records, Upper, Value, layers};
use std::io::Write as _;
use vectors::mbus::radio::{self, Formats, hear};
use vectors::{folder, rows};

fn bytes(hex: &str) -> Vec<u8> {
    hex::decode(hex.replace(' ', "")).expect("hexadecimal digits")
}

/// Encryption mode 7 with an authentication code, of the same meter with its own radio and behind
/// another's (OMS specification, volume 2, annex N; EN 13757-7:2018, annex F).
const PROFILE_B: [&str; 2] = [
    "434493157856341233038C2075900F002C25B30A000021924D4F2FB66E017A75002007109058475F4BC91DF878B80A1B\
     0F98B629024AAC727942BFC549233C0140829B93",
    "530824484433221103378E80753A63665544330A31900F002C25B30A0000AF5D74DF73A600D972785634129315330375\
     002007109058475F4BC91DF878B80A1B0F98B629024AAC727942BFC549233C0140829B93",
];
const PROFILE_B_KEY: &str = "000102030405060708090A0B0C0D0E0F";
/// Gas, 28504.27 m3, 31.05.2008 23:50.
const PROFILE_B_RECORDS: &str = "0C1427048502 046D32371F15 02FD170000";

/// The extended link layer encrypted (wmbusmeters, tests of `multical21`), and what it says.
const LINK_II: &str = "2A442D2C998734761B168D2091D37CAC21E1D68CDAFFCD3DC452BD802913FF7B1706CA9E35\
                       5D6C2701CC24";
const LINK_II_KEY: &str = "28F64A24988064A079AA2C807D6102AE";
const LINK_II_RECORDS: &str = "02FF207100041308190000441308190000615B7F616713";

#[test]
fn published_examples_are_opened_by_their_keys_and_by_no_other() {
    let none = Formats::new();
    let key = bytes(PROFILE_B_KEY);
    for telegram in PROFILE_B.map(bytes) {
        let heard = hear(&telegram, Some(&key), &none).expect("opened");
        assert!(heard.proved, "the code was looked at");
        let meter = heard.identities.last().expect("somebody").to_string();
        assert_eq!(meter, "1234567893153303");
        assert_eq!(heard.plain[2..19], bytes(PROFILE_B_RECORDS)[..]);
        let without = hear(&telegram, None, &none).expect("whole");
        assert!(without.unread.is_some() && without.plain.is_empty());
        // From the message control field on, every bit is proved.
        for bit in 8 * 11..8 * telegram.len() {
            let mut turned = telegram.clone();
            turned[bit / 8] ^= 1 << (bit % 8);
            let heard = hear(&turned, Some(&key), &none);
            let wrong = heard.is_ok_and(|heard| heard.proved);
            // The other layers' own fields are not proved, and nothing is read from those.
            let head = telegram.windows(2).position(|pair| pair == [0x90, 0x0F]).expect("there");
            assert!(!wrong || bit / 8 < head + 4, "bit {bit} of {telegram:02X?}");
        }
    }
    let telegram = bytes(LINK_II);
    let heard = hear(&telegram, Some(&bytes(LINK_II_KEY)), &none).expect("opened");
    assert_eq!(heard.plain, bytes(LINK_II_RECORDS));
    let other = hear(&telegram, Some(&key), &none).expect_err("another key");
    assert!(other.contains("the key is wrong"), "{other}");
    for bit in 8 * 17..8 * telegram.len() {
        let mut turned = telegram.clone();
        turned[bit / 8] ^= 1 << (bit % 8);
        assert!(hear(&turned, Some(&bytes(LINK_II_KEY)), &none).is_err(), "bit {bit}");
    }
    // A repeater sets bits of the control field, which changes nothing.
    let mut repeated = telegram.clone();
    repeated[11] |= 0x12;
    let heard = hear(&repeated, Some(&bytes(LINK_II_KEY)), &none).expect("opened");
    assert_eq!(heard.plain, bytes(LINK_II_RECORDS));
}

/// The checksums of the air put into a telegram without them.
fn on_air(format: Format, telegram: &[u8]) -> Option<Vec<u8>> {
    let mut aired = telegram.to_vec();
    let most = if format == Format::A { 16 } else { 126 };
    let head = if format == Format::A { 10 } else { 126 };
    if format == Format::B {
        let checksums = if telegram.len() > 126 { 4 } else { 2 };
        aired[0] = aired[0].checked_add(checksums)?;
    }
    let (first, rest) = aired.split_at(head.min(aired.len()));
    let blocks = [first].into_iter().chain(rest.chunks(most));
    Some(blocks.flat_map(|block| [block, &wireless::crc(block).to_be_bytes()].concat()).collect())
}

fn published() -> Vec<Vec<u8>> {
    let Some(folder) = folder() else {
        writeln!(std::io::stderr(), "wireless: NONE, there is no folder ../shared/vectors")
            .expect("standard error is there");
        return Vec::new();
    };
    let rows = rows(&folder, "wmbus.jsonl").expect("rows");
    let telegrams = rows.iter().filter_map(|row| row.bytes("frame_hex").ok());
    telegrams.filter(|bytes| Frame::new(bytes).is_ok()).collect()
}

/// Whether all of the bytes are one telegram, and whether they may be the beginning of one.
fn judge(bytes: &[u8]) -> (bool, bool) {
    match wireless::decode(bytes) {
        Decoded::Frame { used, .. } => (used == bytes.len(), false),
        Decoded::NeedMore { at_least } => {
            assert!(at_least > bytes.len());
            (false, true)
        }
        Decoded::Garbled { skip } => {
            assert!(skip > 0);
            (false, false)
        }
    }
}

#[test]
fn telegrams_with_checksums_are_whole_or_refused() {
    let telegrams = published();
    let mut spoiled = 0_usize;
    for format in [Format::A, Format::B] {
        let mut last: Vec<u8> = Vec::new();
        for telegram in &telegrams {
            let Some(aired) = on_air(format, telegram) else { continue };
            let Decoded::Frame { frame, used } = wireless::decode(&aired) else {
                panic!("{format:?}: {aired:02X?}")
            };
            assert_eq!((frame.format, used), (format, aired.len()));
            assert_eq!(frame.without_checksums(&mut [0; 256]), telegram);
            for cut in 0..aired.len() {
                assert_eq!(judge(&aired[..cut]), (false, true), "cut at {cut}: {aired:02X?}");
            }
            for bit in 0..aired.len() * 8 {
                let mut turned = aired.clone();
                turned[bit / 8] ^= 1 << (bit % 8);
                assert!(!judge(&turned).0, "{format:?}, bit {bit} of {aired:02X?}");
            }
            let spliced = [&last[..last.len() / 2], &aired[aired.len() / 2..]].concat();
            // Blocks stand each for itself: two telegrams that are equal where they are cut make a third
            // one, which nothing could tell from a true one. One block holds together.
            let whole = aired.len() > 128 || [&last, &aired].contains(&&spliced);
            let whole = whole || format == Format::A;
            assert!(!judge(&spliced).0 || whole, "spliced: {spliced:02X?}");
            assert!(!judge(&[aired.as_slice(), &aired].concat()).0, "run together");
            spoiled += aired.len() * 9;
            last = aired;
        }
    }
    writeln!(std::io::stderr(), "spoiled wireless: {} telegrams, {spoiled} ways", telegrams.len())
        .expect("standard error is there");
}

/// Which rows have values that no record carries is said by name, so that none slips in among them; and
/// the increments of a published compact profile add up to the due day's value from the first one on,
/// not, as wmbusmeters has them, from the last one.
#[test]
fn what_is_not_read_is_known_and_a_profile_adds_up() {
    let Some(folder) = folder() else { return };
    let tally = vectors::tally(&folder, &vectors::mbus::WIRELESS);
    let of = |reason: &str| -> Vec<usize> {
        let rows = tally.unread.iter().filter(|(_, why, _)| *why == reason);
        rows.map(|(row, ..)| *row).collect()
    };
    assert_eq!(of(radio::OTHER_MODE), [1]);
    assert_eq!(of(radio::NO_FORMAT), [36, 105]);
    assert_eq!(of(radio::BAD_CHECK), [80]);
    assert_eq!(of(radio::NO_KEY), [162, 163, 189]);
    assert_eq!(of(radio::NO_RECORDS), [4, 5, 6, 7, 8, 9, 10, 11, 12, 147, 183, 184, 185]);
    assert_eq!(of(radio::VENDORS_CI).len(), 24);
    assert_eq!(tally.unread.len(), 44, "{:?}", tally.unread);

    let rows = rows(&folder, "wmbus.jsonl").expect("rows");
    let row = rows.iter().find(|row| row.number == 41).expect("row 41");
    let (telegram, key) = (row.bytes("frame_hex").expect("hex"), row.bytes("key").expect("hex"));
    let heard = hear(&telegram, Some(&key), &Formats::new()).expect("opened");
    let records: Vec<_> = Records::new(&heard.plain, Order::LowFirst)
        .filter_map(|item| match item {
            Ok(Item::Record(record)) => Some(record),
            _ => None,
        })
        .collect();
    let [_, due, _, base, begun, profile] = records.as_slice() else { panic!("{records:?}") };
    let Value::Number(from) = base.value() else { panic!("{base:?}") };
    assert!(matches!(begun.value(), Value::Date(on) if on.to_string() == "2019-10-31"));
    let told = profile.profile().expect("a profile").expect("a good one");
    let months: Vec<_> = told.values(Some(from)).collect();
    // The fourteenth month is the due day's, 31.12.2020; what was used in that year is its last two's.
    assert_eq!(months.len(), 14);
    assert_eq!((due.value(), months.last()), (Value::Number(25), Some(&Value::Number(25))));
    assert_eq!((&months[1], &months[12]), (&Value::Number(0), &Value::Number(3)));
}

#[test]
fn telegrams_without_checksums_say_what_and_where() {
    let none = Formats::new();
    let telegrams = published();
    for (nth, telegram) in telegrams.iter().enumerate() {
        for cut in 0..telegram.len() {
            let why = hear(&telegram[..cut], None, &none).expect_err("cut");
            let said = if cut < 11 { "at least 11 bytes" } else { "the length at byte 0 says" };
            assert!(why.contains(said), "{why}");
        }
        let other = &telegrams[(nth + 1) % telegrams.len()];
        let spliced = [&telegram[..telegram.len() / 2], &other[other.len() / 2..]].concat();
        let _ = hear(&spliced, None, &none).map_err(|why| assert!(!why.is_empty()));
        let linked = Frame::new(telegram).expect("whole");
        for bit in 0..telegram.len() * 8 {
            let mut turned = telegram.clone();
            turned[bit / 8] ^= 1 << (bit % 8);
            let heard = hear(&turned, None, &none);
            match bit / 8 {
                0 => assert!(heard.expect_err("length").contains("the length at byte 0")),
                // The extended link layer's checksum covers all that follows it.
                17.. if linked.ci == 0x8D => {
                    let Ok(frame) = Frame::new(&turned) else { panic!("whole") };
                    let opened = layers(frame.ci, frame.data, Some(frame.sender));
                    assert!(!matches!(opened, Ok(Upper::Open(_))), "bit {bit}: {telegram:02X?}");
                }
                _ => {}
            }
        }
    }
}
