//! The targets: what is promised for any bytes at all, one function for each codec.
//!
//! Invariant: a target panics if a promise is broken and does nothing else with what it finds. Not
//! here: published values (`cargo xtask vectors`).

mod mbus;

use polymeter_codec::cjt188::{self, Dialect};
use polymeter_codec::dlt645::answer::{Identifier, Question};
use polymeter_codec::dlt645::item::Found;
use polymeter_codec::dlt645::value::Value;
use polymeter_codec::dlt645::{items_1997, items_2007, items_makers, load_record};
use polymeter_codec::gbcard::{
    Envelope, Family, Parameters, Prices, PricesNext, Purse, WrittenBack,
};
use polymeter_codec::modbus::{self, Captured, Request};
use polymeter_codec::sts::{Class, Content, Token};
use polymeter_codec::{Decoded, acrel_4g, bcd, dlms, dlt645, dlt698, hdlc};

/// What is fed.
#[derive(Debug, Clone, Copy)]
pub struct Target {
    /// As it is called on the command line and below `target/fuzz`.
    pub name: &'static str,
    /// Files of published frames that begin its corpus, where they are there.
    pub vectors: &'static [&'static str],
    /// Panics where a promise is broken.
    pub run: fn(&[u8]),
}

const fn target(name: &'static str, vectors: &'static [&'static str], run: fn(&[u8])) -> Target {
    Target { name, vectors, run }
}

/// All codecs.
pub const TARGETS: &[Target] = &[
    target("dlt645-frame", &["dlt645.jsonl"], dlt645_frames),
    target("dlt645-items", &["dlt645.jsonl"], dlt645_items),
    target("dlt645-load-record", &[], dlt645_load_records),
    target("modbus", &["modbus.jsonl", "acrel_4g.jsonl"], modbus_frames),
    target("sts", &["sts_tokens.jsonl"], sts_tokens),
    target("acrel-4g", &["acrel_4g.jsonl"], acrel_4g_frames),
    target("dlt698-frame", &["dlt698.jsonl"], dlt698_frames),
    target("dlt698-apdu", &["dlt698.jsonl"], dlt698_apdus),
    target("hdlc", &["dlms.jsonl"], hdlc_frames),
    target("dlms", &["dlms.jsonl"], dlms_apdus),
    target("mbus", &["mbus_wired.jsonl", "mbus_wired_wmbusmeters.jsonl"], mbus::telegrams),
    target("mbus-radio", &["wmbus.jsonl"], mbus::radio),
    target("mbus-records", &["mbus_wired.jsonl", "wmbus.jsonl"], mbus::records),
    target("cjt188", &["cjt188.jsonl"], cjt188_frames),
    target("gbcard", &[], gbcard_files),
];

/// Goes through `bytes` as a caller does, until nothing is left. Panics if a step gets no further.
/// `quiet`: how much to drop where the rest may still become a frame but nothing follows.
pub fn walk<'a, T>(
    mut bytes: &'a [u8],
    decode: impl Fn(&'a [u8]) -> Decoded<T>,
    quiet: impl Fn(&[u8]) -> usize,
    mut take: impl FnMut(T, &[u8]),
) {
    while !bytes.is_empty() {
        let step = match decode(bytes) {
            Decoded::Frame { frame, used } => {
                assert!((1..=bytes.len()).contains(&used), "a frame of {used} bytes");
                take(frame, &bytes[..used]);
                used
            }
            Decoded::NeedMore { at_least } => {
                assert!(at_least > bytes.len(), "{at_least} of {} bytes", bytes.len());
                quiet(bytes)
            }
            Decoded::Garbled { skip } => skip,
        };
        assert!((1..=bytes.len()).contains(&step), "a step of {step} in {}", bytes.len());
        bytes = &bytes[step..];
    }
}

/// Every frame is what it encodes to, and answers a question or says why not.
fn dlt645_frames(bytes: &[u8]) {
    walk(bytes, dlt645::decode, dlt645::false_start, |frame, taken| {
        let mut encoded = [0; dlt645::FRAME_BYTES_MAX];
        let length = frame.encode(&mut encoded).expect("room for any frame");
        assert!(taken.ends_with(&encoded[..length]), "{taken:02X?} is not {frame:?}");
        assert_eq!(frame.address.to_string().parse(), Ok(frame.address));
        for identifier in [
            Identifier::None,
            Identifier::Short(frame.data_identifier_1997().unwrap_or(0)),
            Identifier::Long(frame.data_identifier().unwrap_or(0)),
        ] {
            let control = frame.control & 0x1F;
            let question = Question { address: frame.address, control, identifier };
            let _ = question.judge(&frame);
            let _ = question.judge_part(1, &frame);
        }
        let data = frame.data.as_slice();
        if let Some(identifier) = frame.data_identifier() {
            let behind = data.get(4..).unwrap_or_default();
            let known = items_2007::find(identifier).or_else(|| items_makers::find(identifier));
            known.into_iter().for_each(|found| values(found, behind));
        }
        if let Some(identifier) = frame.data_identifier_1997() {
            let behind = data.get(2..).unwrap_or_default();
            items_1997::find(identifier).into_iter().for_each(|found| values(found, behind));
        }
    });
}

/// A number has digits only, and every value can be written down.
fn values(found: Found, data: &[u8]) {
    let mut told = 0_usize;
    found.for_each(data, |item| {
        told += 1;
        match item.value {
            Ok(Value::Number { .. }) => {
                let (top, rest) = item.bytes.split_last().expect("a number has bytes");
                assert!(rest.iter().all(|byte| bcd::pair(*byte).is_some()), "{item:?}");
                assert!(bcd::pair(top & 0x7F).is_some(), "{item:?}");
            }
            Ok(Value::Time(time)) => drop(time.to_string()),
            Ok(Value::Text(text)) => assert!(text.to_string().is_ascii()),
            Ok(Value::Digits(digits)) => {
                assert!(digits.to_string().bytes().all(|digit| digit.is_ascii_digit()));
            }
            Ok(Value::Bits(_) | Value::Raw(_)) => {}
            Err(none) => drop(none.to_string()),
        }
        let _ = item.register.map(|register| register.to_string());
    });
    // A record of one field is the smallest, one byte of data the least for each value.
    assert!(told <= 64 * data.len().max(1), "{told} values of {} bytes", data.len());
}

/// The first byte says which table, the next four which row of it, the rest is data.
fn dlt645_items(bytes: &[u8]) {
    let Some((head, data)) = bytes.split_first_chunk::<5>() else { return };
    let [table, rest @ ..] = *head;
    let number = u32::from_le_bytes(rest);
    let rows = match table % 3 {
        0 => items_2007::ROWS,
        1 => items_1997::ROWS,
        _ => items_makers::ROWS,
    };
    let row = &rows[usize::try_from(number >> 8).unwrap_or(0) % rows.len()];
    let (index, past) = (number % row.count.max(1), rest[0] % 13);
    for block in [false, row.block != 0] {
        values(Found { row, index, block, past }, data);
    }
    // Any number at all is an identifier that is known or is not.
    let _ = items_2007::find(number);
    let _ = items_1997::find(u16::from_le_bytes([rest[0], rest[1]]));
}

/// What was read is exactly what was there.
fn dlt645_load_records(bytes: &[u8]) {
    // As it came, and with the sum made right, which no mutation would hit.
    let mut mended = bytes.to_vec();
    if let Some(last) = mended.len().checked_sub(2) {
        mended[last] = mended[..last].iter().fold(0_u8, |sum, byte| sum.wrapping_add(*byte));
        mended[last + 1] = 0xE5;
    }
    for mut rest in [bytes, mended.as_slice()] {
        while let Ok((record, used)) = load_record::read(rest) {
            // Marks, n and time; six separators; sum and end.
            assert!((16..=rest.len()).contains(&used), "{used} of {}", rest.len());
            let mut told = 0;
            record.for_each(|_, _, bytes| told += bytes.len());
            let kept: usize = record.classes.iter().map(|class| class.len()).sum();
            assert_eq!(told, kept, "every byte of a class is a value's");
            rest = &rest[used..];
        }
    }
}

/// A captured request is what it encodes to; a reply answers its question or says why not.
fn modbus_frames(bytes: &[u8]) {
    walk(
        bytes,
        modbus::decode_captured,
        |_| 1,
        |frame, taken| {
            if let Captured::Request(request) = frame.pdu
                && let Some(unit) = modbus::Unit::new(frame.unit)
            {
                let mut encoded = [0; modbus::FRAME_BYTES_MAX];
                let length = request.encode(unit, &mut encoded).expect("it was on the wire");
                assert_eq!(&encoded[..length], taken, "{request:?}");
            }
        },
    );
    let Some((head, replies)) = bytes.split_first_chunk::<4>() else { return };
    let [start_high, start_low, count, value] = *head;
    let start = u16::from_be_bytes([start_high, start_low]);
    let unit = modbus::Unit::new(1).expect("1 is a unit");
    for request in [
        Request::ReadHolding { start, count: u16::from(count) },
        Request::ReadInput { start, count: u16::from(count) },
        Request::WriteSingle { register: start, value: u16::from(value) },
    ] {
        walk(
            replies,
            |bytes| modbus::decode_reply(&request, bytes),
            |_| 1,
            |frame, _| {
                let _ = request.is_answered_by(unit, &frame);
            },
        );
    }
}

/// Twenty digits are a token that is those digits; any block is a content that is that block, or
/// says why not.
fn sts_tokens(bytes: &[u8]) {
    if let Ok(text) = std::str::from_utf8(bytes)
        && let Ok(token) = Token::from_digits(text)
    {
        let digits: String = text.chars().filter(char::is_ascii_digit).collect();
        assert_eq!(token.digits().as_str(), digits);
    }
    let Some(block) = bytes.first_chunk().map(|block| u64::from_le_bytes(*block)) else { return };
    for class in [Class::Credit, Class::Test, Class::Engineering, Class::Reserved] {
        if let Ok(content) = Content::of(class, block) {
            let again = content.block().expect("it was in a block");
            assert_eq!(Content::of(class, again), Ok(content), "{block:016X}");
        }
    }
}

/// Every frame is what it encodes to, and every section of an upload is a whole Modbus frame.
fn acrel_4g_frames(bytes: &[u8]) {
    walk(bytes, acrel_4g::decode, acrel_4g::false_start, |frame, taken| {
        let mut encoded = [0; acrel_4g::FRAME_BYTES_MAX];
        let length = frame.encode(&mut encoded).expect("room for any frame");
        assert_eq!(taken, &encoded[..length]);
    });
    let _ = acrel_4g::Registration::of(bytes);
    if let Ok(time) = acrel_4g::Time::of(bytes) {
        assert_eq!(time.bytes(), bytes);
    }
    if let Ok(upload) = acrel_4g::Upload::of(bytes) {
        for section in upload.sections() {
            let (body, crc) = section.modbus.split_last_chunk::<2>().expect("a CRC");
            assert_eq!(modbus::crc16(body).to_le_bytes(), *crc);
        }
    }
}

/// Every frame is what it encodes to; a part of an APDU is what its head says.
fn dlt698_frames(bytes: &[u8]) {
    walk(bytes, dlt698::decode, dlt698::false_start, |frame, taken| {
        let mut encoded = vec![0; taken.len()];
        let length = frame.encode(&mut encoded).expect("room for the frame");
        assert!(taken.ends_with(&encoded[..length]), "{taken:02X?} is not {frame:?}");
        assert_eq!(frame.plain().count(), frame.apdu.len());
        if let Ok(part) = dlt698::Fragment::of(frame.apdu) {
            let mut room = [0; 64];
            let _ = dlt698::Assembly::new(&mut room).add(&part);
        }
    });
}

/// An APDU can be told in full; a value in it is written to a value that is the same.
fn dlt698_apdus(bytes: &[u8]) {
    let Ok(apdu) = dlt698::Apdu::decode(bytes) else { return };
    assert!(!format!("{apdu:?}").is_empty());
    if let dlt698::Body::Got(dlt698::Got::One(value)) = apdu.body
        && let dlt698::GetResult::Data(data) = value.result
    {
        // Lengths may be written longer than they need be, so not to the same bytes.
        let mut written = vec![0; bytes.len()];
        let length = data.encode(&mut written).expect("no longer than it was");
        let answer = [&[0x85, 1, 0, 0, 0, 0, 0, 1], &written[..length], &[0, 0]].concat();
        assert!(dlt698::Apdu::decode(&answer).is_ok(), "{data:?}");
    }
}

/// Every frame is what it encodes to.
fn hdlc_frames(bytes: &[u8]) {
    walk(bytes, hdlc::decode, hdlc::false_start, |frame, taken| {
        let mut encoded = [0; hdlc::FRAME_BYTES_MAX];
        let length = frame.encode(&mut encoded).expect("room for any frame");
        let flags = taken.iter().take_while(|byte| **byte == 0x7E).count();
        // A flag that the next frame shares is not taken.
        assert!(encoded[..length].starts_with(&taken[flags.saturating_sub(1)..]), "{frame:?}");
    });
    let more = |bytes: &[u8]| bytes.len();
    walk(bytes, dlms::wrapper::decode, more, |wrapped, taken| {
        let mut encoded = vec![0; taken.len()];
        assert_eq!(wrapped.encode(&mut encoded), Ok(taken.len()));
        assert_eq!(encoded, taken);
    });
}

/// An APDU can be told in full; a value is written to a value that is the same.
fn dlms_apdus(bytes: &[u8]) {
    if let Ok(apdu) = dlms::Apdu::decode(bytes) {
        assert!(!format!("{apdu:?}").is_empty());
    }
    let Ok(data) = dlms::Data::decode(bytes) else { return };
    let mut written = vec![0; bytes.len()];
    let length = data.encode(&mut written).expect("no longer than it was");
    assert!(dlms::Data::decode(&written[..length]).is_ok(), "{data:?}");
    if let dlms::Data::Compact(compact) = data {
        let mut last = None;
        compact.visit(|number, _| last = Some(number));
        assert_eq!(last.map_or(0, |last| last + 1), compact.len());
    }
}

/// A frame is what it encodes to, and says what it says in any dialect, or why not.
fn cjt188_frames(bytes: &[u8]) {
    walk(bytes, cjt188::decode, cjt188::false_start, |frame, taken| {
        let mut encoded = [0; 300];
        let length = frame.encode(&mut encoded).expect("room for any frame");
        assert!(taken.ends_with(&encoded[..length]), "{taken:02X?} is not {frame:?}");
        let odd = Dialect {
            identifier: cjt188::Order::HighFirst,
            unit_first: true,
            time: cjt188::Order::HighFirst,
            serial: false,
            ..Dialect::STANDARD
        };
        for dialect in [Dialect::STANDARD, odd] {
            let Some(content) = dialect.content(frame.data) else { continue };
            let water = content.water(&dialect).map(|water| format!("{water:?}"));
            let heat = content.heat(&dialect).map(|heat| format!("{heat:?}"));
            let purchase = content.purchase().map(|purchase| format!("{purchase:?}"));
            let status = content.status().map(|status| format!("{status:?}"));
            drop((water, heat, purchase, status));
        }
    });
}

/// A file that is understood is built again as something that says the same. The first byte says which
/// file the rest is made into: a right head and sum, or no mutation would get past them.
fn gbcard_files(bytes: &[u8]) {
    let Some((which, file)) = bytes.split_first() else { return };
    let mut file = file.to_vec();
    let made = [(0x01, 45), (0x06, 32), (0x03, 45), (0x11, 49), (0x01, 198), (0x01, 203)];
    if let Some((command, length)) = made.get(usize::from(*which)) {
        file.resize(*length, 0);
        let data = u8::try_from(length - 6).expect("a short file");
        file[..4].copy_from_slice(&[0x68, *command, 0, data]);
        file[length - 2] = file[1..length - 2].iter().fold(0, |sum, byte| sum.wrapping_add(*byte));
        file[length - 1] = 0x16;
        assert!(Envelope::open(&file).is_ok(), "{file:02X?}");
    }
    for family in [Family::STATE_GRID, Family::SOUTH_GRID] {
        match Parameters::parse(&file, family) {
            Ok(read) => {
                let built = read.build(family).expect("digits that were read");
                assert_eq!(Parameters::parse(built.as_ref(), family), Ok(read));
            }
            Err(fault) => drop(fault.to_string()),
        }
    }
    if let Ok(read) = PricesNext::parse(&file) {
        let built = read.build(*which).expect("digits that were read");
        assert_eq!(PricesNext::parse(&built), Ok(read));
    }
    if let Ok(read) = Prices::parse(&file) {
        let built = read.build(*which).expect("digits that were read");
        assert_eq!(Prices::parse(&built), Ok(read));
    }
    if let Ok(read) = WrittenBack::parse(&file) {
        let built = read.build().expect("digits that were read");
        assert_eq!(WrittenBack::parse(&built), Ok(read));
    }
    if let Ok(purse) = Purse::parse(&file) {
        assert!(file.starts_with(&purse.build()));
    }
}
