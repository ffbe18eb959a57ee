//! EA07, the standard transfer algorithm (IEC 62055-41, 6.5.4): sixteen rounds of substitution by
//! nibbles and permutation of bits, keys of 64 bits.
//!
//! The standard prints tables as a sample ([`Tables::SAMPLE`]); those of meters in the field the
//! STS Association gives to its members alone, so they are nobody else's to publish. They come from
//! outside, as data (ADR 0032).
//!
//! Invariant: what decrypts is what was encrypted, whatever the tables, since only permutations are
//! tables.

use core::fmt;

/// Rounds (6.5.4.2).
const ROUNDS: u32 = 16;
/// How far the complemented key is turned to the right before the first round.
const ALIGN: u32 = 12;

/// Two substitutions of a nibble and one permutation of 64 bits. `Debug` does not show them.
#[derive(Clone, PartialEq, Eq)]
pub struct Tables {
    substitutions: [[u8; 16]; 2],
    permutation: [u8; 64],
}

impl fmt::Debug for Tables {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Tables([redacted])")
    }
}

/// A table that does not hold every number once.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct NotAPermutation;

impl fmt::Display for NotAPermutation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a table of EA07 must hold every number once")
    }
}

impl core::error::Error for NotAPermutation {}

impl Tables {
    /// The tables that the standard prints as an example (6.5.4.2). No meter in the field has them.
    pub const SAMPLE: Tables = Tables {
        substitutions: [
            [12, 10, 8, 4, 3, 15, 0, 2, 14, 1, 5, 13, 6, 9, 7, 11],
            [6, 9, 7, 4, 3, 10, 12, 14, 2, 13, 1, 15, 0, 11, 8, 5],
        ],
        permutation: [
            29, 27, 34, 9, 16, 62, 55, 2, 40, 49, 38, 25, 33, 61, 30, 23, 1, 41, 21, 57, 42, 15, 5,
            58, 19, 53, 22, 17, 48, 28, 24, 39, 3, 60, 36, 14, 11, 52, 54, 12, 31, 51, 10, 26, 0,
            45, 37, 43, 44, 6, 59, 4, 7, 35, 56, 50, 13, 18, 32, 47, 46, 63, 20, 8,
        ],
    };

    /// Substitutions for a key nibble whose top bit is 0 and for one whose top bit is 1, and where
    /// each bit goes, the lowest first; all for encrypting.
    pub fn new(
        substitutions: [[u8; 16]; 2],
        permutation: [u8; 64],
    ) -> Result<Tables, NotAPermutation> {
        let whole =
            substitutions.iter().all(|table| is_permutation(table)) && is_permutation(&permutation);
        whole.then_some(Tables { substitutions, permutation }).ok_or(NotAPermutation)
    }

    /// Encrypts a clear block.
    ///
    /// ```
    /// use polymeter_codec::sts::sta::Tables;
    ///
    /// let key = 0x0123_4567_89AB_CDEF;
    /// let carried = Tables::SAMPLE.encrypt(key, 0x0559_982C_0001_2831);
    /// assert_ne!(carried, 0x0559_982C_0001_2831);
    /// assert_eq!(Tables::SAMPLE.decrypt(key, carried), 0x0559_982C_0001_2831);
    /// ```
    pub fn encrypt(&self, key: u64, block: u64) -> u64 {
        let aligned = (!key).rotate_right(ALIGN);
        (0..ROUNDS).fold(block, |block, round| {
            let key = aligned.rotate_left(round);
            let nibbles = substitute(key, block, |upper, nibble| {
                let [first, second] = &self.substitutions;
                entry(if upper { second } else { first }, nibble)
            });
            self.permute(nibbles)
        })
    }

    /// Decrypts a carried block.
    pub fn decrypt(&self, key: u64, block: u64) -> u64 {
        let aligned = (!key).rotate_right(ALIGN);
        (0..ROUNDS).rev().fold(block, |block, round| {
            let key = aligned.rotate_left(round);
            substitute(key, self.permute_back(block), |upper, nibble| {
                let [first, second] = &self.substitutions;
                place(if upper { second } else { first }, nibble)
            })
        })
    }

    fn permute(&self, block: u64) -> u64 {
        let moved = self.permutation.iter().enumerate();
        moved.fold(0, |out, (from, to)| out | bit(block, from) << (to & 63))
    }

    fn permute_back(&self, block: u64) -> u64 {
        let moved = self.permutation.iter().zip(0_u32..64);
        moved.fold(0, |out, (from, to)| out | bit(block, usize::from(*from)).rotate_left(to))
    }
}

/// Every nibble of the block by way of `table`, which is told the top bit of the key's nibble.
fn substitute(key: u64, block: u64, table: impl Fn(bool, u8) -> u8) -> u64 {
    (0_u32..16).fold(0, |out, nth| {
        let shift = nth.saturating_mul(4);
        let upper = key.rotate_right(shift) & 0b1000 != 0;
        let nibble = u8::try_from(block.rotate_right(shift) & 0x0F).unwrap_or(0);
        out | u64::from(table(upper, nibble) & 0x0F).rotate_left(shift)
    })
}

fn bit(block: u64, at: usize) -> u64 {
    block.rotate_right(u32::try_from(at).unwrap_or(0)) & 1
}

fn entry(table: &[u8; 16], at: u8) -> u8 {
    table.get(usize::from(at)).copied().unwrap_or(0)
}

/// Where in a table a value stands.
fn place(table: &[u8; 16], value: u8) -> u8 {
    let at = table.iter().position(|entry| *entry == value).unwrap_or(0);
    u8::try_from(at).unwrap_or(0)
}

fn is_permutation(table: &[u8]) -> bool {
    (0..table.len()).all(|value| table.iter().any(|entry| usize::from(*entry) == value))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_permutations_are_tables() {
        let Tables { substitutions, permutation } = Tables::SAMPLE;
        assert_eq!(Tables::new(substitutions, permutation), Ok(Tables::SAMPLE));
        let mut twice = permutation;
        twice[0] = twice[1];
        assert_eq!(Tables::new(substitutions, twice), Err(NotAPermutation));
        let mut too_big = substitutions;
        too_big[1][3] = 16;
        assert_eq!(Tables::new(too_big, permutation), Err(NotAPermutation));
    }
}
