//! DL/T 645 frames: any bytes at all. Published frames: tests/vectors.

use polymeter_codec::dlt645::{Address, Data, Frame, control, decode, false_start};
use polymeter_codec::{Decoded, NoRoom};
use proptest::prelude::*;

fn frame_of(address: &str, control: u8, data: &[u8]) -> Frame {
    Frame { address: address.parse().unwrap(), control, data: Data::new(data).unwrap() }
}

fn encoded(frame: &Frame) -> Vec<u8> {
    let mut bytes = vec![0; frame.encoded_length()];
    assert_eq!(frame.encode(&mut bytes), Ok(bytes.len()));
    bytes
}

/// All frames in `bytes` as a caller finds them, after which the line is quiet. Fails if the
/// decoder does not get further with every step.
fn frames_in(mut bytes: &[u8]) -> Vec<Frame> {
    let mut found = Vec::new();
    while !bytes.is_empty() {
        let dropped = match decode(bytes) {
            Decoded::Frame { frame, used } => {
                found.push(frame);
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

fn any_address() -> impl Strategy<Value = Address> {
    (prop::array::uniform6(0_u8..100), 0_usize..=6).prop_map(|(pairs, digits)| {
        let mut bytes = [0xAA; 6];
        for (byte, pair) in bytes.iter_mut().zip(pairs).take(digits) {
            *byte = ((pair / 10) << 4) | (pair % 10);
        }
        Address::from_wire(bytes).unwrap()
    })
}

fn any_frame() -> impl Strategy<Value = Frame> {
    (any_address(), any::<u8>(), prop::collection::vec(any::<u8>(), 0..=255)).prop_map(
        |(address, control, data)| Frame { address, control, data: Data::new(&data).unwrap() },
    )
}

/// Bytes that look like frames more often than chance would have it.
fn frame_like_bytes() -> impl Strategy<Value = Vec<u8>> {
    let byte = prop_oneof![Just(0x68), Just(0xFE), Just(0x16), 0_u8..0x20, any::<u8>()];
    prop::collection::vec(byte, 0..600)
}

/// Bytes in which no frame can begin.
fn noise() -> impl Strategy<Value = Vec<u8>> {
    prop::collection::vec(any::<u8>().prop_filter("no start byte", |byte| *byte != 0x68), 0..40)
}

proptest! {
    #[test]
    fn any_bytes_end_without_a_panic(bytes in frame_like_bytes()) {
        frames_in(&bytes);
    }

    #[test]
    fn a_frame_decodes_to_what_was_encoded(frame in any_frame(), wake_up in 0_usize..9) {
        let mut bytes = vec![0xFE; wake_up];
        bytes.extend(encoded(&frame));
        prop_assert_eq!(decode(&bytes), Decoded::Frame { frame, used: bytes.len() });
        let mut short = vec![0; frame.encoded_length() - 1];
        prop_assert_eq!(frame.encode(&mut short), Err(NoRoom { needed: frame.encoded_length() }));
    }

    #[test]
    fn a_cut_frame_needs_more(frame in any_frame(), wake_up in 0_usize..5) {
        let mut bytes = vec![0xFE; wake_up];
        bytes.extend(encoded(&frame));
        for length in 0..bytes.len() {
            let Decoded::NeedMore { at_least } = decode(&bytes[..length]) else {
                panic!("cut to {length}: {:?}", decode(&bytes[..length]));
            };
            prop_assert!(length < at_least && at_least <= bytes.len());
        }
    }

    #[test]
    fn a_frame_is_found_between_garbage(before in noise(), frame in any_frame(), after in noise()) {
        let bytes = [before, encoded(&frame), after].concat();
        prop_assert_eq!(frames_in(&bytes), vec![frame]);
    }

    #[test]
    fn a_false_start_does_not_hide_a_frame(cut in 1_usize..10, frame in any_frame()) {
        let whole = encoded(&frame_of("123456789012", control::READ, &[0xAB; 200]));
        let bytes = [&whole[..cut], &encoded(&frame)].concat();
        prop_assert!(frames_in(&bytes).contains(&frame));
    }

    #[test]
    fn one_wrong_byte_is_noticed(
        frame in any_frame(),
        at in any::<prop::sample::Index>(),
        flip in 1_u8..,
    ) {
        let mut bytes = encoded(&frame);
        let at = at.index(bytes.len());
        bytes[at] ^= flip;
        // A longer L asks for more; nothing may pass as a frame of the same length.
        let passed = matches!(decode(&bytes), Decoded::Frame { used, .. } if used == bytes.len());
        prop_assert!(!passed, "byte {} of {:02X?}", at, bytes);
    }

    #[test]
    fn an_address_reads_back_from_its_text(address in any_address()) {
        prop_assert_eq!(address.to_string().parse(), Ok(address));
    }
}

fn check_address(text: &str, expected: Option<&str>) {
    let address = text.parse::<Address>().ok().map(|address| address.to_string());
    assert_eq!(address.as_deref(), expected, "{text}");
}

#[test]
fn addresses() {
    check_address("201709320072", Some("201709320072"));
    check_address("0072", Some("AAAAAAAA0072"));
    check_address("aaaaaaaa0072", Some("AAAAAAAA0072"));
    check_address("AAAAAAAAAAAA", Some("AAAAAAAAAAAA"));
    for refused in ["", "1", "201", "2017093200721", "00720000AAAA", "0000000000FF", "00000000000g"]
    {
        check_address(refused, None);
    }
    let asked: Address = "0072".parse().unwrap();
    assert!(asked.matches("201709320072".parse().unwrap()));
    assert!(!asked.matches("201709320073".parse().unwrap()));
    assert!(!asked.is_one_meter() && !Address::BROADCAST.is_one_meter());
}
