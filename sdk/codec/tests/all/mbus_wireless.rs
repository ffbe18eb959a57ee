//! Wireless M-Bus and the layers below a message: what any bytes may do, and each error. Published
//! telegrams, and how they are opened: tests/vectors.

use polymeter_codec::Decoded;
use polymeter_codec::mbus::wireless::{BadFrame, Format, Frame, crc, decode};
use polymeter_codec::mbus::{
    BadLayer, BadProfile, CompactFrame, Derived, Distance, Invalid, Item, Layer, Message,
    NotExpanded, NotSealed, Order, Records, SecondaryAddress, Unproven, Upper, Value, layers,
    message, mode_7_derivation, signature,
};
use proptest::prelude::*;

/// Everything that can be asked of what a radio heard.
fn look_at(bytes: &[u8]) {
    let mut room = [0; 256];
    if let Decoded::Frame { frame, used } = decode(bytes) {
        assert!((12..=bytes.len()).contains(&used) && frame.check_bits() >= 19);
        let plain = frame.without_checksums(&mut room);
        assert!(
            Frame::new(plain).is_ok_and(|told| told.data.len() + 11 == plain.len())
                || plain.len() < 11
                || matches!(Frame::new(plain), Err(BadFrame::Vendor(_)))
        );
    }
    let Ok(frame) = Frame::new(bytes) else { return };
    match layers(frame.ci, frame.data, Some(frame.sender)) {
        Ok(Upper::Open(told)) => {
            assert!(told.data.len() < bytes.len());
            let _ = message(told.ci, told.data);
            if let Some(proof) = told.authentication.and_then(|layer| layer.proof().ok()) {
                assert!(proof.covered().count() <= bytes.len() && !proof.is_proved_by(&[]));
            }
        }
        Ok(Upper::Closed(closed)) => drop(closed.opened(closed.cipher)),
        Err(why) => assert!(!why.to_string().is_empty()),
    }
}

proptest! {
    #[test]
    fn any_bytes_end(bytes in prop::collection::vec(any::<u8>(), 0..600)) {
        for start in 0..bytes.len() {
            if let Decoded::NeedMore { at_least } = decode(&bytes[start..]) {
                prop_assert!(at_least > bytes.len() - start);
            }
        }
        look_at(&bytes);
    }

    #[test]
    fn any_layers_end(
        ci in prop::sample::select(vec![0x8C_u8, 0x8D, 0x8E, 0x8F, 0x90, 0x72, 0x79, 0x7B, 0x73]),
        data in prop::collection::vec(any::<u8>(), 0..200),
    ) {
        let length = u8::try_from(data.len() + 10).unwrap();
        let head = [length, 0x44, 0x93, 0x15, 0x78, 0x56, 0x34, 0x12, 0x33, 0x03, ci];
        look_at(&[head.as_slice(), &data].concat());
    }

    #[test]
    fn a_compact_frame_says_what_the_full_one_says(values in prop::collection::vec(any::<u8>(), 7)) {
        let [a, b, c, d, e, f, g] = <[u8; 7]>::try_from(values.clone()).unwrap();
        let full = [0x04, 0x13, a, b, c, d, 0x42, 0x6C, e, f, 0x0D, 0x78, 0x01, g];
        let (format, check) = (signature(&full).unwrap().to_le_bytes(), crc(&full).to_le_bytes());
        let body = [&format[..], &check, &[a, b, c, d, e, f, 0x01, g]].concat();
        let known = [0x04, 0x13, 1, 1, 1, 1, 0x42, 0x6C, 1, 1, 0x0D, 0x78, 0x02, 0x41, 0x41];
        let mut room = [0; 64];
        let frame = CompactFrame::new(&body).unwrap();
        prop_assert_eq!(frame.expanded(&known, &mut room), Ok(&full[..]));
        let cut = CompactFrame::new(&body[..body.len() - 1]).unwrap();
        prop_assert_eq!(cut.expanded(&known, &mut room), Err(NotExpanded::Cut { record: 3 }));
        prop_assert_eq!(frame.expanded(&known, &mut room[..13]), Err(NotExpanded::Room));
        let other = frame.expanded(&known[..10], &mut room);
        let is_other = matches!(other, Err(NotExpanded::OtherFormat { .. }));
        prop_assert!(is_other);
        for bit in 16..body.len() * 8 {
            let mut turned = body.clone();
            turned[bit / 8] ^= 1 << (bit % 8);
            prop_assert!(CompactFrame::new(&turned).unwrap().expanded(&known, &mut room).is_err());
        }
    }
}

const FRAME: [u8; 13] =
    [0x0C, 0x44, 0x93, 0x15, 0x78, 0x56, 0x34, 0x12, 0x33, 0x03, 0x78, 0x01, 0x13];

#[test]
fn what_is_no_frame_says_where() {
    let check = |at: usize, byte: u8, said: &str| {
        let mut bytes = FRAME;
        bytes[at] = byte;
        assert_eq!(Frame::new(&bytes).expect_err("bad").to_string(), said);
    };
    assert_eq!(Frame::new(&FRAME).map(|frame| frame.data), Ok(&FRAME[11..]));
    check(0, 0x0D, "the length at byte 0 says 13 bytes, and 12 follow it");
    check(1, 0x64, "there is no control field 64, at byte 1");
    check(2, 0x80, "the vendor 1580 at byte 2 is not three letters");
    let short = Frame::new(&FRAME[..10]).expect_err("short");
    assert_eq!(short.to_string(), "a wireless telegram has at least 11 bytes, and 10 came");
}

#[test]
fn format_b_is_told_from_format_a() {
    let mut bytes = FRAME.to_vec();
    bytes[0] += 2;
    bytes.extend(crc(&bytes).to_be_bytes());
    let Decoded::Frame { frame, used: 15 } = decode(&bytes) else { panic!("{:?}", decode(&bytes)) };
    assert_eq!(frame.format, Format::B);
    assert_eq!(frame.without_checksums(&mut [0; 256]), FRAME);
}

/// A session that is not encrypted, with the checksum of its message.
fn link(session: u8, message: &[u8]) -> Vec<u8> {
    let check = crc(message).to_le_bytes();
    [&[0x20, 0x01, 0, 0, 0, session][..], &check, message].concat()
}

#[test]
fn the_extended_link_layer() {
    let check = |ci: u8, data: &[u8], said: BadLayer| {
        assert_eq!(layers(ci, data, None), Err(said), "{ci:02X} {data:02X?}");
    };
    let good = link(0, &[0x78, 0x01, 0x13, 0x07]);
    let Ok(Upper::Open(told)) = layers(0x8D, &good, None) else { panic!("open") };
    assert_eq!((told.ci, told.data), (0x78, &[0x01, 0x13, 0x07][..]));
    let mut wrong = good.clone();
    wrong[10] ^= 1;
    let Err(BadLayer::Checksum { told, made }) = layers(0x8D, &wrong, None) else {
        panic!("wrong")
    };
    assert_ne!(told, made);
    check(0x8C, &[0x20], BadLayer::Cut { layer: Layer::Link, needed: 2, came: 1 });
    check(0x8F, &[0; 13], BadLayer::Cut { layer: Layer::Link, needed: 14, came: 13 });
    check(0x8C, &[0x20, 0x01], BadLayer::Cut { layer: Layer::Message, needed: 1, came: 0 });
    check(0x8C, &[0x20, 0x01, 0x8C], BadLayer::Twice(Layer::Link));
    check(0x8D, &link(0x40, &[0x78]), BadLayer::LinkSecurity(2));
    // Encrypted, but the checksum holds as it stands: somebody deciphered it before.
    let deciphered = link(0x20, &[0x78, 0x01, 0x13, 0x07]);
    let Ok(Upper::Open(told)) = layers(0x8D, &deciphered, None) else { panic!("open") };
    assert!(told.link.is_some_and(|link| link.came_deciphered));
    let mut closed = deciphered.clone();
    closed[10] ^= 1;
    check(0x8D, &closed, BadLayer::NoSender);
    let Ok(Upper::Closed(closed)) = layers(0x8D, &closed, Some(SecondaryAddress::ANY)) else {
        panic!("closed")
    };
    assert_eq!(closed.iv[8..], [0x20, 0, 0, 0, 0x20, 0, 0, 0]);
    assert_eq!(closed.opened(closed.cipher), Err(BadLayer::WrongKey));
    assert_eq!(closed.opened(&deciphered[6..]).map(|told| told.ci), Ok(0x78));
    assert_eq!(closed.opened(&deciphered[7..]), Err(BadLayer::WrongKey));
}

#[test]
fn authentication_and_fragments() {
    let check = |data: &[u8], said: BadLayer| {
        assert_eq!(layers(0x90, data, None), Err(said), "{data:02X?}");
    };
    let whole = [
        0x0F, 0x00, 0x2C, 0x25, 1, 2, 3, 4, 0xA0, 0xA1, 0xA2, 0xA3, 0xA4, 0xA5, 0xA6, 0xA7, 0x78, 9,
    ];
    let Ok(Upper::Open(told)) = layers(0x90, &whole, None) else { panic!("whole") };
    let layer = told.authentication.expect("there");
    assert_eq!((told.ci, told.data, layer.counter), (0x78, &[9][..], Some([1, 2, 3, 4])));
    let proof = layer.proof().expect("a code");
    assert_eq!(proof.covered().collect::<Vec<_>>(), [0x25, 1, 2, 3, 4, 0x78, 9]);
    assert!(proof.is_proved_by(&[0xA0, 0xA1, 0xA2, 0xA3, 0xA4, 0xA5, 0xA6, 0xA7, 0, 0]));
    assert!(!proof.is_proved_by(&[0xA0, 0xA1, 0xA2, 0xA3, 0xA4, 0xA5, 0xA6]));
    assert!(!proof.is_proved_by(&[0xA0, 0xA1, 0xA2, 0xA3, 0xA4, 0xA5, 0xA6, 0xA8]));
    let with = |at: usize, byte: u8| {
        let mut turned = whole;
        turned[at] = byte;
        turned
    };
    check(&whole[..10], BadLayer::Cut { layer: Layer::Authentication, needed: 16, came: 10 });
    check(&[], BadLayer::Cut { layer: Layer::Authentication, needed: 1, came: 0 });
    check(&with(0, 1), BadLayer::AuthenticationLength { told: 1, fields: 2 });
    check(&with(0, 5), BadLayer::AuthenticationLength { told: 5, fields: 7 });
    check(&with(0, 14), BadLayer::MacLength { kind: 5, came: 7 });
    check(&with(1, 1), BadLayer::Fragment { number: 1 });
    check(&with(1, 2), BadLayer::Fragment { number: 2 });
    check(&with(2, 0x6C), BadLayer::Fragment { number: 0 });
    check(&with(2, 0x28), BadLayer::AuthenticationLength { told: 15, fields: 7 });
    check(&with(16, 0x90), BadLayer::Twice(Layer::Authentication));
    let unproven = |data: &[u8]| match layers(0x90, data, None) {
        Ok(Upper::Open(told)) => told.authentication.and_then(|layer| layer.proof().err()),
        other => panic!("{other:?}"),
    };
    assert_eq!(unproven(&[2, 0, 0, 0x78]), Some(Unproven::NoMac));
    assert_eq!(unproven(&with(3, 0x28)), Some(Unproven::Kind(8)));
    let keyed = [&[0x11, 0x00, 0x2E, 0x25, 7, 7], &whole[4..]].concat();
    assert_eq!(unproven(&keyed), Some(Unproven::KeyInformation));
    assert_eq!(
        unproven(&[0x0B, 0, 0x24, 0x25, 1, 2, 3, 4, 5, 6, 7, 8, 0x78]),
        Some(Unproven::NoCounter)
    );
}

#[test]
fn mode_7_needs_a_counter_and_a_derivation_that_is_known() {
    let sealed = |extension: u8, counter| {
        let head =
            [0x78, 0x56, 0x34, 0x12, 0x93, 0x15, 0x33, 0x03, 0x75, 0x00, 0x10, 0x07, extension];
        let bytes = [head.as_slice(), &[0xAA; 16]].concat();
        let Ok(Message::Data(data)) = message(0x72, &bytes) else { panic!("data") };
        data.sealed(None, counter).map(|sealed| (sealed.derivation, sealed.iv))
    };
    let counter = [0xB3, 0x0A, 0, 0];
    let from = mode_7_derivation(Derived::FromDevice, counter, [0x78, 0x56, 0x34, 0x12]);
    assert_eq!(from[..9], [0, 0xB3, 0x0A, 0, 0, 0x78, 0x56, 0x34, 0x12]);
    assert_eq!(sealed(0x10, Some(counter)), Ok((Some(from), [0; 16])));
    assert_eq!(sealed(0x10, None), Err(NotSealed::NoCounter));
    assert_eq!(sealed(0x20, Some(counter)), Err(NotSealed::Derivation(2)));
}

/// A record of volume with this profile code and data.
fn profile(code: u8, data: &[u8]) -> Vec<u8> {
    let length = u8::try_from(data.len()).unwrap();
    [&[0x8D, 0x04, 0x93, code, length][..], data].concat()
}

fn of_profile(code: u8, data: &[u8], base: Option<i64>) -> Result<Vec<Value<'static>>, BadProfile> {
    let data = profile(code, data);
    let Some(Ok(Item::Record(record))) = Records::new(&data, Order::LowFirst).next() else {
        panic!("a record")
    };
    assert!(matches!(record.value(), Value::Bytes(_)), "a profile is no text");
    let told = record.profile().expect("a profile")?;
    Ok(told
        .values(base)
        .map(|value| match value {
            Value::Number(number) => Value::Number(number),
            Value::Invalid(why) => Value::Invalid(why),
            other => panic!("{other:?}"),
        })
        .collect())
}

#[test]
fn compact_profiles() {
    let none = Value::Invalid(Invalid::NotAvailable);
    let check = |data: &[u8], base: Option<i64>, expected: &[Value<'_>]| {
        assert_eq!(of_profile(0x1F, data, base).as_deref(), Ok(expected), "{data:02X?}");
    };
    let number = Value::Number;
    check(&[0x72, 0xFE, 3, 0, 22, 0], Some(10), &[number(13), number(35)]);
    check(&[0x72, 0xFE, 3, 0, 22, 0], None, &[none, none]);
    check(&[0xB1, 1, 3, 22], Some(30), &[number(27), number(5)]);
    check(&[0xF1, 1, 0xFD, 22], Some(30), &[number(27), number(49)]);
    check(&[0x3A, 0xFD, 0x34, 0x12], None, &[number(1234)]);
    // Behind one that is none, nothing can be added up; absolute values stand alone.
    check(&[0x71, 7, 1, 0xFF, 1], Some(0), &[number(1), none, none]);
    check(&[0x31, 7, 1, 0x80, 2], None, &[number(1), none, number(2)]);
    check(&[0x31, 7, 0xFF], None, &[number(-1)]);
    check(&[0x72, 0xFE, 1, 0], Some(i64::MAX), &[none]);
    check(&[0x72, 0xFE], Some(1), &[]);
    let bad = |data: &[u8], why: BadProfile| {
        assert_eq!(of_profile(0x13, data, Some(0)), Err(why), "{data:02X?}");
    };
    bad(&[0x72], BadProfile::Cut);
    bad(&[0x75, 0xFE, 0, 0, 0, 0], BadProfile::Size(5));
    bad(&[0x7D, 0xFE], BadProfile::Size(0xD));
    bad(&[0x71, 0x00], BadProfile::Distance { unit: 3, value: 0 });
    bad(&[0x41, 0xFE], BadProfile::Distance { unit: 0, value: 0xFE });
    bad(&[0x72, 0xFE, 1, 0, 2], BadProfile::Uneven { came: 3, size: 2 });
    let distance = |control: u8, value: u8| {
        let data = profile(0x1E, &[control, value]);
        let Some(Ok(Item::Record(record))) = Records::new(&data, Order::LowFirst).next() else {
            panic!("a record")
        };
        record.profile().map(|told| told.map(|told| (told.distance, told.backwards)))
    };
    assert_eq!(distance(0x01, 9), Some(Ok((Distance::Seconds(9), false))));
    assert_eq!(distance(0x11, 15), Some(Ok((Distance::Seconds(900), false))));
    assert_eq!(distance(0x21, 1), Some(Ok((Distance::Seconds(3600), false))));
    assert_eq!(distance(0x31, 0xFD), Some(Ok((Distance::HalfMonth, false))));
    assert_eq!(distance(0x31, 7), Some(Ok((Distance::Days(7), false))));
}
