//! M-Bus: what any bytes may do to the decoders, and each kind of value. Published telegrams:
//! tests/vectors.

use polymeter_codec::Decoded;
use polymeter_codec::mbus::{
    CompactFrame, Encryption, Fault, Invalid, Item, Malformed, Message, NotSealed, Order,
    Qualifier, Quantity, Record, Records, Scaled, SecondaryAddress, Telegram, Unit, Value,
    WrongKey, decode, false_start, message,
};
use proptest::prelude::*;

fn encoded(telegram: &Telegram<'_>) -> Vec<u8> {
    let mut bytes = vec![0; 261];
    let length = telegram.encode(&mut bytes).expect("it fits");
    bytes.truncate(length);
    bytes
}

/// Every telegram in the bytes, as text; the line is quiet behind them.
fn telegrams_in(mut bytes: &[u8]) -> Vec<String> {
    let mut found = Vec::new();
    let mut turns = 0;
    while !bytes.is_empty() {
        let skip = match decode(bytes) {
            Decoded::Frame { frame, used } => {
                found.push(format!("{frame:?}"));
                used
            }
            Decoded::Garbled { skip } => skip,
            Decoded::NeedMore { at_least } => {
                assert!(at_least > bytes.len());
                false_start(bytes)
            }
        };
        assert!(skip > 0 && turns <= 2048, "it gets further");
        turns += 1;
        bytes = &bytes[skip.min(bytes.len())..];
    }
    found
}

/// Everything that can be asked of data.
fn look_at(ci: u8, data: &[u8]) {
    let Ok(message) = message(ci, data) else { return };
    match message {
        Message::Data(said) => {
            let _ = said.sealed(Some(SecondaryAddress::ANY), None).map(|sealed| {
                sealed.opened(sealed.cipher).map(Iterator::count).is_ok()
                    && sealed.plain_records().count() > 0
            });
            let Ok(records) = said.records() else { return };
            let items: Vec<_> = records.collect();
            assert!(items.len() <= data.len());
            let failed = items.iter().position(Result::is_err);
            assert!(failed.is_none_or(|place| place + 1 == items.len()), "nothing behind an error");
            for item in items.iter().flatten() {
                if let Item::Record(record) = item {
                    let _ = (record.value(), record.meaning(), record.scaled(), record.error());
                    let _ = (record.qualifiers().count(), record.digits().count());
                    let _ = (record.codes().count(), record.plain_text().map(|t| t.to_string()));
                    let _ = format!("{:?} {:?}", record, record.value());
                }
            }
        }
        Message::Fixed(fixed) => {
            let _ = (fixed.counters(), fixed.medium());
        }
        Message::Compact(compact) => {
            let frame = CompactFrame::new(compact.data().body());
            let _ = frame.map(|frame| frame.expanded(data, &mut [0; 512]).map(<[u8]>::len));
        }
        Message::Error(error) => assert!(!error.name().is_empty()),
        Message::Other => {}
    }
}

proptest! {
    #[test]
    fn any_bytes_end(bytes in prop::collection::vec(any::<u8>(), 0..600)) {
        telegrams_in(&bytes);
    }

    #[test]
    fn any_data_ends(
        ci in prop_oneof![Just(0x72_u8), Just(0x76), Just(0x7A), Just(0x78), Just(0x73), any::<u8>()],
        data in prop::collection::vec(any::<u8>(), 0..253),
    ) {
        look_at(ci, &data);
    }

    #[test]
    fn any_records_end(
        codes in prop::collection::vec(
            prop_oneof![
                Just(0x0D_u8), Just(0x6D), Just(0xFD), Just(0xFB), Just(0xFC), Just(0x7C),
                Just(0x84), Just(0x2F), Just(0xFF), any::<u8>()
            ],
            0..120,
        ),
    ) {
        look_at(0x78, &codes);
    }

    #[test]
    fn a_telegram_comes_back(
        control: u8,
        address: u8,
        ci: u8,
        data in prop::collection::vec(any::<u8>(), 0..=252),
    ) {
        for telegram in [
            Telegram::Ack,
            Telegram::Short { control, address },
            Telegram::Long { control, address, ci, data: &data },
        ] {
            let bytes = encoded(&telegram);
            prop_assert_eq!(decode(&bytes), Decoded::Frame { frame: telegram, used: bytes.len() });
            for cut in 0..bytes.len() {
                let asked = decode(&bytes[..cut]);
                let more = matches!(asked, Decoded::NeedMore { at_least } if at_least <= bytes.len());
                prop_assert!(more, "{cut}: {asked:?}");
            }
            let twice = [bytes.clone(), bytes.clone()].concat();
            prop_assert_eq!(telegrams_in(&twice).len(), 2);
        }
    }

    #[test]
    fn one_wrong_byte_is_noticed(
        data in prop::collection::vec(any::<u8>(), 0..=252),
        at in any::<prop::sample::Index>(),
        flip in 1_u8..,
    ) {
        let mut bytes = encoded(&Telegram::Long { control: 8, address: 1, ci: 0x72, data: &data });
        let at = at.index(bytes.len());
        bytes[at] ^= flip;
        let passed = matches!(decode(&bytes), Decoded::Frame { used, .. } if used == bytes.len());
        prop_assert!(!passed, "byte {at}");
    }

    #[test]
    fn an_address_reads_back_from_its_text(bytes: [u8; 8]) {
        let address = SecondaryAddress::from_wire(bytes);
        prop_assert_eq!(address.to_string().parse(), Ok(address));
        prop_assert!(SecondaryAddress::ANY.matches(address));
    }
}

fn records(data: &[u8]) -> Vec<Result<Item<'_>, Malformed>> {
    Records::new(data, Order::LowFirst).collect()
}

fn only(data: &[u8]) -> Record<'_> {
    match records(data)[..] {
        [Ok(Item::Record(record))] => record,
        ref other => panic!("{data:02X?}: {other:?}"),
    }
}

#[test]
fn whole_numbers() {
    let check = |data: &[u8], expected: Value<'_>| {
        assert_eq!(only(data).value(), expected, "{data:02X?}");
    };
    check(&[0x00, 0x03], Value::Nothing);
    check(&[0x01, 0x03, 0xFF], Value::Number(-1));
    check(&[0x02, 0x03, 0x34, 0x12], Value::Number(0x1234));
    check(&[0x03, 0x03, 0xFF, 0xFF, 0x7F], Value::Number(0x7F_FFFF));
    check(&[0x04, 0x03, 0, 0, 0, 0xFF], Value::Number(-0x0100_0000));
    check(&[0x06, 0x03, 1, 0, 0, 0, 0, 0x80], Value::Number(1 - 0x8000_0000_0000));
    check(&[0x07, 0x03, 1, 0, 0, 0, 0, 0, 0, 0x80], Value::Number(i64::MIN + 1));
    // The lowest number is what says that there is none.
    check(&[0x01, 0x03, 0x80], Value::Invalid(Invalid::NotAvailable));
    check(&[0x04, 0x03, 0, 0, 0, 0x80], Value::Invalid(Invalid::NotAvailable));
    // Bits and names have no sign.
    check(&[0x02, 0xFD, 0x17, 0x00, 0x80], Value::Number(0x8000));
    check(&[0x01, 0xFD, 0xC8, 0xFC, 0x11, 0xFF], Value::Number(255));
    check(&[0x05, 0x2B, 0, 0, 0x20, 0x41], Value::Real(10.0));
    check(&[0x05, 0x2B, 0, 0, 0xC0, 0x7F], Value::Invalid(Invalid::NotAvailable));
    check(&[0x0D, 0x03, 0xE2, 0xFE, 0xFF], Value::Number(-2));
    check(
        &[0x0D, 0x03, 0xE9, 1, 2, 3, 4, 5, 6, 7, 8, 9],
        Value::Bytes(&[1, 2, 3, 4, 5, 6, 7, 8, 9]),
    );
    check(&[[0x0D, 0x03, 0xF0].as_slice(), &[7; 16]].concat(), Value::Bytes(&[7; 16]));
}

#[test]
fn decimals() {
    let check = |data: &[u8], expected: Value<'_>| {
        assert_eq!(only(data).value(), expected, "{data:02X?}");
    };
    check(&[0x09, 0x03, 0x42], Value::Number(42));
    check(&[0x0A, 0x03, 0x34, 0xF2], Value::Number(-234));
    check(&[0x0C, 0x03, 0x78, 0x56, 0x34, 0x12], Value::Number(12_345_678));
    check(&[0x0E, 0x03, 0x99, 0x99, 0x99, 0x99, 0x99, 0x99], Value::Number(999_999_999_999));
    check(&[0x0B, 0x03, 0xBD, 0xEB, 0xDD], Value::Invalid(Invalid::NotDecimal));
    check(&[0x0A, 0x03, 0xF4, 0x12], Value::Invalid(Invalid::NotDecimal));
    check(&[0x0D, 0x03, 0xC2, 0x34, 0x12], Value::Number(1234));
    check(&[0x0D, 0x03, 0xD2, 0x34, 0x12], Value::Number(-1234));
    let shown: Vec<u8> = only(&[0x0B, 0x03, 0xBD, 0xEB, 0xDD]).digits().collect();
    assert_eq!(shown, [0xD, 0xD, 0xE, 0xB, 0xB, 0xD]);
}

#[test]
fn times() {
    let check = |data: &[u8], expected: &str| {
        let told = match only(data).value() {
            Value::Date(date) => date.to_string(),
            Value::DateTime(moment) => moment.to_string(),
            Value::Time(time) => time.to_string(),
            other => format!("{other:?}"),
        };
        assert_eq!(told, expected, "{data:02X?}");
    };
    check(&[0x02, 0x6C, 0xBF, 0x1C], "2013-12-31");
    check(&[0x02, 0x6C, 0xE0, 0xFF], "****-**-**");
    check(&[0x02, 0x6C, 0xFF, 0xFF], "Invalid(NotAvailable)");
    check(&[0x02, 0x6C, 0xBF, 0x12], "Invalid(NoSuchTime)");
    check(&[0x02, 0x6C, 0x00, 0x00], "Invalid(NoSuchTime)");
    // A year of 99 is of the last century, unless the century says otherwise.
    check(&[0x02, 0x6C, 0x61, 0xC1], "1999-01-01");
    check(&[0x04, 0x6D, 0x17, 0x2E, 0xCC, 0x13], "2014-03-12T14:23:00");
    check(&[0x04, 0x6D, 0x97, 0x2E, 0xCC, 0x13], "Invalid(TimeInvalid)");
    check(&[0x04, 0x6D, 0x3C, 0x2E, 0xCC, 0x13], "Invalid(NoSuchTime)");
    check(&[0x06, 0x6D, 0x1E, 0x17, 0x2E, 0xCC, 0x13, 0x00], "2014-03-12T14:23:30");
    check(&[0x03, 0x6D, 0x1E, 0x17, 0x0E], "14:23:30");
    check(&[0x01, 0x6D, 0x1E], "Invalid(Size)");
    check(&[0x0A, 0x6C, 0x12, 0x13], "Invalid(Size)");
}

#[test]
fn texts_run_backwards() {
    let record = only(&[0x0D, 0xFD, 0x0F, 0x05, 0x33, 0x2E, 0x36, 0x2E, 0x31]);
    let Value::Text(text) = record.value() else { panic!("a text") };
    assert_eq!(text.to_string(), "1.6.3");
    let record = only(&[0x02, 0xFC, 0x03, 0x48, 0x52, 0x25, 0x74, 0xD4, 0x11]);
    assert_eq!(record.plain_text().map(|text| text.to_string()).as_deref(), Some("%RH"));
    assert_eq!(record.scaled(), Some(Scaled { mantissa: 4564, scale: -2 }));
    let mode_2 = [0x0D, 0xFD, 0x0F, 0x02, 0x31, 0x32];
    let Some(Ok(Item::Record(record))) = Records::new(&mode_2, Order::HighFirst).next() else {
        panic!("a record")
    };
    let Value::Text(text) = record.value() else { panic!("a text") };
    assert_eq!(text.to_string(), "12");
}

#[test]
fn store_tariff_and_subunit() {
    let check = |data: &[u8], storage: u64, tariff: u32, subunit: u16| {
        let record = only(data);
        assert_eq!((record.storage, record.tariff, record.subunit), (storage, tariff, subunit));
    };
    check(&[0x44, 0x13, 0, 0, 0, 0], 1, 0, 0);
    check(&[0xC4, 0x10, 0x06, 0, 0, 0, 0], 1, 1, 0);
    check(&[0xC4, 0xBF, 0x7F, 0x06, 0, 0, 0, 0], 1 + (0xF << 1) + (0xF << 5), 0xF, 2);
    let all = [[0xC0].as_slice(), &[0xFF; 9], &[0x7F, 0x06]].concat();
    check(&all, (1 << 41) - 1, 0xF_FFFF, 0x3FF);
}

#[test]
fn meanings() {
    let check = |codes: &[u8], quantity: Quantity, unit: Unit, scale: i8| {
        let data = [[0x01].as_slice(), codes, &[7]].concat();
        let meaning = only(&data).meaning();
        assert_eq!((meaning.quantity, meaning.unit, meaning.scale), (quantity, unit, scale));
    };
    check(&[0x06], Quantity::Energy, Unit::WattHour, 3);
    check(&[0x0F], Quantity::Energy, Unit::Joule, 7);
    check(&[0x13], Quantity::Volume, Unit::CubicMetre, -3);
    check(&[0x2B], Quantity::Power, Unit::Watt, 0);
    check(&[0x3B], Quantity::VolumeFlow, Unit::CubicMetrePerHour, -3);
    check(&[0x59], Quantity::FlowTemperature, Unit::Celsius, -2);
    check(&[0xFB, 0x01], Quantity::Energy, Unit::WattHour, 6);
    check(&[0xFB, 0x1A], Quantity::RelativeHumidity, Unit::Percent, -1);
    check(&[0xFD, 0x48], Quantity::Voltage, Unit::Volt, -1);
    check(&[0xFD, 0x59], Quantity::Current, Unit::Ampere, -3);
    check(&[0xFD, 0x02], Quantity::Credit, Unit::Currency, -1);
    check(&[0xFD, 0xFD, 0x00], Quantity::Unknown, Unit::None, 0);
    check(&[0x6F], Quantity::Unknown, Unit::None, 0);
    check(&[0x93, 0x77], Quantity::Volume, Unit::CubicMetre, -2);
    check(&[0x93, 0x7D], Quantity::Volume, Unit::CubicMetre, 0);
    check(&[0x93, 0x51], Quantity::Volume, Unit::Minute, 0);
    check(&[0x93, 0x41], Quantity::Volume, Unit::None, 0);
    let plus = only(&[0x01, 0x93, 0x79, 5]);
    // 5 l and a hundredth of a litre.
    assert_eq!(plus.scaled(), Some(Scaled { mantissa: 501, scale: -5 }));
    let failed = only(&[0x00, 0x93, 0x15]);
    assert_eq!(failed.error().map(|error| error.name()), Some("no data available"));
    let phase: Vec<_> = only(&[0x01, 0xAB, 0xFC, 0x01, 5]).qualifiers().collect();
    assert_eq!(phase, [Qualifier::Phase("L1")]);
    let vendor: Vec<_> = only(&[0x01, 0xAB, 0xFF, 0x81, 0x02, 5]).qualifiers().collect();
    assert_eq!(vendor, [Qualifier::VendorSpecific]);
}

#[test]
fn what_is_no_record_says_where() {
    let check = |data: &[u8], at: usize, fault: Fault| {
        assert_eq!(records(data).last(), Some(&Err(Malformed { at, fault })), "{data:02X?}");
    };
    check(&[0x2F, 0x04], 1, Fault::Cut);
    check(&[0x01, 0x13, 7, 0x04, 0x13, 0, 0], 3, Fault::Cut);
    check(&[0x02, 0xFC, 0xF4, 0x48], 0, Fault::Cut);
    check(&[0x3F], 0, Fault::ReservedDif(0x3F));
    check(&[0x0D, 0x13, 0xFB], 0, Fault::ReservedLvar(0xFB));
    check(&[0x84; 13], 0, Fault::TooManyDifes);
    check(&[[0x04].as_slice(), &[0x93; 12]].concat(), 0, Fault::TooManyVifes);
    assert_eq!(records(&[0x1F, 1, 2]), [Ok(Item::MoreFollows(&[1, 2]))]);
    assert_eq!(records(&[0x0F]), [Ok(Item::VendorData(&[]))]);
    assert_eq!(records(&[0x7F]), [Ok(Item::ReadAll)]);
    assert_eq!(records(&[0x2F, 0x2F]), []);
}

#[test]
fn the_fixed_structure() {
    // Number 12345678, 1234 l now and 56 l of the due day, in BCD.
    let data = [0x78, 0x56, 0x34, 0x12, 1, 0x00, 0xE9, 0x7E, 0x34, 0x12, 0, 0, 0x56, 0, 0, 0];
    let Ok(Message::Fixed(fixed)) = message(0x73, &data) else { panic!("fixed") };
    let [now, then] = fixed.counters();
    assert_eq!((now.value, now.stored), (Value::Number(1234), false));
    assert_eq!((then.value, then.stored), (Value::Number(56), true));
    assert_eq!((now.meaning.unit, now.meaning.scale), (Unit::CubicMetre, -3));
    assert_eq!(now.meaning, then.meaning);
    assert_eq!(fixed.medium(), 7);
    assert!(message(0x73, &data[..15]).is_err());
}

#[test]
fn encrypted_records_are_not_given_out() {
    // Mode 5, one block.
    let head = [0x78, 0x56, 0x34, 0x12, 0x2D, 0x2C, 0x01, 0x07, 0x2A, 0x00, 0x10, 0x05];
    let bytes = [head.as_slice(), &[0xAA; 16], &[0x01, 0x13, 0x07]].concat();
    let Ok(Message::Data(data)) = message(0x72, &bytes) else { panic!("data") };
    assert_eq!(data.records().err(), Some(Encryption::Mode5 { blocks: 1 }));
    let sealed = data.sealed(None, None).expect("one block");
    assert_eq!(sealed.iv[..9], [0x2D, 0x2C, 0x78, 0x56, 0x34, 0x12, 0x01, 0x07, 0x2A]);
    assert_eq!((sealed.cipher, sealed.plain_records().count()), (&[0xAA; 16][..], 1));
    assert_eq!(sealed.opened(&[0xAA; 16]).err(), Some(WrongKey));
    assert_eq!(sealed.opened(&[0x2F; 16]).map(Iterator::count), Ok(0));
    let Ok(Message::Data(cut)) = message(0x72, &bytes[..20]) else { panic!("data") };
    assert_eq!(cut.sealed(None, None), Err(NotSealed::Cut));
    let Ok(Message::Data(short)) = message(0x7A, &[1, 0, 0x10, 0x05, 0, 0]) else { panic!("data") };
    assert_eq!(short.sealed(None, None), Err(NotSealed::NoIdentity));
}
