//! CJ/T 188: what any bytes may do to the decoder, dialects, and values that are none. Published
//! frames: tests/vectors.

use polymeter_codec::Decoded;
use polymeter_codec::bcd::BcdError;
use polymeter_codec::cjt188::{
    Address, Content, Dialect, Frame, NotContent, Order, Status, Valve, decode, false_start,
    identified,
};
use polymeter_codec::mbus::Unit;
use proptest::prelude::*;

fn encoded(frame: &Frame<'_>) -> Vec<u8> {
    let mut bytes = vec![0; 268];
    let length = frame.encode(&mut bytes).expect("it fits");
    bytes.truncate(length);
    bytes
}

fn frames_in(mut bytes: &[u8]) -> usize {
    let (mut found, mut turns) = (0, 0);
    while !bytes.is_empty() {
        let skip = match decode(bytes) {
            Decoded::Frame { frame, used } => {
                found += 1;
                look_at(frame.data);
                used
            }
            Decoded::Garbled { skip } => skip,
            Decoded::NeedMore { at_least } => {
                assert!(at_least > bytes.len());
                false_start(bytes)
            }
        };
        turns += 1;
        assert!(skip > 0 && turns <= 2048, "it gets further");
        bytes = &bytes[skip.min(bytes.len())..];
    }
    found
}

/// Everything that can be asked of data.
fn look_at(data: &[u8]) {
    let _ = identified(data);
    for unit_first in [false, true] {
        let dialect = Dialect { unit_first, time: Order::HighFirst, ..Dialect::STANDARD };
        for dialect in [Dialect::STANDARD, dialect, Dialect { serial: false, ..dialect }] {
            let Some(content) = dialect.content(data) else { continue };
            let water = content.water(&dialect);
            let _ = water
                .map(|water| (water.total.mantissa(), water.total.meaning(), water.time.parts()));
            let _ = (content.heat(&dialect), content.purchase(), content.status());
        }
    }
}

fn address() -> impl Strategy<Value = Address> {
    prop::array::uniform7(0_u8..100).prop_map(|pairs| {
        Address::from_wire(pairs.map(|pair| (pair / 10) * 16 + pair % 10)).expect("digits")
    })
}

proptest! {
    #[test]
    fn any_bytes_end(bytes in prop::collection::vec(prop_oneof![Just(0x68_u8), Just(0x10), any::<u8>()], 0..600)) {
        frames_in(&bytes);
        look_at(&bytes);
    }

    #[test]
    fn a_frame_comes_back(
        kind in 0x10_u8..=0x49,
        address in address(),
        control: u8,
        data in prop::collection::vec(any::<u8>(), 0..=255),
        woken in 0_usize..8,
    ) {
        let frame = Frame { kind, address, control, data: &data };
        let bytes = [vec![0xFE; woken], encoded(&frame)].concat();
        prop_assert_eq!(decode(&bytes), Decoded::Frame { frame, used: bytes.len() });
        for cut in 0..bytes.len() {
            let asked = decode(&bytes[..cut]);
            let more = matches!(asked, Decoded::NeedMore { at_least } if at_least <= bytes.len());
            prop_assert!(more, "{cut}: {asked:?}");
        }
        prop_assert_eq!(frames_in(&[bytes.clone(), bytes].concat()), 2);
        prop_assert_eq!(address.to_string().parse(), Ok(address));
    }

    #[test]
    fn one_wrong_byte_is_noticed(
        address in address(),
        data in prop::collection::vec(any::<u8>(), 0..=255),
        at in any::<prop::sample::Index>(),
        flip in 1_u8..,
    ) {
        let mut bytes = encoded(&Frame { kind: 0x10, address, control: 0x81, data: &data });
        let at = at.index(bytes.len());
        bytes[at] ^= flip;
        let passed = matches!(decode(&bytes), Decoded::Frame { used, .. } if used == bytes.len());
        prop_assert!(!passed, "byte {at}");
    }
}

fn content(payload: &[u8]) -> Content<'_> {
    Content { identifier: 0x901F, serial: Some(0), payload }
}

#[test]
fn water_in_every_dialect() {
    // 123.45 m3 now, 12 l on the day of settlement; 2020-05-28 20:58:24; closed, battery low.
    let standard = [
        0x45, 0x23, 0x01, 0x00, 0x2C, 0x12, 0x00, 0x00, 0x00, 0x29, 0x24, 0x58, 0x20, 0x28, 0x05,
        0x20, 0x20, 0x05, 0x00,
    ];
    let water = content(&standard).water(&Dialect::STANDARD).expect("19 bytes");
    assert_eq!(water.total.mantissa(), Ok(12_345));
    let meaning = water.total.meaning().expect("m3");
    assert_eq!((meaning.unit, meaning.scale), (Unit::CubicMetre, -2));
    let meaning = water.settled.meaning().expect("litres");
    assert_eq!((meaning.unit, meaning.scale), (Unit::CubicMetre, -3));
    assert_eq!(water.time.parts(), Some((2020, 5, 28, 20, 58, 24)));
    assert_eq!((water.status.valve(), water.status.battery_low()), (Valve::Closed, true));

    let other = [
        0x2C, 0x45, 0x23, 0x01, 0x00, 0x29, 0x12, 0x00, 0x00, 0x00, 0x20, 0x20, 0x05, 0x28, 0x20,
        0x58, 0x24, 0x05, 0x00,
    ];
    let dialect = Dialect { unit_first: true, time: Order::HighFirst, ..Dialect::STANDARD };
    let same = content(&other).water(&dialect).expect("19 bytes");
    assert_eq!((same.total, same.settled), (water.total, water.settled));
    assert_eq!(same.time, water.time);
    // Read as the standard says, it is nonsense and says so.
    let wrong = content(&other).water(&Dialect::STANDARD).expect("19 bytes");
    assert_eq!(wrong.total.mantissa(), Err(BcdError::NotDecimal));
    assert_eq!(wrong.time.parts(), None);

    assert_eq!(
        content(&standard[..18]).water(&Dialect::STANDARD),
        Err(NotContent::Length { needed: 19, came: 18 })
    );
    let without = Dialect { serial: false, ..Dialect::STANDARD };
    let bare = without.content(&[0x1F, 0x90]).expect("an identifier");
    assert_eq!((bare.identifier, bare.serial), (0x901F, None));
    assert_eq!(Dialect::STANDARD.content(&[0x1F, 0x90]), None);
}

#[test]
fn what_is_no_value_says_so() {
    let mut data = [0; 19];
    data[4] = 0x2C;
    let total = |data: &[u8]| content(data).water(&Dialect::STANDARD).expect("19 bytes").total;
    assert_eq!(total(&data).mantissa(), Ok(0));
    data[3] = 0xFF;
    assert_eq!(total(&data).mantissa(), Err(BcdError::NotDecimal));
    data[..4].fill(0xFF);
    assert_eq!(total(&data).mantissa(), Err(BcdError::NotDecimal));
    data[4] = 0x00;
    assert_eq!(total(&data).meaning(), None);
    assert_eq!(Status([3, 0]).valve(), Valve::Faulty);
    assert_eq!(Status([2, 0]).valve(), Valve::Reserved);
}

#[test]
fn a_purse() {
    let mut data = [7, 0x00, 0x50, 0x00, 0x00, 0x00, 0x20, 0x01, 0x00, 0x50, 0x73, 0, 0, 0, 0];
    let purse = content(&data).purchase().expect("15 bytes");
    assert_eq!((purse.serial, purse.amount, purse.total, purse.left), (7, 5000, 12_000, 7350));
    data[1] = 0x0A;
    assert_eq!(content(&data).purchase(), Err(NotContent::NotDecimal));
}

#[test]
fn heat() {
    let data = [
        [0x56, 0x34, 0x12, 0x00, 0x05].repeat(5),
        vec![0x50, 0x22, 0x00],
        vec![0x00, 0x21, 0x00],
        vec![0x10, 0x00, 0x00],
        vec![0, 0, 12, 1, 1, 0x26, 0x20],
        vec![0, 0],
    ]
    .concat();
    let heat = content(&data).heat(&Dialect::STANDARD).expect("43 bytes");
    assert_eq!(heat.energy.mantissa(), Ok(123_456));
    let meaning = heat.energy.meaning().expect("kWh");
    assert_eq!((meaning.unit, meaning.scale), (Unit::WattHour, 1));
    assert_eq!((heat.temperatures, heat.hours), ([Ok(2250), Ok(2100)], Ok(10)));
}
