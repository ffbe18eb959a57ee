//! One key under another, for a device that holds the latter: AES key wrap (RFC 3394).
//!
//! Invariant: what wraps does nothing else, so nobody who may ask for a wrapped key can open it here; a
//! key of that kind is wrapped for nobody. Not here: unwrapping, which is a device's.

use crate::kind::Kind;
use crate::refused::Refused;
use crate::soft::{Direction, Key};
use zeroize::Zeroizing;

/// RFC 3394, 2.2.3.1.
const INITIAL: u64 = 0xA6A6_A6A6_A6A6_A6A6;
/// RFC 3394, 2.2.1: how often every half block is gone over.
const ROUNDS: u64 = 6;
/// RFC 3394, 2: at least two half blocks.
const BYTES_MIN: usize = 16;

/// The wrapped key, eight bytes longer than the key.
pub fn wrapped(under: &Key, key: &Key) -> Result<Vec<u8>, Refused> {
    if matches!(key.kind(), Kind::KeyWrap | Kind::StsTables) {
        return Err(Refused::NotToWrap { found: key.kind() });
    }
    let bytes = key.bytes().expose();
    let (halves, rest) = bytes.as_chunks::<8>();
    if bytes.len() < BYTES_MIN || !rest.is_empty() {
        return Err(Refused::BadLength { what: "a key to be wrapped", length: bytes.len() });
    }
    let mut halves =
        Zeroizing::new(halves.iter().map(|it| u64::from_be_bytes(*it)).collect::<Vec<_>>());
    let (mut check, mut step) = (INITIAL, 0_u64);
    for _ in 0..ROUNDS {
        for half in halves.iter_mut() {
            let block = Zeroizing::new([check.to_be_bytes(), half.to_be_bytes()].concat());
            let block = u128::from_be_bytes(exactly(&under.ecb(Direction::Encrypt, &block)?)?);
            step = step.wrapping_add(1);
            check = first_half(block) ^ step;
            *half = second_half(block);
        }
    }
    let mut answer = check.to_be_bytes().to_vec();
    answer.extend(halves.iter().flat_map(|half| half.to_be_bytes()));
    Ok(answer)
}

fn exactly(block: &[u8]) -> Result<[u8; 16], Refused> {
    block.try_into().map_err(|_| Refused::BadLength { what: "a block", length: block.len() })
}

fn first_half(block: u128) -> u64 {
    u64::try_from(block >> 64).unwrap_or(u64::MAX)
}

fn second_half(block: u128) -> u64 {
    u64::try_from(block & u128::from(u64::MAX)).unwrap_or(u64::MAX)
}
