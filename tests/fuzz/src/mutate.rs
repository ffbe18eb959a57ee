//! How a new input is made of old ones. Half of the time what was changed is mended again, so that
//! it passes a frame's checksum and reaches what stands behind it.

use crate::Random;
use crate::limits::{CHANGES_MAX, INPUT_BYTES_MAX};

/// Bytes that mean something to one protocol or another.
const MEANING: &[u8] = &[
    0x00, 0x01, 0x09, 0x0A, 0x0F, 0x10, 0x16, 0x1F, 0x2F, 0x33, 0x53, 0x68, 0x72, 0x7A, 0x7B, 0x7D,
    0x7E, 0x7F, 0x80, 0x81, 0x91, 0x99, 0xAA, 0xB1, 0xC4, 0xE5, 0xFB, 0xFD, 0xFE, 0xFF,
];

/// A new input of `one`, perhaps with a part of `other`.
pub fn mutated(random: &mut Random, one: &[u8], other: &[u8]) -> Vec<u8> {
    let mut input = one.to_vec();
    for _ in 0..=random.below(CHANGES_MAX) {
        change(random, &mut input, other);
    }
    input.truncate(INPUT_BYTES_MAX);
    if random.below(2) == 0 {
        let mend = MENDINGS[random.below(MENDINGS.len())];
        mend(&mut input);
    }
    input
}

fn change(random: &mut Random, input: &mut Vec<u8>, other: &[u8]) {
    let at = random.below(input.len().max(1));
    let length = 1 + random.below(8);
    let end = (at + length).min(input.len());
    match random.below(11) {
        0 if !input.is_empty() => input[at] ^= 1 << random.below(8),
        1 if !input.is_empty() => input[at] = random.byte(),
        2 if !input.is_empty() => input[at] = MEANING[random.below(MEANING.len())],
        3 if !input.is_empty() => input[at] = input[at].wrapping_add(1),
        4 if !input.is_empty() => input[at] = input[at].wrapping_sub(1),
        5 => input.insert(at, random.byte()),
        6 => input.insert(at, MEANING[random.below(MEANING.len())]),
        7 if at < end => drop(input.drain(at..end)),
        8 if at < end => {
            let again = input[at..end].to_vec();
            input.splice(at..at, again);
        }
        9 => input.truncate(at),
        _ => {
            let from = random.below(other.len().max(1)).min(other.len());
            let part = &other[from..];
            input.truncate(at);
            input.extend_from_slice(part);
        }
    }
    input.truncate(INPUT_BYTES_MAX);
}

/// Each makes lengths and checks right for one kind of frame, where the input looks like one.
const MENDINGS: &[fn(&mut [u8])] =
    &[dlt645, mbus, mbus_radio, cjt188, crc_modbus, crc_x25_between_flags];

/// The low byte of a length.
fn low(length: usize) -> u8 {
    length.to_le_bytes()[0]
}

/// `start`: where the sum begins; the last two bytes are sum and 16H.
fn sum_from(frame: &mut [u8], start: usize) {
    let Some(last) = frame.len().checked_sub(2).filter(|last| *last > start) else { return };
    frame[last] = frame[start..last].iter().fold(0_u8, |sum, byte| sum.wrapping_add(*byte));
    frame[last + 1] = 0x16;
}

fn dlt645(input: &mut [u8]) {
    let Some(start) = input.iter().position(|byte| *byte == 0x68) else { return };
    let frame = &mut input[start..];
    if (12..=12 + 255).contains(&frame.len()) {
        frame[7] = 0x68;
        frame[9] = low(frame.len() - 12);
        sum_from(frame, 0);
    }
}

fn mbus(input: &mut [u8]) {
    if (9..=6 + 255).contains(&input.len()) {
        let length = low(input.len() - 6);
        input[..4].copy_from_slice(&[0x68, length, length, 0x68]);
        sum_from(input, 4);
    }
}

/// Format A where it has room for its first checksum, of as many whole blocks as there are; and the
/// length of a telegram without checksums where it has not.
fn mbus_radio(input: &mut [u8]) {
    use polymeter_codec::mbus::wireless::crc;
    if !(12..=256).contains(&input.len()) {
        return;
    }
    // As the last bit says, so that both kinds come up.
    if input[input.len() - 1] & 1 == 0 {
        input[0] = low(input.len() - 1);
        return;
    }
    let blocks = 1 + (input.len() - 12).div_ceil(18);
    input[0] = low(input.len() - 2 * blocks - 1);
    let (first, rest) = input.split_at_mut(12);
    for block in [first].into_iter().chain(rest.chunks_mut(18)) {
        if let Some((data, check)) = block.split_last_chunk_mut::<2>() {
            *check = crc(data).to_be_bytes();
        }
    }
}

fn cjt188(input: &mut [u8]) {
    let Some(start) = input.iter().position(|byte| *byte == 0x68) else { return };
    let frame = &mut input[start..];
    if (13..=13 + 255).contains(&frame.len()) {
        frame[10] = low(frame.len() - 13);
        sum_from(frame, 0);
    }
}

fn crc_modbus(input: &mut [u8]) {
    if let Some((frame, [low, high])) = input.split_last_chunk_mut::<2>() {
        [*low, *high] = polymeter_codec::modbus::crc16(frame).to_le_bytes();
    }
}

fn crc_x25_between_flags(input: &mut [u8]) {
    if input.len() < 6 {
        return;
    }
    let last = input.len() - 1;
    (input[0], input[last]) = (0x7E, 0x7E);
    // Frame type 3 and the length of 11 bits (IEC 62056-46, 6.4.2).
    let length = last - 1;
    input[1] = 0xA0 | (length.to_le_bytes()[1] & 0x07);
    input[2] = low(length);
    let crc =
        input[1..last - 2].iter().fold(0xFFFF_u16, |crc, byte| {
            (0..8).fold(crc ^ u16::from(*byte), |crc, _| {
                if crc & 1 == 1 { crc >> 1 ^ 0x8408 } else { crc >> 1 }
            })
        });
    input[last - 2..last].copy_from_slice(&(!crc).to_le_bytes());
}

#[cfg(test)]
mod tests {
    use super::*;
    use polymeter_codec::{Decoded, dlt645 as codec};

    #[test]
    fn what_was_mended_is_a_frame() {
        let mut input = hex::decode("FE6801000000000068110A3333333333FFFF").unwrap_or_default();
        dlt645(&mut input);
        let decoded = codec::decode(&input);
        assert!(matches!(decoded, Decoded::Frame { used, .. } if used == input.len()));
    }

    #[test]
    fn mutations_end_and_stay_short() {
        let mut random = Random::new(7);
        let mut input = vec![0x68; 20];
        for _ in 0..20_000 {
            input = mutated(&mut random, &input, &[1, 2, 3]);
            assert!(input.len() <= INPUT_BYTES_MAX);
        }
        assert!(mutated(&mut random, &[], &[]).len() <= INPUT_BYTES_MAX);
    }
}
