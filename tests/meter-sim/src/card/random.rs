//! Cards that nobody made on purpose, from a seed: all kinds, empty, full of noise, or nearly what a
//! vendor's card holds. For whoever has to tell cards apart without a panic and without a try.

use super::acme::{self, AcmeKeys, AcmeState};
use super::at24c::At24c;
use super::at88sc102::At88sc102;
use super::cpu::{CpuCard, PARAMETERS, PURSE, WRITTEN_BACK};
use super::desfire::DesFire;
use super::keys::CpuKeys;
use super::mifare::MifareClassic;
use super::sg;
use super::sle4428::Sle4428;
use super::sle4442::Sle4442;
use super::{Card, Chip};

/// SplitMix64.
struct Chance(u64);

impl Chance {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut mixed = self.0;
        mixed = (mixed ^ mixed >> 30).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        mixed = (mixed ^ mixed >> 27).wrapping_mul(0x94D0_49BB_1331_11EB);
        mixed ^ mixed >> 31
    }

    /// A number below `limit`, which is not 0.
    fn below(&mut self, limit: usize) -> usize {
        usize::try_from(self.next() % u64::try_from(limit).unwrap_or(u64::MAX)).unwrap_or(0)
    }

    fn fill(&mut self, bytes: &mut [u8]) {
        for byte in bytes {
            let [first, ..] = self.next().to_le_bytes();
            *byte = first;
        }
    }

    fn bytes<const N: usize>(&mut self) -> [u8; N] {
        let mut bytes = [0; N];
        self.fill(&mut bytes);
        bytes
    }

    /// Noise from anywhere to anywhere.
    fn spoil(&mut self, bytes: &mut [u8]) {
        if bytes.is_empty() {
            return;
        }
        let from = self.below(bytes.len());
        let length = 1 + self.below(bytes.len() - from);
        self.fill(&mut bytes[from..from + length]);
    }
}

impl Card {
    /// The card of a seed; the same seed makes the same card.
    pub fn random(seed: u64) -> Self {
        let mut chance = Chance(seed);
        let chip = match chance.below(7) {
            0 => Chip::Cpu(Box::new(cpu(&mut chance))),
            1 => Chip::Sle4442(Box::new(sle4442(&mut chance))),
            2 => {
                let mut card = Sle4428::blank();
                spoil(&mut chance, &mut card.memory_mut()[4..]);
                Chip::Sle4428(Box::new(card))
            }
            3 => {
                let mut card = At24c::blank([2, 4, 16][chance.below(3)]);
                spoil(&mut chance, card.memory_mut());
                Chip::At24c(Box::new(card))
            }
            4 => Chip::DesFire(Box::new(DesFire::blank(chance.bytes()))),
            5 => {
                let mut card = At88sc102::blank();
                spoil(&mut chance, card.memory_mut());
                Chip::At88sc102(Box::new(card))
            }
            _ => {
                let mut card = MifareClassic::blank(chance.bytes());
                spoil(&mut chance, &mut card.memory_mut()[16..]);
                Chip::MifareClassic(Box::new(card))
            }
        };
        Card::new(chip)
    }
}

/// A third is left as it came from the maker.
fn spoil(chance: &mut Chance, memory: &mut [u8]) {
    match chance.below(3) {
        0 => {}
        1 => chance.fill(memory),
        _ => chance.spoil(memory),
    }
}

fn sle4442(chance: &mut Chance) -> Sle4442 {
    let keys = AcmeKeys { psc: chance.bytes::<16>().to_vec(), data: chance.bytes::<16>().to_vec() };
    let state = AcmeState {
        sequence: u16::from_le_bytes(chance.bytes()),
        code: [0, 1, 2][chance.below(3)],
        customer: chance.bytes(),
        count: u32::from_le_bytes(chance.bytes()),
        ..AcmeState::new(u8::from_le_bytes(chance.bytes()), chance.bytes())
    };
    let number = chance.bytes();
    let mut card = match chance.below(3) {
        0 => Sle4442::blank(),
        1 => acme::blank(number),
        _ => acme::written(number, &state, &keys),
    };
    spoil(chance, &mut card.memory_mut()[8..]);
    card.with_tries(u8::try_from(chance.below(4)).unwrap_or(0))
}

fn cpu(chance: &mut Chance) -> CpuCard {
    let issuer = CpuKeys::same(chance.bytes());
    let mut card = CpuCard::blank(chance.bytes(), &issuer);
    for file in [PARAMETERS, PURSE, WRITTEN_BACK] {
        let mut bytes = vec![0; chance.below(256)];
        if chance.below(2) == 0 {
            // An envelope, right but for what is spoilt in it.
            let data = [39, 26, 43][chance.below(3)];
            let mut data = vec![0; data];
            chance.fill(&mut data);
            bytes = sg::wrapped([0x01, 0x03, 0x06, 0x11][chance.below(4)], &data);
        }
        spoil(chance, &mut bytes);
        if chance.below(4) != 0 {
            card = card.with_file(file, &bytes);
        }
    }
    if chance.below(4) == 0 {
        let historical = chance.bytes::<9>();
        card = card.with_atr(&[&[0x3B, 0x69, 0x00, 0x00], &historical[..]].concat());
    }
    card.with_tries(u8::try_from(chance.below(6)).unwrap_or(0))
}
