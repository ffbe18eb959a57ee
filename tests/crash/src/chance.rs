//! Random values from a seed that is printed: the same seed, site and number give the same values on
//! every machine. Not here: secrets; nothing made here protects anything.

/// A stream of values.
#[derive(Debug, Clone)]
pub struct Chance {
    state: u64,
}

impl Chance {
    /// A stream of its own for each list of numbers.
    pub fn new(seed: u64, place: &[u64]) -> Chance {
        let mut chance = Chance { state: seed };
        for number in place {
            chance.state = chance.number() ^ number.wrapping_mul(0xD6E8_FEB8_6659_FD93);
        }
        chance
    }

    /// SplitMix64 (Steele, Lea, Flood 2014).
    pub fn number(&mut self) -> u64 {
        self.state = self.state.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mixed = (self.state ^ (self.state >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        mixed ^ (mixed >> 31)
    }

    /// Below `end`, which is above 0. The bias of a remainder does no harm here.
    pub fn below(&mut self, end: u64) -> u64 {
        self.number() % end.max(1)
    }

    /// One in so many.
    pub fn one_in(&mut self, many: u64) -> bool {
        self.below(many) == 0
    }

    /// One of a list that is not empty.
    pub fn pick<'a, T>(&mut self, list: &'a [T]) -> &'a T {
        let length = u64::try_from(list.len()).unwrap_or(1);
        &list[usize::try_from(self.below(length)).unwrap_or(0)]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_place_has_its_own_stream_and_always_the_same() {
        let draw = |seed, place: &[u64]| {
            let mut chance = Chance::new(seed, place);
            (0..4).map(|_| chance.below(1000)).collect::<Vec<_>>()
        };
        assert_eq!(draw(1, &[2, 3]), draw(1, &[2, 3]));
        assert_ne!(draw(1, &[2, 3]), draw(1, &[3, 2]));
        assert_ne!(draw(1, &[2, 3]), draw(2, &[2, 3]));
    }
}
