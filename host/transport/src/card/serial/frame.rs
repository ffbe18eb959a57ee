//! Frames of a serial reader: STX, a header of ten bytes as CCID's, data, the exclusive or of both,
//! ETX; and the frames of four bytes by which it says at once whether it took one (ACS, ACR122S
//! Communication Protocol 2.01, 4.0 on page 8, 4.1 on pages 9 and 10).
//!
//! Invariant: no bytes make it panic; a frame that decodes had its sum, its ETX and a length within
//! bounds. Not here: what the data mean (`chip`), and what is done about a bad frame (`link`).

const STX: u8 = 0x02;
const ETX: u8 = 0x03;

/// Type, length in four bytes, slot, sequence, three bytes that depend on the type (pages 11 to 13).
const HEADER_BYTES: usize = 10;
/// STX, sum and ETX around header and data.
const AROUND_BYTES: usize = 3;
const STATUS_BYTES: usize = 4;

/// The longest data of an answer: `D5 41`, a status, 262 bytes from the card (ACR122L Communication
/// Protocol 1.03, page 19), `90 00`.
const ANSWER_BYTES_MAX: usize = 3 + 262 + 2;

/// Asks for the last answer once more (4.1 C, page 10: eleven zeros).
pub(super) const AGAIN: [u8; 13] = [STX, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, ETX];

/// What a frame of ours is for: `HOST_to_RDR_IccPowerOn` (5.1, page 11) and `HOST_to_RDR_XfrBlock`
/// (5.3, page 13).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Order {
    PowerOn,
    Exchange,
}

/// Why the reader did not take a frame: it did nothing (4.1, page 10).
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub(super) enum NotTaken {
    #[error("its sum was wrong")]
    Sum,
    #[error("it was too long")]
    Length,
    #[error("it had no end")]
    End,
    #[error("a part of it was lost")]
    Lost,
}

/// A frame of the reader's.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Heard {
    Taken,
    NotTaken(NotTaken),
    Answer { sequence: u8, data: Vec<u8> },
}

/// What the first bytes are.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Decoded {
    Frame {
        heard: Heard,
        used: usize,
    },
    /// So many bytes more at least.
    NeedMore {
        more: usize,
    },
    Garbled {
        skip: usize,
    },
}

/// The reader takes up to 0105h bytes of `data` (4.1, page 10); a direct transmit has 260 at most.
pub(super) fn frame(order: Order, sequence: u8, data: &[u8]) -> Vec<u8> {
    let message = match order {
        Order::PowerOn => 0x62,
        Order::Exchange => 0x6F,
    };
    let length = u32::try_from(data.len()).unwrap_or(u32::MAX).to_le_bytes();
    // Slot 0; voltage automatic or block waiting time as it is; the rest reserved.
    let header = [&[message][..], &length, &[0, sequence, 0, 0, 0]].concat();
    let sum = sum(&header) ^ sum(data);
    [&[STX][..], &header, data, &[sum, ETX]].concat()
}

pub(super) fn decode(bytes: &[u8]) -> Decoded {
    match bytes {
        [] => Decoded::NeedMore { more: STATUS_BYTES },
        [STX] => Decoded::NeedMore { more: STATUS_BYTES - 1 },
        // RDR_to_HOST_DataBlock.
        [STX, 0x80, ..] => answer(bytes),
        [STX, _, rest @ ..] => match rest {
            [] | [_] => Decoded::NeedMore { more: 2 - rest.len() },
            _ => status(bytes),
        },
        [_, rest @ ..] => {
            let quiet = rest.iter().position(|byte| *byte == STX).unwrap_or(rest.len());
            Decoded::Garbled { skip: 1 + quiet }
        }
    }
}

fn status(bytes: &[u8]) -> Decoded {
    let heard = match bytes {
        [_, 0x00, 0x00, ETX, ..] => Heard::Taken,
        [_, 0xFF, 0xFF, ETX, ..] => Heard::NotTaken(NotTaken::Sum),
        [_, 0xFE, 0xFE, ETX, ..] => Heard::NotTaken(NotTaken::Length),
        [_, 0xFD, 0xFD, ETX, ..] => Heard::NotTaken(NotTaken::End),
        [_, 0xFC, 0xFC, ETX, ..] => Heard::NotTaken(NotTaken::Lost),
        _ => return Decoded::Garbled { skip: 1 },
    };
    Decoded::Frame { heard, used: STATUS_BYTES }
}

fn answer(bytes: &[u8]) -> Decoded {
    let shortest = HEADER_BYTES + AROUND_BYTES;
    let missing = |whole: usize| Decoded::NeedMore { more: whole - bytes.len() };
    let Some([_, length @ .., slot, sequence]) = bytes.get(1..8) else { return missing(shortest) };
    let length = <[u8; 4]>::try_from(length).map_or(u32::MAX, u32::from_le_bytes);
    let Some(length) = usize::try_from(length).ok().filter(|length| *length <= ANSWER_BYTES_MAX)
    else {
        return Decoded::Garbled { skip: 1 };
    };
    let whole = shortest + length;
    let Some(frame) = bytes.get(..whole) else { return missing(whole) };
    // Everything between STX and the sum, with the sum, comes to nothing.
    let (Some(summed), Some(&ETX), 0) = (frame.get(1..whole - 1), frame.last(), *slot) else {
        return Decoded::Garbled { skip: 1 };
    };
    let data = summed.get(HEADER_BYTES..HEADER_BYTES + length);
    match data.filter(|_| sum(summed) == 0) {
        Some(data) => {
            let heard = Heard::Answer { sequence: *sequence, data: data.to_vec() };
            Decoded::Frame { heard, used: whole }
        }
        None => Decoded::Garbled { skip: 1 },
    }
}

fn sum(bytes: &[u8]) -> u8 {
    bytes.iter().fold(0, |sum, byte| sum ^ byte)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// 4.1 A, page 9, with the sum that its rule gives.
    const ATR: [u8; 26] = [
        0x02, 0x80, 0x0D, 0, 0, 0, 0, 1, 0, 0, 0, 0x3B, 0x2A, 0x00, 0x80, 0x65, 0x24, 0xB0, 0x00,
        0x02, 0x00, 0x82, 0x90, 0x00, 0xFC, 0x03,
    ];

    fn of(bytes: &[u8]) -> Heard {
        match decode(bytes) {
            Decoded::Frame { heard, used } if used == bytes.len() => heard,
            other => panic!("{other:?}"),
        }
    }

    /// ACR122L Communication Protocol 1.03, page 43: polling for a card, with the sum of its rule.
    #[test]
    fn orders_are_framed_as_the_manual_shows_them() {
        let polling = [0xFF, 0, 0, 0, 4, 0xD4, 0x4A, 1, 0];
        let want = [&[0x02, 0x6F, 9, 0, 0, 0, 0, 1, 0, 0, 0][..], &polling, &[0x03, 0x03]].concat();
        assert_eq!(frame(Order::Exchange, 1, &polling), want);
        let on = [0x02, 0x62, 0, 0, 0, 0, 0, 7, 0, 0, 0, 0x65, 0x03];
        assert_eq!(frame(Order::PowerOn, 7, &[]), on);
    }

    #[test]
    fn an_answer_is_its_data_under_its_sequence() {
        assert_eq!(of(&ATR), Heard::Answer { sequence: 1, data: ATR[11..24].to_vec() });
        for (byte, why) in [
            (0xFF, NotTaken::Sum),
            (0xFE, NotTaken::Length),
            (0xFD, NotTaken::End),
            (0xFC, NotTaken::Lost),
        ] {
            assert_eq!(of(&[STX, byte, byte, ETX]), Heard::NotTaken(why));
        }
        assert_eq!(of(&[STX, 0, 0, ETX]), Heard::Taken);
    }

    #[test]
    fn what_is_cut_off_wants_as_much_as_is_missing() {
        for cut in 0..ATR.len() {
            let Decoded::NeedMore { more } = decode(&ATR[..cut]) else { panic!("{cut}") };
            assert!((1..=ATR.len() - cut).contains(&more), "{cut}: {more}");
        }
    }

    #[test]
    fn one_wrong_bit_anywhere_is_no_frame() {
        for at in 0..ATR.len() {
            for bit in 0..8 {
                let mut wrong = ATR;
                wrong[at] ^= 1 << bit;
                let decoded = decode(&wrong);
                assert!(!matches!(decoded, Decoded::Frame { .. }), "{at} {bit}: {decoded:?}");
            }
        }
    }

    #[test]
    fn no_length_is_waited_for_that_no_answer_has() {
        let long = |length: u32| [&[STX, 0x80][..], &length.to_le_bytes(), &[0; 6]].concat();
        let most = u32::try_from(ANSWER_BYTES_MAX).expect("small");
        assert!(matches!(decode(&long(most)), Decoded::NeedMore { more } if more == 268));
        assert_eq!(decode(&long(most + 1)), Decoded::Garbled { skip: 1 });
        assert_eq!(decode(&long(u32::MAX)), Decoded::Garbled { skip: 1 });
        assert_eq!(decode(&[9, 9, STX, 0]), Decoded::Garbled { skip: 2 });
    }

    /// Any bytes: it ends, and goes on by at least one.
    #[test]
    fn random_bytes_are_walked_through_to_their_end() {
        let mut seed = 1_u64;
        for round in 0..20_000 {
            let mut bytes: Vec<u8> = Vec::new();
            while bytes.len() < round % 61 {
                // Knuth's linear congruence (MMIX).
                seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
                let [byte, kind, ..] = seed.to_be_bytes();
                bytes.push(if kind < 90 {
                    [STX, ETX, 0x80, 0][usize::from(kind) % 4]
                } else {
                    byte
                });
            }
            let mut at = 0;
            while at < bytes.len() {
                match decode(&bytes[at..]) {
                    Decoded::Frame { used: step, .. } | Decoded::Garbled { skip: step } => {
                        assert!(step > 0 && at + step <= bytes.len());
                        at += step;
                    }
                    Decoded::NeedMore { more } => {
                        assert!(more > 0);
                        break;
                    }
                }
            }
        }
    }
}
