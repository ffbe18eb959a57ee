//! DL/T 698.45: any bytes in frames, parts and APDUs, and what others published.

use polymeter_codec::dlt698::{
    Apdu, Ask, Assembly, Body, Control, Data, Date, DateTime, Fragment, Frame, GetResult, Got, Oad,
    OutOfOrder, Place, Progress, Question, ServerAddress, Term, Time, Value, decode, false_start,
};
use polymeter_codec::{DEPTH_MAX, Decoded, NoRoom};
use proptest::prelude::*;

fn encoded(frame: &Frame<'_>) -> Vec<u8> {
    let mut out = vec![0; 2_000];
    let length = frame.encode(&mut out).unwrap();
    out.truncate(length);
    assert_eq!(frame.encode(&mut out.clone()[..length - 1]), Err(NoRoom { needed: length }));
    out
}

/// All frames in `bytes` as a caller finds them once the line is quiet: control and APDU.
fn frames_in(mut bytes: &[u8]) -> Vec<(u8, Vec<u8>)> {
    let mut found = Vec::new();
    while !bytes.is_empty() {
        let dropped = match decode(bytes) {
            Decoded::Frame { frame, used } => {
                found.push((frame.control.0, frame.apdu.to_vec()));
                used
            }
            Decoded::NeedMore { at_least } => {
                assert!(at_least > bytes.len());
                false_start(bytes)
            }
            Decoded::Garbled { skip } => skip,
        };
        assert!((1..=bytes.len()).contains(&dropped));
        bytes = &bytes[dropped..];
    }
    found
}

fn any_address() -> impl Strategy<Value = ServerAddress> {
    prop_oneof!["([0-9]{2}){1,16}", "A{4}([0-9]{2}){1,6}"]
        .prop_map(|digits| ServerAddress::from_digits(&digits).unwrap())
}

/// Bytes of which many are types and small numbers, so that much of it is nearly an APDU.
fn apdu_like_bytes() -> impl Strategy<Value = Vec<u8>> {
    let service = prop::sample::select(vec![
        0x01_u8, 0x81, 0x02, 0x82, 0x05, 0x85, 0x06, 0x86, 0x07, 0x87, 0x88, 0x08, 0x09, 0x10, 0x90,
    ]);
    let byte = prop_oneof![0_u8..6, 0_u8..30, 80_u8..97, any::<u8>()];
    (service, 0_u8..7, prop::collection::vec(byte, 0..120))
        .prop_map(|(service, kind, rest)| [vec![service, kind, 0], rest].concat())
}

/// A value without others in it.
fn any_leaf() -> impl Strategy<Value = Vec<u8>> {
    let octets = prop_oneof![
        9 => prop::collection::vec(any::<u8>(), 0..10),
        1 => prop::collection::vec(any::<u8>(), 120..300),
    ];
    prop_oneof![
        Just(vec![0]),
        any::<bool>().prop_map(|bit| vec![3, u8::from(bit)]),
        any::<[u8; 4]>().prop_map(|bytes| [&[5][..], &bytes].concat()),
        any::<[u8; 4]>().prop_map(|bytes| [&[6][..], &bytes].concat()),
        any::<[u8; 1]>().prop_map(|bytes| [&[15][..], &bytes].concat()),
        any::<[u8; 2]>().prop_map(|bytes| [&[16][..], &bytes].concat()),
        any::<[u8; 8]>().prop_map(|bytes| [&[21][..], &bytes].concat()),
        any::<[u8; 10]>().prop_map(|bytes| [&[25][..], &bytes].concat()),
        any::<[u8; 7]>().prop_map(|bytes| [&[28][..], &bytes].concat()),
        any::<[u8; 2]>().prop_map(|bytes| [&[89][..], &bytes].concat()),
        any::<[u8; 5]>().prop_map(|bytes| [&[91, 0][..], &bytes[1..]].concat()),
        any::<[u8; 3]>().prop_map(|bytes| [&[90, 10][..], &bytes[..1], &[1]].concat()),
        octets.prop_map(|bytes| {
            let mut out = vec![0; 400];
            let length = Data::Octets(&bytes).encode(&mut out).unwrap();
            out.truncate(length);
            out
        }),
    ]
}

/// A value as it stands on the wire, others in it.
fn any_value() -> impl Strategy<Value = Vec<u8>> {
    any_leaf().prop_recursive(4, 40, 5, |inner| {
        (1_u8..=2, prop::collection::vec(inner, 0..5)).prop_map(|(kind, elements)| {
            [vec![kind, u8::try_from(elements.len()).unwrap()], elements.concat()].concat()
        })
    })
}

/// An answer that carries a value.
fn answer_with(value: &[u8]) -> Vec<u8> {
    [&[0x85, 0x01, 0x07, 0x20, 0x2C, 0x02, 0x00, 0x01][..], value, &[0, 0]].concat()
}

fn value_in(apdu: &[u8]) -> Data<'_> {
    let Ok(Apdu { body: Body::Got(Got::One(value)), .. }) = Apdu::decode(apdu) else {
        panic!("{:?}", Apdu::decode(apdu))
    };
    let GetResult::Data(data) = value.result else { panic!("{value:?}") };
    data
}

/// Walks all that is in a value, so that what the lists promised is really there.
fn leaves(data: &Data<'_>) -> usize {
    match data {
        Data::Array(list) | Data::Structure(list) => {
            assert_eq!(list.iter().count(), list.len());
            list.iter().map(|element| leaves(&element)).sum()
        }
        _ => 1,
    }
}

proptest! {
    #[test]
    fn any_bytes_end_without_a_panic(
        bytes in prop::collection::vec(prop_oneof![Just(0x68), 0_u8..0x20, any::<u8>()], 0..600),
    ) {
        frames_in(&bytes);
    }

    #[test]
    fn a_frame_decodes_to_what_was_encoded_and_a_cut_one_needs_more(
        control in any::<u8>(),
        server in any_address(),
        client in any::<u8>(),
        apdu in prop::collection::vec(any::<u8>(), 0..200),
        wake_up in 0_usize..5,
    ) {
        let frame = Frame { control: Control(control), server, client, apdu: &apdu };
        let bytes = [vec![0xFE; wake_up], encoded(&frame)].concat();
        prop_assert_eq!(decode(&bytes), Decoded::Frame { frame, used: bytes.len() });
        for length in 0..bytes.len() {
            let Decoded::NeedMore { at_least } = decode(&bytes[..length]) else {
                panic!("cut to {length}: {:?}", decode(&bytes[..length]));
            };
            prop_assert!(length < at_least && at_least <= bytes.len());
        }
    }

    #[test]
    fn one_wrong_bit_of_a_frame_is_noticed(
        server in any_address(),
        apdu in prop::collection::vec(any::<u8>(), 0..60),
        at in any::<prop::sample::Index>(),
        bit in 0_u32..8,
    ) {
        let frame = Frame { control: Control::RESPONSE, server, client: 0, apdu: &apdu };
        let mut bytes = encoded(&frame);
        let at = at.index(bytes.len());
        bytes[at] ^= 1_u8 << bit;
        let passed = matches!(decode(&bytes), Decoded::Frame { used, .. } if used == bytes.len());
        prop_assert!(!passed, "byte {} of {:02X?}", at, bytes);
    }

    #[test]
    fn a_frame_is_found_behind_a_cut_one(cut in 1_usize..25, server in any_address()) {
        let lost = Frame { control: Control::REQUEST, server, client: 0, apdu: &[0xAB; 30] };
        let frame = Frame { control: Control::RESPONSE, server, client: 0, apdu: &[0x85] };
        let bytes = [&encoded(&lost)[..cut], &encoded(&frame)].concat();
        prop_assert!(frames_in(&bytes).contains(&(0xC3, vec![0x85])));
    }

    #[test]
    fn any_apdu_is_judged_without_a_panic(bytes in apdu_like_bytes()) {
        match Apdu::decode(&bytes) {
            Ok(apdu) => {
                let _ = format!("{apdu:?}");
                if let Body::Got(Got::One(Value { result: GetResult::Data(data), .. })) = apdu.body {
                    leaves(&data);
                }
            }
            Err(error) => prop_assert!(error.at <= bytes.len(), "{}", error),
        }
    }

    #[test]
    fn a_value_is_written_as_it_was_read(value in any_value()) {
        let apdu = answer_with(&value);
        let data = value_in(&apdu);
        leaves(&data);
        let mut out = vec![0; value.len()];
        prop_assert_eq!(data.encode(&mut out), Ok(value.len()));
        prop_assert_eq!(out, value);
    }

    #[test]
    fn a_cut_apdu_is_refused_and_so_is_a_longer_one(value in any_value()) {
        let apdu = answer_with(&value);
        prop_assert!(Apdu::decode(&apdu).is_ok());
        for length in 0..apdu.len() {
            prop_assert!(Apdu::decode(&apdu[..length]).is_err(), "cut to {}", length);
        }
        let longer = [&apdu[..], &[0]].concat();
        prop_assert_eq!(Apdu::decode(&longer).map_err(|error| error.at), Err(apdu.len()));
    }

    #[test]
    fn an_address_reads_back_from_its_digits(address in any_address()) {
        prop_assert_eq!(ServerAddress::from_digits(&address.to_string()), Some(address));
    }

    #[test]
    fn parts_are_put_together_whatever_comes_twice(
        apdu in prop::collection::vec(any::<u8>(), 3..300),
        size in 1_usize..40,
        first in 0_u16..4096,
        twice in any::<prop::sample::Index>(),
    ) {
        let parts: Vec<&[u8]> = apdu.chunks(size.min(apdu.len() / 2)).collect();
        let last = parts.len() - 1;
        let twice = twice.index(last);
        let mut out = vec![0; apdu.len()];
        let mut assembly = Assembly::new(&mut out);
        for (nth, data) in parts.iter().enumerate() {
            let place = match nth {
                0 => Place::First,
                _ if nth == last => Place::Last,
                _ => Place::Middle,
            };
            let number = (first + u16::try_from(nth).unwrap()) & 0x0FFF;
            let wire = [&Fragment { number, place, data }.head()[..], data].concat();
            let part = Fragment::of(&wire).unwrap();
            prop_assert_eq!(part, Fragment { number, place, data });
            let progress = assembly.add(&part).unwrap();
            if nth == twice {
                prop_assert_eq!(assembly.add(&part), Ok(Progress::Confirm { number }));
            }
            let whole = Progress::Whole { length: apdu.len() };
            let expected = if nth == last { whole } else { Progress::Confirm { number } };
            prop_assert_eq!(progress, expected);
        }
        prop_assert_eq!(assembly.bytes(), &apdu[..]);
    }
}

#[test]
fn a_part_that_is_not_due_is_refused() {
    let mut out = [0; 8];
    let mut assembly = Assembly::new(&mut out);
    let part = |number, place| Fragment { number, place, data: &[1, 2, 3] };
    let refused = |came, due| Err(OutOfOrder::Number { came, due });
    assert_eq!(assembly.add(&part(7, Place::Middle)), refused(7, None));
    assert!(assembly.add(&part(7, Place::First)).is_ok());
    assert_eq!(assembly.add(&part(9, Place::Middle)), refused(9, Some(8)));
    assert_eq!(assembly.add(&part(8, Place::Confirm)), refused(8, Some(8)));
    assert!(assembly.add(&part(8, Place::Middle)).is_ok());
    let full = Err(OutOfOrder::Room(NoRoom { needed: 9 }));
    assert_eq!(assembly.add(&part(9, Place::Last)), full);
}

#[test]
fn values_deeper_than_any_meter_sends_are_refused() {
    let deep = |depth: usize| {
        let value = [2, 1].repeat(depth);
        answer_with(&[&value[..], &[0]].concat())
    };
    let most = usize::from(DEPTH_MAX);
    assert!(Apdu::decode(&deep(most)).is_ok());
    let error = Apdu::decode(&deep(most + 1)).unwrap_err();
    assert_eq!(error.expected, "a value, at most ten deep in others");
    assert!(Apdu::decode(&deep(100_000)).is_err());
}

#[test]
fn a_length_beyond_the_frame_and_a_count_beyond_the_bytes_are_refused() {
    let lie = answer_with(&[9, 0x84, 0xFF, 0xFF, 0xFF, 0xFF]);
    assert!(Apdu::decode(&lie).is_err());
    let lie = answer_with(&[1, 0x82, 0xFF, 0xFF, 0]);
    assert_eq!(Apdu::decode(&lie).unwrap_err().at, 9);
    // Rows without columns would take no byte each.
    let rows = [0x85, 0x03, 0, 0x50, 0x04, 0x02, 0, 0, 1, 0x83, 0xFF, 0xFF, 0xFF, 0, 0];
    assert!(Apdu::decode(&rows).is_err());
}

#[test]
fn kilobytes_and_lengths_shorter_than_a_header_are_garbled() {
    let whole = encoded(&Frame {
        control: Control::REQUEST,
        server: ServerAddress::ANY,
        client: 0,
        apdu: &[5],
    });
    let mut kilobytes = whole.clone();
    kilobytes[2] |= 0x40;
    assert!(matches!(decode(&kilobytes), Decoded::Garbled { .. }));
    let mut short = whole;
    short[1] = 8;
    assert!(matches!(decode(&short), Decoded::Garbled { .. }));
}

#[test]
fn questions_are_written_as_they_are_read() {
    let columns = [Oad(0x2021_0200), Oad(0x0010_0200)];
    let check = |ask: Ask<'_>, expected: &str| {
        let mut out = [0; 100];
        let length = Question { piid: 0x03, ask }.encode(&mut out).unwrap();
        assert_eq!(hex::encode_upper(&out[..length]), expected);
        assert!(Apdu::decode(&out[..length]).is_ok(), "{expected}");
    };
    check(Ask::Get(Oad(0x202C_0200)), "050103202C020000");
    check(Ask::GetSeveral(&columns), "05020302202102000010020000");
    let last = Ask::NthLast { table: Oad(0x5004_0200), nth: 1, columns: &columns };
    check(last, "050303500402000901020020210200000010020000");
    let time = |hour| DateTime {
        date: Date { year: 2026, month: 3, day: 2, weekday: None },
        time: Time { hour, minute: 15, second: 0 },
        millisecond: None,
    };
    let span = (time(10), time(11), (1, 15));
    let (table, by) = (Oad(0x5002_0200), Oad(0x2021_0200));
    check(
        Ask::Between { table, by, span, columns: &columns },
        "0503035002020002202102001C07EA03020A0F001C07EA03020B0F0054010\
         00F020020210200000010020000",
    );
    check(Ask::Next(2), "050503000200");
    let trip = [Data::Unsigned { value: 0, bytes: 1 }, Data::Null];
    check(Ask::Action(Oad(0x8000_8100), Term::Array(&trip)), "07010380008100010211000000");
    check(Ask::Set(Oad(0x4000_0200), Term::One(Data::Enum(1))), "06010340000200160100");
    check(Ask::Release, "030300");
    let mut out = [0; 10];
    let question = Question { piid: 0, ask: Ask::GetSeveral(&columns) };
    assert_eq!(question.encode(&mut out), Err(NoRoom { needed: 13 }));
}
