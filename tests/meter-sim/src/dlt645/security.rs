//! The mathematics of the software ESAM (protocols.md 1.7), on fields in natural order. Written
//! from that page, so that a driver's or vault's mistake does not repeat itself here.

use des::cipher::{Block, BlockCipherEncrypt, KeyInit};
use des::cipher::{BlockCipherDecrypt, Key};
use des::{Des, TdesEde2};

/// One 8-byte block under a two-key triple DES key.
pub fn encrypt(key: [u8; 16], block: [u8; 8]) -> [u8; 8] {
    let mut block = Block::<TdesEde2>::from(block);
    TdesEde2::new(&Key::<TdesEde2>::from(key)).encrypt_block(&mut block);
    block.into()
}

/// The session key of a factor: 3DES(factor), then its complement.
pub fn session(key: [u8; 16], factor: [u8; 8]) -> [u8; 16] {
    let work = encrypt(key, factor);
    let mut session = [0; 16];
    for (at, byte) in work.into_iter().enumerate() {
        session[at] = byte;
        session[at + 8] = !byte;
    }
    session
}

/// PBOC MAC (ISO 9797-1 algorithm 3) of a header, its Lc and the data, begun with `random`.
pub fn mac(key: [u8; 16], random: [u8; 4], header: [u8; 4], data: &[u8]) -> [u8; 4] {
    let [left, right] = [0, 8].map(|at| {
        let mut half = [0; 8];
        half.copy_from_slice(&key[at..at + 8]);
        Des::new(&Key::<Des>::from(half))
    });
    let mut message = header.to_vec();
    message.push(u8::try_from(data.len() + 4).unwrap_or(u8::MAX));
    message.extend_from_slice(data);
    message.push(0x80);
    message.resize(message.len().next_multiple_of(8), 0);

    let mut state = [0; 8];
    state[..4].copy_from_slice(&random);
    let mut state = Block::<Des>::from(state);
    for block in message.chunks_exact(8) {
        state.iter_mut().zip(block).for_each(|(state, byte)| *state ^= byte);
        left.encrypt_block(&mut state);
    }
    right.decrypt_block(&mut state);
    left.encrypt_block(&mut state);
    [state[0], state[1], state[2], state[3]]
}
