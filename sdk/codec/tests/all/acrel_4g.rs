//! Acrel's 4G envelope: any bytes, and published frames.

use polymeter_codec::Decoded;
use polymeter_codec::acrel_4g::{
    FRAME_BYTES_MAX, Frame, Registration, Time, Upload, command, decode, false_start,
};
use polymeter_codec::modbus::crc16;
use proptest::prelude::*;

fn encoded(frame: &Frame<'_>) -> Vec<u8> {
    let mut out = vec![0; frame.payload.len() + 7];
    assert_eq!(frame.encode(&mut out), Ok(out.len()));
    let short = out.len() - 1;
    assert!(frame.encode(&mut out.clone()[..short]).is_err());
    out
}

/// All frames in `bytes` as a caller finds them once the stream fell quiet.
fn frames_in(mut bytes: &[u8]) -> Vec<(u8, Vec<u8>)> {
    let mut found = Vec::new();
    while !bytes.is_empty() {
        let dropped = match decode(bytes) {
            Decoded::Frame { frame, used } => {
                found.push((frame.command, frame.payload.to_vec()));
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

/// Bytes that look like frames more often than chance would have it.
fn frame_like_bytes(length: usize) -> impl Strategy<Value = Vec<u8>> {
    let byte = prop_oneof![Just(0x7B), Just(0x7D), any::<u8>()];
    prop::collection::vec(byte, 0..length)
}

/// Whether 7D7D stands in the payload behind what is by chance the CRC of all before it.
fn hides_an_end(frame: &[u8]) -> bool {
    (3..frame.len() - 4).any(|end| {
        let (body, rest) = frame.split_at(end);
        let crc = crc16(&body[2..]).to_le_bytes();
        rest.starts_with(&[crc[0], crc[1], 0x7D, 0x7D])
    })
}

fn modbus_frame(body: &[u8]) -> Vec<u8> {
    let mut frame = vec![0x01, 0x03, u8::try_from(body.len()).unwrap()];
    frame.extend(body);
    frame.extend(crc16(&frame).to_le_bytes());
    frame
}

fn section(meter: &str, modbus: &[u8]) -> Vec<u8> {
    [b"[[", meter.as_bytes(), b"((", modbus, b"))]]"].concat()
}

proptest! {
    #[test]
    fn any_bytes_end_without_a_panic(bytes in frame_like_bytes(500)) {
        frames_in(&bytes);
    }

    #[test]
    fn a_frame_decodes_to_what_was_encoded_and_a_cut_one_needs_more(
        command in any::<u8>(),
        payload in frame_like_bytes(300),
    ) {
        let bytes = encoded(&Frame { command, payload: &payload });
        prop_assume!(!hides_an_end(&bytes));
        let whole = Decoded::Frame { frame: Frame { command, payload: &payload }, used: bytes.len() };
        prop_assert_eq!(decode(&bytes), whole);
        for length in 2..bytes.len() {
            let more = matches!(decode(&bytes[..length]), Decoded::NeedMore { .. });
            prop_assert!(more, "cut to {}", length);
        }
    }

    #[test]
    fn one_wrong_bit_is_noticed(
        command in any::<u8>(),
        payload in frame_like_bytes(60),
        at in any::<prop::sample::Index>(),
        bit in 0_u32..8,
    ) {
        let mut bytes = encoded(&Frame { command, payload: &payload });
        let at = at.index(bytes.len());
        bytes[at] ^= 1_u8 << bit;
        let passed = matches!(decode(&bytes), Decoded::Frame { used, .. } if used == bytes.len());
        prop_assert!(!passed, "byte {} of {:02X?}", at, bytes);
    }

    #[test]
    fn a_frame_is_found_behind_a_cut_one(
        cut in 1_usize..20,
        payload in prop::collection::vec(any::<u8>(), 0..40),
    ) {
        let lost = encoded(&Frame { command: command::UPLOAD, payload: &[0x7D; 30] });
        let frame = encoded(&Frame { command: command::HEARTBEAT, payload: &payload });
        prop_assume!(!hides_an_end(&frame));
        let bytes = [&lost[..cut], &frame].concat();
        prop_assert!(frames_in(&bytes).contains(&(command::HEARTBEAT, payload)));
    }

    #[test]
    fn any_payload_is_judged_without_a_panic(payload in prop::collection::vec(
        prop_oneof![Just(b'['), Just(b']'), Just(b'('), Just(b')'), any::<u8>()], 0..200,
    )) {
        if let Ok(upload) = Upload::of(&payload) {
            upload.sections().for_each(|section| assert!(section.modbus.len() >= 4));
        }
        let _ = Registration::of(&payload);
        if let Ok(time) = Time::of(&payload) {
            prop_assert_eq!(&time.bytes()[..], &payload[..]);
        }
    }

    #[test]
    fn an_upload_reads_back_whatever_its_registers_hold(
        bodies in prop::collection::vec(
            prop::collection::vec(prop_oneof![Just(b')'), Just(b']'), any::<u8>()], 0..100), 1..4,
        ),
    ) {
        let frames: Vec<Vec<u8>> = bodies.iter().map(|body| modbus_frame(body)).collect();
        let mut payload = b"20210412000000000001".to_vec();
        frames.iter().for_each(|frame| payload.extend(section("12104120240001", frame)));
        let upload = Upload::of(&payload).unwrap();
        prop_assert_eq!(upload.serial, Some("20210412000000000001"));
        let read: Vec<_> = upload.sections().map(|section| section.modbus.to_vec()).collect();
        prop_assert_eq!(read, frames);
        prop_assert!(Upload::of(&payload[..payload.len() - 1]).is_err());
        let mut wrong = payload.clone();
        let at = payload.len() - 6;
        wrong[at] ^= 0x10;
        prop_assert!(Upload::of(&wrong).is_err());
    }
}

#[test]
fn a_stream_without_an_end_is_given_up() {
    let endless = vec![0x7B; FRAME_BYTES_MAX + 10];
    assert_eq!(decode(&endless), Decoded::Garbled { skip: 1 });
    assert!(matches!(decode(&endless[..100]), Decoded::NeedMore { at_least: 101 }));
    assert_eq!(decode(&[0x00, 0x7B, 0x00, 0x7B, 0x7B]), Decoded::Garbled { skip: 3 });
    assert_eq!(decode(&[0x00, 0x00, 0x7B]), Decoded::Garbled { skip: 2 });
}

#[test]
fn a_registration_is_read_by_its_fields() {
    let mut payload = b"2021041200001\0\0\0\0\0\0\0".to_vec();
    payload.extend(b"89860000000000000001          ");
    payload.extend([0x1F, 0x01, 0x15, 0x02, 0x00, 0x00, 0x31, 0x0F]);
    let registration = Registration::of(&payload).unwrap();
    assert_eq!(registration.serial, "2021041200001");
    assert_eq!(registration.iccid, "89860000000000000001");
    assert_eq!((registration.rssi, registration.upload_minutes), (31, 15));
    assert_eq!(registration.firmware, [[0x01, 0x15], [0x02, 0x00], [0x00, 0x31]]);
    assert!(Registration::of(&payload[..57]).is_err());
    payload[3] = 0x07;
    assert!(Registration::of(&payload).is_err());
}
