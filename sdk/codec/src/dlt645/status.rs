//! The seven status words of an electricity meter, as DL/T 645-2007 (C.2) defines them and DL/T 698.45
//! took them over (OAD 20140200H): what their bits say is wrong, by the names that all drivers share
//! (docs/contract.md).
//!
//! Not here: the relay's bits of word 3, which makers read in contrary ways (the drivers).

/// Words, bit, name: 1 is the meter's, 4 to 6 those of phases A to C, 7 of all phases.
const STATES: &[(&[u8], u32, &str)] = &[
    (&[1], 2, "low-battery"),
    (&[1], 3, "low-battery"),
    (&[4, 5, 6], 0, "voltage-lost"),
    (&[4, 5, 6], 1, "voltage-low"),
    (&[4, 5, 6], 2, "voltage-high"),
    (&[4, 5, 6], 3, "current-lost"),
    (&[4, 5, 6], 4, "current-high"),
    (&[4, 5, 6], 5, "overload"),
    (&[4, 5, 6], 6, "power-reversed"),
    (&[4, 5, 6], 7, "phase-missing"),
    (&[7], 0, "voltage-phases-reversed"),
    (&[7], 1, "current-phases-reversed"),
    (&[7], 5, "power-down"),
];

/// What bits of the word of this number (1 to 7) say; of a word that tells none, nothing.
pub fn states(word: u8, bits: u16) -> impl Iterator<Item = &'static str> {
    let stands = move |(words, bit, _): &&(&[u8], u32, &str)| {
        words.contains(&word) && u32::from(bits).checked_shr(*bit).is_some_and(|it| it & 1 == 1)
    };
    STATES.iter().filter(stands).map(|(_, _, name)| *name)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(word: u8, bits: u16, expected: &[&str]) {
        assert!(states(word, bits).eq(expected.iter().copied()), "word {word}, {bits:04X}");
    }

    #[test]
    fn bits_by_word() {
        check(1, 0b1100, &["low-battery", "low-battery"]);
        check(4, 0x8021, &["voltage-lost", "overload"]);
        check(6, 0x0080, &["phase-missing"]);
        check(7, 0b10_0011, &["voltage-phases-reversed", "current-phases-reversed", "power-down"]);
        check(3, 0xFFFF, &[]);
        check(0, 0xFFFF, &[]);
        check(4, 0, &[]);
    }
}
