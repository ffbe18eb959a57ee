//! Modbus RTU: what any bytes may do to the decoders. Published frames: tests/vectors.

use polymeter_codec::Decoded;
use polymeter_codec::modbus::{
    Adu, Captured, FRAME_BYTES_MAX, Mismatch, REGISTERS_READ_MAX, REGISTERS_WRITTEN_MAX, Registers,
    Request, Unencodable, Unit, crc16, decode_captured, decode_reply,
};
use proptest::prelude::*;

/// A question as it can be made from any numbers; requests borrow, so this owns.
#[derive(Debug, Clone)]
enum Asked {
    Holding(u16, u16),
    Input(u16, u16),
    Single(u16, u16),
    Multiple(u16, Vec<u8>),
}

impl Asked {
    fn request(&self) -> Request<'_> {
        match self {
            Self::Holding(start, count) => Request::ReadHolding { start: *start, count: *count },
            Self::Input(start, count) => Request::ReadInput { start: *start, count: *count },
            Self::Single(register, value) => {
                Request::WriteSingle { register: *register, value: *value }
            }
            Self::Multiple(start, values) => {
                Request::WriteMultiple { start: *start, values: Registers::new(values).unwrap() }
            }
        }
    }

    /// The yes of a device, from the specification and not from the decoder; `seed` fills
    /// registers.
    fn yes(&self, unit: u8, seed: u8) -> Vec<u8> {
        let mut body = vec![unit, self.request().function()];
        match self {
            Self::Holding(_, count) | Self::Input(_, count) => {
                body.push(u8::try_from(count * 2).unwrap());
                body.extend((0..count * 2).map(|n| seed.wrapping_add(n.to_be_bytes()[1])));
            }
            Self::Single(register, value) => {
                body.extend(register.to_be_bytes());
                body.extend(value.to_be_bytes());
            }
            Self::Multiple(start, values) => {
                body.extend(start.to_be_bytes());
                body.extend(u16::try_from(values.len() / 2).unwrap().to_be_bytes());
            }
        }
        sealed(body)
    }
}

fn sealed(mut body: Vec<u8>) -> Vec<u8> {
    body.extend(crc16(&body).to_le_bytes());
    body
}

fn asked() -> impl Strategy<Value = Asked> {
    let start = 0..0xFF00u16;
    let written = 1..=usize::from(REGISTERS_WRITTEN_MAX);
    prop_oneof![
        (start.clone(), 1..=REGISTERS_READ_MAX).prop_map(|(s, c)| Asked::Holding(s, c)),
        (start.clone(), 1..=REGISTERS_READ_MAX).prop_map(|(s, c)| Asked::Input(s, c)),
        (start.clone(), any::<u16>()).prop_map(|(s, v)| Asked::Single(s, v)),
        (start, written.prop_flat_map(|count| proptest::collection::vec(any::<u8>(), count * 2)))
            .prop_map(|(s, values)| Asked::Multiple(s, values)),
    ]
}

fn unit() -> impl Strategy<Value = Unit> {
    (1..=247u8).prop_map(|unit| Unit::new(unit).unwrap())
}

fn encoded(request: &Request<'_>, unit: Unit) -> Vec<u8> {
    let mut out = [0; FRAME_BYTES_MAX];
    let length = request.encode(unit, &mut out).unwrap();
    out[..length].to_vec()
}

/// Follows the decoder's answers to the end of the bytes, as a line's reader does once the line
/// fell quiet. Panics where an answer would keep that reader in place.
fn all_frames<'a, T>(mut bytes: &'a [u8], decode: impl Fn(&'a [u8]) -> Decoded<T>) -> Vec<T> {
    let mut frames = Vec::new();
    while !bytes.is_empty() {
        match decode(bytes) {
            Decoded::Frame { frame, used } => {
                assert!(used > 0);
                frames.push(frame);
                bytes = &bytes[used..];
            }
            Decoded::NeedMore { at_least } => {
                assert!(at_least > bytes.len() && at_least <= FRAME_BYTES_MAX);
                bytes = &bytes[1..];
            }
            Decoded::Garbled { skip } => {
                assert!(skip > 0);
                bytes = &bytes[skip..];
            }
        }
    }
    frames
}

/// The beginning of a frame may by chance be a whole shorter one: where the byte after a body
/// equals the low half of its CRC, the next CRC's low half is the high half of this one. A
/// captured frame that is cut just there is rightly taken for the shorter one.
fn hides_a_shorter_frame(frame: &[u8]) -> bool {
    (3..frame.len() - 2).any(|body| {
        let (body, rest) = frame.split_at(body);
        rest.starts_with(&crc16(body).to_le_bytes())
    })
}

proptest! {
    #[test]
    fn any_bytes_end_in_bounded_time(
        bytes in proptest::collection::vec(any::<u8>(), 0..600),
        asked in asked(),
    ) {
        let request = asked.request();
        all_frames(&bytes, decode_captured);
        all_frames(&bytes, |bytes| decode_reply(&request, bytes));
    }

    #[test]
    fn a_request_comes_back_whole(asked in asked(), unit in unit()) {
        let request = asked.request();
        let frame = encoded(&request, unit);
        prop_assume!(!hides_a_shorter_frame(&frame));
        let pdu = match request {
            Request::WriteSingle { register, value } => Captured::SingleWrite { register, value },
            request => Captured::Request(request),
        };
        let frame_read = Adu { unit: unit.get(), pdu };
        let used = frame.len();
        prop_assert_eq!(decode_captured(&frame), Decoded::Frame { frame: frame_read, used });
        for length in 0..frame.len() {
            let cut = decode_captured(&frame[..length]);
            let waits = matches!(cut, Decoded::NeedMore { at_least } if at_least > length);
            prop_assert!(waits, "{} bytes: {:?}", length, cut);
        }
    }

    #[test]
    fn a_reply_answers_its_request(asked in asked(), unit in unit(), seed in any::<u8>()) {
        let request = asked.request();
        let frame = asked.yes(unit.get(), seed);
        prop_assert_eq!(frame.len(), request.reply_bytes());
        let Decoded::Frame { frame: reply, used } = decode_reply(&request, &frame) else {
            return Err(TestCaseError::fail("no frame"));
        };
        prop_assert_eq!(used, frame.len());
        prop_assert_eq!(request.is_answered_by(unit, &reply), Ok(()));
        for length in 0..frame.len() {
            let cut = decode_reply(&request, &frame[..length]);
            let waits = matches!(cut, Decoded::NeedMore { at_least } if at_least > length);
            prop_assert!(waits, "{} bytes: {:?}", length, cut);
        }
    }

    #[test]
    fn a_reply_is_found_in_noise(
        asked in asked(), unit in unit(), seed in any::<u8>(),
        before in proptest::collection::vec(any::<u8>(), 0..40),
        after in proptest::collection::vec(any::<u8>(), 0..40),
    ) {
        let frame = asked.yes(unit.get(), seed);
        let noise = before.len();
        let stream = [before, frame, after].concat();
        let request = asked.request();
        // Noise and the reply's first bytes may by chance be a whole frame (a 16-bit CRC fits once
        // in 65536), as 11 96 B2 and CE 10 are an exception of unit 17: rightly taken for it.
        let starts = |at: usize| matches!(decode_reply(&request, &stream[at..]), Decoded::Frame { .. });
        prop_assume!(!(0..noise).any(starts));
        let found = all_frames(&stream, |bytes| decode_reply(&request, bytes));
        prop_assert!(found.iter().any(|reply| request.is_answered_by(unit, reply).is_ok()));
    }

    #[test]
    fn a_spoilt_reply_is_no_answer(
        asked in asked(), unit in unit(), seed in any::<u8>(), at in any::<prop::sample::Index>(),
        noise in proptest::collection::vec(any::<u8>(), 1..3), bit in 0..8u8,
    ) {
        let frame = asked.yes(unit.get(), seed);
        let request = asked.request();
        let place = at.index(frame.len());
        let mut flipped = frame.clone();
        flipped[place] ^= 1 << bit;
        let first = decode_reply(&request, &flipped);
        prop_assert!(!matches!(first, Decoded::Frame { .. }), "flipped: {:?}", first);

        let mut longer = frame.clone();
        longer.splice(place..place, noise);
        // Noise before or after the frame leaves it whole, and no CRC of 16 bits can tell noise
        // that happens to agree with it (one in 65536).
        let agrees = longer.windows(frame.len()).any(|window| {
            let (body, crc) = window.split_at(window.len() - 2);
            crc16(body).to_le_bytes() == crc
        });
        for reply in all_frames(&longer, |bytes| decode_reply(&request, bytes)) {
            prop_assert!(agrees || request.is_answered_by(unit, &reply).is_err());
        }
    }
}

#[test]
fn requests_keep_the_limits_of_the_specification() {
    let unit = Unit::new(1).unwrap();
    let check = |request: Request<'_>, expected: Result<usize, Unencodable>| {
        assert_eq!(request.encode(unit, &mut [0; FRAME_BYTES_MAX]), expected, "{request:?}");
    };
    let read = |start, count| Request::ReadHolding { start, count };
    let many = [0; 250];
    let write = |start, registers: usize| Request::WriteMultiple {
        start,
        values: Registers::new(&many[..registers * 2]).unwrap(),
    };
    check(read(0, 1), Ok(8));
    check(read(0, 125), Ok(8));
    check(read(0, 0), Err(Unencodable::Count { count: 0, max: 125 }));
    check(read(0, 126), Err(Unencodable::Count { count: 126, max: 125 }));
    check(Request::ReadInput { start: 0xFFFF, count: 1 }, Ok(8));
    check(read(0xFFFF, 2), Err(Unencodable::PastEnd { start: 0xFFFF, count: 2 }));
    check(write(0, 123), Ok(255));
    check(write(0, 0), Err(Unencodable::Count { count: 0, max: 123 }));
    check(write(0, 124), Err(Unencodable::Count { count: 124, max: 123 }));
    check(Request::WriteSingle { register: 0xFFFF, value: 0 }, Ok(8));

    let needed = 8;
    let short = read(0, 1).encode(unit, &mut [0; 7]);
    assert_eq!(short, Err(Unencodable::Room(polymeter_codec::NoRoom { needed })));
    assert_eq!([0, 248, 255].map(Unit::new), [None; 3], "broadcast and reserved");
    assert_eq!(Registers::new(&[1, 2, 3]), None, "half a register");
}

#[test]
fn a_reply_to_another_question_says_so() {
    let unit = Unit::new(17).unwrap();
    let check = |request: Request<'_>, reply: Vec<u8>, expected: Result<(), Mismatch>| {
        let Decoded::Frame { frame, .. } = decode_reply(&request, &reply) else {
            panic!("{request:?}: {reply:02X?} is intact");
        };
        assert_eq!(request.is_answered_by(unit, &frame), expected, "{request:?}");
    };
    let read = Request::ReadHolding { start: 0x007C, count: 2 };
    let write = Request::WriteSingle { register: 0x0801, value: 0x0100 };
    let several = Request::WriteMultiple { start: 5, values: Registers::new(&[0, 1]).unwrap() };
    check(read, sealed(vec![17, 3, 4, 0, 0x8D, 0, 0x8E]), Ok(()));
    check(read, sealed(vec![18, 3, 4, 0, 0, 0, 0]), Err(Mismatch::Unit { asked: 17, came: 18 }));
    check(read, sealed(vec![17, 3, 2, 0, 0]), Err(Mismatch::Count { asked: 2, came: 1 }));
    check(
        read,
        sealed(vec![17, 3, 6, 0, 0, 0, 0, 0, 0]),
        Err(Mismatch::Count { asked: 2, came: 3 }),
    );
    check(read, sealed(vec![17, 4, 4, 0, 0, 0, 0]), Err(Mismatch::Function { asked: 3, came: 4 }));
    check(read, sealed(vec![17, 6, 8, 1, 1, 0]), Err(Mismatch::Function { asked: 3, came: 6 }));
    check(read, sealed(vec![17, 0x83, 2]), Ok(()));
    check(read, sealed(vec![17, 0x90, 2]), Err(Mismatch::Function { asked: 3, came: 16 }));
    check(write, sealed(vec![17, 6, 8, 1, 1, 0]), Ok(()));
    check(write, sealed(vec![17, 6, 8, 1, 0, 1]), Err(Mismatch::Echo));
    check(several, sealed(vec![17, 16, 0, 5, 0, 1]), Ok(()));
    check(several, sealed(vec![17, 16, 0, 5, 0, 2]), Err(Mismatch::Echo));
    check(several, sealed(vec![17, 16, 0, 6, 0, 1]), Err(Mismatch::Echo));
}

/// Another question's reply is given out when it is whole, but never waited for: a noise byte that
/// looks like its head must not keep a reader in place.
#[test]
fn only_the_asked_reply_is_waited_for() {
    let read = Request::ReadHolding { start: 0, count: 2 };
    let check = |bytes: &[u8], expected: Decoded<()>| {
        let came = match decode_reply(&read, bytes) {
            Decoded::Frame { used, .. } => Decoded::Frame { frame: (), used },
            Decoded::NeedMore { at_least } => Decoded::NeedMore { at_least },
            Decoded::Garbled { skip } => Decoded::Garbled { skip },
        };
        assert_eq!(came, expected, "{bytes:02X?}");
    };
    check(&[], Decoded::NeedMore { at_least: 5 });
    check(&[1, 3], Decoded::NeedMore { at_least: 5 });
    check(&[1, 3, 4], Decoded::NeedMore { at_least: 9 });
    check(&[1, 0x83], Decoded::NeedMore { at_least: 5 });
    check(&[1, 3, 6, 0, 0], Decoded::Garbled { skip: 4 });
    check(&[1, 16, 0, 0, 0], Decoded::Garbled { skip: 4 });
    check(&[0xFF, 0xFF, 1, 3, 4], Decoded::Garbled { skip: 2 });
}

/// The catalogue's check value of CRC-16/MODBUS.
#[test]
fn crc() {
    assert_eq!(crc16(b"123456789"), 0x4B37);
}
