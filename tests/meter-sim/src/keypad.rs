//! A keypad meter after IEC 62055-41: twenty digits are typed into it, and it adds credit, obeys or
//! refuses. Written from the standard; it decrypts by EA07 with the tables that the standard prints as
//! a sample, and derives its key by DKGA02, so that nothing of it is a licensee's.
//!
//! Invariant: it takes each token once, and none that is older than all those it remembers.
//!
//! Not here: EA11, which the published tokens hold; a clock, which such a meter need not have.

use des::Des;
use des::cipher::{BlockCipherEncrypt as _, KeyInit as _};
use serde::{Deserialize, Serialize};
use std::borrow::Cow;
use std::collections::BTreeSet;

/// How many numbers a meter remembers at least (8.4).
const REMEMBERED: usize = 50;
const ROUNDS: u32 = 16;

/// The sample of the standard (6.5.4.2): substitutions for a key nibble without and with its top bit,
/// and where each bit goes.
const SUBSTITUTIONS: [[u8; 16]; 2] = [
    [12, 10, 8, 4, 3, 15, 0, 2, 14, 1, 5, 13, 6, 9, 7, 11],
    [6, 9, 7, 4, 3, 10, 12, 14, 2, 13, 1, 15, 0, 11, 8, 5],
];
const PERMUTATION: [u8; 64] = [
    29, 27, 34, 9, 16, 62, 55, 2, 40, 49, 38, 25, 33, 61, 30, 23, 1, 41, 21, 57, 42, 15, 5, 58, 19,
    53, 22, 17, 48, 28, 24, 39, 3, 60, 36, 14, 11, 52, 54, 12, 31, 51, 10, 26, 0, 45, 37, 43, 44,
    6, 59, 4, 7, 35, 56, 50, 13, 18, 32, 47, 46, 63, 20, 8,
];

/// The same tables as bytes, as somebody would lay them into a vault.
pub fn sample_tables() -> Vec<u8> {
    let [low, high] = SUBSTITUTIONS;
    [&low[..], &high[..], &PERMUTATION[..]].concat()
}

/// Of what a meter's key is made.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct KeyOrigin {
    pub vending_key: [u8; 8],
    /// Eighteen digits.
    pub pan: Cow<'static, str>,
    pub supply_group: u32,
    pub tariff_index: u32,
    pub revision: u32,
}

impl KeyOrigin {
    /// A unique key by DKGA02 (6.5.3.4): DES of the account number xor control block, xor that block,
    /// xor the vending key.
    fn key(&self) -> u64 {
        let control =
            format!("2{:06}{:02}{}FFFFFF", self.supply_group, self.tariff_index, self.revision);
        let control = u64::from_str_radix(&control, 16).unwrap_or(0);
        let account = u64::from_str_radix(self.pan.get(1..17).unwrap_or("0"), 16).unwrap_or(0);
        let block = control ^ account;
        let mut encrypted = block.to_be_bytes().into();
        Des::new(&self.vending_key.into()).encrypt_block(&mut encrypted);
        u64::from_be_bytes(encrypted.into()) ^ block ^ u64::from_be_bytes(self.vending_key)
    }
}

/// What the display says after twenty digits.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Shown {
    /// Accepted, and this much was added, in tenths of a kWh.
    Added(u64),
    /// Accepted, and done.
    Done,
    /// Accepted: the tests of these bits ran, or what they ask for was shown.
    Tests(u64),
    /// A part of a key; the rest is waited for.
    Part,
    /// Refused: not twenty digits, or another meter's, or made with another key.
    Rejected,
    /// Refused: typed before.
    Used,
    /// Refused: older than all that are remembered.
    Old,
}

/// One meter.
#[derive(Debug, Clone)]
pub struct Keypad {
    key: u64,
    numbers: BTreeSet<u32>,
    first: Option<(u32, bool)>,
    second: Option<u32>,
    /// Tenths of a kWh.
    pub credit: u64,
    /// W; 0 where it was never told.
    pub max_power: u64,
    pub tampered: bool,
}

impl Keypad {
    /// As it leaves the maker, with the key of its supply group.
    pub fn new(origin: &KeyOrigin) -> Keypad {
        Keypad {
            key: origin.key(),
            numbers: BTreeSet::new(),
            first: None,
            second: None,
            credit: 0,
            max_power: 0,
            tampered: false,
        }
    }

    /// Blanks are what people type between groups.
    pub fn type_in(&mut self, text: &str) -> Shown {
        let digits: String = text.chars().filter(|typed| *typed != ' ').collect();
        let Some((class, carried)) = parted(&digits) else { return Shown::Rejected };
        if class == 1 {
            return tests(carried);
        }
        if class != 0 && class != 2 {
            return Shown::Rejected;
        }
        let block = decrypted(self.key, carried);
        if checksum(class, block) != (block & 0xFFFF) {
            return Shown::Rejected;
        }
        match (class, block >> 60) {
            (2, 3) => self.part_of_key(Some(block), None),
            (2, 4) => self.part_of_key(None, Some(block)),
            (class, sub_class) => self.numbered(class, sub_class, block),
        }
    }

    fn numbered(&mut self, class: u64, sub_class: u64, block: u64) -> Shown {
        let number = low(block >> 32) & 0x00FF_FFFF;
        if self.numbers.contains(&number) {
            return Shown::Used;
        }
        let is_full = self.numbers.len() >= REMEMBERED;
        if is_full && self.numbers.first().is_some_and(|oldest| number < *oldest) {
            return Shown::Old;
        }
        let field = block >> 16 & 0xFFFF;
        let shown = match (class, sub_class) {
            (0, 0) => {
                self.credit += amount(field);
                Shown::Added(amount(field))
            }
            (2, 0) => {
                self.max_power = amount(field);
                Shown::Done
            }
            (2, 1) => {
                self.credit = 0;
                Shown::Done
            }
            (2, 5) => {
                self.tampered = false;
                Shown::Done
            }
            _ => return Shown::Rejected,
        };
        self.numbers.insert(number);
        if self.numbers.len() > REMEMBERED {
            self.numbers.pop_first();
        }
        shown
    }

    /// Sub-class 3 has the upper half and the roll-over bit, sub-class 4 the lower (6.2.7).
    fn part_of_key(&mut self, first: Option<u64>, second: Option<u64>) -> Shown {
        if let Some(block) = first {
            self.first = Some((low(block >> 16), block >> 51 & 1 == 1));
        }
        if let Some(block) = second {
            self.second = Some(low(block >> 16));
        }
        let (Some((upper, rolls_over)), Some(lower)) = (self.first, self.second) else {
            return Shown::Part;
        };
        self.key = u64::from(upper) << 32 | u64::from(lower);
        (self.first, self.second) = (None, None);
        if rolls_over {
            // Numbers count from another base date now.
            self.numbers.clear();
        }
        Shown::Done
    }
}

/// Not encrypted: 36 bits of tests, for makers with a code of two digits, 0 for all of them (6.2.6).
fn tests(block: u64) -> Shown {
    let is_for_all = block >> 60 == 0 && block >> 16 & 0xFF == 0;
    if !is_for_all || checksum(1, block) != (block & 0xFFFF) {
        return Shown::Rejected;
    }
    Shown::Tests(block >> 24 & 0x000F_FFFF_FFFF)
}

fn low(bits: u64) -> u32 {
    u32::try_from(bits & 0xFFFF_FFFF).unwrap_or(0)
}

/// Class and block of twenty digits: the class stands at bits 28 and 27, and what was there on top.
fn parted(digits: &str) -> Option<(u64, u64)> {
    if digits.len() != 20 {
        return None;
    }
    let number: u128 = digits.parse().ok().filter(|number| *number < 1 << 66)?;
    let top = u64::try_from(number >> 64).ok()?;
    let block = u64::try_from(number & u128::from(u64::MAX)).ok()?;
    let class = block >> 27 & 0b11;
    Some((class, block & !(0b11 << 27) | top << 27))
}

/// CRC-16 of Modbus over class and 48 bits, in seven bytes, its own bytes swapped (6.3.7).
fn checksum(class: u64, block: u64) -> u64 {
    let fifty = class << 48 | block >> 16;
    let mut crc = 0xFFFF_u16;
    for byte in fifty.to_be_bytes().iter().skip(1) {
        crc ^= u16::from(*byte);
        for _ in 0..8 {
            crc = if crc & 1 == 1 { crc >> 1 ^ 0xA001 } else { crc >> 1 };
        }
    }
    u64::from(crc.swap_bytes())
}

/// Mantissa of 14 bits, exponent of two, and what the exponents below it hold (6.3.6).
fn amount(field: u64) -> u64 {
    let (exponent, mantissa) = (field >> 14, field & 0x3FFF);
    let mut sum = 0;
    let mut step = 1;
    for _ in 0..exponent {
        sum += step * 0x4000;
        step *= 10;
    }
    sum + mantissa * step
}

/// EA07 backwards: permutation, then substitution, the key turned back a bit a round (6.5.4).
fn decrypted(key: u64, carried: u64) -> u64 {
    let aligned = (!key).rotate_right(12);
    (0..ROUNDS).rev().fold(carried, |block, round| {
        let key = aligned.rotate_left(round);
        let permuted = PERMUTATION
            .iter()
            .enumerate()
            .fold(0_u64, |out, (from, to)| out | (block >> u32::from(*to) & 1) << from);
        (0..16).fold(0, |out, nibble| {
            let shift = nibble * 4;
            let table = SUBSTITUTIONS[usize::from(key >> shift & 0b1000 != 0)];
            let value = permuted >> shift & 0x0F;
            let at = table.iter().position(|entry| u64::from(*entry) == value).unwrap_or(0);
            out | u64::try_from(at).unwrap_or(0) << shift
        })
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    const ORIGIN: KeyOrigin = KeyOrigin {
        vending_key: [0xAB; 8],
        pan: Cow::Borrowed("600727000000000009"),
        supply_group: 123_456,
        tariff_index: 1,
        revision: 1,
    };

    fn encrypted(key: u64, clear: u64) -> u64 {
        let aligned = (!key).rotate_right(12);
        (0..ROUNDS).fold(clear, |block, round| {
            let key = aligned.rotate_left(round);
            let nibbles = (0..16).fold(0, |out, nibble| {
                let shift = nibble * 4;
                let table = SUBSTITUTIONS[usize::from(key >> shift & 0b1000 != 0)];
                out | u64::from(table[usize::try_from(block >> shift & 0x0F).unwrap()]) << shift
            });
            PERMUTATION
                .iter()
                .enumerate()
                .fold(0_u64, |out, (from, to)| out | (nibbles >> from & 1) << u32::from(*to))
        })
    }

    fn digits(class: u64, key: u64, without_crc: u64) -> String {
        let clear = without_crc | checksum(class, without_crc);
        let block = encrypted(key, clear);
        let number =
            u128::from(block >> 27 & 0b11) << 64 | u128::from(block & !(0b11 << 27) | class << 27);
        format!("{number:020}")
    }

    #[test]
    fn a_token_counts_once_and_another_key_is_refused() {
        let mut meter = Keypad::new(&ORIGIN);
        // The published decoder key of the conformance tests.
        assert_eq!(ORIGIN.key(), 0xE653_341F_9D5B_F36F);
        let token = digits(0, ORIGIN.key(), 0x055A_B659_000A_0000);
        assert_eq!(meter.type_in(&token), Shown::Added(10));
        assert_eq!(meter.type_in(&token), Shown::Used);
        assert_eq!(meter.type_in(&digits(0, 1, 0x055A_B659_000A_0000)), Shown::Rejected);
        assert_eq!(meter.type_in("123"), Shown::Rejected);
        assert_eq!(meter.type_in("99999999999999999999"), Shown::Rejected);
        assert_eq!(meter.credit, 10);
    }

    #[test]
    fn a_test_token_is_taken_as_often_as_it_is_typed() {
        let mut meter = Keypad::new(&ORIGIN);
        // Published (STS 531-1-0-02, CTSA02 and CTSA11): all tests, and the fourth.
        for _ in 0..2 {
            assert_eq!(meter.type_in("5649 3153 7254 5031 3471"), Shown::Tests(0x000F_FFFF_FFFF));
            assert_eq!(meter.type_in("18446744073843772416"), Shown::Tests(8));
        }
        assert_eq!(meter.type_in("18446744073843772417"), Shown::Rejected, "another checksum");
        assert_eq!(meter.type_in("01152921539100838034"), Shown::Rejected, "long maker's code");
    }

    #[test]
    fn what_is_older_than_all_that_is_remembered_is_refused() {
        let mut meter = Keypad::new(&ORIGIN);
        let token = |number: u64| digits(0, ORIGIN.key(), number << 32 | 1 << 16);
        for number in 100..150 {
            assert_eq!(meter.type_in(&token(number)), Shown::Added(1));
        }
        assert_eq!(meter.type_in(&token(99)), Shown::Old);
        assert_eq!(meter.type_in(&token(200)), Shown::Added(1));
        assert_eq!(meter.type_in(&token(100)), Shown::Old, "the oldest was forgotten");
    }
}
