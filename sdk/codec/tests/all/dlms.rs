//! DLMS: any bytes in HDLC frames, wrappers, APDUs and compact arrays.

use polymeter_codec::dlms::acse::{Association, InitiateRequest, Open, User};
use polymeter_codec::dlms::wrapper::{self, Wrapped};
use polymeter_codec::dlms::{
    Apdu, Attribute, Block, Ciphered, Data, GetRequest, GetResponse, GetResult, Request,
    SecurityControl, entries, nonce, range,
};
use polymeter_codec::hdlc::{self, Address, Control, Frame};
use polymeter_codec::{DEPTH_MAX, Decoded, NoRoom, Obis};
use proptest::prelude::*;
use std::time::{Duration, Instant};

fn encoded(frame: &Frame<'_>) -> Vec<u8> {
    let mut out = vec![0; 2_100];
    let length = frame.encode(&mut out).unwrap();
    out.truncate(length);
    assert_eq!(frame.encode(&mut out.clone()[..length - 1]), Err(NoRoom { needed: length }));
    out
}

/// All frames in `bytes` as a caller finds them once the line is quiet: what they carry.
fn frames_in(mut bytes: &[u8]) -> Vec<Vec<u8>> {
    let mut found = Vec::new();
    while !bytes.is_empty() {
        let dropped = match hdlc::decode(bytes) {
            Decoded::Frame { frame, used } => {
                found.push(frame.information.to_vec());
                used
            }
            Decoded::NeedMore { at_least } => {
                assert!(at_least > bytes.len());
                hdlc::false_start(bytes)
            }
            Decoded::Garbled { skip } => skip,
        };
        assert!((1..=bytes.len()).contains(&dropped));
        bytes = &bytes[dropped..];
    }
    found
}

fn any_server() -> impl Strategy<Value = Address> {
    prop_oneof![
        (0_u16..0x4000, prop::option::of(0_u16..0x4000))
            .prop_filter_map("a logical device alone has 7 bits", |(logical, physical)| {
                Address::server(logical, physical)
            }),
        (0_u16..0x4000, 0_u16..0x4000)
            .prop_map(|(logical, physical)| Address::wide(logical, physical).unwrap()),
    ]
}

fn any_control() -> impl Strategy<Value = Control> {
    prop_oneof![
        (0_u8..8, 0_u8..8).prop_map(|(send, receive)| Control::Information { send, receive }),
        (0_u8..8).prop_map(Control::ReceiveReady),
        (0_u8..8).prop_map(Control::ReceiveNotReady),
        prop::sample::select(vec![
            Control::Snrm,
            Control::Disconnect,
            Control::Acknowledge,
            Control::DisconnectedMode,
            Control::Reject,
            Control::Unnumbered,
        ]),
    ]
}

/// Bytes of which many are types and small numbers, so that much of it is nearly an APDU.
fn apdu_like_bytes() -> impl Strategy<Value = Vec<u8>> {
    let tag = prop::sample::select(vec![
        0x01_u8, 0x08, 0x0F, 0x21, 0x60, 0x61, 0x62, 0x63, 0xC0, 0xC1, 0xC2, 0xC3, 0xC4, 0xC5,
        0xC7, 0xC8, 0xD8, 0xDB, 0xE0,
    ]);
    let byte = prop_oneof![0_u8..6, 0_u8..0x1C, Just(0x13), any::<u8>()];
    (tag, 0_u8..7, prop::collection::vec(byte, 0..120))
        .prop_map(|(tag, kind, rest)| [vec![tag, kind], rest].concat())
}

fn any_leaf() -> impl Strategy<Value = Vec<u8>> {
    let octets = prop_oneof![
        9 => prop::collection::vec(any::<u8>(), 0..10),
        1 => prop::collection::vec(any::<u8>(), 120..300),
    ];
    prop_oneof![
        Just(vec![0x00]),
        Just(vec![0xFF]),
        any::<bool>().prop_map(|bit| vec![0x03, u8::from(bit)]),
        any::<[u8; 4]>().prop_map(|bytes| [&[0x05][..], &bytes].concat()),
        any::<[u8; 4]>().prop_map(|bytes| [&[0x06][..], &bytes].concat()),
        any::<[u8; 1]>().prop_map(|bytes| [&[0x0F][..], &bytes].concat()),
        any::<[u8; 2]>().prop_map(|bytes| [&[0x10][..], &bytes].concat()),
        any::<[u8; 8]>().prop_map(|bytes| [&[0x14][..], &bytes].concat()),
        any::<[u8; 8]>().prop_map(|bytes| [&[0x15][..], &bytes].concat()),
        any::<[u8; 12]>().prop_map(|bytes| [&[0x19][..], &bytes].concat()),
        any::<[u8; 6]>().prop_map(|bytes| [&[0x13, 0x12, 0x06][..], &bytes].concat()),
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

/// Walks all that is in a value, so that what the lists promised is really there.
fn leaves(data: &Data<'_>) -> usize {
    match data {
        Data::Array(list) | Data::Structure(list) => {
            assert_eq!(list.iter().count(), list.len());
            list.iter().map(|element| leaves(&element)).sum()
        }
        Data::Compact(compact) => {
            let (mut visited, mut last) = (0, None);
            compact.visit(|number, _| {
                visited += 1;
                last = Some(number);
            });
            assert_eq!(last.map_or(0, |last| last + 1), compact.len());
            visited
        }
        _ => 1,
    }
}

proptest! {
    #[test]
    fn any_bytes_end_without_a_panic(
        bytes in prop::collection::vec(
            prop_oneof![2 => Just(0x7E), 1 => 0xA0_u8..0xA8, 4 => any::<u8>()], 0..600,
        ),
    ) {
        frames_in(&bytes);
        let mut rest = &bytes[..];
        while !rest.is_empty() {
            match wrapper::decode(rest) {
                Decoded::Frame { used, .. } => rest = &rest[used..],
                Decoded::Garbled { skip } => rest = &rest[skip..],
                Decoded::NeedMore { at_least } => {
                    prop_assert!(at_least > rest.len());
                    break;
                }
            }
        }
    }

    #[test]
    fn a_frame_decodes_to_what_was_encoded_and_a_cut_one_needs_more(
        segmented in any::<bool>(),
        poll in any::<bool>(),
        server in any_server(),
        client in 0_u8..0x80,
        control in any_control(),
        information in prop::collection::vec(prop_oneof![Just(0x7E), any::<u8>()], 0..200),
        flags in 0_usize..3,
    ) {
        let (destination, source) = (server, Address::client(client).unwrap());
        let frame = Frame { segmented, destination, source, control, poll, information: &information };
        let bytes = [vec![0x7E; flags], encoded(&frame)].concat();
        prop_assert_eq!(hdlc::decode(&bytes), Decoded::Frame { frame, used: bytes.len() });
        for length in 0..bytes.len() {
            let Decoded::NeedMore { at_least } = hdlc::decode(&bytes[..length]) else {
                panic!("cut to {length}: {:?}", hdlc::decode(&bytes[..length]));
            };
            prop_assert!(length < at_least);
        }
    }

    #[test]
    fn one_wrong_bit_of_a_frame_is_noticed(
        server in any_server(),
        information in prop::collection::vec(any::<u8>(), 0..60),
        at in any::<prop::sample::Index>(),
        bit in 0_u32..8,
    ) {
        let source = Address::client(16).unwrap();
        let control = Control::Information { send: 1, receive: 2 };
        let mut bytes = encoded(&Frame {
            segmented: false,
            destination: server,
            source,
            control,
            poll: true,
            information: &information,
        });
        let at = at.index(bytes.len());
        bytes[at] ^= 1_u8 << bit;
        let passed =
            matches!(hdlc::decode(&bytes), Decoded::Frame { used, .. } if used == bytes.len());
        prop_assert!(!passed, "byte {} of {:02X?}", at, bytes);
    }

    #[test]
    fn frames_that_share_a_flag_are_all_found(
        first in prop::collection::vec(any::<u8>(), 1..60),
        second in prop::collection::vec(any::<u8>(), 1..60),
        cut in 1_usize..20,
    ) {
        let frame = |information: &[u8]| {
            encoded(&Frame {
                segmented: true,
                destination: Address::client(16).unwrap(),
                source: Address::server(1, Some(17)).unwrap(),
                control: Control::Unnumbered,
                poll: false,
                information,
            })
        };
        let shared = [&frame(&first)[..], &frame(&second)[1..]].concat();
        prop_assert_eq!(frames_in(&shared), vec![first.clone(), second]);
        let behind = [&frame(&[0xAB; 30])[..cut], &frame(&first)].concat();
        prop_assert!(frames_in(&behind).contains(&first));
    }

    #[test]
    fn any_apdu_is_judged_without_a_panic(bytes in apdu_like_bytes()) {
        match Apdu::decode(&bytes) {
            Ok(apdu) => {
                let _ = format!("{apdu:?}");
            }
            Err(error) => prop_assert!(error.at <= bytes.len(), "{}", error),
        }
        if let Ok(data) = Data::decode(&bytes) {
            leaves(&data);
        }
    }

    #[test]
    fn a_value_is_written_as_it_was_read(value in any_value()) {
        let data = Data::decode(&value).unwrap();
        leaves(&data);
        let mut out = vec![0; value.len()];
        prop_assert_eq!(data.encode(&mut out), Ok(value.len()));
        prop_assert_eq!(out, value);
    }

    #[test]
    fn a_cut_apdu_is_refused_and_so_is_a_longer_one(value in any_value()) {
        let apdu = [&[0xC4, 0x01, 0xC1, 0x00][..], &value].concat();
        let whole = Apdu::decode(&apdu);
        let got = matches!(whole, Ok(Apdu::GetResponse(GetResponse::One { .. })));
        prop_assert!(got, "{:?}", whole);
        for length in 0..apdu.len() {
            prop_assert!(Apdu::decode(&apdu[..length]).is_err(), "cut to {}", length);
        }
        let longer = [&apdu[..], &[0]].concat();
        prop_assert_eq!(Apdu::decode(&longer).map_err(|error| error.at), Err(apdu.len()));
    }

    #[test]
    fn a_wrapped_apdu_reads_back(
        source in any::<u16>(),
        destination in any::<u16>(),
        apdu in prop::collection::vec(any::<u8>(), 0..300),
    ) {
        let wrapped = Wrapped { source, destination, apdu: &apdu };
        let mut out = vec![0; apdu.len() + 8];
        prop_assert_eq!(wrapped.encode(&mut out), Ok(out.len()));
        let whole = Decoded::Frame { frame: wrapped, used: out.len() };
        prop_assert_eq!(wrapper::decode(&out), whole);
        for length in 0..out.len() {
            let more = matches!(wrapper::decode(&out[..length]), Decoded::NeedMore { .. });
            prop_assert!(more, "cut to {}", length);
        }
    }

    #[test]
    fn a_ciphered_apdu_reads_back(
        general in any::<bool>(),
        title in any::<[u8; 8]>(),
        control in any::<u8>(),
        counter in any::<u32>(),
        payload in prop::collection::vec(any::<u8>(), 12..300),
    ) {
        let (tag, title) = if general { (0xDB, Some(&title[..])) } else { (0xC8, None) };
        let control = SecurityControl(control);
        let ciphered = Ciphered { tag, title, control, counter, payload: &payload };
        let mut out = vec![0; 400];
        let length = ciphered.encode(&mut out).unwrap();
        prop_assert_eq!(Apdu::decode(&out[..length]), Ok(Apdu::Ciphered(ciphered)));
    }

    #[test]
    fn an_association_reads_back(
        context in 1_u8..5,
        title in prop::option::of(any::<[u8; 8]>()),
        authentication in prop::option::of((0_u8..8, prop::collection::vec(any::<u8>(), 0..70))),
        dedicated_key in prop::option::of(any::<[u8; 16]>()),
        response_allowed in any::<bool>(),
        apdu_max in any::<u16>(),
    ) {
        let proposal = InitiateRequest {
            dedicated_key: dedicated_key.as_ref().map(|key| &key[..]),
            response_allowed,
            quality: None,
            version: 6,
            conformance: [0x00, 0x1E, 0x1D],
            apdu_max,
        };
        let mut initiate = [0; 64];
        let length = proposal.encode(&mut initiate).unwrap();
        prop_assert_eq!(Apdu::decode(&initiate[..length]), Ok(Apdu::InitiateRequest(proposal)));
        let authentication = authentication.as_ref().map(|(kind, value)| (*kind, &value[..]));
        let open = Open { context, title, authentication, proposal: &initiate[..length] };
        let mut aarq = [0; 256];
        let length = open.encode(&mut aarq).unwrap();
        let expected = Association {
            context: Some(context),
            title: title.as_ref().map(|title| &title[..]),
            mechanism: authentication.map(|(kind, _)| kind),
            authentication: authentication.map(|(_, value)| value),
            user: Some(User::Request(proposal)),
            ..Association::EMPTY
        };
        prop_assert_eq!(Apdu::decode(&aarq[..length]), Ok(Apdu::Aarq(expected)));
        for cut in 0..length {
            prop_assert!(Apdu::decode(&aarq[..cut]).is_err(), "cut to {}", cut);
        }
    }
}

#[test]
fn requests_are_written_as_they_are_read() {
    let clock = Attribute { class: 8, object: Obis([0, 0, 1, 0, 0, 255]), attribute: 2 };
    let check = |request: Request<'_>, expected: &str| {
        let mut out = [0; 100];
        let length = request.encode(&mut out).unwrap();
        assert_eq!(hex::encode_upper(&out[..length]), expected);
        assert!(Apdu::decode(&out[..length]).is_ok(), "{expected}");
        assert_eq!(request.encode(&mut out[..length - 1]), Err(NoRoom { needed: length }));
    };
    check(Request::Get(0xC1, clock), "C001C100080000010000FF0200");
    check(Request::GetNext(0xC1, 3), "C002C100000003");
    let several =
        [Attribute { class: 1, object: Obis([0, 0, 42, 0, 0, 255]), attribute: 2 }, clock];
    let list = "C003C102000100002A0000FF020000080000010000FF0200";
    check(Request::GetSeveral(0xC1, &several), list);
    let disconnect = Attribute { class: 70, object: Obis([0, 0, 96, 3, 10, 255]), attribute: 1 };
    let zero = Data::Signed { value: 0, bytes: 1 };
    let action = "C301C10046000060030AFF01010F00";
    check(Request::Action(0xC1, disconnect, Some(zero)), action);
    check(Request::Action(0xC1, disconnect, None), "C301C10046000060030AFF0100");
    check(Request::Set(0xC1, clock, Data::Enum(1)), "C101C100080000010000FF02001601");
    let block = |last, number, bytes| Block { last, number, bytes };
    let first = "C102C100080000010000FF02000000000001020910";
    check(Request::SetFirst(0xC1, clock, block(false, 1, &[0x09, 0x10])), first);
    check(Request::SetNext(0xC1, block(true, 2, &[7])), "C103C101000000020107");
    check(Request::Release, "6203800100");

    let mut parameters = [0; 64];
    let length = range([1; 12], [2; 12], &mut parameters).unwrap();
    let profile = Attribute { class: 7, object: Obis([1, 0, 99, 1, 0, 255]), attribute: 2 };
    let selected = Request::GetSelected(0xC1, profile, (1, &parameters[..length]));
    let mut out = [0; 100];
    let length = selected.encode(&mut out).unwrap();
    let Ok(Apdu::GetRequest(GetRequest::One { of, .. })) = Apdu::decode(&out[..length]) else {
        panic!("{:?}", Apdu::decode(&out[..length]))
    };
    let Some((1, Data::Structure(fields))) = of.selection else { panic!("{of:?}") };
    assert_eq!(fields.iter().nth(1), Some(Data::Octets(&[1; 12])));
    assert_eq!(fields.iter().nth(3).map(|columns| leaves(&columns)), Some(0));

    let length = entries(3, 0x0102_0304, &mut parameters).unwrap();
    assert_eq!(hex::encode_upper(&parameters[..length]), "020406000000030601020304120001120000");
    assert_eq!(entries(3, 4, &mut parameters[..length - 1]), Err(NoRoom { needed: length }));
}

#[test]
fn a_compact_array_is_visited_value_by_value() {
    // A structure of a number and a text, then an array of two numbers; two elements.
    let bytes = [
        0x13, 0x02, 0x03, 0x12, 0x0A, 0x01, 0x00, 0x02, 0x11, 0x0D, 0x00, 0x01, 0x01, b'a', 0x07,
        0x08, 0x00, 0x02, 0x02, b'b', b'c', 0x09, 0x0A,
    ];
    let Data::Compact(compact) = Data::decode(&bytes).unwrap() else { panic!("a compact array") };
    assert_eq!(compact.len(), 2);
    let mut values = Vec::new();
    compact.visit(|number, data| values.push((number, format!("{data:?}"))));
    let texts: Vec<_> = values.iter().map(|(number, text)| (*number, text.as_str())).collect();
    assert_eq!(texts[4], (1, "Unsigned { value: 2, bytes: 2 }"));
    assert_eq!(texts.len(), 8);
    for cut in 0..bytes.len() {
        assert!(Data::decode(&bytes[..cut]).is_err(), "cut to {cut}");
    }
}

#[test]
fn descriptions_that_promise_more_than_there_are_bytes_are_refused_at_once() {
    let began = Instant::now();
    let many = [0x01, 0xFF, 0xFF].repeat(9);
    for (description, why) in [
        ([&many[..], &[0x00]].concat(), "nothing, many times"),
        ([&many[..], &[0x11]].concat(), "a byte, many times"),
        (vec![0x00], "nothing"),
        (vec![0x02, 0x02, 0x00, 0x00], "nothing twice"),
        (vec![0x77], "no type"),
        ([0x02, 0x01].repeat(60), "deep"),
        ([vec![0x02, 0x82, 0x02, 0x00], vec![0x11; 512]].concat(), "a long description"),
    ] {
        let bytes = [&[0x13][..], &description, &[0x82, 0x01, 0x00], &[0; 256]].concat();
        assert!(Data::decode(&bytes).is_err(), "{why}");
    }
    assert!(began.elapsed() < Duration::from_secs(2), "{:?}", began.elapsed());
}

#[test]
fn values_deeper_than_any_meter_sends_are_refused() {
    let deep = |depth: usize| [&[0x02, 0x01].repeat(depth)[..], &[0x00]].concat();
    let most = usize::from(DEPTH_MAX);
    assert!(Data::decode(&deep(most)).is_ok());
    assert!(Data::decode(&deep(most + 1)).is_err());
    assert!(Data::decode(&deep(100_000)).is_err());
    let refused = Apdu::decode(&[0xC4, 0x01, 0xC1, 0x01, 0x03]);
    let Ok(Apdu::GetResponse(GetResponse::One { result, .. })) = refused else { panic!("a no") };
    assert_eq!(result, GetResult::Refused(3));
}

#[test]
fn a_nonce_is_title_and_counter() {
    let made = nonce(*b"MMM\x00\x00\xBC\x61\x4E", 0x0123_4567);
    assert_eq!(hex::encode_upper(made), "4D4D4D0000BC614E01234567");
}
