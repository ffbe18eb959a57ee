//! Random values from a seed that is printed: the same seed and label give the same values on every
//! machine. Not here: secrets; nothing made here protects anything.

use sha2::{Digest, Sha256};
use std::ops::RangeInclusive;

/// A stream of values, its own for each label.
#[derive(Debug, Clone)]
pub struct Chance {
    state: u64,
}

impl Chance {
    /// The stream of `label` under `seed`.
    pub fn new(seed: u64, label: &str) -> Chance {
        let digest = Sha256::new().chain_update(seed.to_be_bytes()).chain_update(label).finalize();
        let mut first = [0; 8];
        first.copy_from_slice(&digest[..8]);
        Chance { state: u64::from_be_bytes(first) }
    }

    /// SplitMix64 (Steele, Lea, Flood 2014).
    fn next(&mut self) -> u64 {
        self.state = self.state.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mixed = (self.state ^ (self.state >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        mixed ^ (mixed >> 31)
    }

    /// A number of the range; its start where the range is empty.
    pub fn number(&mut self, range: RangeInclusive<u64>) -> u64 {
        let (start, end) = range.into_inner();
        match end.checked_sub(start).and_then(|span| span.checked_add(1)) {
            None if end < start => start,
            None => self.next(),
            // The bias of a remainder does no harm here.
            Some(span) => start + self.next() % span,
        }
    }

    /// An index below `length`; 0 where that is 0.
    pub fn index(&mut self, length: usize) -> usize {
        let most = u64::try_from(length).unwrap_or(u64::MAX).saturating_sub(1);
        usize::try_from(self.number(0..=most)).unwrap_or(0)
    }

    /// A purchase count that has another after it, up to `most`.
    pub fn count(&mut self, most: u32) -> u32 {
        u32::try_from(self.number(1..=u64::from(most.saturating_sub(1).max(1)))).unwrap_or(1)
    }

    pub fn bytes(&mut self, length: usize) -> Vec<u8> {
        (0..length).map(|_| self.next().to_be_bytes()[0]).collect()
    }

    pub fn digits(&mut self, length: usize) -> String {
        (0..length).map(|_| char::from(b'0' + (self.next() % 10).to_be_bytes()[7])).collect()
    }

    /// Text after a pattern: `#` is a digit, `{1..247}` a number, all else stands for itself.
    pub fn address(&mut self, pattern: &str) -> String {
        let mut text = String::new();
        let mut rest = pattern;
        while let Some(letter) = rest.chars().next() {
            let range = rest.strip_prefix('{').and_then(|rest| rest.split_once('}'));
            let range = range.and_then(|(range, after)| {
                let (from, to) = range.split_once("..")?;
                Some((from.parse().ok()?, to.parse().ok()?, after))
            });
            if let Some((from, to, after)) = range {
                text += &self.number(from..=to).to_string();
                rest = after;
                continue;
            }
            if letter == '#' {
                text += &self.digits(1);
            } else {
                text.push(letter);
            }
            rest = &rest[letter.len_utf8()..];
        }
        text
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_seed_gives_the_same_values_again() {
        let values = |seed, label| {
            let mut chance = Chance::new(seed, label);
            (chance.number(1..=6), chance.bytes(4), chance.digits(5), chance.address("a{1..9}/##"))
        };
        assert_eq!(values(1, "a"), values(1, "a"));
        assert_ne!(values(1, "a"), values(2, "a"));
        assert_ne!(values(1, "a"), values(1, "b"));
    }

    #[test]
    fn values_keep_to_their_range() {
        let mut chance = Chance::new(7, "ranges");
        for _ in 0..1000 {
            assert!((3..=5).contains(&chance.number(3..=5)));
        }
        assert_eq!(chance.number(9..=9), 9);
        assert_eq!(chance.index(0), 0);
        let address = chance.address("{7..7}-#");
        assert!(address.starts_with("7-") && address.len() == 3, "{address}");
        assert_eq!(chance.address("{x}"), "{x}", "no range, so it stands for itself");
    }
}
