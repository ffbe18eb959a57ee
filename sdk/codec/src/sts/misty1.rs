//! EA11: the block cipher MISTY1 (RFC 2994), keys of 128 bits, eight rounds. Words are big-endian.
//!
//! Table look-ups depend on the key, so somebody who measures time on the same machine may learn of
//! it; who minds keeps the cipher in a security module.

use super::misty1_tables::{S7, S9};
use core::fmt;

/// A key of 128 bits, expanded. `Debug` does not show it.
#[derive(Clone)]
pub struct Misty1 {
    /// The eight words of the key.
    words: [u16; 8],
    /// Each of them run through FI with the next one.
    mixed: [u16; 8],
}

impl fmt::Debug for Misty1 {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Misty1([redacted])")
    }
}

impl Misty1 {
    /// Expands a key (2.2 of the RFC).
    ///
    /// ```
    /// use polymeter_codec::sts::misty1::Misty1;
    ///
    /// let key = Misty1::new(&0x0011_2233_4455_6677_8899_AABB_CCDD_EEFF_u128.to_be_bytes());
    /// assert_eq!(key.encrypt(0x0123_4567_89AB_CDEF), 0x8B1D_A5F5_6AB3_D07C);
    /// assert_eq!(key.decrypt(0x8B1D_A5F5_6AB3_D07C), 0x0123_4567_89AB_CDEF);
    /// ```
    pub fn new(key: &[u8; 16]) -> Misty1 {
        let (pairs, _) = key.as_chunks::<2>();
        let mut words = [0; 8];
        words.iter_mut().zip(pairs).for_each(|(word, pair)| *word = u16::from_be_bytes(*pair));
        let mut mixed = [0; 8];
        for (nth, out) in mixed.iter_mut().enumerate() {
            *out = fi(cyclic(&words, nth), cyclic(&words, nth.wrapping_add(1)));
        }
        Misty1 { words, mixed }
    }

    /// Encrypts a block.
    pub fn encrypt(&self, block: u64) -> u64 {
        let (mut d0, mut d1) = halves(block);
        for pair in 0..4 {
            let round = pair << 1;
            d0 = self.fl(d0, pair, Side::Left);
            d1 = self.fl(d1, pair, Side::Right);
            d1 ^= self.fo(d0, round);
            d0 ^= self.fo(d1, round | 1);
        }
        joined(self.fl(d1, 4, Side::Right), self.fl(d0, 4, Side::Left))
    }

    /// Decrypts a block.
    pub fn decrypt(&self, block: u64) -> u64 {
        let (d1, d0) = halves(block);
        let mut d0 = self.fl_back(d0, 4, Side::Left);
        let mut d1 = self.fl_back(d1, 4, Side::Right);
        for pair in (0..4).rev() {
            let round = pair << 1;
            d0 ^= self.fo(d1, round | 1);
            d1 ^= self.fo(d0, round);
            d0 = self.fl_back(d0, pair, Side::Left);
            d1 = self.fl_back(d1, pair, Side::Right);
        }
        joined(d0, d1)
    }

    /// FO of a round (2.1.1).
    fn fo(&self, half: u32, round: usize) -> u32 {
        let word = |ahead: usize| cyclic(&self.words, round.wrapping_add(ahead));
        let mixed = |ahead: usize| cyclic(&self.mixed, round.wrapping_add(ahead));
        let (mut t0, mut t1) = words(half);
        t0 = fi(t0 ^ word(0), mixed(5)) ^ t1;
        t1 = fi(t1 ^ word(2), mixed(1)) ^ t0;
        t0 = fi(t0 ^ word(7), mixed(3)) ^ t1;
        t1 ^= word(4);
        u32::from(t1) << 16 | u32::from(t0)
    }

    /// The two key words of FL, for AND and for OR (2.1.3).
    fn fl_keys(&self, pair: usize, side: Side) -> (u16, u16) {
        match side {
            Side::Left => (cyclic(&self.words, pair), cyclic(&self.mixed, pair.wrapping_add(6))),
            Side::Right => (
                cyclic(&self.mixed, pair.wrapping_add(2)),
                cyclic(&self.words, pair.wrapping_add(4)),
            ),
        }
    }

    fn fl(&self, half: u32, pair: usize, side: Side) -> u32 {
        let (and, or) = self.fl_keys(pair, side);
        let (mut d0, mut d1) = words(half);
        d1 ^= d0 & and;
        d0 ^= d1 | or;
        u32::from(d0) << 16 | u32::from(d1)
    }

    fn fl_back(&self, half: u32, pair: usize, side: Side) -> u32 {
        let (and, or) = self.fl_keys(pair, side);
        let (mut d0, mut d1) = words(half);
        d0 ^= d1 | or;
        d1 ^= d0 & and;
        u32::from(d0) << 16 | u32::from(d1)
    }
}

/// Which half of the block; the RFC numbers FL by twice the pair, plus one for the right half.
#[derive(Clone, Copy)]
enum Side {
    Left,
    Right,
}

/// FI (2.1.2): nine bits and seven, each substituted.
fn fi(input: u16, key: u16) -> u16 {
    let (d9, d7) = (input >> 7, input & 0x7F);
    let d9 = entry(&S9, d9) ^ d7;
    let d7 = (u16::from(entry(&S7, d7)) ^ d9) & 0x7F;
    let d7 = d7 ^ key >> 9;
    let d9 = entry(&S9, d9 ^ key & 0x1FF) ^ d7;
    d7 << 9 | d9
}

fn entry<T: Copy + Default>(table: &[T], at: u16) -> T {
    table.get(usize::from(at)).copied().unwrap_or_default()
}

fn cyclic(words: &[u16; 8], at: usize) -> u16 {
    words.get(at & 7).copied().unwrap_or(0)
}

fn halves(block: u64) -> (u32, u32) {
    let [a, b, c, d, e, f, g, h] = block.to_be_bytes();
    (u32::from_be_bytes([a, b, c, d]), u32::from_be_bytes([e, f, g, h]))
}

fn joined(high: u32, low: u32) -> u64 {
    u64::from(high) << 32 | u64::from(low)
}

fn words(half: u32) -> (u16, u16) {
    let [a, b, c, d] = half.to_be_bytes();
    (u16::from_be_bytes([a, b]), u16::from_be_bytes([c, d]))
}
